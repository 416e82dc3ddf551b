/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The resident role: keeps in force what the journal says is in force.
 *
 * It listens to what the kernel tells of changes (kern/change.h), and looks by itself in between;
 * reads back every order in force, and brings about again what drifted (engine_sustain). Where the
 * kernel can, what it brings about is its own: nobody else can change it while it lives, and it
 * stays when it dies. Who changed something is told, journalled, and becomes a finding.
 *
 * Invariants
 *  1. Mending waits for nobody: not for the disk, not for another command, not for another guard.
 *  2. Only what the journal has in force is mended; what was undone is not brought back.
 *  3. However much is changed, it takes at most half of one processor, bounded memory, and a
 * bounded number of entries; what was left out is counted and told.
 *  4. A command gets leave to change what is held; then it is taken back.
 */
#ifndef STANCH_GUARD_GUARD_H
#define STANCH_GUARD_GUARD_H

#include "engine/engine.h"
#include "model/finding.h"

struct guard_news {
	const char *event; /* "guard_standing", "tamper", "covered", "guard_problem", … */
	const char *text;  /* a sentence, or several, one a line */
	unsigned order_id; /* 0: none */
	const char *step;  /* kind of step; NULL: none */
	int pid;           /* culprit; 0: not known */
	usec_t usec;       /* from the kernel's word to the mended state; 0: nothing was mended */
};

struct guard_setup {
	const char *state_dir;
	const struct point *points;
	size_t n_points;
	usec_t every;         /* looks by itself so often, for what raises no event */
	const char *notify;   /* NOTIFY_SOCKET or NULL */
	const char *watchdog; /* WATCHDOG_USEC or NULL */
	/* Called from two threads. */
	void (*say)(void *arg, const struct guard_news *n);
	void *arg;
};

/* Runs until SIGTERM or SIGINT: 0. -errno: it could not begin, or cannot go on. */
int guard_run(const struct guard_setup *s, struct err *e);

#endif
