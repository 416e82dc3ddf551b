/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/cut.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "ui/guard.h"
#include "ui/roundtrip.h"
#include "ui/show.h"
#include "ui/via.h"

#define NOTES_MAX (64U << 10)

/* --- what the command line and the configuration keep --- */

static int usage(struct cut *k, const struct err *e)
{
	return ctx_fail(k->c, EXIT_USAGE, e);
}

static int collect_keeps(struct cut *k)
{
	static const char *const options[][2] = {
	    {"keep", "keep"}, {"keep-in", "keep_in"}, {"keep-out", "keep_out"}};
	struct err e = {0};
	k->keeps = k->c->config;
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct config_key *key = config_key_find(options[i][1]);
		const struct arg_value *v;
		for (size_t n = 0; (v = args_nth(k->a, options[i][0], n)); n++) {
			int r = key->set(&k->keeps, v->text, &e);
			if (r < 0) {
				err_prefix(&e, r, "--%s", options[i][0]);
				return usage(k, &e);
			}
		}
	}
	return EXIT_DONE;
}

static int check_force(struct cut *k)
{
	const struct arg_value *v;
	for (size_t n = 0; (v = args_nth(k->a, "force", n)); n++) {
		if (guard_find(v->text))
			continue;
		struct buf names = BUF_INIT(1024);
		for (const struct guard *g = guards; g->name; g++)
			buf_addf(&names, "%s%s", g == guards ? "" : ", ", g->name);
		out_error(&k->c->out, "--force: there is no guard \"%.40s\"; there are %s", v->text,
		          buf_str(&names));
		buf_free(&names);
		return EXIT_USAGE;
	}
	return EXIT_DONE;
}

bool cut_forced(const struct cut *k, const char *guard)
{
	const struct arg_value *v;
	for (size_t n = 0; (v = args_nth(k->a, "force", n)); n++)
		if (!strcmp(v->text, guard))
			return true;
	return false;
}

/* --- clocks --- */

static int read_clocks(struct cut *k)
{
	const char *then = args_text(k->a, "on-expiry", NULL);
	int x = then ? on_expiry_parse(then) : (int)config_on_expiry(&k->keeps);
	if (x < 0) {
		out_error(&k->c->out, "--on-expiry: \"%.40s\" is neither open nor widen", then);
		return EXIT_USAGE;
	}
	if (args_has(k->a, "no-deadline") && args_has(k->a, "confirm-within")) {
		out_error(&k->c->out, "--no-deadline and --confirm-within contradict each other");
		return EXIT_USAGE;
	}
	k->on_expiry = (enum on_expiry)x;
	if (k->on_expiry == EXPIRY_WIDEN && !k->keeps.n_break_glass) {
		out_error(&k->c->out,
		          "on expiry widen needs to know for whom: set break_glass in "
		          "%s, or use --on-expiry open",
		          k->c->config_path);
		return EXIT_USAGE;
	}
	k->confirm_within = args_duration(k->a, "confirm-within", 0);
	k->until = args_duration(k->a, "for", 0);
	return EXIT_DONE;
}

void cut_default_deadline(struct cut *k)
{
	if (!k->confirm_within && !args_has(k->a, "no-deadline"))
		k->confirm_within = k->keeps.confirm_within;
}

void cut_set_clocks(const struct cut *k, struct deadlines *d)
{
	usec_t boot = boot_now(), wall = wall_now();
	*d = (struct deadlines){.on_expiry = k->on_expiry};
	strncpy(d->boot, boot_id(), sizeof d->boot - 1);
	if (k->confirm_within) {
		d->confirm_by_boot = boot + k->confirm_within;
		d->confirm_by_wall = wall + k->confirm_within;
	}
	if (k->until) {
		d->until_boot = boot + k->until;
		d->until_wall = wall + k->until;
	}
}

/* --- the operator --- */

