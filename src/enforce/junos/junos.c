/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * lock → edit → commit, confirmed (which validates) → read back on another session → commit →
 * unlock.
 *
 * Invariants
 *  1. A candidate that holds somebody's uncommitted changes is never committed: its lock is refused
 *     (RFC 6241 7.5), and that is the error.
 *  2. What was committed and does not read back is taken away in the same session; if that session
 *     is lost, the device's own timer does it.
 *  3. Every session ends closed, and so without a lock; "rollback" is never used: it would take
 *     back the commits of others.
 */
#include "enforce/junos/junos.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "enforce/junos/cut.h"
#include "enforce/junos/session.h"
#include "enforce/point_payload.h"
#include "enforce/point_sessions.h"
#include "enforce/ssh_point.h"

#define PORT          830
#define KIND_FILTER   "junos.filter"
#define KIND_SESSIONS "junos.sessions"
#define CONFIRM       "120" /* seconds; for our own reading back, not for people */
#define EVIDENCE_MAX  (256u << 10)
#define RENDER_MAX    (8u << 20)

#define GET_CONFIG                                                                                 \
	"<get-config><source><running/></source><filter type=\"subtree\"><configuration "          \
	"xmlns=\"" JUNOS_NS "\"><interfaces/><firewall/></configuration></filter></get-config>"

struct junos {
	const struct point *point;
	struct ssh_point ssh;
};

static int junos_open(const struct point *p, void **ret_ctx, struct err *e)
{
	struct junos *j = calloc(1, sizeof *j);
	if (!j)
		return err_set(e, -ENOMEM, "out of memory");
	j->point = p;
	ssh_point_init(&j->ssh, p->config, PORT);
	*ret_ctx = j;
	return 0;
}

static void junos_close(void *ctx)
{
	free(ctx);
}

static int connect_to(const struct junos *j, struct netconf **ret, struct err *e)
{
	struct ssh_target t;
	struct secret secret = {0};
	int r = ssh_point_target(&j->ssh, &t, &secret, e);
	if (r == 0)
		r = netconf_open(&t, ret, e);
	secret_free(&secret);
	return r;
}

static int get_config(struct netconf *n, struct xml_doc **ret, const struct xml_node **config,
                      struct err *e)
{
	int r = netconf_rpc(n, GET_CONFIG, ret, e);
	if (r == 0)
		*config = xml_at(xml_root(*ret), "data/configuration");
	return r;
}

/* The configuration that runs, over a session of its own. */
static int read_running(const struct junos *j, struct xml_doc **ret, const struct xml_node **config,
                        struct err *e)
{
	struct netconf *n = NULL;
	int r = connect_to(j, &n, e);
	if (r == 0)
		r = get_config(n, ret, config, e);
	netconf_close(n);
	return r;
}

static int others_of(const struct holds *holds, junos_tag_t **ret, struct junos_others *o,
                     struct err *e)
{
	junos_tag_t *v = calloc(holds && holds->n ? holds->n : 1, sizeof *v);
	size_t n = 0;
	if (!v)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; holds && i < holds->n; i++)
		if (!strcmp(holds->v[i].step->kind, KIND_FILTER))
			junos_tag(holds->v[i].step->token, v[n++]);
	*ret = v;
	*o = (struct junos_others){(const junos_tag_t *)v, n};
	return 0;
}

static int read_back(const struct junos *j, const struct junos_cut *c, const struct holds *holds,
                     struct junos_reading *ret, struct buf *drift, struct err *e)
{
	struct xml_doc *d = NULL;
	const struct xml_node *config = NULL;
	struct junos_others others;
	junos_tag_t *tags = NULL;
	int r = others_of(holds, &tags, &others, e);
	if (r == 0)
		r = read_running(j, &d, &config, e);
	if (r == 0)
		junos_compare(c, config, &others, ret, drift);
	xml_free(d);
	free(tags);
	return r;
}

/* --- probe --- */

