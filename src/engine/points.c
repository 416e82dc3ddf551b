/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Several points at once: one thread each.
 *
 * Invariants
 *  1. A thread touches its own point's context and its own point's steps, nothing else that
 * changes; the journal is written by the thread that called, before they start and after all have
 * ended.
 *  2. Where there is one point there is no thread.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run.h"

struct share {
	struct run r;
	pthread_t thread;
	bool started;
	/* what is to be done, and what came of it */
	void (*work)(struct share *s);
	management_check_fn check;
	void *arg;
	struct plan plan;
	struct err err;
	bool good;
	unsigned left;
};

static void *thread_main(void *arg)
{
	struct share *s = arg;
	s->work(s);
	return NULL;
}

/* Without a thread to be had it is done here, one after the other. */
static void work_all(struct share *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		v[i].started = n > 1 && !pthread_create(&v[i].thread, NULL, thread_main, &v[i]);
	for (size_t i = 0; i < n; i++)
		if (!v[i].started)
			v[i].work(&v[i]);
	for (size_t i = 0; i < n; i++)
		if (v[i].started)
			pthread_join(v[i].thread, NULL);
}

static struct share *shares_new(struct run *r, const struct point_names *at, struct err *e)
{
	struct share *v = calloc(at->n ? at->n : 1, sizeof *v);
	if (!v)
		err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; v && i < at->n; i++) {
		v[i].r = run_of(r->g, r->o, r->p);
		v[i].r.point = at->v[i];
	}
	return v;
}

/* What the shares said and counted becomes the whole's. */
static void shares_end(struct run *r, struct share *v, size_t n)
{
	usec_t longest = 0;
	for (size_t i = 0; i < n; i++) {
		struct run *one = &v[i].r;
		buf_add(&r->text, buf_str(&one->text), one->text.len);
		for (size_t d = 0; d < _DIM_MAX; d++)
			r->dims[d] = dim_merge(r->dims[d], one->dims[d]);
		r->n_problems += one->n_problems;
		r->n_drifts += one->n_drifts;
		r->n_lost += one->n_lost;
		longest = one->spent > longest ? one->spent : longest;
		buf_free(&one->text);
	}
	r->spent += longest;
	free(v);
}

void plan_points(const struct plan *p, struct point_names *ret)
{
	ret->n = 0;
	for (size_t i = 0; i < p->n_steps; i++) {
		size_t k = 0;
		while (k < ret->n && strcmp(ret->v[k], p->steps[i].point) != 0)
			k++;
		if (k == ret->n && k < POINTS_MAX)
			ret->v[ret->n++] = p->steps[i].point;
	}
}

/* --- planning --- */

static void work_plan(struct share *s)
{
	s->good = engine_plan_at(s->r.g, s->r.point, s->r.o, &s->plan, &s->err) == 0;
}

static int leave_out(struct plan *p, const struct share *s)
{
	p->left_out++;
	for (size_t d = 0; d < _DIM_MAX; d++)
		if (p->dims[d] == DIM_CONTAINED &&
		    plan_set_dim(p, (enum dimension)d, DIM_PARTIAL,
		                 "not every point that was asked can do it") < 0)
			return -ENOMEM;
	return plan_note(p, "%s is left out: %s", s->r.point, s->err.text);
}

static int join_plans(struct share *v, size_t n, bool whole, struct plan *ret, struct err *e)
{
	struct plan p = {0};
	int r = 0;
	for (size_t i = 0; i < n && r == 0; i++)
		if (v[i].good && plan_join(&p, &v[i].plan, n > 1 ? v[i].r.point : NULL) < 0)
			r = err_set(e, -ENOMEM, "out of memory while planning");
	for (size_t i = 0; i < n && r == 0; i++) {
		if (v[i].good)
			continue;
		if (n == 1)
			r = err_set(e, v[i].err.code, "%s", v[i].err.text);
		else if (whole || !p.n_steps)
			r = err_set(e, v[i].err.code, "%s: %s", v[i].r.point, v[i].err.text);
		else if (leave_out(&p, &v[i]) < 0)
			r = err_set(e, -ENOMEM, "out of memory while planning");
	}
	if (r)
		plan_free(&p);
	else
		*ret = p;
	return r;
}

