/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a process that died left, and what time has ended. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "engine/run.h"

static bool passed(usec_t by_boot, usec_t by_wall, bool same_boot)
{
	return same_boot && by_boot ? boot_now() >= by_boot : by_wall && wall_now() >= by_wall;
}

bool engine_is_local(const struct engine *g, const char *point)
{
	for (size_t i = 0; i < g->n; i++)
		if (!strcmp(g->points[i].name, point))
			return !g->points[i].config;
	return false;
}

bool engine_knows(const struct engine *g, const struct plan *p)
{
	for (size_t i = 0; i < p->n_steps; i++) {
		bool known = false;
		for (size_t k = 0; k < g->n; k++)
			known |= !strcmp(p->steps[i].point, g->points[k].name);
		if (!known)
			return false;
	}
	return true;
}

/* The point of this host that the order has steps at; NULL: none. */
static const char *local_point(const struct run *r)
{
	for (size_t i = 0; i < r->g->n; i++) {
		const struct point *p = &r->g->points[i];
		for (size_t k = 0; !p->config && k < r->p->n_steps; k++)
			if (!strcmp(r->p->steps[k].point, p->name))
				return p->name;
	}
	return NULL;
}

enum due run_due(const struct run *r, usec_t *ret_wall)
{
	const struct deadlines *d = &r->o->deadlines;
	bool same_boot = boot_same(d->boot);
	if (passed(d->until_boot, d->until_wall, same_boot)) {
		*ret_wall = d->until_wall;
		return DUE_LIFTED;
	}
	if (!d->confirm_by_boot && !d->confirm_by_wall)
		return DUE_NOT;
	*ret_wall = d->confirm_by_wall;
	/* Not confirmed at a restart: what this kernel held went with it. */
	if (!same_boot && local_point(r))
		return DUE_LIFTED;
	if (!passed(d->confirm_by_boot, d->confirm_by_wall, same_boot))
		return DUE_NOT;
	return d->on_expiry == EXPIRY_WIDEN ? DUE_WIDENED : DUE_LIFTED;
}

static const char before_restart[] = "was not confirmed before the restart: not applied again";

const char *due_text(enum due due, usec_t wall, char ret[DUE_TEXT_MAX])
{
	char when[TIME_STR_MAX];
	if (due == DUE_WIDENED)
		snprintf(ret, DUE_TEXT_MAX,
		         "was not confirmed by %s: the cut stays, and management was opened to "
		         "the break-glass prefixes (widened)",
		         time_str(wall, when));
	else if (wall > wall_now()) /* only a restart ends what has time left */
		snprintf(ret, DUE_TEXT_MAX, "%s", before_restart);
	else
		snprintf(ret, DUE_TEXT_MAX, "has run out at %s and was lifted",
		         time_str(wall, when));
	return ret;
}

static bool any_step(const struct plan *p, enum step_state s)
{
	for (size_t i = 0; i < p->n_steps; i++)
		if (p->steps[i].state == s)
			return true;
	return false;
}

static void store_or_say(struct run *r)
{
	struct err e = {0};
	if (run_store(r, &e)) {
		r->n_problems++;
		run_say(r, "o%u: the journal could not be written: %s", r->o->id, e.text);
	}
}

static void lift(struct run *r, enum order_state done, const char *why)
{
	run_say(r, "o%u %s", r->o->id, why);
	if (run_undo(r, done) != ENGINE_DONE)
		r->n_problems++;
}

static void tidy(struct run *r)
{
	char ended[DUE_TEXT_MAX], why[DUE_TEXT_MAX + 40];
	usec_t at = 0;
	enum due due = run_due(r, &at);
	if (due == DUE_LIFTED) {
		snprintf(why, sizeof why, "%s; what was left of it is removed",
		         due_text(due, at, ended));
		lift(r, ORDER_EXPIRED, why);
	} else if (due == DUE_WIDENED && r->o->state != ORDER_EXPIRED) {
		r->o->state = ORDER_EXPIRED;
		run_say(r, "o%u %s", r->o->id, due_text(due, at, ended));
		store_or_say(r);
	}
}

/* What cannot be taken back and was not begun is not lost. */
static void drop_unbegun(struct run *r, const enum event *seen)
{
	for (size_t i = 0; i < r->p->n_steps; i++) {
		struct step *s = &r->p->steps[i];
		if (s->state == STEP_INTENT && !s->inverse && seen[i] == EVENT_ABSENT)
			run_step(r, s, EVENT_ABSENT);
	}
}