static int junos_probe(void *ctx, struct capabilities *ret, struct err *e)
{
	const struct junos *j = ctx;
	struct netconf *n = NULL;
	struct err why = {0};
	bool in = connect_to(j, &n, &why) == 0;
	point_can(ret, "login", in, why.text);
	point_can(ret, "candidate", in && netconf_can(n, ":candidate"),
	          "without a candidate nothing is changed here");
	point_can(ret, "confirmed commit", in && netconf_can(n, ":confirmed-commit"),
	          "a change that closes the way to the device is not rolled back by it");
	point_can(ret, "session clear", in && netconf_is_junos(n),
	          "not a Junos device; filters cut what is established all the same");
	netconf_close(n);
	return 0;
}

/* --- sessions of SRX devices --- */

static int command(struct netconf *n, const char *verb, const char *side, const struct prefix *p,
                   struct xml_doc **ret, struct err *e)
{
	char text[PREFIX_STR_MAX], body[256];
	snprintf(body, sizeof body,
	         "<command format=\"text\">%s security flow session %s %s</command>", verb, side,
	         prefix_str(p, text));
	return netconf_rpc(n, body, ret, e);
}

static const char *const sides[] = {"source-prefix", "destination-prefix"};

/* What is shown goes to out as it is, and to `table`; both may be NULL. */
static int each_session(const struct junos *j, struct netconf *n, const struct junos_cut *c,
                        const char *verb, struct buf *out, struct point_sessions *table,
                        struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < 2 * c->n_prefixes; i++) {
		struct xml_doc *d = NULL;
		r = command(n, verb, sides[i % 2], &c->prefixes[i / 2], &d, e);
		const char *text = r == 0 ? xml_text_at(xml_root(d), "output") : "";
		if (r == 0 && out)
			buf_addf(out, "%s\n", text);
		if (r == 0 && table)
			r = point_sessions_err(
			    session_table_junos(text, strlen(text), point_sessions_add, table),
			    j->point->name, e);
		xml_free(d);
	}
	return r;
}

static struct point_scope scope_of(const struct junos_cut *c)
{
	return (struct point_scope){c->prefixes, c->n_prefixes, c->permits, c->n_permits};
}

/* --- plan --- */

/* Isolation: the interfaces that face the asset; a block: those that face the outside. */
static int fill_places(const struct junos *j, const struct order *o, const struct xml_node *config,
                       struct junos_cut *c, struct err *e)
{
	const char *point = j->point->name, *text;
	const struct asset *a = o->verb == VERB_ISOLATE
	                            ? inventory_asset(j->point->inventory, o->targets[0].name)
	                            : NULL;
	const struct section *s = o->verb == VERB_ISOLATE ? a ? &a->s : NULL : j->point->config;
	const char *key = o->verb == VERB_ISOLATE ? "interface" : "interfaces";
	size_t n = strlen(point);
	int r = 0;
	for (size_t i = 0; s && r == 0 && (text = section_get(s, key, i)); i++) {
		if (o->verb == VERB_BLOCK)
			r = junos_find_places(c, config, text, e);
		else if (!strncmp(text, point, n) && text[n] == ':')
			r = junos_find_places(c, config, text + n + 1, e);
	}
	if (r == 0 && !c->n_places)
		r = o->verb == VERB_BLOCK
		        ? err_set(
		              e, -EINVAL,
		              "the configuration does not say which interfaces face the outside: "
		              "point \"%s\" { interfaces = {\"ge-0/0/0.0\"} }",
		              point)
		        : err_set(
		              e, -EINVAL,
		              "the configuration does not say which interface faces %.60s: asset "
		              "{ interface = {\"%s:ge-0/0/1.0\"} }",
		              o->targets[0].name, point);
	return r;
}

static bool same_prefixes(const struct junos_cut *a, const struct junos_cut *b)
{
	bool same = a->n_prefixes == b->n_prefixes;
	for (size_t i = 0; same && i < a->n_prefixes; i++)
		same = a->prefixes[i].len == b->prefixes[i].len &&
		       addr_equal(&a->prefixes[i].addr, &b->prefixes[i].addr);
	return same;
}

