/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "ui/cut.h"
#include "ui/roundtrip.h"
#include "ui/show.h"
#include "ui/verbs.h"

const struct opt confirm_opts[] = {
    {"for", 0, OPT_DURATION, "DUR", "and end it after DUR from now"},
    {"keep", 0, OPT_LIST, "ADDR:PORT", "prove the way in by a TCP connect to there"},
    {NULL},
};

/* --- when it was applied --- */

struct applied {
	char subject[16];
	usec_t wall;
};

/* The first state that says "in force" stands where the apply ended. */
static int find_applied(void *arg, const struct journal_entry *e)
{
	struct applied *a = arg;
	if (strcmp(e->subject, a->subject) != 0)
		return 0;
	if (!strcmp(e->kind, "order") && !a->wall)
		a->wall = e->wall;
	if (strcmp(e->kind, "order.state") != 0 || !strstr(e->body, "\"unconfirmed\""))
		return 0;
	a->wall = e->wall;
	return 1;
}

/* On this boot's clock, by the two clocks that the order's deadline was written with. */
static usec_t applied_boot(struct journal *j, const struct order *o)
{
	struct applied a = {0};
	const struct deadlines *d = &o->deadlines;
	snprintf(a.subject, sizeof a.subject, "o%u", o->id);
	journal_walk(j, 0, find_applied, &a, NULL);
	if (!a.wall || a.wall > d->confirm_by_wall)
		return d->confirm_by_boot;
	usec_t span = d->confirm_by_wall - a.wall;
	return span < d->confirm_by_boot ? d->confirm_by_boot - span : 0;
}

/* --- the proof --- */

static bool path_answers(struct ctx *c, const struct args *a, const struct order *o, char how[128])
{
	struct roundtrip t = {.c = c};
	struct config keeps = c->config;
	bool up[ROUNDTRIP_PATHS_MAX] = {false};
	char text[ENDPOINT_STR_MAX];
	const struct arg_value *v;
	for (size_t i = 0; (v = args_nth(a, "keep", i)); i++)
		config_key_find("keep")->set(&keeps, v->text, NULL);
	roundtrip_paths(&t, o, &keeps);
	roundtrip_connect(t.paths, t.n_paths, ROUNDTRIP_WAIT_MSEC, up);
	for (size_t i = 0; i < t.n_paths; i++)
		if (up[i]) {
			snprintf(how, 128, "%s answers", endpoint_str(&t.paths[i], text));
			return true;
		}
	return false;
}

static bool forced(const struct args *a)
{
	const struct arg_value *v;
	for (size_t i = 0; (v = args_nth(a, "force", i)); i++)
		if (!strcmp(v->text, "roundtrip"))
			return true;
	return false;
}

static bool proven(struct ctx *c, const struct args *a, struct session *s, const struct order *o,
                   char how[128])
{
	struct operator_sessions all = {0}, live = {0};
	if (forced(a)) {
		strcpy(how, "without proof (--force roundtrip)");
		return true;
	}
	operator_find(&all, NULL);
	for (size_t i = 0; i < all.n; i++)
		if (all.v[i].live)
			live.v[live.n++] = all.v[i];
	return roundtrip_new_session(&live, applied_boot(s->journal, o), how) ||
	       path_answers(c, a, o, how);
}

static int refuse(struct ctx *c, const struct order *o)
{
	char left[TIME_STR_MAX];
	out_error(
	    &c->out,
	    "o%u stays unconfirmed (%s left): nothing proves that a new connection still gets "
	    "in. Open a second SSH session to this host and type there: stanch confirm o%u",
	    o->id, left_text(o->deadlines.confirm_by_wall, wall_now(), left), o->id);
	out_error(&c->out,
	          "or prove it by a kept path: stanch confirm o%u --keep ADDR:PORT; or at your own "
	          "risk: --force roundtrip",
	          o->id);
	return EXIT_REFUSED;
}

static int rearm(struct ctx *c, const struct args *a, struct session *s, struct order *o,
                 struct plan *p, const char *how)
{
	struct err e = {0};
	struct report rep = {0};
	struct deadlines d = o->deadlines;
	usec_t until = args_duration(a, "for", 0);
	d.confirm_by_boot = d.confirm_by_wall = 0;
	if (until) {
		d.until_boot = boot_now() + until;
		d.until_wall = wall_now() + until;
		strncpy(d.boot, boot_id(), sizeof d.boot - 1);
	}
	int r = engine_rearm(s->engine, o->id, &d, &rep, &e);
	if (r < 0)
		return ctx_fail(c, r == -ENOENT ? EXIT_REFUSED : EXIT_FAILED, &e);
	o->deadlines = d;
	o->state = ORDER_HELD;
	out_line(&c->out, "o%u confirmed: %s", o->id, how);
	show_result(c, o, p, &rep, "confirm");
	enum exit_code code = exit_of_outcome(rep.outcome);
	report_free(&rep);
	return code;
}

static int confirm(struct ctx *c, const struct args *a, struct session *s, unsigned id)
{
	struct err e = {0};
	struct order o = {0};
	struct plan p = {0};
	char how[128] = "";
	int r = journal_get_order(s->journal, id, &o, &p, NULL, &e);
	if (r < 0)
		return ctx_fail(c, ctx_exit_of(r), &e);
	bool waits = o.deadlines.confirm_by_wall != 0;
	r = ctx_need_rights_for(c, "confirm", &p);
	if (r != EXIT_DONE) {
		order_free(&o);
		plan_free(&p);
		return r;
	}
	if (o.state == ORDER_HELD && !waits && !args_has(a, "for")) {
		out_line(&c->out, "o%u holds already; no deadline runs", id);
		out_json(&c->out,
		         json_pack("{s:s, s:o}", "event_type", "confirm", "order", json_order(&o)));
		r = EXIT_DONE;
	} else if (o.state != ORDER_HELD && o.state != ORDER_UNCONFIRMED &&
	           o.state != ORDER_EXPIRED) {
		out_error(&c->out, "o%u is %s: there is nothing to confirm", id,
		          order_state_str(o.state));
		r = EXIT_REFUSED;
	} else if (waits && !proven(c, a, s, &o, how)) {
		r = refuse(c, &o);
	} else if (args_has(a, "dry-run")) {
		out_line(&c->out, "would confirm o%u: %s", id, how);
		r = EXIT_DONE;
	} else {
		r = rearm(c, a, s, &o, &p, how[0] ? how : "new end");
	}
	order_free(&o);
	plan_free(&p);
	return r;
}

int verb_confirm(struct ctx *c, const struct args *a)
{
	struct err e = {0};
	struct session s = {0};
	bool dry = args_has(a, "dry-run");
	int worst = EXIT_DONE;
	unsigned id;
	for (size_t i = 0; i < a->n_pos; i++)
		if (order_id_parse(a->pos[i], &id, &e) < 0)
			return ctx_fail(c, EXIT_USAGE, &e);
	int r = session_open(c, dry ? JOURNAL_READ : JOURNAL_CUT, &s, &e);
	if (r < 0)
		return ctx_fail(c, ctx_exit_of(r), &e);
	for (size_t i = 0; i < a->n_pos; i++) {
		order_id_parse(a->pos[i], &id, NULL);
		int code = confirm(c, a, &s, id);
		worst = code > worst ? code : worst;
	}
	session_close(&s);
	return worst;
}