/* Only what is seen alive can be kept alive; the rest is told. */
static int find_sessions(struct cut *k)
{
	struct err e = {0};
	struct operator_sessions all = {0};
	char peer[ENDPOINT_STR_MAX];
	if (operator_find(&all, &e) < 0)
		buf_addf(&k->notes, "your own session could not be looked for: %s\n", e.text);
	for (size_t i = 0; i < all.n; i++) {
		if (all.v[i].live)
			k->sessions.v[k->sessions.n++] = all.v[i];
		else
			buf_addf(&k->notes, "%s names %s, but no such connection is open here\n",
			         all.v[i].how, endpoint_str(&all.v[i].peer, peer));
	}
	return EXIT_DONE;
}

int cut_begin(struct cut *k, struct ctx *c, const struct args *a, const struct asset *asset)
{
	static int (*const parts[])(struct cut *) = {check_force, collect_keeps, read_clocks,
	                                             find_sessions};
	memset(k, 0, sizeof *k);
	k->c = c;
	k->a = a;
	k->notes = BUF_INIT(NOTES_MAX);
	int r = via_points(c, a, asset, &k->at);
	if (r == EXIT_DONE && via_has_self(&k->at))
		r = ctx_need_rights(c, a->verb->name);
	for (size_t i = 0; r == EXIT_DONE && i < ARRAY_SIZE(parts); i++)
		r = parts[i](k);
	const char *reason = args_text(a, "reason", "");
	if (r == EXIT_DONE && strlen(reason) >= sizeof k->order.reason) {
		out_error(&c->out, "--reason: at most %d bytes", ORDER_REASON_MAX - 1);
		return EXIT_USAGE;
	}
	out_clean(reason, k->order.reason, sizeof k->order.reason);
	k->order.all_or_nothing = args_has(a, "all-or-nothing");
	return r;
}

void cut_end(struct cut *k)
{
	order_free(&k->order);
	plan_free(&k->plan);
	buf_free(&k->notes);
}

/* --- guards --- */

static int refuse(struct cut *k, const struct guard *g, const struct buf *why)
{
	out_error(&k->c->out,
	          "refused by guard %s: %s. Nothing was changed; --force %s overrules it", g->name,
	          buf_str(why), g->name);
	return EXIT_REFUSED;
}

static int check_prefix(struct cut *k, const struct surroundings *s, const struct prefix *p)
{
	int r = EXIT_DONE;
	for (const struct guard *g = guards; g->name && r == EXIT_DONE; g++) {
		struct buf why = BUF_INIT(1024);
		bool forced = cut_forced(k, g->name);
		if (!g->hit || !g->hit(s, p, &why)) {
			buf_free(&why);
			continue;
		}
		if (g->kind == GUARD_REFUSES && !forced) {
			r = refuse(k, g, &why);
		} else {
			if (g->kind == GUARD_REFUSES || !forced)
				cut_default_deadline(k);
			buf_addf(&k->notes, "%s%s\n", buf_str(&why),
			         k->confirm_within ? ": the dead man's switch runs" : "");
		}
		buf_free(&why);
	}
	return r;
}

int cut_check_prefixes(struct cut *k, const struct prefix *v, size_t n)
{
	struct surroundings s = {.keeps = &k->keeps, .sessions = &k->sessions};
	struct err e = {0};
	int r = surroundings_read(&s, &e);
	if (r < 0)
		return ctx_fail(k->c, ctx_exit_of(r), &e);
	r = EXIT_DONE;
	for (size_t i = 0; i < n && r == EXIT_DONE; i++)
		r = check_prefix(k, &s, &v[i]);
	return r;
}

/* --- the allow-list --- */

static struct permit flow(const struct prefix *peer, uint8_t proto, uint16_t local, uint16_t remote,
                          const char *why)
{
	struct permit p = {.kind = PERMIT_FLOW,
	                   .peer = *peer,
	                   .proto = proto,
	                   .local_port = local,
	                   .peer_port = remote};
	snprintf(p.why, sizeof p.why, "%s", why);
	return p;
}

static struct prefix whole(const struct addr *a)
{
	return prefix_of(a, addr_bits(a));
}

