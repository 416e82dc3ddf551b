/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside the engine: one order being worked on. */
#ifndef STANCH_ENGINE_RUN_H
#define STANCH_ENGINE_RUN_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/life.h"

#define RUN_TEXT_MAX (256u << 10)

struct held {
	struct order o;
	struct plan p;
	bool pending; /* a command is at work on its clock, or died over it */
};

struct engine {
	struct journal *j;
	const struct point *points;
	void **ctx; /* one for each point; NULL: not open */
	size_t n;
	struct held *held; /* what is in force by the journal */
	size_t n_held;
	bool held_read;
	int64_t held_at; /* the journal's version then; -1: not known */
	bool only_known; /* orders with steps at other points are left alone */
};

struct run {
	struct engine *g;
	struct order *o;
	struct plan *p;
	const char *point;             /* only its steps are looked at; NULL: all */
	enum dim_state dims[_DIM_MAX]; /* as read back */
	struct buf text;               /* becomes the report's */
	unsigned n_problems, n_drifts, n_lost /* effects without an inverse that stay */;
	usec_t spent;
};

/* A step that this run is about. */
static inline bool run_has(const struct run *r, const struct step *s)
{
	return !r->point || !strcmp(s->point, r->point);
}

struct run run_of(struct engine *g, struct order *o, struct plan *p);
void run_say(struct run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Fills *ret and frees what the run owns. */
void run_end(struct run *r, enum engine_outcome outcome, struct report *ret);

int engine_driver(struct engine *g, const char *point, const struct driver_ops **ret, void **ctx,
                  struct err *e);
/* A point of this host: its state goes with the kernel, and it needs no network to be reached. */
bool engine_is_local(const struct engine *g, const char *point);
/* Every step is at a point of this engine's. */
bool engine_knows(const struct engine *g, const struct plan *p);
int engine_read_held(struct engine *g, struct err *e);
int engine_plan_at(struct engine *g, const char *point, const struct order *o, struct plan *ret,
                   struct err *e);
/* Everything else in force at the step's point: other orders, and r's own steps. Free ret->v. */
int run_holds(struct run *r, const struct step *s, struct holds *ret, struct err *e);
typedef int (*driver_call)(const struct driver_ops *d, void *ctx, struct run *r, struct step *s,
                           const struct holds *others, struct err *e);
/* Calls f with the driver of the step's point and what else holds there; its time counts as spent.
 */
int run_call(struct run *r, struct step *s, driver_call f, struct err *e);
void engine_forget_held(struct engine *g); /* the journal has changed */

/* Fires ev and does what is due until the step is settled. */
void run_step(struct run *r, struct step *s, enum event ev);
/* Only reads back: the event it amounts to; dimensions are told in the run. *ret_why (malloc'd; may
 * be NULL): what differs, or, where it holds, what was counted. */
enum event run_look(struct run *r, const struct step *s, char **ret_why);
/* Replaces s->problem. */
void step_problem(struct step *s, const char *text);
/* Stores order and steps in one transaction. */
int run_store(struct run *r, struct err *e);

/* apply.c */
/* prepare → INTENT on disk → apply → verify for every step; true when all that must hold does. */
int run_prepare(struct run *r, struct err *e);
int run_intents(struct run *r, struct err *e);
bool run_apply(struct run *r, management_check_fn check, void *arg);

/* points.c: one thread a point where there are several. */
void plan_points(const struct plan *p, struct point_names *ret);
int run_prepare_all(struct run *r, struct err *e); /* as run_prepare */
/* As run_apply, for every point; a point that fails takes back its own share, and *ret_held says
 * how many hold. */
bool run_apply_all(struct run *r, management_check_fn check, void *arg, size_t *ret_held);

void run_dims(struct run *r, struct report *ret);
/* With new deadlines and "rearm" on disk: moves the timers, then stores the state. On failure the
 * deadlines `before` are set back, everywhere; NULL: left for another try. */
int run_rearm_finish(struct run *r, const struct deadlines *before, struct err *e);

/* undo.c */
/* Marks all that is in force UNDOING and stores that. */
int run_undo_begin(struct run *r, struct err *e);
/* Takes back, last first, what is UNDOING; the number of steps that could not be. */
unsigned run_undo_finish(struct run *r);
/* The same with a thread for each point. */
unsigned run_undo_all(struct run *r);
/* Both, then `done` as the order's state (ORDER_PARTIAL where something stays), stored. */
enum engine_outcome run_undo(struct run *r, enum order_state done);

/* recover.c */
enum due { DUE_NOT, DUE_LIFTED, DUE_WIDENED };
/* What its clocks say; *ret_wall: the wall time it was due at. */
enum due run_due(const struct run *r, usec_t *ret_wall);
#define DUE_TEXT_MAX 192
/* What that means, to follow the order's name; in ret, which is returned. Not for DUE_NOT. */
const char *due_text(enum due due, usec_t wall, char ret[DUE_TEXT_MAX]);

#endif