static int refuse_again(const struct holds *others, const struct order *o,
                        const struct junos_cut *c, struct err *e)
{
	for (size_t i = 0; others && i < others->n; i++) {
		struct junos_cut was = {0};
		const struct step *s = others->v[i].step;
		const struct order *other = others->v[i].order;
		if (strcmp(s->kind, KIND_FILTER) != 0 || other->verb != o->verb || !s->forward ||
		    junos_cut_from_json(s->forward, &was, NULL) < 0)
			continue;
		bool same = same_prefixes(&was, c);
		junos_cut_free(&was);
		if (same)
			return err_set(e, -EALREADY, "order o%u does that here already", other->id);
	}
	return 0;
}

static void place_text(const struct junos_place *p, struct buf *out)
{
	static const char *const how[] = {
	    [JUNOS_TERMS] = "first in filter %s",
	    [JUNOS_LIST] = "in a filter %s, first in the list",
	    [JUNOS_OWN] = "in a new filter %s that accepts the rest",
	};
	char text[2 * JUNOS_NAME_MAX];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof text, how[p->mode], p->filter);
#pragma GCC diagnostic pop
	buf_addf(out, "%s of %s.%s (%s): %s", junos_way_str(p->way), p->interface, p->unit,
	         p->family == ADDR_V4 ? "inet" : "inet6", text);
}

static char *effect_text(const struct junos_cut *c, const struct order *o)
{
	struct buf out = BUF_INIT(256u << 10);
	char text[PREFIX_STR_MAX];
	buf_addf(&out, "discards what comes from or goes to ");
	for (size_t i = 0; i < c->n_prefixes; i++)
		buf_addf(&out, "%s%s", i ? ", " : "", prefix_str(&c->prefixes[i], text));
	buf_addf(&out, "%s", c->n_permits ? ", except " : "");
	for (size_t i = 0, k = 0; i < o->n_permits; i++)
		if (o->permits[i].kind == PERMIT_FLOW) {
			buf_addf(&out, "%s", k++ ? "; " : "");
			permit_describe(&o->permits[i], &out);
		}
	buf_addf(&out, "; terms %s-… go to ", c->tag);
	for (size_t i = 0; i < c->n_places; i++) {
		buf_addf(&out, "%s", i ? "; " : "");
		place_text(&c->places[i], &out);
	}
	char *s = buf_steal(&out);
	buf_free(&out);
	return s;
}

static int add_filter_step(const struct junos *j, const struct order *o, struct junos_cut *c,
                           struct plan *p, struct err *e)
{
	struct step *s = plan_add_step(p, j->point->name, KIND_FILTER);
	if (!s)
		return err_set(e, -ENOMEM, "out of memory while planning");
	junos_tag(s->token, c->tag);
	int r = junos_cut_to_json(c, &s->forward, e);
	if (r < 0)
		return r;
	s->required = true;
	s->inverse = strdup(s->forward);
	s->effect = effect_text(c, o);
	s->undo_effect = strdup("deletes these terms, and a filter of ours when it is empty");
	return s->inverse && s->effect && s->undo_effect
	           ? 0
	           : err_set(e, -ENOMEM, "out of memory while planning");
}

/* The same payload: it says which sessions. A device that does not know the command (a router
 * without flow sessions) would refuse the step each time: it gets none. */
