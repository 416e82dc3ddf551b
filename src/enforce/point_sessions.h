/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a firewall's session table holds of an order's addresses: told in the plan, and read back
 * after they were cleared. A session of a kept endpoint is not counted as left.
 */
#ifndef STANCH_ENFORCE_POINT_SESSIONS_H
#define STANCH_ENFORCE_POINT_SESSIONS_H

#include "model/driver_ops.h"
#include "wire/session_table.h"

#define POINT_SESSIONS_MAX 200000

/* Which sessions are an order's. */
struct point_scope {
	const struct prefix *prefixes;
	size_t n_prefixes;
	const struct permit *permits; /* seen from the prefixes */
	size_t n_permits;
};

struct point_sessions {
	struct session_row *v; /* owned */
	size_t n;
	size_t not_asked; /* prefixes that the device cannot be asked for */
};
void point_sessions_free(struct point_sessions *t);
/* A session_fn; arg: the table. -E2BIG, -ENOMEM. */
int point_sessions_add(void *arg, const struct session_row *row);
/* What an error of reading it means, for a person. Returns r. */
int point_sessions_err(int r, const char *point, struct err *e);

/* HOLDS with the count in `held`, or DRIFTED: how many are left, and the first of them. UNKNOWN
 * where prefixes could not be asked for. Sorts the table, each session once. */
int point_sessions_verdict(struct point_sessions *t, const struct point_scope *s,
                           struct readback *ret, struct err *e);
/* The plan's note: who the addresses talk to now, what of it will be cut. */
int point_sessions_note(struct point_sessions *t, const struct point_scope *s, struct plan *p,
                        struct err *e);

#endif
