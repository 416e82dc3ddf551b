/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `stanch guard`: the resident role, on the terminal or under systemd. */
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>

#include "guard/guard.h"
#include "guard/keeper.h"
#include "ui/ctx.h"
#include "ui/guard.h"
#include "ui/verbs.h"

const struct opt guard_opts[] = {
    {"every", 0, OPT_DURATION, "DUR",
     "look so often by itself, for what raises no event (BPF links); default 1s"},
    {"points", 0, OPT_FLAG, NULL,
     "keep the deadlines of orders at points elsewhere instead, and nothing of this host"},
    {NULL},
};

/* Two threads speak. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static void say(void *arg, const struct guard_news *n)
{
	struct ctx *c = arg;
	char took[48] = "";
	if (n->usec)
		snprintf(took, sizeof took, " (%.1f ms)", (double)n->usec / 1000);
	json_t *o = json_pack("{s:s, s:s}", "event_type", n->event, "message", n->text);
	if (o && n->order_id)
		json_object_set_new(o, "order", json_integer(n->order_id));
	if (o && n->step)
		json_object_set_new(o, "step", json_string(n->step));
	if (o && n->pid)
		json_object_set_new(o, "pid", json_integer(n->pid));
	if (o && n->usec)
		json_object_set_new(o, "usec", json_integer((json_int_t)n->usec));
	pthread_mutex_lock(&turn);
	out_info(&c->out, "%s: %s%s", n->event, n->text, took);
	out_json(&c->out, o);
	fflush(c->out.to);
	fflush(stderr);
	pthread_mutex_unlock(&turn);
}

/* Whoever owns a host that may be contained would own the points. */
static int refuse_on_an_asset(struct ctx *c)
{
	struct surroundings s = {0};
	struct err e = {0};
	char text[ADDR_STR_MAX];
	if (surroundings_read(&s, &e) < 0)
		return ctx_fail(c, EXIT_REFUSED, &e);
	for (size_t i = 0; i < s.n_own; i++) {
		const struct asset *a =
		    inventory_asset(c->config.inventory, addr_str(&s.own[i], text));
		if (!a)
			continue;
		out_error(&c->out,
		          "this host is the asset %s (%s): it does not load the credentials of "
		          "points. Run it on a host that is no asset",
		          a->s.name, text);
		return EXIT_REFUSED;
	}
	return EXIT_DONE;
}

/* This host's points come first. */
static int keep_points(struct ctx *c, struct guard_setup s)
{
	struct err e = {0};
	int r = refuse_on_an_asset(c);
	if (r != EXIT_DONE)
		return r;
	s.points = c->points + point_table_n;
	s.n_points = c->n_points - point_table_n;
	if (!s.n_points) {
		out_error(&c->out, "%s names no points: there is no deadline to keep",
		          c->config_path);
		return EXIT_REFUSED;
	}
	r = keeper_run(&s, &e);
	return r < 0 ? ctx_fail(c, ctx_exit_of(r), &e) : EXIT_DONE;
}

int verb_guard(struct ctx *c, const struct args *a)
{
	struct err e = {0};
	const struct guard_setup s = {
	    .state_dir = c->state_dir,
	    .points = point_table,
	    .n_points = point_table_n,
	    .every = args_duration(a, "every", USEC_PER_SEC),
	    .notify = getenv("NOTIFY_SOCKET"),
	    .watchdog = getenv("WATCHDOG_USEC"),
	    .say = say,
	    .arg = c,
	};
	if (args_has(a, "points"))
		return keep_points(c, s);
	int r = guard_run(&s, &e);
	return r < 0 ? ctx_fail(c, ctx_exit_of(r), &e) : EXIT_DONE;
}
