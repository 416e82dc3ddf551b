/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Steps: panos.permits (rules of one order, by a commit), panos.tags (no commit), panos.sessions.
 *
 * Invariants
 *  1. An address that another order at the device still wants keeps its tag, and never gets a
 *     time-out it did not have.
 *  2. No rule but ours is touched; nothing is committed but this administrator's changes.
 */
#include "enforce/panos/panos.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "enforce/panos/parts.h"
#include "enforce/point_payload.h"
#include "enforce/point_sessions.h"
#include "enforce/ssh_point.h"

#define KIND_PERMITS  "panos.permits"
#define KIND_TAGS     "panos.tags"
#define KIND_SESSIONS "panos.sessions"
#define TIMEOUT_MAX   (30u * 86400) /* of a tag */
#define TEXT_MAX      (64u << 10)

static int panos_open(const struct point *point, void **ret_ctx, struct err *e)
{
	struct panos *p = calloc(1, sizeof *p);
	const char *timeout = section_get(point->config, "timeout", 0);
	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	p->point = point;
	snprintf(p->url, sizeof p->url, "https://%.255s/api/",
	         section_get(point->config, "address", 0));
	if (timeout)
		duration_parse(timeout, &p->timeout, NULL);
	*ret_ctx = p;
	return 0;
}

static void panos_close(void *ctx)
{
	if (ctx)
		panos_api_close(ctx);
	free(ctx);
}

/* --- probe and setup --- */

/* The passive unit takes what it is told and loses it. */
static int check_active(struct panos *p, struct err *e)
{
	struct xml_doc *d = NULL;
	int r = panos_op(p, "<show><high-availability><state></state></high-availability></show>",
	                 &d, e);
	if (r < 0)
		return r;
	const struct xml_node *result = xml_child(xml_root(d), "result");
	const char *state = xml_text_at(result, "group/local-info/state");
	if (!strcmp(xml_text_at(result, "enabled"), "yes") && strncmp(state, "active", 6) != 0)
		r = err_set(e, -EOPNOTSUPP,
		            "%s is the \"%.40s\" unit of its pair: write to the active one",
		            p->point->name, state);
	xml_free(d);
	return r;
}

static int panos_probe(void *ctx, struct capabilities *ret, struct err *e)
{
	struct panos *p = ctx;
	struct buf missing = BUF_INIT(TEXT_MAX);
	struct err why = {0};
	bool active = check_active(p, &why) == 0;
	bool in = active || why.code == -EOPNOTSUPP;
	point_can(ret, "login", in, why.text);
	point_can(ret, "active unit", active, why.text);
	bool read = in && panos_check_setup(p, &missing, &why) == 0;
	missing.len ? (void)buf_addf(&missing, "; run stanch points setup %s", p->point->name)
	            : (void)0;
	for (size_t i = 0; i < missing.len; i++)
		if (missing.data[i] == '\n')
			missing.data[i] =
			    i + 1 < missing.len && missing.data[i + 1] == ';' ? ' ' : ',';
	point_can(ret, "rules", read && !missing.len, read ? buf_str(&missing) : why.text);
	buf_free(&missing);
	return 0;
}

static int panos_setup(void *ctx, bool apply, struct buf *out, struct err *e)
{
	struct panos *p = ctx;
	struct buf missing = BUF_INIT(TEXT_MAX);
	int r = check_active(p, e);
	if (r == 0)
		r = panos_check_setup(p, &missing, e);
	if (r == 0)
		buf_add(out, missing.data, missing.len);
	if (r == 0 && missing.len && apply) {
		r = panos_make_setup(p, e);
		buf_reset(&missing);
		if (r == 0)
			r = panos_check_setup(p, &missing, e);
		if (r == 0 && missing.len)
			r = err_set(e, -EIO, "committed, but it reads back otherwise: %.300s",
			            buf_str(&missing));
	}
	buf_free(&missing);
	return r;
}

/* --- sessions --- */