int engine_plan(struct engine *g, const struct point_names *at, const struct order *o,
                struct plan *ret, struct err *e)
{
	/* Planning reads the order; struct run has it for those that change it. */
	struct run all = {.g = g, .o = (struct order *)(uintptr_t)o};
	int r = engine_read_held(g, e);
	struct share *v = r ? NULL : shares_new(&all, at, e);
	if (!v)
		return r ? r : -ENOMEM;
	for (size_t i = 0; i < at->n; i++)
		v[i].work = work_plan;
	work_all(v, at->n);
	r = join_plans(v, at->n, o->all_or_nothing, ret, e);
	for (size_t i = 0; i < at->n; i++)
		plan_free(&v[i].plan);
	free(v);
	return r;
}

/* --- applying and taking back --- */

static void work_prepare(struct share *s)
{
	s->good = run_prepare(&s->r, &s->err) == 0;
}

int run_prepare_all(struct run *r, struct err *e)
{
	struct point_names at;
	plan_points(r->p, &at);
	if (r->point || at.n <= 1)
		return run_prepare(r, e);
	struct share *v = shares_new(r, &at, e);
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < at.n; i++)
		v[i].work = work_prepare;
	work_all(v, at.n);
	int x = 0;
	for (size_t i = 0; !x && i < at.n; i++)
		if (!v[i].good)
			x = err_set(e, v[i].err.code, "%s: %s", at.v[i], v[i].err.text);
	shares_end(r, v, at.n);
	return x;
}

static void work_apply(struct share *s)
{
	struct run *r = &s->r;
	s->good = run_apply(r, s->check, s->arg);
	if (s->good || r->o->all_or_nothing)
		return;
	for (size_t i = 0; i < r->p->n_steps; i++)
		if (run_has(r, &r->p->steps[i]) && life_in_force(r->p->steps[i].state))
			life_move(&r->p->steps[i].state, EVENT_UNDO);
	run_undo_finish(r);
}

bool run_apply_all(struct run *r, management_check_fn check, void *arg, size_t *ret_held)
{
	struct point_names at;
	struct err e = {0};
	plan_points(r->p, &at);
	if (at.n <= 1) {
		bool good = run_apply(r, check, arg);
		*ret_held = good;
		return good;
	}
	struct share *v = engine_read_held(r->g, &e) ? NULL : shares_new(r, &at, &e);
	if (!v) {
		run_say(r, "%s", e.text);
		return false;
	}
	for (size_t i = 0; i < at.n; i++) {
		v[i].work = work_apply;
		if (engine_is_local(r->g, at.v[i])) {
			v[i].check = check;
			v[i].arg = arg;
		}
	}
	work_all(v, at.n);
	*ret_held = 0;
	for (size_t i = 0; i < at.n; i++)
		*ret_held += v[i].good;
	bool all = *ret_held == at.n;
	shares_end(r, v, at.n);
	return all;
}

static void work_undo(struct share *s)
{
	s->left = run_undo_finish(&s->r);
}

unsigned run_undo_all(struct run *r)
{
	struct point_names at;
	struct err e = {0};
	unsigned left = 0;
	plan_points(r->p, &at);
	struct share *v = at.n <= 1 || engine_read_held(r->g, &e) ? NULL : shares_new(r, &at, &e);
	if (!v)
		return run_undo_finish(r);
	for (size_t i = 0; i < at.n; i++)
		v[i].work = work_undo;
	work_all(v, at.n);
	for (size_t i = 0; i < at.n; i++)
		left += v[i].left;
	shares_end(r, v, at.n);
	return left;
}
