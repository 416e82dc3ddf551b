/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a plan to what holds.
 *
 * State after apply is told by the clock alone: UNCONFIRMED while a dead man's switch runs, else
 * HELD. That something planned is not in force stands in the steps (state, problem) and in the
 * dimensions, and is the outcome PARTIAL. ORDER_PARTIAL is an order that could not be undone whole.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "engine/run.h"

static int prepare(struct run *r, struct step *s, struct err *e)
{
	const struct driver_ops *d;
	void *ctx;
	usec_t start = boot_now();
	int x = engine_driver(r->g, s->point, &d, &ctx, e);
	if (!x)
		x = d->prepare(ctx, r->o, s, e);
	r->spent += boot_now() - start;
	return x;
}

/* What destroys evidence that could not be read is not done, unless the cut hangs on it. */
int run_prepare(struct run *r, struct err *e)
{
	for (size_t i = 0; i < r->p->n_steps; i++) {
		struct step *s = &r->p->steps[i];
		struct err why = {0};
		if (!run_has(r, s) || s->late)
			continue;
		int x = prepare(r, s, &why);
		if (x && (s->required || r->o->all_or_nothing))
			return err_set(e, x, "%s", why.text);
		if (x) {
			step_problem(s, why.text);
			s->state = STEP_PLANNED;
			run_step(r, s, EVENT_APPLY_FAILED);
		}
	}
	sys->mark("engine:prepared");
	return 0;
}

int run_intents(struct run *r, struct err *e)
{
	struct deadlines *d = &r->o->deadlines;
	if (!d->boot[0])
		strncpy(d->boot, boot_id(), sizeof d->boot - 1);
	int x = run_prepare_all(r, e);
	if (x)
		return x;
	for (size_t i = 0; i < r->p->n_steps; i++)
		if (run_has(r, &r->p->steps[i]) && r->p->steps[i].state != STEP_FAILED)
			r->p->steps[i].state = STEP_INTENT;
	r->o->state = ORDER_APPLYING;
	return run_store(r, e);
}

static bool step_suffices(const struct run *r, const struct step *s)
{
	if (s->state == STEP_VERIFIED)
		return !(r->o->all_or_nothing && s->problem);
	return !s->required && !r->o->all_or_nothing;
}

static bool way_in_is_open(struct run *r, management_check_fn check, void *arg)
{
	struct err e = {0};
	sys->mark("engine:check");
	if (!check || check(arg, r->o, &e) == 0)
		return true;
	run_say(r, "o%u would close the way in: %s", r->o->id, e.text);
	return false;
}

/* Nothing of it was done, so nothing of it is to be taken back, or is lost. */
static bool give_up(struct run *r, size_t from)
{
	for (size_t i = from; i < r->p->n_steps; i++)
		if (run_has(r, &r->p->steps[i]) && r->p->steps[i].state == STEP_INTENT)
			run_step(r, &r->p->steps[i], EVENT_ABSENT);
	return false;
}

/* What it is about to destroy is on disk first, as with the others. */
static bool prepared_late(struct run *r, struct step *s)
{
	struct err why = {0};
	if (!s->late)
		return true;
	int x = prepare(r, s, &why);
	if (!x)
		x = run_store(r, &why);
	if (!x)
		return true;
	step_problem(s, why.text);
	run_step(r, s, EVENT_APPLY_FAILED);
	return false;
}

/* The way in is tried as soon as all that can be taken back is in force, before the rest. */
bool run_apply(struct run *r, management_check_fn check, void *arg)
{
	bool tried = false;
	for (size_t i = 0; i < r->p->n_steps; i++) {
		struct step *s = &r->p->steps[i];
		if (!run_has(r, s) || s->state == STEP_FAILED) /* not prepared */
			continue;
		if (!s->inverse && !tried) {
			tried = true;
			if (!way_in_is_open(r, check, arg))
				return give_up(r, i);
		}
		if (prepared_late(r, s))
			run_step(r, s, EVENT_RECORDED);
		if (!step_suffices(r, s)) {
			run_say(r, "o%u: %s%s%s: %s", r->o->id, r->point ? r->point : "",
			        r->point ? ": " : "", s->kind,
			        s->problem ? s->problem : "does not hold");
			return give_up(r, i + 1);
		}
	}
	return tried || way_in_is_open(r, check, arg);
}