/* What a rule of ours drops is a session, too, as the device has it: one that is discarded. */
static int take_entry(const struct xml_node *n, struct point_sessions *table, struct err *e)
{
	struct session_row row = {.proto = session_proto(xml_text_at(n, "proto"))};
	if (!strcmp(xml_text_at(n, "state"), "DISCARD"))
		return 0;
	row.source.port = (uint16_t)strtoul(xml_text_at(n, "sport"), NULL, 10);
	row.destination.port = (uint16_t)strtoul(xml_text_at(n, "dport"), NULL, 10);
	if (addr_parse(xml_text_at(n, "source"), &row.source.addr) < 0 ||
	    addr_parse(xml_text_at(n, "dst"), &row.destination.addr) < 0)
		return -EBADMSG;
	return point_sessions_add(table, &row);
}

/* What is shown goes to out as text, and to `table`; both may be NULL. */
static int each_session(struct panos *p, const struct panos_cut *c, const char *verb,
                        struct buf *out, struct point_sessions *table, struct err *e)
{
	static const char *const sides[] = {"source", "destination"};
	int r = 0;
	for (size_t i = 0; r == 0 && i < 2 * c->n_addrs; i++) {
		char cmd[256], text[ADDR_STR_MAX];
		const char *side = sides[i % 2];
		struct xml_doc *d = NULL;
		snprintf(cmd, sizeof cmd,
		         "<%s><session><all><filter><%s>%s</%s></filter></all></session></%s>",
		         verb, side, addr_str(&c->addrs[i / 2], text), side, verb);
		r = panos_op(p, cmd, &d, e);
		const struct xml_node *n =
		    r == 0 ? xml_child(xml_child(xml_root(d), "result"), "entry") : NULL;
		for (; r == 0 && n; n = xml_next(n, "entry")) {
			if (out)
				buf_addf(out, "%s %s:%s %s:%s %s %s\n", xml_text_at(n, "proto"),
				         xml_text_at(n, "source"), xml_text_at(n, "sport"),
				         xml_text_at(n, "dst"), xml_text_at(n, "dport"),
				         xml_text_at(n, "application"),
				         xml_text_at(n, "start-time"));
			if (table)
				r = point_sessions_err(take_entry(n, table, e), p->point->name, e);
		}
		xml_free(d);
	}
	return r;
}

/* Reads the table of the cut's addresses, and has f make something of it. */
typedef int (*sessions_fn)(struct point_sessions *t, const struct point_scope *s, void *arg,
                           struct err *e);
static int with_sessions(struct panos *p, const struct panos_cut *c, sessions_fn f, void *arg,
                         struct err *e)
{
	struct point_sessions table = {0};
	struct prefix *prefixes = calloc(c->n_addrs + 1, sizeof *prefixes);
	int r = prefixes ? each_session(p, c, "show", NULL, &table, e)
	                 : err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; prefixes && i < c->n_addrs; i++)
		prefixes[i] = prefix_of(&c->addrs[i], addr_bits(&c->addrs[i]));
	const struct point_scope scope = {prefixes, c->n_addrs, c->permits, c->n_permits};
	if (r == 0)
		r = f(&table, &scope, arg, e);
	point_sessions_free(&table);
	free(prefixes);
	return r;
}

static int note_sessions(struct point_sessions *t, const struct point_scope *s, void *arg,
                         struct err *e)
{
	return point_sessions_note(t, s, arg, e);
}

static int judge_sessions(struct point_sessions *t, const struct point_scope *s, void *arg,
                          struct err *e)
{
	return point_sessions_verdict(t, s, arg, e);
}

/* --- plan --- */

