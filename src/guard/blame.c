/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guard/blame.h"

#include <string.h>

/* Steps that live in nftables; the others hang on devices. */
static bool in_tables(const char *kind)
{
	return !strcmp(kind, "host.cut") || !strcmp(kind, "host.block");
}

/* What can have caused a drift of the layer: rules that of the tables, tc that of the programs; the
 * coming and going of devices either. */
static bool fits(enum change_kind k, bool tables)
{
	switch (k) {
	case CHANGE_LINK_NEW:
	case CHANGE_LINK_GONE:
	case CHANGE_LINK_AWAY:
	case CHANGE_LINK:
		return true;
	case CHANGE_RULES:
		return tables;
	case CHANGE_TC:
		return !tables;
	default:
		return false;
	}
}

/* Those that touched the layer itself come before those that touched devices. */
bool blame_pick(const struct changes *c, const char *kind, struct culprit *ret)
{
	bool tables = in_tables(kind), found = false;
	for (size_t i = 0; i < c->n_who; i++) {
		const struct culprit *w = &c->who[i];
		bool direct = w->kind == CHANGE_RULES || w->kind == CHANGE_TC;
		if (!fits(w->kind, tables) || (found && !direct))
			continue;
		*ret = *w;
		found = true;
		if (direct)
			break;
	}
	return found;
}

bool blame_is_arrival(const struct changes *c)
{
	return c->n[CHANGE_LINK_NEW] && c->n[CHANGE_RULES] == c->ours[CHANGE_RULES] &&
	       c->n[CHANGE_TC] == c->ours[CHANGE_TC] && !c->n[CHANGE_LOST];
}