static int add_sessions_step(const struct junos *j, struct netconf *n, const struct junos_cut *c,
                             struct plan *p, struct err *e)
{
	const struct point_scope scope = scope_of(c);
	struct point_sessions table = {0};
	struct err why = {0};
	int r = each_session(j, n, c, "show", NULL, &table, &why);
	const bool unknown = r == -EOPNOTSUPP;
	if (unknown)
		r = plan_note(p,
		              "no session is cleared (%s); what is established is stopped by the "
		              "filter all the same: it is stateless",
		              why.text);
	else
		r = r == 0 ? point_sessions_note(&table, &scope, p, e)
		           : plan_note(p, "who they talk to now could not be read: %s", why.text);
	point_sessions_free(&table);
	if (r == 0 && unknown)
		return 0;
	struct step *s = r == 0 ? plan_add_step(p, j->point->name, KIND_SESSIONS) : NULL;
	if (!s)
		return err_set(e, -ENOMEM, "out of memory while planning");
	r = junos_cut_to_json(c, &s->forward, e);
	if (r < 0)
		return r;
	s->effect = strdup("clears the sessions of these addresses in the device's session table");
	s->no_inverse = strdup("a session that was cleared cannot be opened again from here");
	return s->effect && s->no_inverse ? 0 : err_set(e, -ENOMEM, "out of memory while planning");
}

static int add_notes(const struct order *o, const struct junos_cut *c,
                     const struct xml_node *config, bool confirmed, struct plan *p, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < c->n_places; i++) {
		struct buf shared = BUF_INIT(64u << 10);
		junos_sharers(&c->places[i], config, &shared);
		if (shared.len)
			r = plan_note(
			    p, "filter %s serves %s, too; only these addresses are cut there",
			    c->places[i].filter, buf_str(&shared));
		buf_free(&shared);
	}
	if (r == 0 && o->verb == VERB_ISOLATE)
		r = plan_note(p, "neighbours on the same segment are not reached through this "
		                 "device and are not cut by it");
	if (r == 0 && !confirmed)
		r = plan_note(p, "the device cannot roll back a commit by itself: if the way to it "
		                 "is lost, somebody has to go there");
	if (r == 0 && o->deadlines.confirm_by_wall)
		r = plan_note(
		    p,
		    "the device holds no deadline: when the time has passed stanch guard --points, "
		    "or the next stanch command that changes something, with this journal, "
		    "lifts this");
	return r < 0 ? err_set(e, r, "out of memory while planning") : 0;
}

static int add_dims(const struct junos_cut *c, struct plan *p, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < c->n_prefixes; i++)
		r = plan_set_dim(p, c->prefixes[i].addr.family == ADDR_V4 ? DIM_V4 : DIM_V6,
		                 DIM_CONTAINED, NULL);
	return r < 0 ? err_set(e, r, "out of memory while planning") : 0;
}

static int plan_from(const struct junos *j, const struct order *o, struct netconf *n,
                     struct junos_cut *c, struct plan *p, struct err *e)
{
	struct xml_doc *d = NULL;
	const struct xml_node *config = NULL;
	if (!netconf_can(n, ":candidate"))
		return err_set(e, -EOPNOTSUPP,
		               "the device has no candidate configuration (NETCONF :candidate): "
		               "nothing is changed that cannot be checked first");
	int r = get_config(n, &d, &config, e);
	if (r == 0)
		r = fill_places(j, o, config, c, e);
	if (r == 0)
		r = add_filter_step(j, o, c, p, e);
	if (r == 0 && netconf_is_junos(n))
		r = add_sessions_step(j, n, c, p, e);
	if (r == 0)
		r = add_notes(o, c, config, netconf_can(n, ":confirmed-commit"), p, e);
	if (r == 0)
		r = add_dims(c, p, e);
	xml_free(d);
	return r;
}

static int junos_plan(void *ctx, const struct order *o, const struct holds *others,
                      struct plan *ret, struct err *e)
{
	const struct junos *j = ctx;
	struct junos_cut c = {0};
	struct netconf *n = NULL;
	int r =
	    point_order_prefixes(j->point, o, JUNOS_PREFIXES_MAX, &c.prefixes, &c.n_prefixes, e);
	if (r == 0)
		r = point_order_permits(o, &c.permits, &c.n_permits, e);
	if (r == 0)
		r = refuse_again(others, o, &c, e);
	if (r == 0)
		r = connect_to(j, &n, e);
	if (r == 0)
		r = plan_from(j, o, n, &c, ret, e);
	netconf_close(n);
	junos_cut_free(&c);
	return r;
}