static int add_addrs(struct panos_cut *c, const struct prefix *x, struct err *e)
{
	unsigned host_bits = addr_bits(&x->addr) - x->len;
	size_t n = host_bits < 16 ? (size_t)1 << host_bits : SIZE_MAX;
	if (n > PANOS_ADDRS_MAX - c->n_addrs)
		return err_set(e, -E2BIG,
		               "tags are for single addresses, at most %d an order: this prefix "
		               "belongs to an external dynamic list or another point",
		               PANOS_ADDRS_MAX);
	struct addr *v = reallocarray(c->addrs, c->n_addrs + n, sizeof *v);
	if (!v)
		return err_set(e, -ENOMEM, "out of memory while planning");
	c->addrs = v;
	for (size_t i = 0; i < n; i++) {
		struct addr a = x->addr;
		size_t last = addr_bits(&a) / 8 - 1;
		a.bytes[last] = (uint8_t)(a.bytes[last] | (i & 0xff));
		a.bytes[last - 1] = (uint8_t)(a.bytes[last - 1] | i >> 8);
		v[c->n_addrs++] = a;
	}
	return 0;
}

static int fill_addrs(struct panos *p, const struct order *o, struct panos_cut *c, struct err *e)
{
	struct addr addrs[ASSET_ADDRS_MAX];
	size_t n = 0;
	int r = 0;
	c->kind = o->verb == VERB_BLOCK ? PANOS_BLOCK : PANOS_QUARANTINE;
	for (size_t i = 0; r == 0 && o->verb == VERB_BLOCK && i < o->n_targets; i++)
		r = add_addrs(c, &o->targets[i].prefix, e);
	if (o->verb == VERB_ISOLATE)
		r = inventory_addrs(p->point->inventory, &o->targets[0], addrs, &n, e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct prefix x = prefix_of(&addrs[i], addr_bits(&addrs[i]));
		r = add_addrs(c, &x, e);
	}
	return r;
}

static int fill_permits(const struct order *o, struct panos_cut *c, struct err *e)
{
	int r = point_order_permits(o, &c->permits, &c->n_permits, e);
	for (size_t i = 0; r == 0 && i < c->n_permits; i++) {
		uint8_t proto = c->permits[i].proto;
		if (proto && proto != IPPROTO_TCP && proto != IPPROTO_UDP)
			r = err_set(e, -EOPNOTSUPP, "this point keeps TCP and UDP only");
	}
	return r;
}

/* What other orders want at this device. Free each and v. */
static int wanted_by(const struct holds *others, struct panos_cut **ret, size_t *ret_n,
                     struct err *e)
{
	size_t n = 0;
	struct panos_cut *v = calloc(others && others->n ? others->n : 1, sizeof *v);
	if (!v)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; others && i < others->n; i++) {
		const struct step *s = others->v[i].step;
		if (!strcmp(s->kind, KIND_TAGS) && s->forward &&
		    panos_cut_from_json(s->forward, &v[n], NULL) == 0)
			n++;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

static void wanted_free(struct panos_cut *v, size_t n)
{
	for (size_t i = 0; v && i < n; i++)
		panos_cut_free(&v[i]);
	free(v);
}

static bool in_any(const struct addr *a, enum panos_kind kind, const struct panos_cut *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; v[i].kind == kind && k < v[i].n_addrs; k++)
			if (addr_equal(&v[i].addrs[k], a))
				return true;
	return false;
}

static int refuse_again(const struct holds *others, const struct panos_cut *c, struct err *e)
{
	struct panos_cut *v = NULL;
	size_t n = 0, covered = 0;
	int r = wanted_by(others, &v, &n, e);
	for (size_t i = 0; r == 0 && i < c->n_addrs; i++)
		covered += in_any(&c->addrs[i], c->kind, v, n);
	if (r == 0 && covered == c->n_addrs)
		r = err_set(e, -EALREADY, "an order of this journal does that here already");
	wanted_free(v, n);
	return r;
}

