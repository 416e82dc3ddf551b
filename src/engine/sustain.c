/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is in force stays in force: the guard's part of the engine. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "engine/run.h"

#define DRIFTS_MAX 64 /* of one order; the rest is found by the next pass */

static const char *const drift_end_names[_DRIFT_END_MAX] = {
    [DRIFT_LEFT] = "left",
    [DRIFT_MENDED] = "mended",
    [DRIFT_FAILED] = "failed",
    [DRIFT_RELEASED] = "released",
};
STRING_TABLE_DEFINE(drift_end, enum drift_end, drift_end_names)

/* A step that was seen to have drifted; text is owned. */
struct seen {
	struct drift d;
	char *text;
};

/* Other points are in other hands: they are read over the network, by commands. */
static bool stands(const struct engine *g, const struct step *s)
{
	return s->inverse && engine_is_local(g, s->point) &&
	       (s->state == STEP_APPLIED || s->state == STEP_VERIFIED || s->state == STEP_UNKNOWN);
}

/* A cut that `widen` keeps is in force as well. */
static bool in_force(const struct order *o, enum due due)
{
	if (o->state == ORDER_HELD || o->state == ORDER_UNCONFIRMED)
		return due != DUE_LIFTED;
	return o->state == ORDER_EXPIRED && due == DUE_WIDENED;
}

static bool is_due(const struct order *o, enum due due)
{
	return due == DUE_LIFTED || (due == DUE_WIDENED && o->state != ORDER_EXPIRED);
}

static enum due due_of(struct engine *g, struct held *h)
{
	usec_t at;
	const struct run r = {.g = g, .o = &h->o, .p = &h->p};
	return run_due(&r, &at);
}

static bool half_done(const struct held *h)
{
	bool undoing = false;
	for (size_t i = 0; i < h->p.n_steps; i++)
		undoing |= h->p.steps[i].state == STEP_UNDOING;
	return h->pending || undoing || h->o.state == ORDER_APPLYING;
}

int engine_overdue(struct engine *g, unsigned *ret, struct err *e)
{
	unsigned n = 0;
	int r = engine_read_held(g, e);
	for (size_t i = 0; r == 0 && i < g->n_held; i++) {
		struct held *h = &g->held[i];
		n += engine_knows(g, &h->p) && (is_due(&h->o, due_of(g, h)) || half_done(h));
	}
	if (r == 0)
		*ret = n;
	return r;
}

/* --- looking --- */

/* Where look_call puts what it reads. */
static _Thread_local struct readback *looking;

static int look_call(const struct driver_ops *d, void *ctx, struct run *r, struct step *s,
                     const struct holds *others, struct err *e)
{
	return d->verify(ctx, r->o, s, others, looking, e);
}

/* *ret_text: what differs; NULL: it holds (perhaps loosely). */
static int look(struct run *r, struct step *s, char **ret_text, bool *ret_loose, struct err *e)
{
	struct readback rb = {0};
	looking = &rb;
	int x = run_call(r, s, look_call, e);
	looking = NULL;
	if (x)
		return x;
	*ret_loose = rb.verdict == VERDICT_HOLDS && rb.loose;
	*ret_text = NULL;
	if (rb.verdict != VERDICT_HOLDS) {
		*ret_text = rb.drift ? rb.drift : strdup("it is gone");
		rb.drift = NULL;
		if (!*ret_text)
			x = -ENOMEM;
	}
	readback_free(&rb);
	return x ? err_set(e, x, "out of memory for what has drifted") : 0;
}

static size_t look_at_order(struct engine *g, struct held *h, struct seen v[static DRIFTS_MAX])
{
	size_t n = 0;
	struct run r = run_of(g, &h->o, &h->p);
	for (size_t i = 0; i < h->p.n_steps && n < DRIFTS_MAX; i++) {
		struct step *s = &h->p.steps[i];
		struct drift d = {.order_id = h->o.id, .seq = s->seq};
		char *text = NULL;
		/* What cannot be read now is looked at again by the next pass. */
		if (!stands(g, s) || look(&r, s, &text, &d.loose, NULL) || (!text && !d.loose))
			continue;
		d.at = boot_now();
		memcpy(d.kind, s->kind, sizeof d.kind);
		v[n++] = (struct seen){d, text};
	}
	buf_free(&r.text);
	return n;
}

/* --- mending --- */

static int apply_call(const struct driver_ops *d, void *ctx, struct run *r, struct step *s,
                      const struct holds *others, struct err *e)
{
	return d->apply(ctx, r->o, s, others, e);
}

static int undo_call(const struct driver_ops *d, void *ctx, struct run *r, struct step *s,
                     const struct holds *others, struct err *e)
{
	return d->undo(ctx, r->o, s, others, e);
}

/* Reads what is in force again. A journal that cannot be read (somebody may see to that) leaves
 * what was known: better an order too long than none. */
static int refresh(struct engine *g, struct err *e)
{
	struct engine old = *g;
	g->held = NULL;
	g->n_held = 0;
	g->held_read = false;
	int x = g->j ? engine_read_held(g, e) : err_set(e, -ENOENT, "there is no journal");
	struct engine gone = x ? *g : old;
	if (x) {
		g->held = old.held;
		g->n_held = old.n_held;
		g->held_read = true;
		g->held_at = -1;
	}
	engine_forget_held(&gone);
	return x;
}