/* What was promised and is not reached, and what the plan could not promise. */
static enum dim_state dim_reached(enum dim_state got, enum dim_state promised, enum order_state o)
{
	if (got == DIM_CONTAINED && promised != DIM_NONE)
		got = promised;
	else if (got == DIM_NONE)
		got = promised == DIM_CONTAINED ? DIM_IS_UNKNOWN : promised;
	if (got != DIM_NONE && (o == ORDER_UNDONE || o == ORDER_FAILED))
		return DIM_RELEASED;
	return got == DIM_CONTAINED && o == ORDER_PARTIAL ? DIM_PARTIAL : got;
}

void run_dims(struct run *r, struct report *ret)
{
	for (size_t d = 0; d < _DIM_MAX; d++) {
		enum dim_state s = dim_reached(r->dims[d], r->p->dims[d], r->o->state);
		ret->dims[d] = s;
		/* Out of memory costs the reason, not the report. */
		if (s != DIM_CONTAINED && s != DIM_RELEASED && r->p->dim_reasons[d])
			ret->dim_reasons[d] = strdup(r->p->dim_reasons[d]);
	}
}

static void tell_problems(struct run *r)
{
	for (size_t i = 0; i < r->p->n_steps; i++) {
		const struct step *s = &r->p->steps[i];
		bool whole = s->state == STEP_VERIFIED || s->state == STEP_UNDONE;
		if (whole && !s->problem)
			continue;
		r->n_problems++;
		const char *how = s->state == STEP_VERIFIED  ? "holds with a limit"
		                  : s->state == STEP_APPLIED ? "holds in part"
		                                             : "is not in force";
		run_say(r, "o%u: %s %s: %s", r->o->id, s->kind, how,
		        s->problem ? s->problem : "no reason was given");
	}
}

static enum engine_outcome settle(struct run *r)
{
	struct err e = {0};
	r->o->state = r->o->deadlines.confirm_by_boot ? ORDER_UNCONFIRMED : ORDER_HELD;
	tell_problems(r);
	r->n_problems += r->p->left_out;
	if (run_store(r, &e)) {
		/* A cut that holds is not given up for the sake of the book. */
		r->n_problems++;
		run_say(r,
		        "o%u is in force, but the journal could not be written after it: %s. The "
		        "next command reads the point back and completes it",
		        r->o->id, e.text);
	}
	sys->mark("engine:held");
	return r->n_problems ? ENGINE_PARTIAL : ENGINE_DONE;
}

int engine_apply(struct engine *g, struct order *o, struct plan *p, management_check_fn check,
                 void *arg, struct report *ret, struct err *e)
{
	struct run r = run_of(g, o, p);
	size_t held = 0;
	int x = run_intents(&r, e);
	if (x) {
		o->state = ORDER_PLANNED;
		buf_free(&r.text);
		return x;
	}
	enum engine_outcome outcome;
	bool whole = run_apply_all(&r, check, arg, &held);
	if (whole || (held && !o->all_or_nothing)) {
		outcome = settle(&r);
	} else {
		outcome = run_undo(&r, ORDER_FAILED);
		outcome =
		    outcome == ENGINE_DONE && !r.n_lost ? ENGINE_REVERTED : ENGINE_REVERT_PARTIAL;
	}
	run_end(&r, outcome, ret);
	return 0;
}

/* --- moving the timers --- */

static int call_rearm(const struct driver_ops *d, void *ctx, struct run *r, struct step *s,
                      const struct holds *others, struct err *e)
{
	return d->rearm(ctx, r->o, s, others, e);
}

static int rearm_step(struct run *r, struct step *s, struct err *e)
{
	int x = run_call(r, s, call_rearm, e);
	sys->mark("engine:rearmed");
	return x;
}

/* Moves every step's timer to o->deadlines; the first required one that fails ends it. */
static int rearm_all(struct run *r, struct err *e)
{
	for (size_t i = 0; i < r->p->n_steps; i++) {
		struct step *s = &r->p->steps[i];
		struct err why = {0};
		if (!life_in_force(s->state))
			continue;
		int x = rearm_step(r, s, &why);
		if (x && s->required)
			return err_set(e, x, "%s", why.text);
		if (x) {
			step_problem(s, why.text);
			r->n_problems++;
			run_say(r, "o%u: %s keeps its old clock: %s", r->o->id, s->kind, why.text);
		}
	}
	return 0;
}

