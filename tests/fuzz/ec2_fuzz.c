/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as an answer, every element of it as everything that is read. */
#include <stdlib.h>
#include <string.h>

#include "wire/ec2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ec2_group group;
static struct ec2_acl acl;

static void must(bool good)
{
	if (!good)
		abort();
}

static void take(const struct xml_node *n, unsigned depth)
{
	struct ec2_interface i;
	struct ec2_instance instance;
	char code[EC2_TEXT_MAX], message[EC2_TEXT_MAX];
	if (ec2_take_interface(n, &i, NULL) == 0)
		for (size_t k = 0; k < i.n_groups; k++)
			must(ec2_id_ok(i.groups[k]));
	if (ec2_take_group(n, &group, NULL) == 0)
		must(ec2_id_ok(group.id));
	if (ec2_take_acl(n, &acl, NULL) == 0)
		must(ec2_id_ok(acl.id) && acl.n_entries <= EC2_ENTRIES_MAX);
	if (ec2_take_instance(n, &instance, NULL) == 0)
		must(ec2_id_ok(instance.id) && !strpbrk(instance.name, "\n\x1b"));
	if (ec2_take_error(n, code, message))
		must(!strpbrk(message, "\n\x1b"));
	for (const struct xml_node *c = xml_child(n, NULL); c && depth < 8; c = xml_next(c, NULL))
		take(c, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct xml_doc *d = NULL;
	if (xml_parse(data, size, &d, NULL) < 0)
		return 0;
	take(xml_root(d), 0);
	xml_free(d);
	return 0;
}
