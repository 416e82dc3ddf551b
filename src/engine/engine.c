/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "engine/run.h"

int engine_new(struct journal *j, const struct point *points, size_t n, struct engine **ret,
               struct err *e)
{
	struct engine *g = calloc(1, sizeof *g);
	void **ctx = calloc(n ? n : 1, sizeof *ctx);
	if (!g || !ctx) {
		free(g);
		free(ctx);
		return err_set(e, -ENOMEM, "out of memory while starting the engine");
	}
	*g = (struct engine){.j = j, .points = points, .n = n, .ctx = ctx};
	*ret = g;
	return 0;
}

void engine_forget_held(struct engine *g)
{
	for (size_t i = 0; i < g->n_held; i++) {
		order_free(&g->held[i].o);
		plan_free(&g->held[i].p);
	}
	free(g->held);
	g->held = NULL;
	g->n_held = 0;
	g->held_read = false;
}

void engine_free(struct engine *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n; i++)
		if (g->ctx[i])
			g->points[i].driver->close(g->ctx[i]);
	engine_forget_held(g);
	free(g->ctx);
	free(g);
}

int engine_driver(struct engine *g, const char *point, const struct driver_ops **ret, void **ctx,
                  struct err *e)
{
	for (size_t i = 0; i < g->n; i++) {
		if (strcmp(g->points[i].name, point) != 0)
			continue;
		if (!g->ctx[i]) {
			int r = g->points[i].driver->open(&g->points[i], &g->ctx[i], e);
			if (r)
				return r;
		}
		*ret = g->points[i].driver;
		*ctx = g->ctx[i];
		return 0;
	}
	return err_set(e, -ENODEV, "this stanch knows no enforcement point \"%.60s\"", point);
}

/* An order that cannot be read keeps the rest from nothing: recover has told it. */
int engine_read_held(struct engine *g, struct err *e)
{
	unsigned *ids = NULL;
	size_t n = 0;
	bool nothing = g->held_read || !g->j;
	/* The version first: what changes meanwhile makes it old, never the list. */
	if (!nothing && journal_version(g->j, &g->held_at, NULL))
		g->held_at = -1;
	int r = nothing ? 0 : journal_list_orders(g->j, NULL, true, &ids, &n, e);
	if (r || nothing)
		return r;
	g->held = calloc(n ? n : 1, sizeof *g->held);
	if (!g->held)
		r = err_set(e, -ENOMEM, "out of memory while reading what is in force");
	for (size_t i = 0; !r && i < n; i++) {
		struct held *h = &g->held[g->n_held];
		char pending[32] = "";
		int x = journal_get_order(g->j, ids[i], &h->o, &h->p, NULL, e);
		h->pending = !x && !journal_get_pending(g->j, ids[i], pending, NULL) && pending[0];
		if (x == -ENOMEM)
			r = x;
		else if (!x)
			g->n_held++;
	}
	free(ids);
	g->held_read = !r;
	return r;
}

static size_t add_holds(struct hold *v, size_t n, const struct order *o, const struct plan *p,
                        const struct step *self, const char *point)
{
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct step *s = &p->steps[i];
		/* Steps of other points may be in another thread's hands: not even looked at. */
		if (s == self || strcmp(s->point, point) != 0)
			continue;
		bool counts = s->state == STEP_APPLIED || s->state == STEP_VERIFIED ||
		              s->state == STEP_UNKNOWN;
		if (!counts)
			continue;
		if (v)
			v[n] = (struct hold){o, s};
		n++;
	}
	return n;
}

static size_t all_holds(const struct engine *g, const struct order *o, const struct plan *p,
                        const struct step *self, const char *point, struct hold *v)
{
	size_t n = p ? add_holds(v, 0, o, p, self, point) : 0;
	for (size_t i = 0; i < g->n_held; i++)
		if (!o->id || g->held[i].o.id != o->id)
			n = add_holds(v, n, &g->held[i].o, &g->held[i].p, NULL, point);
	return n;
}

static int holds_of(struct engine *g, const struct order *o, const struct plan *p,
                    const struct step *self, const char *point, struct holds *ret, struct err *e)
{
	int r = engine_read_held(g, e);
	if (r)
		return r;
	size_t n = all_holds(g, o, p, self, point, NULL);
	struct hold *v = calloc(n ? n : 1, sizeof *v);
	if (!v)
		return err_set(e, -ENOMEM, "out of memory while reading what is in force");
	all_holds(g, o, p, self, point, v);
	*ret = (struct holds){v, n};
	return 0;
}

int run_holds(struct run *r, const struct step *s, struct holds *ret, struct err *e)
{
	return holds_of(r->g, r->o, r->p, s, s->point, ret, e);
}

static void holds_drop(struct holds *h)
{
	free((void *)(uintptr_t)h->v);
}

