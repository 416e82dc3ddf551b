/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ladder of `watch`: the ways of counting, best first. One rung down is taken only where a
 * better one is not possible, and why is told with what is not seen.
 */
#ifndef STANCH_UI_WATCH_LADDER_H
#define STANCH_UI_WATCH_LADDER_H

#include "observe/tier.h"

struct ladder {
	int forced; /* the rung insisted on; -1: the best that is possible */
	int rung;   /* the one in use; -1: none yet */
	const struct tier_ops *ops;
	void *ctx;        /* of ops; both NULL: the packets are counted */
	char why[512];    /* "; no tier bpf: …" for each that is better and not possible */
	char blind[1024]; /* what is not seen, and why; "" nothing */
};

/* tier: as typed; NULL: none. -EOPNOTSUPP: there is no such tier for this source. */
int ladder_init(struct ladder *l, const char *tier, bool live, struct err *e);
/* Takes the best rung. ops NULL then: count packets; if that is refused, ladder_down. job must stay
 * until ladder_close. Fails where a rung was insisted on, or none is left. */
int ladder_open(struct ladder *l, const struct observe_job *job, owned_flow_fn flow, struct err *e);
/* The present rung turned out not to be possible, as e says: the next one, or e stays the error. */
int ladder_down(struct ladder *l, const struct observe_job *job, owned_flow_fn flow, struct err *e);
/* Brings blind up to date. */
void ladder_look(struct ladder *l);
void ladder_close(struct ladder *l);

#endif
