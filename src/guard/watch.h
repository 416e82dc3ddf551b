/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside the guard: what it knows, and one pass over all that is in force. */
#ifndef STANCH_GUARD_WATCH_H
#define STANCH_GUARD_WATCH_H

#include "guard/blame.h"
#include "guard/clerk.h"
#include "guard/guard.h"
#include "guard/notify.h"
#include "guard/patience.h"
#include "guard/rate.h"
#include "guard/scout.h"
#include "kern/change.h"

#define LEAVES_MAX 8

/* A connection of another stanch. */
struct visitor {
	int fd;
	pid_t pid;
	usec_t until; /* leave was given; 0: it only waits */
};

struct watch {
	struct guard_setup s;
	struct notify notify;
	struct journal *journal; /* for reading; NULL: not open */
	struct engine *engine;
	struct change_feed feed;
	struct changes seen;   /* since the pass began that runs or ran last */
	struct changes causes; /* … and before that: what this pass is about */
	struct scout scout;
	struct clerk *clerk;
	struct entry entry; /* being filled; large */
	int listen, other;  /* one of them: we sit; or another one does. -1 */
	struct visitor visitors[LEAVES_MAX];
	size_t n_visitors;
	bool owns;       /* engine_own is on */
	bool can_own;    /* … and was not refused by this kernel */
	usec_t woken;    /* when the first of `seen` that matters was told; 0: nothing was */
	usec_t since;    /* … of `causes` */
	bool left;       /* something was seen and not tried yet: its causes are kept */
	usec_t rest;     /* no pass before */
	usec_t next;     /* a pass at the latest */
	bool wanted;     /* a pass, as soon as `rest` allows */
	unsigned settle; /* passes on which something was left half done */
	struct patience patience;
	struct rate told, found, away; /* entries of the journal; findings; of devices that left */
};

/* One pass: reads everything back, mends, tells. Sets rest and next. */
void watch_pass(struct watch *w);
/* Takes in what the kernel has told; what matters makes a pass wanted. */
int watch_hear(struct watch *w, struct err *e);
/* Opens the journal and the engine for reading, or says why not. */
int watch_open(struct watch *w, struct err *e);
void watch_say(struct watch *w, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* seats.c: who sits, and who has leave. */
/* Sits down or waits for who sits. */
void seats_take(struct watch *w);
/* A new connection, or a word of one (i: index of the visitor). */
void seats_accept(struct watch *w);
void seats_hear(struct watch *w, size_t i);
/* Ends leave that is over. */
void seats_tidy(struct watch *w);
/* Owns when it sits and nobody has leave. */
void seats_hold(struct watch *w);

#endif
