/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Drives the driver `host` alone, for tests: no journal, no engine.
 *
 *   hostctl VERB ORDER.json STEPS.json [ORDER STEPS]…
 *
 * VERB: sustain, probe, plan, apply, verify, rearm, undo. The first order is the one at hand, the
 * further ones are what else is in force. `plan` writes STEPS, the others read it and write it
 * again with results. A deadline in the order that is below one day is taken as time from now. One
 * JSON object a line goes to stdout. Exit 1: a step failed.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "enforce/host/holder.h"
#include "enforce/host/host.h"
#include "priv/role.h"

#define ORDERS_MAX 8
#define HOLDS_MAX  32

struct loaded {
	struct order order;
	struct plan plan;
};

static int fail(const char *what, int r, const struct err *e)
{
	json_t *j = json_pack("{s:s,s:i,s:s}", "failed", what, "code", r, "text", e->text);
	json_dumpf(j, stdout, JSON_COMPACT);
	puts("");
	json_decref(j);
	return 1;
}

static int load_order(const char *path, struct order *ret, struct err *e)
{
	struct order o = {0};
	json_t *j = json_load_file(path, 0, NULL);
	char *text = j ? json_dumps(j, 0) : NULL;
	int r = text ? order_from_json(text, &o, e) : err_set(e, -ENOENT, "no order in %s", path);
	free(text);
	json_decref(j);
	if (r < 0)
		return r;
	snprintf(o.deadlines.boot, sizeof o.deadlines.boot, "%s", boot_id());
	*ret = o;
	return 0;
}

static char *text_of(json_t *step, const char *key)
{
	const char *v = json_string_value(json_object_get(step, key));
	return v ? strdup(v) : NULL;
}

static void load_steps(const char *path, unsigned order_id, struct plan *p)
{
	json_t *list = json_load_file(path, 0, NULL);
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *j = json_array_get(list, i);
		struct step *s =
		    plan_add_step(p, "self", json_string_value(json_object_get(j, "kind")));
		if (!s)
			abort();
		snprintf(s->token, sizeof s->token, "%s",
		         json_string_value(json_object_get(j, "token")));
		s->order_id = order_id;
		s->forward = text_of(j, "forward");
		s->inverse = text_of(j, "inverse");
		s->result = text_of(j, "result");
	}
	json_decref(list);
}

static void save_steps(const char *path, const struct plan *p)
{
	json_t *list = json_array();
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct step *s = &p->steps[i];
		json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s*,s:s*}", "kind", s->kind,
		                                      "token", s->token, "forward", s->forward,
		                                      "inverse", s->inverse, "result", s->result));
	}
	json_dump_file(list, path, JSON_INDENT(1));
	json_decref(list);
}

static void say_step(const char *verb, const struct step *s, int r, usec_t spent,
                     const struct err *e, const struct readback *rb)
{
	json_t *j =
	    json_pack("{s:s,s:s,s:i,s:I,s:s*,s:s*,s:s*,s:s*,s:s*}", "verb", verb, "kind", s->kind,
	              "code", r, "usec", (json_int_t)spent, "text", r < 0 ? e->text : NULL,
	              "problem", s->problem, "result", s->result, "verdict",
	              rb ? verdict_str(rb->verdict) : NULL, "drift", rb ? rb->drift : NULL);
	json_dumpf(j, stdout, JSON_COMPACT);
	puts("");
	json_decref(j);
}

static void say_plan(void *ctx, const struct order *o, const struct plan *p)
{
	json_t *steps = json_array(), *notes = json_array(), *dims = json_object();
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct step *s = &p->steps[i];
		struct buf calls = BUF_INIT(64u << 20);
		struct err e = {0};
		host_driver.describe(ctx, o, s, &calls, &e);
		json_array_append_new(
		    steps, json_pack("{s:s,s:s,s:s*,s:s*,s:s,s:b}", "kind", s->kind, "effect",
		                     s->effect, "undo", s->undo_effect, "no_inverse", s->no_inverse,
		                     "calls", buf_str(&calls), "required", s->required));
		buf_free(&calls);
	}
	for (size_t i = 0; i < p->n_notes; i++)
		json_array_append_new(notes, json_string(p->notes[i]));
	for (size_t i = 0; i < _DIM_MAX; i++)
		json_object_set_new(dims, dimension_str(i), json_string(dim_state_str(p->dims[i])));
	json_t *j = json_pack("{s:o,s:o,s:o}", "steps", steps, "notes", notes, "dims", dims);
	json_dumpf(j, stdout, JSON_COMPACT);
	puts("");
	json_decref(j);
}

static struct holds holds_but(struct loaded *v, size_t n, const struct step *at,
                              struct hold room[static HOLDS_MAX])
{
	struct holds h = {.v = room};
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < v[i].plan.n_steps && h.n < HOLDS_MAX; k++)
			if (&v[i].plan.steps[k] != at)
				room[h.n++] = (struct hold){&v[i].order, &v[i].plan.steps[k]};
	return h;
}