static int add_step(struct panos *p, struct panos_cut *c, const char *kind, const char *effect,
                    const char *undo, struct plan *plan, struct err *e)
{
	struct step *s = plan_add_step(plan, p->point->name, kind);
	if (!s || !effect)
		return err_set(e, -ENOMEM, "out of memory while planning");
	snprintf(c->name, sizeof c->name, "stanch-%.12s", s->token);
	int r = panos_cut_to_json(c, &s->forward, e);
	if (r < 0)
		return r;
	bool inverse = strcmp(kind, KIND_SESSIONS) != 0;
	s->required = inverse;
	s->inverse = inverse ? strdup(s->forward) : NULL;
	s->effect = strdup(effect);
	*(inverse ? &s->undo_effect : &s->no_inverse) = strdup(undo);
	return s->effect && (s->inverse || !inverse)
	           ? 0
	           : err_set(e, -ENOMEM, "out of memory while planning");
}

static void addrs_text(const struct panos_cut *c, struct buf *out)
{
	char text[ADDR_STR_MAX];
	for (size_t i = 0; i < c->n_addrs && i < 8; i++)
		buf_addf(out, "%s%s", i ? ", " : "", addr_str(&c->addrs[i], text));
	if (c->n_addrs > 8)
		buf_addf(out, " and %zu more", c->n_addrs - 8);
}

static int add_steps(struct panos *p, const struct order *o, struct panos_cut *c, struct plan *plan,
                     struct err *e)
{
	struct buf who = BUF_INIT(4096), text = BUF_INIT(TEXT_MAX);
	addrs_text(c, &who);
	buf_addf(&text, "rules at the top let through, for %s: ", buf_str(&who));
	for (size_t i = 0, k = 0; i < o->n_permits; i++)
		if (o->permits[i].kind == PERMIT_FLOW) {
			buf_addf(&text, "%s", k++ ? "; " : "");
			permit_describe(&o->permits[i], &text);
		}
	buf_addf(&text, " (a commit of this administrator's changes)");
	int r = 0;
	if (c->n_permits)
		r = add_step(p, c, KIND_PERMITS, buf_str(&text), "deletes these rules, and commits",
		             plan, e);
	buf_reset(&text);
	buf_addf(&text,
	         "tags %s: the rules %s drop what comes from and goes to them, without a commit",
	         buf_str(&who),
	         c->kind == PANOS_BLOCK ? "stanch-b-out and stanch-b-in"
	                                : "stanch-q-out and stanch-q-in");
	if (r == 0)
		r = add_step(p, c, KIND_TAGS, buf_str(&text), "takes the tags away", plan, e);
	if (r == 0)
		r = add_step(p, c, KIND_SESSIONS,
		             "clears the sessions of these addresses in the device's session table",
		             "a session that was cleared cannot be opened again from here", plan,
		             e);
	buf_free(&who);
	buf_free(&text);
	return r;
}

static int add_notes(const struct order *o, const struct panos_cut *c, struct plan *plan,
                     struct err *e)
{
	const struct deadlines *d = &o->deadlines;
	int r = 0;
	for (size_t i = 0; r == 0 && i < c->n_addrs; i++)
		r = plan_set_dim(plan, c->addrs[i].family == ADDR_V4 ? DIM_V4 : DIM_V6,
		                 DIM_CONTAINED, NULL);
	if (r == 0)
		r = plan_set_dim(plan, DIM_SESSIONS, DIM_CONTAINED, NULL);
	if (r == 0 && (d->confirm_by_wall || d->until_wall))
		r = plan_note(plan,
		              "the device itself takes the tags away when the time has passed "
		              "(at most 30 days; what lasts longer is lifted by stanch guard "
		              "--points, stanch-keeper.service, else by the next stanch command)");
	return r < 0 ? err_set(e, r, "out of memory while planning") : 0;
}

static int check_ready(struct panos *p, struct err *e)
{
	struct buf missing = BUF_INIT(TEXT_MAX);
	int r = check_active(p, e);
	if (r == 0)
		r = panos_check_setup(p, &missing, e);
	if (r == 0 && missing.len)
		r = err_set(e, -EOPNOTSUPP, "it is not prepared (%.*s); run stanch points setup %s",
		            (int)strcspn(buf_str(&missing), "\n"), buf_str(&missing),
		            p->point->name);
	buf_free(&missing);
	return r;
}