/* --- changing the configuration --- */

static int edit(struct netconf *n, const struct buf *config, struct err *e)
{
	struct buf out = BUF_INIT(RENDER_MAX + 256);
	buf_addf(&out, "<edit-config><target><candidate/></target><default-operation>merge"
	               "</default-operation><error-option>stop-on-error</error-option>");
	buf_add(&out, config->data, config->len);
	buf_addf(&out, "</edit-config>");
	int r = out.error ? err_set(e, out.error, "out of memory for the change")
	                  : netconf_rpc(n, buf_str(&out), NULL, e);
	buf_free(&out);
	return r;
}

static int lock(struct netconf *n, struct err *e)
{
	int r = netconf_rpc(n, "<lock><target><candidate/></target></lock>", NULL, e);
	return r == -EBUSY || r == -EIO
	           ? err_prefix(e, -EBUSY,
	                        "the candidate configuration cannot be locked (somebody edits it, "
	                        "or has left changes that are not committed)")
	           : r;
}

/* What was edited and not committed is dropped; whatever happens, the lock goes. */
static void unlock(struct netconf *n, bool discard)
{
	if (discard)
		netconf_rpc(n, "<discard-changes/>", NULL, NULL);
	netconf_rpc(n, "<unlock><target><candidate/></target></unlock>", NULL, NULL);
}

static int remove_in(struct netconf *n, const struct junos_cut *c, struct err *e)
{
	struct buf config = BUF_INIT(RENDER_MAX);
	struct xml_doc *d = NULL;
	const struct xml_node *running = NULL;
	unsigned found = 0;
	int r = get_config(n, &d, &running, e);
	if (r == 0)
		r = junos_render_removal(c, running, &config, &found);
	if (r == 0 && found)
		r = edit(n, &config, e);
	if (r == 0 && found)
		r = netconf_rpc(n, "<commit/>", NULL, e);
	buf_free(&config);
	xml_free(d);
	return r;
}

static int commit(struct netconf *n, struct err *e)
{
	return netconf_rpc(n,
	                   netconf_can(n, ":confirmed-commit")
	                       ? "<commit><confirmed/><confirm-timeout>" CONFIRM
	                         "</confirm-timeout></commit>"
	                       : "<commit/>",
	                   NULL, e);
}

/* Committed, not yet for good: seen by another session, then confirmed. */
static int prove(const struct junos *j, struct netconf *n, const struct junos_cut *c,
                 const struct holds *others, struct err *e)
{
	struct junos_reading reading = {0};
	struct buf drift = BUF_INIT(64u << 10);
	struct err why = {0};
	int r = read_back(j, c, others, &reading, &drift, e);
	if (r == 0 && reading.verdict != VERDICT_HOLDS)
		r = err_set(e, -EIO, "committed, but it reads back otherwise: %.300s",
		            drift.len ? buf_str(&drift) : "nothing is there");
	if (r == 0 && netconf_can(n, ":confirmed-commit"))
		r = netconf_rpc(n, "<commit/>", NULL, e);
	if (r < 0 && remove_in(n, c, &why) < 0)
		err_prefix(
		    e, r,
		    "not taken back by hand (%.160s); the device rolls it back within " CONFIRM
		    " s",
		    why.text);
	buf_free(&drift);
	return r;
}

static int change(struct netconf *n, const struct junos_cut *c, struct err *e)
{
	struct buf config = BUF_INIT(RENDER_MAX);
	struct xml_doc *d = NULL;
	const struct xml_node *running = NULL;
	enum junos_dialect dialect = netconf_is_junos(n) ? JUNOS_DIALECT : JUNOS_YANG;
	int r = get_config(n, &d, &running, e);
	if (r == 0 && junos_render(c, dialect, running, &config) < 0)
		r = err_set(e, -ENOMEM, "out of memory for the change");
	if (r == 0)
		r = edit(n, &config, e);
	if (r == 0)
		r = commit(n, e);
	buf_free(&config);
	xml_free(d);
	return r;
}

