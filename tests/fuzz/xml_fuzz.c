/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as an answer. What is taken is written again, and must read back to the same tree. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_node(const struct xml_node *n, struct buf *out)
{
	char name[4096];
	const char *ns = xml_ns(n);
	if (strlen(n->name) + strlen(n->prefix) + 2 > sizeof name)
		return;
	buf_addf(out, "<%s%s%s xmlns%s%s='", n->prefix, *n->prefix ? ":" : "", n->name,
	         *n->prefix ? ":" : "", n->prefix);
	if ((xml_add(out, ns) == -EINVAL || !*ns) && *n->prefix)
		abort();
	buf_addf(out, "'>");
	if (xml_add(out, n->text) == -EINVAL)
		abort();
	for (const struct xml_node *c = xml_child(n, NULL); c; c = xml_next(c, NULL))
		write_node(c, out);
	buf_addf(out, "</%s%s%s>", n->prefix, *n->prefix ? ":" : "", n->name);
}

static void must_equal(const struct xml_node *a, const struct xml_node *b)
{
	if (!a != !b)
		abort();
	if (!a)
		return;
	if (strcmp(a->name, b->name) || strcmp(xml_ns(a), xml_ns(b)) || strcmp(a->text, b->text))
		abort();
	const struct xml_node *c = xml_child(a, NULL), *d = xml_child(b, NULL);
	for (; c || d; c = xml_next(c, NULL), d = xml_next(d, NULL))
		must_equal(c, d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xml_doc *d = NULL, *again = NULL;
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	int r = xml_parse(copy, size, &d, NULL);
	free(copy);
	if (r < 0)
		return 0;
	struct buf out = BUF_INIT(1u << 20);
	write_node(xml_root(d), &out);
	if (!out.error && !strcmp(xml_root(d)->prefix, "xml"))
		out.error = -1;
	if (!out.error && !memmem(out.data, out.len, "xmlns:xml=", 10)) {
		if (xml_parse(out.data, out.len, &again, NULL) < 0)
			abort();
		must_equal(xml_root(d), xml_root(again));
	}
	buf_free(&out);
	xml_free(d);
	xml_free(again);
	return 0;
}