static int panos_plan(void *ctx, const struct order *o, const struct holds *others,
                      struct plan *ret, struct err *e)
{
	struct panos *p = ctx;
	struct panos_cut c = {0};
	struct err why = {0};
	int r = fill_addrs(p, o, &c, e);
	if (r == 0)
		r = fill_permits(o, &c, e);
	if (r == 0)
		r = refuse_again(others, &c, e);
	if (r == 0)
		r = check_ready(p, e);
	if (r == 0)
		r = add_steps(p, o, &c, ret, e);
	if (r == 0 && with_sessions(p, &c, note_sessions, ret, &why) < 0)
		r = plan_note(ret, "who they talk to now could not be read: %s", why.text);
	if (r == 0)
		r = add_notes(o, &c, ret, e);
	panos_cut_free(&c);
	return r;
}

/* --- the rest of the table --- */

static int panos_prepare(void *ctx, const struct order *o, struct step *s, struct err *e)
{
	struct buf out = BUF_INIT(256u << 10);
	struct panos_cut c = {0};
	if (strcmp(s->kind, KIND_SESSIONS) != 0)
		return 0;
	int r = panos_cut_from_json(s->forward, &c, e);
	if (r == 0)
		r = each_session(ctx, &c, "show", &out, NULL, e);
	if (r == 0)
		r = ssh_point_evidence(&out, "session_table", &s->evidence, e);
	panos_cut_free(&c);
	buf_free(&out);
	return r;
}

/* Seconds that the device's own clock is to run; 0: for ever, or longer than it can. */
static unsigned seconds_left(const struct deadlines *d)
{
	usec_t now = wall_now(), end = d->confirm_by_wall;
	if (!end || (d->until_wall && d->until_wall < end))
		end = d->until_wall;
	if (!end)
		return 0;
	usec_t left = end > now ? (end - now + USEC_PER_SEC - 1) / USEC_PER_SEC : 1;
	return left > TIMEOUT_MAX ? 0 : left ? (unsigned)left : 1;
}

/* Addresses that another order wants, too, keep the tag without a time-out. */
static int register_all(struct panos *p, const struct panos_cut *c, const struct holds *others,
                        unsigned seconds, struct err *e)
{
	struct panos_cut *v = NULL, mine = *c, shared = *c;
	size_t n = 0;
	int r = wanted_by(others, &v, &n, e);
	mine.n_addrs = shared.n_addrs = 0;
	mine.addrs = calloc(c->n_addrs, sizeof *mine.addrs);
	shared.addrs = calloc(c->n_addrs, sizeof *shared.addrs);
	if (r == 0 && (!mine.addrs || !shared.addrs))
		r = err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < c->n_addrs; i++) {
		struct panos_cut *to = in_any(&c->addrs[i], c->kind, v, n) ? &shared : &mine;
		to->addrs[to->n_addrs++] = c->addrs[i];
	}
	if (r == 0 && mine.n_addrs)
		r = panos_register(p, &mine, seconds, e);
	if (r == 0 && shared.n_addrs)
		r = panos_register(p, &shared, 0, e);
	free(mine.addrs);
	free(shared.addrs);
	wanted_free(v, n);
	return r;
}

/* What was set and not committed would go in with somebody's next commit. */
static int apply_permits(struct panos *p, const struct panos_cut *c, struct err *e)
{
	struct err why = {0};
	int r = panos_add_permits(p, c, e);
	if (r < 0 && panos_remove_permits(p, c, &why) < 0)
		err_prefix(e, r, "the candidate configuration still holds rules %s-keep… (%.120s)",
		           c->name, why.text);
	return r;
}

