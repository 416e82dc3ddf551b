/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Several points: a driver whose world is memory, with a meeting place that only threads pass. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "engine/engine.h"
#include "engine/run.h"
#include "journal/store.h"

#define POINTS 3

static struct world {
	bool a, b, fail_plan, fail_b, fail_undo;
	unsigned undone;
} worlds[POINTS];
static bool meet; /* apply of "a" waits until all points are in it */
static pthread_barrier_t place;

static int open_point(const struct point *p, void **ret, struct err *e)
{
	*ret = &worlds[p->name[0] - '0'];
	return 0;
}

static void close_point(void *ctx)
{
}

static int probe(void *ctx, struct capabilities *ret, struct err *e)
{
	return 0;
}

static int plan(void *ctx, const struct order *o, const struct holds *others, struct plan *ret,
                struct err *e)
{
	struct world *w = ctx;
	char name[2] = {(char)('0' + (w - worlds)), 0};
	if (w->fail_plan)
		return err_set(e, -ECONNREFUSED, "does not answer");
	for (int i = 0; i < 2; i++) {
		struct step *s = plan_add_step(ret, name, i ? "b" : "a");
		s->required = true;
		s->forward = strdup("{}");
		s->inverse = strdup("{}");
	}
	plan_note(ret, "noted");
	return plan_set_dim(ret, DIM_V4, DIM_CONTAINED, NULL);
}

static int prepare(void *ctx, const struct order *o, struct step *s, struct err *e)
{
	return 0;
}

static bool *thing(struct world *w, const struct step *s)
{
	return s->kind[0] == 'a' ? &w->a : &w->b;
}

static int apply(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                 struct err *e)
{
	struct world *w = ctx;
	if (s->kind[0] == 'a' && meet)
		pthread_barrier_wait(&place);
	for (size_t i = 0; i < others->n; i++)
		assert_string_equal(others->v[i].step->point, s->point);
	if (s->kind[0] == 'b' && w->fail_b)
		return err_set(e, -EIO, "the commit was refused");
	*thing(w, s) = true;
	return 0;
}

static int verify(void *ctx, const struct order *o, const struct step *s,
                  const struct holds *others, struct readback *ret, struct err *e)
{
	bool there = *thing(ctx, s);
	ret->verdict = there ? VERDICT_HOLDS : VERDICT_ABSENT;
	ret->dims[DIM_V4] = there ? DIM_CONTAINED : DIM_RELEASED;
	return 0;
}

static int undo(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                struct err *e)
{
	struct world *w = ctx;
	if (w->fail_undo)
		return err_set(e, -ETIMEDOUT, "does not answer");
	*thing(w, s) = false;
	w->undone++;
	return 0;
}

static int rearm(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                 struct err *e)
{
	return 0;
}

static int describe(void *ctx, const struct order *o, const struct step *s, struct buf *out,
                    struct err *e)
{
	return 0;
}

static int strays(void *ctx, const struct holds *claims, bool remove, struct buf *out,
                  struct err *e)
{
	return 0;
}

static int own(void *ctx, bool on, struct err *e)
{
	return 0;
}

static const struct setting_key none[] = {{NULL}};
static const struct driver_ops memory = {
    .name = "memory",
    .settings = none,
    .open = open_point,
    .close = close_point,
    .probe = probe,
    .plan = plan,
    .prepare = prepare,
    .apply = apply,
    .verify = verify,
    .undo = undo,
    .rearm = rearm,
    .describe = describe,
    .strays = strays,
    .own = own,
};
static const struct section elsewhere;
static const struct point points[POINTS] = {
    {"0", &memory, &elsewhere}, {"1", &memory, &elsewhere}, {"2", &memory, &elsewhere}};
static const struct point_names all = {{"0", "1", "2"}, POINTS};

/* --- */

static char dir[64], state[80], run_dir[64];
static struct journal *j;
static struct engine *g;

