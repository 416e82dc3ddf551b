/* SPDX-License-Identifier: GPL-3.0-or-later */
/* First byte: the format, or to find it out. The rest is the feed. */
#include <stdlib.h>
#include <string.h>

#include "wire/blocklist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint64_t entries, domains;
};

static void on_entry(void *arg, const struct blocklist_entry *x)
{
	struct seen *s = arg;
	if (x->prefix.addr.family != ADDR_V4 && x->prefix.addr.family != ADDR_V6)
		abort();
	if (x->prefix.len > addr_bits(&x->prefix.addr))
		abort();
	struct prefix same = prefix_of(&x->prefix.addr, x->prefix.len);
	if (!addr_equal(&same.addr, &x->prefix.addr))
		abort();
	size_t n = strlen(x->note);
	if (n >= BLOCKLIST_NOTE_MAX)
		abort();
	for (size_t i = 0; i < n; i++)
		if (x->note[i] < 0x20 || x->note[i] > 0x7e)
			abort();
	s->entries++;
}

static void on_domain(void *arg, const char *name, uint32_t line)
{
	struct seen *s = arg;
	if (!strchr(name, '.'))
		abort();
	s->domains++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen seen = {0};
	const struct blocklist_sink sink = {on_entry, on_domain, &seen};
	struct blocklist_stats st;
	struct err e = {0};
	if (!size)
		return 0;
	/* What is read beside it is seen. */
	uint8_t *copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	unsigned f = data[0] % (_BLOCKLIST_MAX + 1);
	enum blocklist_format format =
	    f == _BLOCKLIST_MAX ? blocklist_guess(copy, size - 1) : (enum blocklist_format)f;
	int r = blocklist_parse(format, copy, size - 1, 1769904000, &sink, &st, &e);
	free(copy);
	if (r < 0 && (!e.text[0] || e.code != r))
		abort();
	if (r == 0 &&
	    (seen.domains != st.domains || seen.entries < st.entries || (st.bad && !st.bad_why[0])))
		abort();
	return 0;
}