static int panos_apply(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                       struct err *e)
{
	struct panos *p = ctx;
	struct panos_cut c = {0};
	int r = panos_cut_from_json(s->forward, &c, e);
	if (r < 0)
		return r;
	if (!strcmp(s->kind, KIND_PERMITS))
		r = apply_permits(p, &c, e);
	else if (!strcmp(s->kind, KIND_TAGS))
		r = register_all(p, &c, others, seconds_left(&o->deadlines), e);
	else
		r = each_session(p, &c, "clear", NULL, NULL, e);
	panos_cut_free(&c);
	return r;
}

static int verify_permits(struct panos *p, const struct panos_cut *c, struct readback *ret,
                          struct err *e)
{
	size_t n = 0, of = 0;
	int r = panos_count_permits(p, c, &n, &of, e);
	if (r < 0)
		return r;
	ret->verdict = n == of ? VERDICT_HOLDS : n ? VERDICT_DRIFTED : VERDICT_ABSENT;
	if (n != of &&
	    asprintf(&ret->drift, "%zu of %zu rules %s-keep… run at the top", n, of, c->name) < 0)
		ret->drift = NULL;
	return 0;
}

static int verify_tags(struct panos *p, const struct panos_cut *c, struct readback *ret,
                       struct err *e)
{
	struct buf drift = BUF_INIT(TEXT_MAX);
	struct addr missing = {0};
	char text[ADDR_STR_MAX];
	size_t n = 0;
	int r = panos_count(p, c, &n, &missing, e);
	if (r == 0)
		r = panos_check_setup(p, &drift, e);
	if (r == 0 && n < c->n_addrs)
		buf_addf(&drift, "%zu of %zu addresses have no tag, the first is %s\n",
		         c->n_addrs - n, c->n_addrs, addr_str(&missing, text));
	if (r == 0) {
		ret->verdict = !drift.len ? VERDICT_HOLDS : n ? VERDICT_DRIFTED : VERDICT_ABSENT;
		enum dim_state d = point_dim(ret->verdict);
		for (size_t i = 0; i < c->n_addrs; i++)
			ret->dims[c->addrs[i].family == ADDR_V4 ? DIM_V4 : DIM_V6] = d;
		ret->drift = drift.len ? buf_steal(&drift) : NULL;
	}
	buf_free(&drift);
	return r;
}

static int panos_verify(void *ctx, const struct order *o, const struct step *s,
                        const struct holds *others, struct readback *ret, struct err *e)
{
	struct panos_cut c = {0};
	int r = panos_cut_from_json(s->forward, &c, e);
	if (r < 0)
		return r;
	if (!strcmp(s->kind, KIND_SESSIONS))
		r = with_sessions(ctx, &c, judge_sessions, ret, e);
	else
		r = (!strcmp(s->kind, KIND_PERMITS) ? verify_permits : verify_tags)(ctx, &c, ret,
		                                                                    e);
	panos_cut_free(&c);
	return r;
}

static int panos_undo(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                      struct err *e)
{
	struct panos_cut c = {0}, *v = NULL;
	size_t n = 0;
	int r = panos_cut_from_json(s->inverse, &c, e);
	if (r == 0 && !strcmp(s->kind, KIND_PERMITS))
		r = panos_remove_permits(ctx, &c, e);
	else if (r == 0 && (r = wanted_by(others, &v, &n, e)) == 0)
		r = panos_unregister(ctx, &c, v, n, e);
	wanted_free(v, n);
	panos_cut_free(&c);
	return r;
}

static int panos_rearm(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                       struct err *e)
{
	struct panos_cut c = {0};
	struct addr missing;
	size_t n = 0;
	int r = panos_cut_from_json(s->forward, &c, e);
	if (r == 0 && !strcmp(s->kind, KIND_TAGS)) {
		r = panos_count(ctx, &c, &n, &missing, e);
		if (r == 0 && !n)
			r = err_set(e, -ENOENT, "the tags of o%u are not there any more", o->id);
		if (r == 0)
			r = register_all(ctx, &c, others, seconds_left(&o->deadlines), e);
	}
	panos_cut_free(&c);
	return r;
}