/* Does all that the order cannot do without hold at the point? */
static bool required_hold(struct run *r, enum event *seen)
{
	bool hold = true;
	for (size_t i = 0; i < r->p->n_steps; i++) {
		const struct step *s = &r->p->steps[i];
		char *why = NULL;
		seen[i] = s->state == STEP_INTENT ? run_look(r, s, &why) : EVENT_ABSENT;
		free(why);
		if ((s->required || r->o->all_or_nothing) && seen[i] != EVENT_HOLDS)
			hold = false;
	}
	return hold;
}

static void finish(struct run *r, const enum event *seen)
{
	for (size_t i = 0; i < r->p->n_steps; i++) {
		struct step *s = &r->p->steps[i];
		if (s->state != STEP_INTENT)
			continue;
		run_step(r, s, seen[i] == EVENT_HOLDS ? EVENT_HOLDS : EVENT_RECORDED);
		if (s->state != STEP_VERIFIED) {
			r->n_problems++;
			run_say(r, "o%u: %s is not in force: %s", r->o->id, s->kind,
			        s->problem ? s->problem : "no reason was given");
		}
	}
	r->o->state = r->o->deadlines.confirm_by_boot ? ORDER_UNCONFIRMED : ORDER_HELD;
	run_say(r, "o%u was left half done by a process that died: it holds and was finished%s",
	        r->o->id,
	        r->o->state == ORDER_UNCONFIRMED ? "; it still waits to be confirmed" : "");
	store_or_say(r);
}

static void recover_applying(struct run *r)
{
	usec_t at = 0;
	enum event *seen = calloc(r->p->n_steps + 1, sizeof *seen);
	if (!seen) {
		r->n_problems++;
		run_say(r, "o%u was left half done; out of memory while looking at it", r->o->id);
		return;
	}
	bool hold = required_hold(r, seen), due = run_due(r, &at) != DUE_NOT;
	if (due || !hold)
		drop_unbegun(r, seen);
	if (due)
		lift(r, ORDER_EXPIRED,
		     "was left half done by a process that died, and its time has passed: undone");
	else if (hold)
		finish(r, seen);
	else
		lift(r, ORDER_FAILED,
		     "was left half done by a process that died, and does not hold: undone");
	free(seen);
}

static void recover_undoing(struct run *r)
{
	enum order_state done = r->o->state == ORDER_APPLYING  ? ORDER_FAILED
	                        : r->o->state == ORDER_EXPIRED ? ORDER_EXPIRED
	                                                       : ORDER_UNDONE;
	lift(r, done, "was left half undone: the rest is taken back now");
}

static void recover_rearm(struct run *r)
{
	struct err e = {0};
	int x = run_rearm_finish(r, NULL, &e);
	if (!x) {
		run_say(r, "o%u: its clock was being moved by a process that died: done now",
		        r->o->id);
	} else if (x == -ENOENT) {
		lift(r, ORDER_EXPIRED,
		     "ran out while its clock was being moved; what was left of "
		     "it is removed");
		journal_put_pending(r->g->j, r->o->id, "", NULL);
	} else {
		r->n_problems++;
		run_say(r, "o%u: its clock could not be moved: %s", r->o->id, e.text);
	}
}

static void recover_order(struct run *r, const char *pending)
{
	if (any_step(r->p, STEP_UNDOING))
		recover_undoing(r);
	else if (r->o->state == ORDER_APPLYING)
		recover_applying(r);
	else if (pending[0])
		recover_rearm(r);
	else
		tidy(r);
}

/* Runs f over every open order; one that cannot be read is told and left as it is. */
static int each_open(struct engine *g, void (*f)(struct run *, const char *pending),
                     struct report *ret, struct err *e)
{
	unsigned *ids;
	size_t n;
	int x = journal_list_orders(g->j, NULL, true, &ids, &n, e);
	if (x)
		return x;
	struct run all = run_of(g, NULL, NULL);
	for (size_t i = 0; i < n; i++) {
		struct order o = {0};
		struct plan p = {0};
		struct err why = {0};
		char pending[32] = "";
		x = journal_get_order(g->j, ids[i], &o, &p, NULL, &why);
		if (!x)
			x = journal_get_pending(g->j, ids[i], pending, &why);
		all.o = &o;
		all.p = &p;
		if (x) {
			all.n_problems++;
			run_say(&all, "o%u is left as it is: %s", ids[i], why.text);
		} else if (!g->only_known || engine_knows(g, &p)) {
			f(&all, pending);
		}
		order_free(&o);
		plan_free(&p);
	}
	free(ids);
	all.o = NULL;
	all.p = NULL;
	run_end(&all, all.n_problems ? ENGINE_PARTIAL : ENGINE_DONE, ret);
	return 0;
}