/* Every step of which something is, or may be, in force at the point. */
static int claims_at(struct engine *g, const char *point, struct holds *ret, struct err *e)
{
	size_t n = 0, total = 0;
	int r = engine_read_held(g, e);
	for (size_t i = 0; i < g->n_held; i++)
		total += g->held[i].p.n_steps;
	struct hold *v = r ? NULL : calloc(total ? total : 1, sizeof *v);
	if (!v)
		return r ? r : err_set(e, -ENOMEM, "out of memory while reading what is in force");
	for (size_t i = 0; i < g->n_held; i++) {
		const struct held *h = &g->held[i];
		for (size_t k = 0; k < h->p.n_steps; k++)
			if (life_in_force(h->p.steps[k].state) &&
			    !strcmp(h->p.steps[k].point, point))
				v[n++] = (struct hold){&h->o, &h->p.steps[k]};
	}
	*ret = (struct holds){v, n};
	return 0;
}

static int strays_at(struct engine *g, const char *point, bool remove, struct buf *out,
                     struct err *e)
{
	const struct driver_ops *d = NULL;
	void *ctx;
	struct holds claims = {0};
	int r = claims_at(g, point, &claims, e);
	/* A point elsewhere is not called for the sake of what may not be there. */
	bool asked = claims.n || engine_is_local(g, point);
	if (!r && asked)
		r = engine_driver(g, point, &d, &ctx, e);
	if (!r && asked)
		r = d->strays(ctx, &claims, remove, out, e);
	holds_drop(&claims);
	return r;
}

int engine_strays(struct engine *g, bool remove, char **ret_text, struct err *e)
{
	struct buf out = BUF_INIT(RUN_TEXT_MAX);
	int r = 0;
	for (size_t i = 0; !r && i < g->n; i++)
		r = strays_at(g, g->points[i].name, remove, &out, e);
	/* What is gone is gone: a note that cannot be written is no failure. */
	if (remove && out.len)
		journal_note(g->j, "strays.removed", "engine",
		             r ? "{\"all\":false}" : "{\"all\":true}", NULL);
	if (!r)
		*ret_text = out.len ? buf_steal(&out) : NULL;
	buf_free(&out);
	return r;
}

int engine_probe(struct engine *g, const char *point, struct capabilities *ret, struct err *e)
{
	const struct driver_ops *d;
	void *ctx;
	int r = engine_driver(g, point, &d, &ctx, e);
	return r ? r : d->probe(ctx, ret, e);
}

int engine_plan_at(struct engine *g, const char *point, const struct order *o, struct plan *ret,
                   struct err *e)
{
	const struct driver_ops *d;
	void *ctx;
	struct holds others = {0};
	struct plan p = {0};
	int r = engine_driver(g, point, &d, &ctx, e);
	if (!r)
		r = holds_of(g, o, NULL, NULL, point, &others, e);
	if (!r)
		r = d->plan(ctx, o, &others, &p, e);
	holds_drop(&others);
	if (r)
		plan_free(&p);
	else
		*ret = p;
	return r;
}

int engine_setup(struct engine *g, const char *point, bool apply, struct buf *out, struct err *e)
{
	const struct driver_ops *d;
	void *ctx;
	int r = engine_driver(g, point, &d, &ctx, e);
	if (r)
		return r;
	return d->setup ? d->setup(ctx, apply, out, e)
	                : err_set(e, -EOPNOTSUPP, "%s needs no setup", point);
}

int engine_describe(struct engine *g, const struct order *o, const struct step *s, struct buf *out,
                    struct err *e)
{
	const struct driver_ops *d;
	void *ctx;
	int r = engine_driver(g, s->point, &d, &ctx, e);
	return r ? r : d->describe(ctx, o, s, out, e);
}

/* --- one run --- */

struct run run_of(struct engine *g, struct order *o, struct plan *p)
{
	return (struct run){.g = g, .o = o, .p = p, .text = BUF_INIT(RUN_TEXT_MAX)};
}

void run_say(struct run *r, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	buf_addf(&r->text, "%s\n", line);
}

void run_end(struct run *r, enum engine_outcome outcome, struct report *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->outcome = outcome;
	ret->apply_usec = r->spent;
	if (r->p)
		run_dims(r, ret);
	if (journal_head(r->g->j, ret->head, NULL))
		ret->head[0] = '\0';
	if (r->text.len) {
		r->text.data[--r->text.len] = '\0'; /* the last newline */
		r->text.error = 0;
		ret->text = buf_steal(&r->text);
	}
	buf_free(&r->text);
}

void report_free(struct report *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < _DIM_MAX; i++)
		free(r->dim_reasons[i]);
	free(r->text);
	memset(r, 0, sizeof *r);
}

void step_problem(struct step *s, const char *text)
{
	char *copy = text ? strdup(text) : NULL;
	free(s->problem);
	s->problem = copy;
	for (char *p = copy; p && *p; p++)
		if (*p == '\n')
			*p = p[1] ? ' ' : '\0';
}

int run_store(struct run *r, struct err *e)
{
	sys->mark("engine:store");
	int x = journal_put_order(r->g->j, r->o, r->p, e);
	engine_forget_held(r->g);
	sys->mark("engine:stored");
	return x;
}

/* --- what is done at a transition --- */