static int panos_describe(void *ctx, const struct order *o, const struct step *s, struct buf *out,
                          struct err *e)
{
	struct panos_cut c = {0};
	char text[ADDR_STR_MAX];
	unsigned seconds = seconds_left(&o->deadlines);
	int r = panos_cut_from_json(s->forward, &c, e);
	for (size_t i = 0; r == 0 && i < c.n_addrs; i++) {
		addr_str(&c.addrs[i], text);
		if (!strcmp(s->kind, KIND_TAGS))
			buf_addf(out, "type=user-id register ip=%s tag=%s timeout=%u\n", text,
			         panos_tags[c.kind][seconds ? PANOS_ARMED : PANOS_HELD], seconds);
		else if (!strcmp(s->kind, KIND_SESSIONS))
			buf_addf(out,
			         "clear session all filter source %s\n"
			         "clear session all filter destination %s\n",
			         text, text);
	}
	if (r == 0 && !strcmp(s->kind, KIND_PERMITS))
		buf_addf(out,
		         "type=config action=set rules %s-keep1 …; action=move where=top; commit "
		         "partial admin; poll the job\n",
		         c.name);
	panos_cut_free(&c);
	return r < 0 ? r : out->error;
}

/* Registered addresses carry no token: what has a tag of ours and no order's address is a stray. */
static int panos_strays(void *ctx, const struct holds *claims, bool remove, struct buf *out,
                        struct err *e)
{
	struct panos *p = ctx;
	struct panos_cut *v = NULL;
	size_t n = 0;
	int r = wanted_by(claims, &v, &n, e);
	for (int kind = 0; r == 0 && kind < _PANOS_KIND_MAX; kind++) {
		struct panos_cut stray = {.kind = (enum panos_kind)kind};
		r = panos_tagged(p, stray.kind, &stray, e);
		for (size_t i = 0; r == 0 && i < stray.n_addrs; i++) {
			char text[ADDR_STR_MAX];
			if (!in_any(&stray.addrs[i], stray.kind, v, n))
				buf_addf(out, "registered address %s, %s\n",
				         addr_str(&stray.addrs[i], text),
				         panos_kind_str(stray.kind));
		}
		if (r == 0 && remove)
			r = panos_unregister(p, &stray, v, n, e);
		panos_cut_free(&stray);
	}
	wanted_free(v, n);
	return r;
}

static int check_host(const char *text, struct err *e)
{
	size_t n = strlen(text);
	if (n > 255 || strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                            "0123456789.-:[]") != n)
		return err_set(e, -EINVAL, "\"%.60s\" is no HOST[:PORT]", text);
	return 0;
}

static int check_name(const char *text, struct err *e)
{
	if (text[strspn(text,
	                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_. ")])
		return err_set(e, -EINVAL, "\"%.60s\" is no name of a virtual system", text);
	return 0;
}

static const struct setting_key panos_settings[] = {
    {"address", false, true, "HOST[:PORT]", "Where its management interface answers.", check_host},
    {"ca_file", false, false, "FILE", "Who has signed its certificate (PEM).", NULL},
    {"key_file", false, false, "FILE", "A file that holds the API key.", NULL},
    {"key_env", false, false, "NAME", "A variable of the environment that holds it.", NULL},
    {"user", false, true, "NAME",
     "The administrator whose key it is: only that one's changes are "
     "committed.",
     NULL},
    {"vsys", false, false, "NAME", "The virtual system (default vsys1).", check_name},
    {NULL},
};

const struct driver_ops panos_driver = {
    .name = "panos",
    .settings = panos_settings,
    .open = panos_open,
    .close = panos_close,
    .probe = panos_probe,
    .setup = panos_setup,
    .plan = panos_plan,
    .prepare = panos_prepare,
    .apply = panos_apply,
    .verify = panos_verify,
    .undo = panos_undo,
    .rearm = panos_rearm,
    .describe = panos_describe,
    .strays = panos_strays,
};