static int fresh(void **unused)
{
	struct err e = {0};
	memset(worlds, 0, sizeof worlds);
	meet = false;
	strcpy(dir, "/tmp/points-test-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(state, sizeof state, "%s/state", dir);
	if (fallback_dir(state, run_dir, sizeof run_dir, NULL) ||
	    journal_open(state, JOURNAL_WRITE, &j, &e) || engine_new(j, points, POINTS, &g, &e))
		return -1;
	return pthread_barrier_init(&place, NULL, POINTS);
}

static int gone(void **unused)
{
	char cmd[256];
	engine_free(g);
	journal_close(j);
	pthread_barrier_destroy(&place);
	snprintf(cmd, sizeof cmd, "rm -rf %s %s", dir, run_dir);
	return system(cmd);
}

static enum engine_outcome isolate(struct order *o, struct plan *p, struct report *rep)
{
	struct err e = {0};
	struct target t = {.kind = TARGET_HOST, .name = "web01"};
	o->verb = VERB_ISOLATE;
	assert_int_equal(order_add_target(o, &t, &e), 0);
	assert_int_equal(engine_plan(g, &all, o, p, &e), 0);
	assert_int_equal(engine_apply(g, o, p, NULL, NULL, rep, &e), 0);
	return rep->outcome;
}

static void drop(struct order *o, struct plan *p, struct report *rep)
{
	order_free(o);
	plan_free(p);
	report_free(rep);
}

static void all_at_the_same_time(void **unused)
{
	struct order o = {0};
	struct plan p = {0};
	struct report rep = {0};
	struct err e = {0};
	meet = true; /* one after the other would wait for ever */
	assert_int_equal(isolate(&o, &p, &rep), ENGINE_DONE);
	assert_int_equal(p.n_steps, 2 * POINTS);
	for (unsigned i = 0; i < p.n_steps; i++)
		assert_int_equal(p.steps[i].seq, i + 1);
	assert_string_equal(p.notes[1], "1: noted");
	assert_int_equal(rep.dims[DIM_V4], DIM_CONTAINED);
	report_free(&rep);
	assert_int_equal(engine_undo(g, o.id, &rep, &e), 0);
	assert_int_equal(rep.outcome, ENGINE_DONE);
	for (int i = 0; i < POINTS; i++)
		assert_true(!worlds[i].a && !worlds[i].b && worlds[i].undone == 2);
	drop(&o, &p, &rep);
}

static void one_fails_the_others_stay(void **unused)
{
	struct order o = {0};
	struct plan p = {0};
	struct report rep = {0};
	worlds[1].fail_b = true;
	assert_int_equal(isolate(&o, &p, &rep), ENGINE_PARTIAL);
	assert_true(worlds[0].a && worlds[0].b && worlds[2].a && worlds[2].b);
	assert_true(!worlds[1].a && !worlds[1].b); /* its own share is taken back */
	assert_non_null(strstr(rep.text, "the commit was refused"));
	assert_int_equal(rep.dims[DIM_V4], DIM_PARTIAL);
	assert_int_equal(o.state, ORDER_HELD);
	drop(&o, &p, &rep);
}

static void all_or_nothing(void **unused)
{
	struct order o = {.all_or_nothing = true};
	struct plan p = {0};
	struct report rep = {0};
	worlds[2].fail_b = true;
	assert_int_equal(isolate(&o, &p, &rep), ENGINE_REVERTED);
	for (int i = 0; i < POINTS; i++)
		assert_true(!worlds[i].a && !worlds[i].b);
	assert_int_equal(o.state, ORDER_FAILED);
	drop(&o, &p, &rep);
}

static void one_that_cannot_is_left_out(void **unused)
{
	struct order o = {0};
	struct plan p = {0};
	struct report rep = {0};
	worlds[0].fail_plan = true;
	assert_int_equal(isolate(&o, &p, &rep), ENGINE_PARTIAL);
	assert_int_equal(p.left_out, 1);
	assert_string_equal(p.notes[p.n_notes - 1], "0 is left out: does not answer");
	assert_int_equal(p.dims[DIM_V4], DIM_PARTIAL);
	drop(&o, &p, &rep);

	struct order whole = {.verb = VERB_ISOLATE, .all_or_nothing = true};
	struct err e = {0};
	assert_int_equal(engine_plan(g, &all, &whole, &p, &e), -ECONNREFUSED);
	assert_string_equal(e.text, "0: does not answer");
	worlds[1].fail_plan = worlds[2].fail_plan = true;
	whole.all_or_nothing = false;
	assert_int_equal(engine_plan(g, &all, &whole, &p, &e), -ECONNREFUSED);
}

static void what_cannot_be_undone_is_tried_again(void **unused)
{
	struct order o = {0};
	struct plan p = {0};
	struct report rep = {0};
	struct err e = {0};
	isolate(&o, &p, &rep);
	report_free(&rep);
	worlds[1].fail_undo = true;
	assert_int_equal(engine_undo(g, o.id, &rep, &e), 0);
	assert_int_equal(rep.outcome, ENGINE_PARTIAL);
	assert_true(worlds[1].a && !worlds[0].a && !worlds[2].a);
	report_free(&rep);
	worlds[1].fail_undo = false;
	assert_int_equal(engine_recover(g, &rep, &e), 0);
	assert_true(!worlds[1].a && !worlds[1].b);
	drop(&o, &p, &rep);
}

/* A restart of the host that gave the order changes nothing elsewhere: the wall clock counts. */
static void a_restart_here_ends_nothing_there(void **unused)
{
	struct order o = {.deadlines = {.confirm_by_boot = 1, .boot = "another"}};
	struct plan p = {0};
	struct run r = run_of(g, &o, &p);
	usec_t at = 0;
	assert_non_null(plan_add_step(&p, "1", "a"));
	o.deadlines.confirm_by_wall = wall_now() + USEC_PER_SEC * 60;
	assert_int_equal(run_due(&r, &at), DUE_NOT);
	o.deadlines.confirm_by_wall = wall_now() - 1;
	assert_int_equal(run_due(&r, &at), DUE_LIFTED);
	plan_free(&p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, gone)
	const struct CMUnitTest tests[] = {
	    T(all_at_the_same_time),
	    T(one_fails_the_others_stay),
	    T(all_or_nothing),
	    T(one_that_cannot_is_left_out),
	    T(what_cannot_be_undone_is_tried_again),
	    T(a_restart_here_ends_nothing_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