static void merge_dims(struct run *r, const struct readback *rb)
{
	for (size_t d = 0; d < _DIM_MAX; d++)
		r->dims[d] = dim_merge(r->dims[d], rb->dims[d]);
}

enum event run_look(struct run *r, const struct step *s, char **ret_why)
{
	static const enum event events[_VERDICT_MAX] = {
	    [VERDICT_HOLDS] = EVENT_HOLDS,
	    [VERDICT_ABSENT] = EVENT_ABSENT,
	    [VERDICT_DRIFTED] = EVENT_DRIFTED,
	    [VERDICT_UNKNOWN] = EVENT_UNSURE,
	};
	const struct driver_ops *d;
	void *ctx;
	struct err e = {0};
	struct holds others = {0};
	struct readback rb = {0};
	usec_t start = boot_now();
	int x = engine_driver(r->g, s->point, &d, &ctx, &e);
	if (!x)
		x = run_holds(r, s, &others, &e);
	if (!x)
		x = d->verify(ctx, r->o, s, &others, &rb, &e);
	holds_drop(&others);
	r->spent += boot_now() - start;
	*ret_why = NULL;
	if (x || (unsigned)rb.verdict >= _VERDICT_MAX) {
		*ret_why = strdup(x ? e.text : "the point gave an answer that is none");
		readback_free(&rb);
		return EVENT_UNSURE;
	}
	merge_dims(r, &rb);
	enum event ev = events[rb.verdict];
	char **said = ev == EVENT_HOLDS ? &rb.held : &rb.drift;
	*ret_why = *said;
	*said = NULL;
	readback_free(&rb);
	return ev;
}

int run_call(struct run *r, struct step *s, driver_call f, struct err *e)
{
	const struct driver_ops *d;
	void *ctx;
	struct holds others = {0};
	usec_t start = boot_now();
	int x = engine_driver(r->g, s->point, &d, &ctx, e);
	if (!x)
		x = run_holds(r, s, &others, e);
	if (!x)
		x = f(d, ctx, r, s, &others, e);
	holds_drop(&others);
	r->spent += boot_now() - start;
	return x;
}

static int call_apply(const struct driver_ops *d, void *ctx, struct run *r, struct step *s,
                      const struct holds *others, struct err *e)
{
	return d->apply(ctx, r->o, s, others, e);
}

static int call_undo(const struct driver_ops *d, void *ctx, struct run *r, struct step *s,
                     const struct holds *others, struct err *e)
{
	return d->undo(ctx, r->o, s, others, e);
}

static enum event do_apply(struct run *r, struct step *s)
{
	struct err e = {0};
	if (run_call(r, s, call_apply, &e) == 0)
		return EVENT_APPLIED;
	step_problem(s, e.text[0] ? e.text : "it failed without a reason");
	return EVENT_APPLY_FAILED;
}

static enum event do_verify(struct run *r, struct step *s)
{
	char *why;
	enum event ev = run_look(r, s, &why);
	if (ev == EVENT_HOLDS && why)
		run_say(r, "o%u: %s", r->o->id, why);
	/* Why apply failed says more than what is therefore not there. */
	if (ev != EVENT_HOLDS && s->state != STEP_FAILED)
		step_problem(s, why                  ? why
		                : ev == EVENT_ABSENT ? "it was applied and is not there"
		                                     : "what was applied could not be read back");
	free(why);
	return ev;
}

static enum event do_undo(struct run *r, struct step *s)
{
	struct err e = {0};
	if (!s->inverse) {
		r->n_lost++;
		run_say(r, "o%u: %s is not taken back: %s", s->order_id, s->kind,
		        s->no_inverse ? s->no_inverse : "it has no inverse");
		return EVENT_UNDO_DONE;
	}
	int x = run_call(r, s, call_undo, &e);
	if (x == 0)
		return EVENT_UNDO_DONE;
	step_problem(s, e.text);
	run_say(r, "o%u: %s: %s", s->order_id, s->kind, e.text);
	/* What is not ours any more is somebody else's to take away. */
	return x == -ESTALE ? EVENT_UNDO_DONE : EVENT_UNDO_FAILED;
}

static void mark_state(const struct step *s)
{
	char place[32];
	snprintf(place, sizeof place, "engine:%s", step_state_str(s->state));
	sys->mark(place);
}

void run_step(struct run *r, struct step *s, enum event ev)
{
	static enum event (*const doers[_ACTION_MAX])(struct run *, struct step *) = {
	    [ACTION_APPLY] = do_apply,
	    [ACTION_VERIFY] = do_verify,
	    [ACTION_UNDO] = do_undo,
	};
	for (;;) {
		enum step_state was = s->state;
		int action = life_move(&s->state, ev);
		if (action < 0) {
			run_say(r, "o%u: %s cannot go on from \"%s\" by \"%s\"", s->order_id,
			        s->kind, step_state_str(was), event_str(ev));
			return;
		}
		mark_state(s);
		if (action == ACTION_NONE)
			return;
		ev = doers[action](r, s);
	}
}
