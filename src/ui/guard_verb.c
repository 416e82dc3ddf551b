/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `stanch guard`: the resident role, on the terminal or under systemd. */
#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>

#include "guard/guard.h"
#include "ui/ctx.h"
#include "ui/verbs.h"

const struct opt guard_opts[] = {
    {"every", 0, OPT_DURATION, "DUR",
     "look so often by itself, for what raises no event (BPF links); default 1s"},
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
	int r = guard_run(&s, &e);
	return r < 0 ? ctx_fail(c, ctx_exit_of(r), &e) : EXIT_DONE;
}