static struct held *held_of(struct engine *g, unsigned order_id)
{
	for (size_t i = 0; i < g->n_held; i++)
		if (g->held[i].o.id == order_id)
			return &g->held[i];
	return NULL;
}

/* Only when somebody has written since: a long list takes its time. */
static int keep_up(struct engine *g, struct err *e)
{
	int64_t now = -1;
	if (g->held_read && g->j && !journal_version(g->j, &now, NULL) && now == g->held_at)
		return 0;
	return refresh(g, e);
}

/* The order and the step as the journal has them at this moment; false: not in force any more. */
static bool still_wanted(struct engine *g, const struct drift *d, struct held **ret_h,
                         struct step **ret_s)
{
	(void)keep_up(g, NULL);
	struct held *h = held_of(g, d->order_id);
	*ret_h = h;
	for (size_t k = 0; h && k < h->p.n_steps; k++)
		if (h->p.steps[k].seq == d->seq)
			*ret_s = &h->p.steps[k];
	return h && *ret_s && stands(g, *ret_s) && !half_done(h) && in_force(&h->o, due_of(g, h));
}

static enum drift_end apply_again(struct engine *g, struct held *h, struct step *s,
                                  char **ret_problem)
{
	struct run r = run_of(g, &h->o, &h->p);
	struct err why = {0};
	char *text = NULL;
	bool loose = false;
	step_problem(s, NULL); /* apply says it anew; said each time it would grow */
	int x = run_call(&r, s, apply_call, &why);
	if (!x)
		x = look(&r, s, &text, &loose, &why);
	buf_free(&r.text);
	*ret_problem = x ? strdup(why.text) : text;
	return x || text || loose ? DRIFT_FAILED : DRIFT_MENDED;
}

/* Somebody undid the order while it was put back: what we put goes again. */
static enum drift_end take_back(struct engine *g, const struct drift *d, enum drift_end end)
{
	struct held *h = NULL;
	struct step *s = NULL;
	struct err why = {0};
	if (still_wanted(g, d, &h, &s) || (h && h->pending))
		return end;
	struct order o = {0};
	struct plan p = {0};
	if (journal_get_order(g->j, d->order_id, &o, &p, NULL, &why))
		return end;
	struct run r = run_of(g, &o, &p);
	for (size_t i = 0; i < p.n_steps; i++)
		if (p.steps[i].seq == d->seq)
			(void)run_call(&r, &p.steps[i], undo_call, &why);
	buf_free(&r.text);
	order_free(&o);
	plan_free(&p);
	return DRIFT_RELEASED;
}

static void mend(struct engine *g, struct seen *v, const struct watchman *w)
{
	struct held *h = NULL;
	struct step *s = NULL;
	char *problem = NULL;
	struct drift *d = &v->d;
	d->text = v->text ? v->text : "";
	if (!still_wanted(g, d, &h, &s))
		return;
	d->end = DRIFT_LEFT;
	if (w->may_mend(w->arg, d)) {
		d->end = apply_again(g, h, s, &problem);
		d->ended = boot_now();
		d->end = take_back(g, d, d->end);
	}
	d->problem = problem ? problem : "";
	w->tell(w->arg, d);
	free(problem);
}

/* What drifted is mended before the next order is looked at: that may take a while. */
static void sustain_order(struct engine *g, struct held *h, const struct watchman *w,
                          struct sustained *sum)
{
	struct seen v[DRIFTS_MAX];
	enum due due = due_of(g, h);
	bool ours = engine_knows(g, &h->p);
	sum->due += ours && is_due(&h->o, due);
	sum->unsettled += ours && half_done(h);
	if (!in_force(&h->o, due) || half_done(h))
		return;
	sum->orders++;
	size_t n = look_at_order(g, h, v);
	sum->drifted += (unsigned)n;
	for (size_t i = 0; i < n; i++) {
		mend(g, &v[i], w);
		free(v[i].text);
	}
}

int engine_sustain(struct engine *g, const struct watchman *w, struct sustained *ret, struct err *e)
{
	*ret = (struct sustained){0};
	int x = keep_up(g, e);
	/* Mending reads the list anew. */
	size_t n = g->n_held;
	_cleanup_free_ unsigned *ids = calloc(n + 1, sizeof *ids);
	if (!ids)
		return err_set(e, -ENOMEM, "out of memory for %zu orders in force", n);
	for (size_t i = 0; i < n; i++)
		ids[i] = g->held[i].o.id;
	for (size_t i = 0; i < n; i++) {
		struct held *h = held_of(g, ids[i]);
		if (h)
			sustain_order(g, h, w, ret);
	}
	return x;
}

void engine_use_journal(struct engine *g, struct journal *j)
{
	g->j = j;
	g->held_at = -1;
}

void engine_only_known(struct engine *g)
{
	g->only_known = true;
}

int engine_own(struct engine *g, bool on, struct err *e)
{
	int first = 0;
	for (size_t i = 0; i < g->n; i++) {
		const struct driver_ops *d;
		struct err why = {0};
		void *ctx;
		if (!engine_is_local(g, g->points[i].name))
			continue;
		int x = engine_driver(g, g->points[i].name, &d, &ctx, &why);
		if (!x)
			x = d->own(ctx, on, &why);
		if (x && !first)
			first = err_set(e, x, "%s", why.text);
	}
	return first;
}