int engine_recover(struct engine *g, struct report *ret, struct err *e)
{
	return each_open(g, recover_order, ret, e);
}

/* --- at boot --- */

static bool step_is_local(const struct run *r, const struct step *s)
{
	return engine_is_local(r->g, s->point);
}

static bool all_hold(struct run *r)
{
	bool hold = true;
	for (size_t i = 0; hold && i < r->p->n_steps; i++) {
		char *why = NULL;
		if (r->p->steps[i].inverse && step_is_local(r, &r->p->steps[i]))
			hold = run_look(r, &r->p->steps[i], &why) == EVENT_HOLDS;
		free(why);
	}
	return hold;
}

/* until_boot belongs to a boot; what is left of the wall time is what is left. */
static void this_boot(struct deadlines *d)
{
	if (boot_same(d->boot))
		return;
	memset(d->boot, 0, sizeof d->boot);
	strncpy(d->boot, boot_id(), sizeof d->boot - 1);
	usec_t now = wall_now();
	if (d->until_wall)
		d->until_boot = boot_now() + (d->until_wall > now ? d->until_wall - now : 1);
}

/* The steps at other points stand as they are, behind those that were planned anew. */
static int replace_local(struct run *r, struct plan *fresh, struct err *e)
{
	struct plan rest = {0};
	size_t n = 0;
	for (size_t i = 0; i < r->p->n_steps; i++)
		if (step_is_local(r, &r->p->steps[i]))
			step_free(&r->p->steps[i]);
		else
			r->p->steps[n++] = r->p->steps[i];
	rest.steps = r->p->steps;
	rest.n_steps = n;
	r->p->steps = NULL;
	r->p->n_steps = 0;
	plan_free(r->p);
	*r->p = *fresh;
	if (plan_join(r->p, &rest, NULL) < 0) {
		plan_free(&rest);
		return err_set(e, -ENOMEM, "out of memory while planning");
	}
	return 0;
}

/* Devices may have changed, so it is planned again; where the point says that it has it already,
 * the steps that are stored are brought about once more. */
static int plan_again(struct run *r, struct err *e)
{
	struct plan fresh = {0};
	int x = engine_plan_at(r->g, r->point, r->o, &fresh, e);
	if (x == -EALREADY || x == -EEXIST) {
		for (size_t i = 0; i < r->p->n_steps; i++)
			if (step_is_local(r, &r->p->steps[i]))
				r->p->steps[i].state = STEP_PLANNED;
		return 0;
	}
	return x ? x : replace_local(r, &fresh, e);
}

static void apply_again(struct run *r)
{
	struct err e = {0};
	enum order_state state = r->o->state;
	this_boot(&r->o->deadlines);
	r->point = local_point(r);
	int x = plan_again(r, &e);
	if (!x)
		x = run_intents(r, &e);
	if (x) {
		r->point = NULL;
		r->o->state = state;
		r->n_problems++;
		run_say(r, "o%u could not be applied again: %s", r->o->id, e.text);
		return;
	}
	unsigned failed = 0;
	for (size_t i = 0; i < r->p->n_steps; i++) {
		struct step *s = &r->p->steps[i];
		if (!step_is_local(r, s))
			continue;
		if (s->state != STEP_FAILED)
			run_step(r, s, EVENT_RECORDED);
		if (s->state == STEP_VERIFIED)
			continue;
		failed++;
		run_say(r, "o%u: %s is not in force: %s", r->o->id, s->kind,
		        s->problem ? s->problem : "no reason was given");
	}
	r->point = NULL;
	r->o->state = state; /* what holds stays, though not all does */
	r->n_problems += failed;
	run_say(r, "o%u was applied again%s", r->o->id, failed ? ", not all of it" : "");
	store_or_say(r);
}

static void reassert_order(struct run *r, const char *pending)
{
	const char *boot = r->o->deadlines.boot;
	bool same_boot = boot_same(boot);
	usec_t at = 0;
	if (!local_point(r)) /* the network is not up yet, and nothing of it went with the kernel */
		return;
	if (same_boot && (r->o->state != ORDER_HELD || pending[0] || any_step(r->p, STEP_UNDOING) ||
	                  run_due(r, &at) != DUE_NOT)) {
		recover_order(r, pending);
		return;
	}
	if (r->o->state != ORDER_HELD)
		lift(r, ORDER_EXPIRED, before_restart);
	else if (run_due(r, &at) != DUE_NOT)
		tidy(r);
	else if (!all_hold(r))
		apply_again(r);
}

int engine_reassert(struct engine *g, struct report *ret, struct err *e)
{
	return each_open(g, reassert_order, ret, e);
}