static int one_step(void *ctx, const char *verb, struct loaded *v, size_t n, struct step *s)
{
	struct hold room[HOLDS_MAX];
	struct holds others = holds_but(v, n, s, room);
	struct readback rb = {0};
	struct err e = {0};
	usec_t start = boot_now();
	int r = 0;
	bool reads = !strcmp(verb, "verify");
	if (!strcmp(verb, "apply") && (r = host_driver.prepare(ctx, &v->order, s, &e)) == 0)
		r = host_driver.apply(ctx, &v->order, s, &others, &e);
	else if (!strcmp(verb, "rearm"))
		r = host_driver.rearm(ctx, &v->order, s, &others, &e);
	else if (!strcmp(verb, "undo") && s->inverse)
		r = host_driver.undo(ctx, &v->order, s, &others, &e);
	else if (reads)
		r = host_driver.verify(ctx, &v->order, s, &others, &rb, &e);
	say_step(verb, s, r, boot_now() - start, &e, reads && r == 0 ? &rb : NULL);
	readback_free(&rb);
	return r;
}

static int all_steps(void *ctx, const char *verb, struct loaded *v, size_t n)
{
	bool backwards = !strcmp(verb, "undo");
	int bad = 0;
	for (size_t i = 0; i < v->plan.n_steps; i++) {
		size_t at = backwards ? v->plan.n_steps - 1 - i : i;
		bad |= one_step(ctx, verb, v, n, &v->plan.steps[at]) < 0;
	}
	return bad;
}

static int sustain(struct order *o)
{
	struct err e = {0};
	struct buf out = BUF_INIT(1u << 20);
	int r = host_sustain(o, &e);
	if (r < 0)
		return fail("sustain", r, &e);
	order_to_json(o, &out);
	puts(buf_str(&out));
	buf_free(&out);
	return 0;
}

static int probe(void *ctx)
{
	struct capabilities c;
	struct err e = {0};
	int r = host_driver.probe(ctx, &c, &e);
	if (r < 0)
		return fail("probe", r, &e);
	json_t *j = json_object();
	for (size_t i = 0; i < c.n; i++)
		json_object_set_new(j, c.v[i].name,
		                    c.v[i].available ? json_true() : json_string(c.v[i].why_not));
	json_dumpf(j, stdout, JSON_COMPACT);
	puts("");
	json_decref(j);
	return 0;
}

static int plan(void *ctx, struct loaded *v, size_t n, const char *path)
{
	struct hold room[HOLDS_MAX];
	struct holds others = holds_but(v, n, NULL, room);
	struct plan p = {0};
	struct err e = {0};
	int r = host_driver.plan(ctx, &v->order, &others, &p, &e);
	if (r < 0)
		return fail("plan", r, &e);
	say_plan(ctx, &v->order, &p);
	save_steps(path, &p);
	plan_free(&p);
	return 0;
}

static int load_all(int argc, char **argv, struct loaded v[static ORDERS_MAX], size_t *ret_n,
                    struct err *e)
{
	bool plans = !strcmp(argv[1], "plan");
	int r = 0;
	for (int i = 2; r == 0 && i + 1 < argc && *ret_n < ORDERS_MAX; i += 2, (*ret_n)++) {
		struct loaded *x = &v[*ret_n];
		r = load_order(argv[i], &x->order, e);
		if (r == 0 && (i > 2 || !plans))
			load_steps(argv[i + 1], x->order.id, &x->plan);
	}
	return r;
}

static int carry_out(void *ctx, char **argv, struct loaded *v, size_t n)
{
	if (!strcmp(argv[1], "sustain"))
		return sustain(&v->order);
	if (!strcmp(argv[1], "probe"))
		return probe(ctx);
	if (!strcmp(argv[1], "plan"))
		return plan(ctx, v, n, argv[3]);
	int r = all_steps(ctx, argv[1], v, n);
	save_steps(argv[3], &v->plan);
	return r;
}

static const struct point self = {.name = "self", .driver = &host_driver};

/* The process that holds queues is this program once more. */
static const struct role roles[] = {HOLDER_ROLE, {0}};

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], ROLE_ARG))
		return role_main(roles, argv[2]);
	struct loaded v[ORDERS_MAX] = {0};
	struct err e = {0};
	size_t n = 0;
	void *ctx = NULL;
	if (argc < 4)
		return fail("start",
		            err_set(&e, -EINVAL, "hostctl VERB ORDER STEPS [ORDER STEPS]…"), &e);
	int r = load_all(argc, argv, v, &n, &e);
	if (r == 0)
		r = host_driver.open(&self, &ctx, &e);
	r = r < 0 ? fail("start", r, &e) : carry_out(ctx, argv, v, n);
	host_driver.close(ctx);
	for (size_t i = 0; i < n; i++) {
		order_free(&v[i].order);
		plan_free(&v[i].plan);
	}
	return r;
}
