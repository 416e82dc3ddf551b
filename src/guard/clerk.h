/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The clerk tells and writes down what the guard did: a thread, so that no disk, no other command's
 * lock on the journal and no search for a culprit ever holds up the mending. It also ends orders
 * whose time has passed, and settles what dead commands left (engine_recover); for that it asks for
 * leave like any other command.
 *
 * Bounded: CLERK_MAX entries wait; what comes on top is counted, and that is the next entry.
 */
#ifndef STANCH_GUARD_CLERK_H
#define STANCH_GUARD_CLERK_H

#include "engine/engine.h"
#include "guard/guard.h"
#include "guard/scout.h"

#define CLERK_MAX      128
#define CLERK_TEXT_MAX 1024

/* One thing that happened. */
struct entry {
	const char *event; /* "tamper", "covered", "held", "leave", …; static */
	unsigned order_id; /* 0: none */
	char step[STEP_KIND_MAX];
	char text[CLERK_TEXT_MAX];    /* what differed, or what happened */
	char problem[CLERK_TEXT_MAX]; /* why it does not hold; "" */
	enum drift_end end;
	usec_t usec; /* until it held again */
	bool blamed; /* who is told of */
	bool grave;  /* becomes a finding */
	struct culprit who;
	unsigned missed;   /* of its like that were not told */
	struct suspect is; /* the clerk's: found out when it was told */
};

struct clerk;

int clerk_start(const struct guard_setup *g, const struct scout *s, struct clerk **ret,
                struct err *e);
/* Gives what waits a last try, for at most a second. Takes NULL. */
void clerk_stop(struct clerk *c);
void clerk_enter(struct clerk *c, const struct entry *x);
/* Something is due or unsettled. */
void clerk_recover(struct clerk *c);

#endif