static int apply_filter(const struct junos *j, const struct junos_cut *c,
                        const struct holds *others, struct err *e)
{
	struct netconf *n = NULL;
	int r = connect_to(j, &n, e);
	if (r == 0)
		r = lock(n, e);
	if (r == 0) {
		r = change(n, c, e);
		if (r == 0)
			r = prove(j, n, c, others, e);
		unlock(n, r < 0);
	}
	netconf_close(n);
	return r;
}

/* --- sessions, and the rest of the table --- */

static int on_sessions(const struct junos *j, const struct step *s, const char *verb,
                       struct buf *out, struct err *e)
{
	struct junos_cut c = {0};
	struct netconf *n = NULL;
	int r = junos_cut_from_json(s->forward, &c, e);
	if (r == 0)
		r = connect_to(j, &n, e);
	if (r == 0)
		r = each_session(j, n, &c, verb, out, NULL, e);
	netconf_close(n);
	junos_cut_free(&c);
	return r;
}

static int verify_sessions(const struct junos *j, const struct junos_cut *c, struct readback *ret,
                           struct err *e)
{
	const struct point_scope scope = scope_of(c);
	struct point_sessions table = {0};
	struct netconf *n = NULL;
	int r = connect_to(j, &n, e);
	if (r == 0)
		r = each_session(j, n, c, "show", NULL, &table, e);
	if (r == 0)
		r = point_sessions_verdict(&table, &scope, ret, e);
	netconf_close(n);
	point_sessions_free(&table);
	return r;
}

static int junos_prepare(void *ctx, const struct order *o, struct step *s, struct err *e)
{
	struct buf out = BUF_INIT(EVIDENCE_MAX);
	if (strcmp(s->kind, KIND_SESSIONS) != 0)
		return 0;
	int r = on_sessions(ctx, s, "show", &out, e);
	if (r == 0)
		r = ssh_point_evidence(&out, "session_table", &s->evidence, e);
	buf_free(&out);
	return r;
}

static int junos_apply(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                       struct err *e)
{
	struct junos_cut c = {0};
	if (!strcmp(s->kind, KIND_SESSIONS))
		return on_sessions(ctx, s, "clear", NULL, e);
	int r = junos_cut_from_json(s->forward, &c, e);
	if (r == 0)
		r = apply_filter(ctx, &c, others, e);
	junos_cut_free(&c);
	return r;
}

static int junos_verify(void *ctx, const struct order *o, const struct step *s,
                        const struct holds *others, struct readback *ret, struct err *e)
{
	struct junos_cut c = {0};
	struct junos_reading reading = {0};
	struct buf drift = BUF_INIT(256u << 10);
	int r = junos_cut_from_json(s->forward, &c, e);
	if (r == 0 && !strcmp(s->kind, KIND_SESSIONS)) {
		r = verify_sessions(ctx, &c, ret, e);
		junos_cut_free(&c);
		return r;
	}
	if (r == 0)
		r = read_back(ctx, &c, others, &reading, &drift, e);
	if (r == 0) {
		enum dim_state d = point_dim(reading.verdict);
		ret->verdict = reading.verdict;
		for (size_t i = 0; i < c.n_prefixes; i++)
			ret->dims[c.prefixes[i].addr.family == ADDR_V4 ? DIM_V4 : DIM_V6] = d;
		ret->drift = drift.len ? buf_steal(&drift) : NULL;
	}
	buf_free(&drift);
	junos_cut_free(&c);
	return r;
}

