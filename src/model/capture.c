/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/capture_ops.h"

static const struct capture_option *find(const struct capture_order *o, const char *name)
{
	for (size_t i = o->n_options; i > 0; i--)
		if (!strcmp(o->options[i - 1].name, name))
			return &o->options[i - 1];
	return NULL;
}

bool capture_has(const struct capture_order *o, const char *name)
{
	return find(o, name) != NULL;
}

const char *capture_text(const struct capture_order *o, const char *name, const char *otherwise)
{
	const struct capture_option *v = find(o, name);
	return v ? v->text : otherwise;
}

uint64_t capture_number(const struct capture_order *o, const char *name, uint64_t otherwise)
{
	const struct capture_option *v = find(o, name);
	return v ? v->number : otherwise;
}

int capture_size_parse(const char *s, uint64_t *ret, struct err *e)
{
	static const char units[] = "kMGT";
	char *end;
	errno = 0;
	unsigned long long v = strtoull(s, &end, 10);
	const char *unit = *end ? strchr(units, *end) : NULL;
	unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
	if (s[0] < '0' || s[0] > '9' || errno || (*end && (!unit || end[1])) ||
	    v > UINT64_MAX >> shift || v == 0)
		return err_set(e, -EINVAL,
		               "\"%.40s\" is not a size: a whole number of bytes, or one with k, "
		               "M, G or T (powers of 1024)",
		               s);
	*ret = (uint64_t)v << shift;
	return 0;
}