static int add_keep(struct order *o, const struct endpoint *ep, struct err *e)
{
	struct prefix peer = whole(&ep->addr);
	struct permit a = flow(&peer, 0, ep->port, 0, "keep");
	struct permit b = flow(&peer, 0, 0, ep->port, "keep");
	int r = order_add_permit(o, &a, e);
	return r < 0 || !ep->port ? r : order_add_permit(o, &b, e);
}

static int add_session(struct order *o, const struct operator_session *s, struct err *e)
{
	char why[PERMIT_WHY_MAX];
	struct prefix peer = whole(&s->peer.addr);
	snprintf(why, sizeof why, "own session from port %u", s->peer.port);
	struct permit p = flow(&peer, IPPROTO_TCP, s->local.port, 0, why);
	return order_add_permit(o, &p, e);
}

static int add_break_glass(struct order *o, const struct prefix *peer, struct err *e)
{
	struct permit p = flow(peer, IPPROTO_TCP, 22, 0, "break glass");
	p.breakglass = true;
	return order_add_permit(o, &p, e);
}

int cut_add_permits(const struct config *keeps, const struct operator_sessions *s,
                    enum on_expiry on_expiry, struct order *o, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < s->n; i++)
		r = add_session(o, &s->v[i], e);
	for (size_t i = 0; r == 0 && i < keeps->n_keep; i++)
		r = add_keep(o, &keeps->keep[i], e);
	for (size_t i = 0; r == 0 && i < keeps->n_keep_in; i++) {
		const struct keep_in *in = &keeps->keep_in[i];
		struct permit p = flow(&in->peer, IPPROTO_TCP, in->local_port, 0, "keep-in");
		r = order_add_permit(o, &p, e);
	}
	for (size_t i = 0; r == 0 && i < keeps->n_keep_out; i++) {
		struct prefix peer = whole(&keeps->keep_out[i].addr);
		struct permit p = flow(&peer, 0, 0, keeps->keep_out[i].port, "keep-out");
		r = order_add_permit(o, &p, e);
	}
	for (size_t i = 0; r == 0 && on_expiry == EXPIRY_WIDEN && i < keeps->n_break_glass; i++)
		r = add_break_glass(o, &keeps->break_glass[i], e);
	return r;
}

/* --- plan, question, apply --- */

static int make_plan(struct cut *k, struct session *s)
{
	struct err e = {0};
	int r = engine_plan(s->engine, &k->at, &k->order, &k->plan, &e);
	if (r < 0) {
		ctx_fail(k->c, EXIT_REFUSED, &e);
		out_error(&k->c->out, "nothing was changed");
		return r == -EINVAL ? EXIT_USAGE : EXIT_REFUSED;
	}
	for (const char *p = buf_str(&k->notes); *p;) {
		size_t n = strcspn(p, "\n");
		if (n)
			plan_note(&k->plan, "%.*s", (int)n, p);
		p += n + (p[n] == '\n');
	}
	return EXIT_DONE;
}

static void tell_way_in(struct cut *k, const struct roundtrip *t)
{
	const struct out *o = &k->c->out;
	bool host = k->order.n_targets && k->order.targets[0].kind == TARGET_HOST;
	bool matters = host || k->order.deadlines.confirm_by_wall;
	if (o->json || k->order.state == ORDER_FAILED || (!matters && !t->passed))
		return;
	if (t->passed)
		out_info(&k->c->out, "\nWay in: %s%s%s", out_on(o, STYLE_GOOD), t->how,
		         out_off(o, STYLE_GOOD));
	else if (k->order.deadlines.confirm_by_wall)
		out_line(&k->c->out,
		         "\nWay in: %scannot be checked from here; the deadline protects "
		         "you%s",
		         out_on(o, STYLE_WARN), out_off(o, STYLE_WARN));
	else
		out_line(&k->c->out,
		         "\nWay in: %scannot be checked from here, and no deadline "
		         "runs%s",
		         out_on(o, STYLE_WARN), out_off(o, STYLE_WARN));
}