/* The terms carry this step's tag, so they go though somebody has changed them; that is told. */
static int junos_undo(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                      struct err *e)
{
	const struct junos *j = ctx;
	struct junos_cut c = {0};
	struct junos_reading reading = {0};
	struct buf drift = BUF_INIT(64u << 10);
	struct netconf *n = NULL;
	int r = junos_cut_from_json(s->inverse, &c, e);
	if (r == 0)
		r = read_back(j, &c, others, &reading, &drift, e);
	bool there = r == 0 && reading.verdict != VERDICT_ABSENT;
	if (there)
		r = connect_to(j, &n, e);
	if (there && r == 0 && (r = lock(n, e)) == 0) {
		r = remove_in(n, &c, e);
		unlock(n, r < 0);
	}
	netconf_close(n);
	if (r == 0 && reading.verdict == VERDICT_DRIFTED && reading.changed)
		r = err_set(e, -ESTALE, "removed, but others had changed it since: %.300s",
		            buf_str(&drift));
	buf_free(&drift);
	junos_cut_free(&c);
	return r;
}

static int junos_rearm(void *ctx, const struct order *o, struct step *s, const struct holds *others,
                       struct err *e)
{
	return point_rearm(&junos_driver, ctx, o, s, others, "terms", e);
}

static int junos_describe_step(void *ctx, const struct order *o, const struct step *s,
                               struct buf *out, struct err *e)
{
	struct junos_cut c = {0};
	char text[PREFIX_STR_MAX];
	int r = junos_cut_from_json(s->forward, &c, e);
	if (r == 0 && strcmp(s->kind, KIND_SESSIONS) != 0) {
		buf_addf(out, "lock candidate\n");
		junos_describe(&c, false, out);
		buf_addf(out, "commit confirmed " CONFIRM " s; read back on a new session; commit; "
		              "unlock\n");
	}
	for (size_t i = 0; r == 0 && !strcmp(s->kind, KIND_SESSIONS) && i < c.n_prefixes; i++)
		for (size_t k = 0; k < ARRAY_SIZE(sides); k++)
			buf_addf(out, "clear security flow session %s %s\n", sides[k],
			         prefix_str(&c.prefixes[i], text));
	junos_cut_free(&c);
	return r < 0 ? r : out->error;
}

static int remove_strays(struct netconf *n, const struct junos_others *claims, struct err *e)
{
	struct buf config = BUF_INIT(RENDER_MAX), text = BUF_INIT(256u << 10);
	struct xml_doc *d = NULL;
	const struct xml_node *running = NULL;
	int r = lock(n, e);
	if (r < 0)
		return r;
	r = get_config(n, &d, &running, e);
	if (r == 0 && junos_strays(running, claims, &text, &config)) {
		r = edit(n, &config, e);
		if (r == 0)
			r = netconf_rpc(n, "<commit/>", NULL, e);
	}
	unlock(n, r < 0);
	xml_free(d);
	buf_free(&config);
	buf_free(&text);
	return r;
}

static int junos_find_strays(void *ctx, const struct holds *claims, bool remove, struct buf *out,
                             struct err *e)
{
	struct junos_others tags;
	junos_tag_t *v = NULL;
	struct netconf *n = NULL;
	struct xml_doc *d = NULL;
	const struct xml_node *config = NULL;
	struct buf removal = BUF_INIT(RENDER_MAX);
	size_t found = 0;
	int r = others_of(claims, &v, &tags, e);
	if (r == 0)
		r = connect_to(ctx, &n, e);
	if (r == 0)
		r = get_config(n, &d, &config, e);
	if (r == 0)
		found = junos_strays(config, &tags, out, &removal);
	if (r == 0 && remove && found)
		r = remove_strays(n, &tags, e);
	netconf_close(n);
	buf_free(&removal);
	xml_free(d);
	free(v);
	return r;
}

static const struct setting_key junos_settings[] = {
    SSH_POINT_SETTINGS,
    {"interfaces", true, false, "IFACE.UNIT",
     "The interfaces that face the outside: where block puts its terms.", NULL},
    {NULL},
};

const struct driver_ops junos_driver = {
    .name = "junos",
    .settings = junos_settings,
    .open = junos_open,
    .close = junos_close,
    .probe = junos_probe,
    .plan = junos_plan,
    .prepare = junos_prepare,
    .apply = junos_apply,
    .verify = junos_verify,
    .undo = junos_undo,
    .rearm = junos_rearm,
    .describe = junos_describe_step,
    .strays = junos_find_strays,
};
