/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Taking back, and reading back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "engine/run.h"

int run_undo_begin(struct run *r, struct err *e)
{
	for (size_t i = 0; i < r->p->n_steps; i++)
		if (life_in_force(r->p->steps[i].state))
			life_move(&r->p->steps[i].state, EVENT_UNDO);
	int x = run_store(r, e);
	sys->mark("engine:undoing");
	return x;
}

unsigned run_undo_finish(struct run *r)
{
	unsigned left = 0;
	for (size_t i = r->p->n_steps; i-- > 0;) {
		struct step *s = &r->p->steps[i];
		if (!run_has(r, s) || s->state != STEP_UNDOING)
			continue;
		run_step(r, s, EVENT_UNDO);
		left += s->state == STEP_UNDOING;
	}
	return left;
}

static enum engine_outcome undo_store(struct run *r, enum order_state done, unsigned left)
{
	struct err e = {0};
	r->o->state = left ? ORDER_PARTIAL : done;
	if (left)
		run_say(r, "o%u: %u steps could not be taken back; the next command tries again",
		        r->o->id, left);
	int x = run_store(r, &e);
	if (x)
		run_say(r,
		        "o%u: what was undone could not be written to the journal: %s. The next "
		        "command reads the point back",
		        r->o->id, e.text);
	sys->mark("engine:settled");
	return left || x ? ENGINE_PARTIAL : ENGINE_DONE;
}

enum engine_outcome run_undo(struct run *r, enum order_state done)
{
	struct err e = {0};
	/* Going back to safety does not wait for the book. */
	if (run_undo_begin(r, &e))
		run_say(r, "o%u: the journal could not be written before undoing: %s", r->o->id,
		        e.text);
	unsigned left = run_undo_all(r);
	return undo_store(r, done, left);
}

static unsigned in_force(const struct plan *p)
{
	unsigned n = 0;
	for (size_t i = 0; i < p->n_steps; i++)
		n += life_in_force(p->steps[i].state);
	return n;
}

int engine_undo(struct engine *g, unsigned order_id, struct report *ret, struct err *e)
{
	struct order o = {0};
	struct plan p = {0};
	int x = journal_get_order(g->j, order_id, &o, &p, NULL, e);
	if (x)
		return x;
	struct run r = run_of(g, &o, &p);
	enum engine_outcome outcome = ENGINE_DONE;
	if (!in_force(&p)) {
		run_say(&r, "o%u is %s: nothing of it is left to undo", o.id,
		        order_state_str(o.state));
	} else if (!(x = run_undo_begin(&r, e))) {
		outcome = undo_store(&r, ORDER_UNDONE, run_undo_all(&r));
	}
	if (x)
		buf_free(&r.text);
	else
		run_end(&r, outcome, ret);
	order_free(&o);
	plan_free(&p);
	return x;
}

/* --- reading back --- */

static void tell_drift(struct run *r, const struct step *s, enum event ev, const char *why)
{
	static const char *const says[_EVENT_MAX] = {
	    [EVENT_ABSENT] = "is not there",
	    [EVENT_DRIFTED] = "has drifted",
	    [EVENT_UNSURE] = "could not be read back",
	};
	r->n_drifts++;
	run_say(r, "o%u: %s %s", r->o->id, s->kind, says[ev]);
	if (why && *why)
		run_say(r, "%s", why);
}

/* After its time an order should be gone from the point; before it, there. */
static void look_at(struct run *r, const struct step *s, bool lifted)
{
	char *why;
	enum event ev = run_look(r, s, &why);
	if (!lifted && ev != EVENT_HOLDS)
		tell_drift(r, s, ev, why);
	if (!lifted && ev == EVENT_HOLDS && why)
		run_say(r, "o%u: %s", r->o->id, why);
	if (lifted && ev == EVENT_HOLDS && s->inverse) {
		r->n_drifts++;
		run_say(r, "o%u: %s is still in force though its time has passed", r->o->id,
		        s->kind);
	}
	free(why);
}

static void verify(struct run *r)
{
	char ended[DUE_TEXT_MAX];
	usec_t at = 0;
	enum due due = run_due(r, &at);
	if (!in_force(r->p)) {
		run_say(r, "o%u is %s: nothing of it is meant to be in force", r->o->id,
		        order_state_str(r->o->state));
		for (size_t d = 0; d < _DIM_MAX; d++)
			r->dims[d] = r->p->dims[d] == DIM_NONE ? DIM_NONE : DIM_RELEASED;
		return;
	}
	if (due != DUE_NOT)
		run_say(r, "o%u %s", r->o->id, due_text(due, at, ended));
	for (size_t i = 0; i < r->p->n_steps; i++) {
		const struct step *s = &r->p->steps[i];
		if (life_in_force(s->state))
			look_at(r, s, due == DUE_LIFTED);
		else if (due != DUE_LIFTED && s->problem)
			run_say(r, "o%u: %s is not in force: %s", r->o->id, s->kind, s->problem);
	}
}

int engine_verify(struct engine *g, unsigned order_id, struct report *ret, struct err *e)
{
	struct order o = {0};
	struct plan p = {0};
	char subject[24];
	int x = journal_get_order(g->j, order_id, &o, &p, NULL, e);
	if (x)
		return x;
	struct run r = run_of(g, &o, &p);
	verify(&r);
	if (r.n_drifts) {
		/* A journal that was opened for reading takes no note, and needs none. */
		snprintf(subject, sizeof subject, "o%u", order_id);
		journal_note(g->j, "drift", subject, "{\"verdict\":\"does not hold\"}", NULL);
	}
	run_end(&r, r.n_drifts ? ENGINE_DRIFTED : ENGINE_DONE, ret);
	order_free(&o);
	plan_free(&p);
	return 0;
}