static int apply(struct cut *k, struct session *s)
{
	struct err e = {0};
	struct report rep = {0};
	struct roundtrip t = {.c = k->c, .sessions = &k->sessions};
	bool here = via_has_self(&k->at);
	if (here) {
		roundtrip_paths(&t, &k->order, &k->keeps);
		roundtrip_before(&t);
	}
	/* The question may have waited for its answer: the clocks run from now. */
	cut_set_clocks(k, &k->order.deadlines);
	int r = engine_apply(s->engine, &k->order, &k->plan, here ? roundtrip_check : NULL, &t,
	                     &rep, &e);
	if (r < 0) {
		ctx_fail(k->c, EXIT_FAILED, &e);
		out_error(&k->c->out, "nothing of it is in force");
		return EXIT_FAILED;
	}
	if (here)
		tell_way_in(k, &t);
	show_result(k->c, &k->order, &k->plan, &rep, verb_str(k->order.verb));
	if (journal_degraded(s->journal))
		out_line(&k->c->out, "  journal: %s", journal_degraded(s->journal));
	enum exit_code code = exit_of_outcome(rep.outcome);
	report_free(&rep);
	return code;
}

/* Shown and done must be the same, though a person took time to answer. */
static bool same_plan(const struct plan *a, const struct plan *b)
{
	bool same = a->n_steps == b->n_steps;
	for (size_t i = 0; same && i < a->n_steps; i++)
		same = !strcmp(a->steps[i].effect ? a->steps[i].effect : "",
		               b->steps[i].effect ? b->steps[i].effect : "");
	return same;
}

/* Looks, shows, asks; holds no lock meanwhile, so that others can confirm and undo. */
static int look_and_ask(struct cut *k, const char *question, struct plan *ret_shown)
{
	struct err e = {0};
	struct session s = {0};
	bool dry = args_has(k->a, "dry-run");
	int r = session_open_read(k->c, &s, &e);
	if (r < 0)
		return ctx_fail(k->c, ctx_exit_of(r), &e);
	int code = make_plan(k, &s);
	if (code == EXIT_DONE)
		show_plan(k->c, s.engine, &k->order, &k->plan);
	session_close(&s);
	if (code == EXIT_DONE && dry)
		out_info(&k->c->out, "\nNothing was changed (--dry-run).");
	if (code == EXIT_DONE && !dry) {
		out_info(&k->c->out, "%s", "");
		code = ctx_ask(k->c, k->a, "%s", question);
	}
	*ret_shown = k->plan;
	k->plan = (struct plan){0};
	return code;
}

static int do_it(struct cut *k, const struct plan *shown)
{
	struct err e = {0};
	struct session s = {0};
	int r = session_open(k->c, JOURNAL_CUT, &s, &e);
	if (r < 0)
		return ctx_fail(k->c, ctx_exit_of(r), &e);
	cut_set_clocks(k, &k->order.deadlines);
	int code = make_plan(k, &s);
	if (code == EXIT_DONE && shown && !same_plan(shown, &k->plan)) {
		out_error(&k->c->out, "the host has changed since the plan was shown; nothing was "
		                      "done, look again");
		code = EXIT_REFUSED;
	}
	if (code == EXIT_DONE && !shown)
		show_plan(k->c, s.engine, &k->order, &k->plan);
	if (code == EXIT_DONE)
		code = apply(k, &s);
	session_close(&s);
	return code;
}

int cut_carry_out(struct cut *k, const char *question)
{
	struct plan shown = {0};
	bool dry = args_has(k->a, "dry-run");
	if (!dry && args_has(k->a, "yes"))
		return do_it(k, NULL);
	int code = dry ? EXIT_DONE : ctx_can_ask(k->c, k->a, question);
	cut_set_clocks(k, &k->order.deadlines);
	if (code == EXIT_DONE)
		code = look_and_ask(k, question, &shown);
	if (code == EXIT_DONE && !dry)
		code = do_it(k, &shown);
	plan_free(&shown);
	return code;
}
