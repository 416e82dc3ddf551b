/* SPDX-License-Identifier: GPL-3.0-or-later */
/* In place of geo.c where libmaxminddb is not there. */
#include <errno.h>

#include "observe/geo.h"

static char nothing;

int geo_new(struct geo **ret)
{
	*ret = (struct geo *)(void *)&nothing;
	return 0;
}

void geo_free(struct geo *g)
{
}

int geo_add(struct geo *g, const char *path, struct err *e)
{
	return err_set(
	    e, -EOPNOTSUPP,
	    "%s: this build cannot read MaxMind's format: it was made without libmaxminddb", path);
}

bool geo_find(const struct geo *g, const struct addr *a, struct geo_place *ret)
{
	*ret = (struct geo_place){0};
	return false;
}