static int rearm_store(struct run *r, const char *pending, struct err *e)
{
	int x = journal_begin(r->g->j, e);
	if (!x)
		x = journal_put_order(r->g->j, r->o, r->p, e);
	if (!x)
		x = journal_put_pending(r->g->j, r->o->id, pending, e);
	if (!x)
		x = journal_commit(r->g->j, e);
	if (x)
		journal_rollback(r->g->j);
	engine_forget_held(r->g);
	sys->mark("engine:rearm-stored");
	return x;
}

/* With new deadlines and "rearm" on disk: the timers, then the state. */
int run_rearm_finish(struct run *r, const struct deadlines *before, struct err *e)
{
	struct err why = {0}, back = {0};
	int x = rearm_all(r, &why);
	if (!x) {
		r->o->state = r->o->deadlines.confirm_by_boot ? ORDER_UNCONFIRMED : ORDER_HELD;
		if (rearm_store(r, "", &why)) {
			r->n_problems++;
			run_say(r,
			        "o%u: the clock was moved, but the journal could not be "
			        "written: %s",
			        r->o->id, why.text);
		}
		return 0;
	}
	if (!before)
		return err_set(e, x, "%s", why.text);
	r->o->deadlines = *before;
	if (x != -ENOENT && rearm_all(r, &back))
		run_say(r, "o%u: not every clock could be set back: %s", r->o->id, back.text);
	if (rearm_store(r, "", &back))
		run_say(r, "o%u: the journal could not be written: %s", r->o->id, back.text);
	return err_set(e, x, "%s", why.text);
}

static bool may_rearm(const struct order *o, struct err *e)
{
	if (o->state == ORDER_UNCONFIRMED || o->state == ORDER_HELD || o->state == ORDER_EXPIRED)
		return true;
	err_set(e, -ENOENT, "o%u is %s: there is no clock to move; order it again", o->id,
	        order_state_str(o->state));
	return false;
}

static bool any_in_force(const struct plan *p)
{
	for (size_t i = 0; i < p->n_steps; i++)
		if (life_in_force(p->steps[i].state))
			return true;
	return false;
}

static int rearm(struct run *r, const struct deadlines *d, struct err *e)
{
	char when[TIME_STR_MAX];
	usec_t at = 0;
	struct deadlines before = r->o->deadlines;
	if (!may_rearm(r->o, e))
		return -ENOENT;
	if (run_due(r, &at) == DUE_LIFTED || !any_in_force(r->p))
		return err_set(e, -ENOENT,
		               "o%u has run out at %s: it is in force no more; order "
		               "it again",
		               r->o->id, time_str(at, when));
	r->o->deadlines = *d;
	int x = rearm_store(r, "rearm", e);
	return x ? x : run_rearm_finish(r, &before, e);
}

/* A clock that moved says nothing of the rest. */
static void read_back(struct run *r)
{
	for (size_t i = 0; i < r->p->n_steps; i++) {
		const struct step *s = &r->p->steps[i];
		char *why = NULL;
		enum event ev = life_in_force(s->state) ? run_look(r, s, &why) : EVENT_HOLDS;
		if (ev != EVENT_HOLDS) {
			r->n_problems++;
			run_say(r, "o%u: %s was read back and %s%s%s", r->o->id, s->kind,
			        event_str(ev), why ? ": " : "", why ? why : "");
		}
		free(why);
	}
}

int engine_rearm(struct engine *g, unsigned order_id, const struct deadlines *d, struct report *ret,
                 struct err *e)
{
	struct order o = {0};
	struct plan p = {0};
	int x = journal_get_order(g->j, order_id, &o, &p, NULL, e);
	if (x)
		return x;
	struct run r = run_of(g, &o, &p);
	x = rearm(&r, d, e);
	if (x) {
		if (e && r.text.len)
			err_set(e, x, "%.300s; %.150s", e->text, buf_str(&r.text));
		buf_free(&r.text);
	} else {
		read_back(&r);
		run_end(&r, r.n_problems ? ENGINE_PARTIAL : ENGINE_DONE, ret);
	}
	order_free(&o);
	plan_free(&p);
	return x;
}
