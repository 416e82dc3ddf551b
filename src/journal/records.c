/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Incidents, orders, steps, findings and notes: what the engine and the verbs store and ask. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "journal/codec.h"
#include "journal/db.h"
#include "journal/feeds.h"
#include "journal/schema.h"
#include "journal/store.h"

#define SUBJECT_MAX 40

static int no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "out of memory while using the journal");
}

/* --- incidents --- */

static bool name_fits(const char *s)
{
	static const char ok[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t n = strlen(s);
	return n && n < INCIDENT_ID_MAX && strspn(s, ok) == n && s[0] != '.' && s[0] != '-';
}

struct incident_query {
	const char *name; /* NULL: the one in use */
	struct incident found;
	bool any;
};

static int incident_find_op(struct journal *j, void *arg, struct err *e)
{
	struct incident_query *q = arg;
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	q->any = false;
	int r = db_query(j->at.db, &s, e,
	                 "SELECT name, opened, closed, in_use FROM incidents WHERE "
	                 "(?1 IS NULL AND in_use=1) OR name=?1",
	                 "t", q->name);
	if (!r)
		r = db_step(s, e);
	if (r != 1)
		return r;
	snprintf(q->found.name, sizeof q->found.name, "%s", db_text(s, 0));
	q->found.opened = (usec_t)sqlite3_column_int64(s, 1);
	q->found.closed = (usec_t)sqlite3_column_int64(s, 2);
	q->found.in_use = sqlite3_column_int(s, 3) != 0;
	q->any = true;
	return 0;
}

static int incident_find(struct journal *j, struct incident_query *q, struct err *e)
{
	return store_read(j, incident_find_op, q, e);
}

static int incident_must(struct journal *j, const char *name, struct incident_query *q,
                         struct err *e)
{
	q->name = name;
	int r = incident_find(j, q, e);
	if (!r && !q->any)
		r = err_set(e, -ENOENT,
		            "there is no incident \"%.63s\"; `stanch incident list` shows them, "
		            "`stanch incident new` opens one",
		            name);
	return r;
}

int journal_incident_new(struct journal *j, const char *name, struct err *e)
{
	struct incident_query q = {.name = name};
	if (!name_fits(name))
		return err_set(e, -EINVAL,
		               "\"%.70s\" is no name for an incident: letters, digits, dot, hyphen "
		               "and underscore, at most %d",
		               name, INCIDENT_ID_MAX - 1);
	int r = incident_find(j, &q, e);
	if (!r && q.any)
		r = err_set(e, -EEXIST, "the incident %s exists; `stanch incident use %s`", name,
		            name);
	if (!r)
		r = store_emit(j, "incident.new", name, "{}", e);
	if (!r)
		snprintf(j->incident, sizeof j->incident, "%s", name);
	return r;
}

int journal_incident_use(struct journal *j, const char *name, struct err *e)
{
	struct incident_query q;
	int r = incident_must(j, name, &q, e);
	if (!r && q.found.closed)
		r = err_set(e, -EINVAL, "the incident %s is closed; open a new one", name);
	if (!r && !q.found.in_use)
		r = store_emit(j, "incident.use", name, "{}", e);
	if (!r)
		snprintf(j->incident, sizeof j->incident, "%s", name);
	return r;
}

int journal_incident_close(struct journal *j, const char *name, struct err *e)
{
	struct incident_query q;
	unsigned *ids = NULL;
	size_t n = 0;
	int r = incident_must(j, name, &q, e);
	if (!r && q.found.closed)
		r = err_set(e, -EALREADY, "the incident %s is closed already", name);
	if (!r)
		r = journal_list_orders(j, name, true, &ids, &n, e);
	if (!r && n)
		r = err_set(e, -EBUSY,
		            "%zu orders of incident %s are in force, the first is o%u: undo them "
		            "or keep the incident open",
		            n, name, ids[0]);
	free(ids);
	if (!r)
		r = store_emit(j, "incident.close", name, "{}", e);
	if (!r && !strcmp(j->incident, name))
		j->incident[0] = '\0';
	return r;
}

/* "2026-11-24-web01", and "-2" … behind it when that is taken. */
static int incident_by_date(struct journal *j, struct err *e)
{
	char host[32] = "", date[16] = "", name[INCIDENT_ID_MAX];
	time_t now = (time_t)(wall_now() / USEC_PER_SEC);
	struct tm tm;
	gethostname(host, sizeof host - 1);
	host[strcspn(host, ".")] = '\0';
	if (gmtime_r(&now, &tm))
		strftime(date, sizeof date, "%Y-%m-%d", &tm);
	for (unsigned i = 1; i < 1000; i++) {
		snprintf(name, sizeof name, "%s-%s", date, name_fits(host) ? host : "host");
		if (i > 1)
			snprintf(name + strlen(name), 8, "-%u", i);
		int r = journal_incident_new(j, name, e);
		if (r != -EEXIST)
			return r;
	}
	return err_set(e, -EEXIST, "there are too many incidents today; name one");
}

int journal_incident(struct journal *j, const char *name, char ret[static INCIDENT_ID_MAX],
                     struct err *e)
{
	struct incident_query q = {.name = name};
	int r = 0;
	if (name) {
		r = incident_must(j, name, &q, e);
		if (!r && q.found.closed)
			r = err_set(e, -EINVAL, "the incident %s is closed; open a new one", name);
	} else if (j->incident[0]) {
		snprintf(q.found.name, sizeof q.found.name, "%s", j->incident);
		q.any = true;
	} else {
		r = incident_find(j, &q, e);
	}
	if (r)
		return r;
	if (q.any)
		snprintf(j->incident, sizeof j->incident, "%s", q.found.name);
	else
		r = incident_by_date(j, e);
	if (!r)
		strcpy(ret, j->incident);
	return r;
}

struct list {
	void *v;
	size_t n;
	const char *incident;
	bool only_open;
};

static void *list_grow(struct list *l, size_t size)
{
	char *v = realloc(l->v, (l->n + 1) * size);
	if (!v)
		return NULL;
	l->v = v;
	memset(v + l->n * size, 0, size);
	return v + l->n++ * size;
}

static void list_reset(struct list *l)
{
	free(l->v);
	l->v = NULL;
	l->n = 0;
}

static int incidents_op(struct journal *j, void *arg, struct err *e)
{
	struct list *l = arg;
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	list_reset(l);
	int r =
	    db_query(j->at.db, &s, e,
	             "SELECT name, opened, closed, in_use, (SELECT count(*) FROM orders o WHERE "
	             "o.incident=i.name), (SELECT count(*) FROM findings f WHERE "
	             "f.incident=i.name) FROM incidents i ORDER BY opened",
	             "");
	while (!r && (r = db_step(s, e)) == 1) {
		struct incident *i = list_grow(l, sizeof *i);
		if (!i)
			return no_memory(e);
		snprintf(i->name, sizeof i->name, "%s", db_text(s, 0));
		i->opened = (usec_t)sqlite3_column_int64(s, 1);
		i->closed = (usec_t)sqlite3_column_int64(s, 2);
		i->in_use = sqlite3_column_int(s, 3) != 0;
		i->n_orders = (unsigned)sqlite3_column_int(s, 4);
		i->n_findings = (unsigned)sqlite3_column_int(s, 5);
		r = 0;
	}
	return r;
}

int journal_incidents(struct journal *j, struct incident **ret, size_t *ret_n, struct err *e)
{
	struct list l = {0};
	int r = store_read(j, incidents_op, &l, e);
	if (r) {
		free(l.v);
		return r;
	}
	*ret = l.v;
	*ret_n = l.n;
	return 0;
}

/* --- orders --- */

static int next_id_op(struct journal *j, void *arg, struct err *e)
{
	int64_t max = 0;
	int r = db_number(j->at.db, &max, e, "SELECT max(id) FROM orders", "");
	if (!r)
		*(unsigned *)arg = max + 1 > j->first_order ? (unsigned)max + 1 : j->first_order;
	return r;
}

static char *order_body(const struct order *o)
{
	struct buf b = BUF_INIT(CODEC_MAX);
	if (order_to_json(o, &b)) {
		buf_free(&b);
		return NULL;
	}
	return buf_steal(&b);
}

static void step_subject(const struct step *s, char dst[static SUBJECT_MAX])
{
	snprintf(dst, SUBJECT_MAX, "o%u.%u", s->order_id, s->seq);
}

static int put_plan(struct journal *j, unsigned id, const struct plan *p, struct err *e)
{
	char subject[SUBJECT_MAX];
	snprintf(subject, sizeof subject, "o%u", id);
	int r = store_emit_owned(j, "plan", subject, codec_plan(p), e);
	for (size_t i = 0; !r && i < p->n_steps; i++) {
		step_subject(&p->steps[i], subject);
		r = store_emit_owned(j, "step", subject, codec_step(&p->steps[i]), e);
	}
	return r;
}

static void number_steps(unsigned id, const struct plan *p)
{
	for (size_t i = 0; i < p->n_steps; i++) {
		p->steps[i].order_id = id;
		p->steps[i].seq = (unsigned)i + 1;
	}
}

static int put_new(struct journal *j, struct order *o, const struct plan *p, struct err *e)
{
	char incident[INCIDENT_ID_MAX], subject[SUBJECT_MAX];
	unsigned id = 0;
	int r = journal_incident(j, NULL, incident, e);
	if (!r)
		r = store_read(j, next_id_op, &id, e);
	if (r)
		return r;
	o->id = id;
	number_steps(id, p);
	snprintf(subject, sizeof subject, "o%u", id);
	r = store_emit_owned(j, "order", subject, order_body(o), e);
	if (!r)
		r = put_plan(j, id, p, e);
	if (r)
		o->id = 0;
	return r;
}

static bool same_steps(const struct plan *a, const struct plan *b)
{
	bool same = a->n_steps == b->n_steps;
	for (size_t i = 0; same && i < a->n_steps; i++)
		same = !strcmp(a->steps[i].token, b->steps[i].token);
	return same;
}

static int put_known(struct journal *j, struct order *o, const struct plan *p, struct err *e)
{
	struct order was = {0};
	struct plan had = {0};
	int r = journal_get_order(j, o->id, &was, &had, NULL, e);
	if (r)
		return r;
	number_steps(o->id, p);
	r = journal_put_order_state(j, o, e);
	if (!r && !same_steps(p, &had))
		r = put_plan(j, o->id, p, e);
	else
		for (size_t i = 0; !r && i < p->n_steps; i++)
			r = journal_put_step(j, &p->steps[i], e);
	order_free(&was);
	plan_free(&had);
	return r;
}

int journal_put_order(struct journal *j, struct order *o, const struct plan *p, struct err *e)
{
	bool own = !j->in_transaction;
	int r = own ? journal_begin(j, e) : 0;
	if (r)
		return r;
	unsigned id = o->id;
	r = feeds_store(j, o, e);
	if (!r)
		r = id ? put_known(j, o, p, e) : put_new(j, o, p, e);
	if (own && !r)
		r = journal_commit(j, e);
	if (r) {
		o->id = id;
		journal_rollback(j);
	}
	return r;
}

int journal_put_order_state(struct journal *j, const struct order *o, struct err *e)
{
	struct order short_form = *o;
	char subject[SUBJECT_MAX];
	short_form.n_targets = short_form.n_permits = short_form.n_feeds = 0;
	snprintf(subject, sizeof subject, "o%u", o->id);
	return store_emit_owned(j, "order.state", subject, order_body(&short_form), e);
}

struct step_query {
	unsigned order_id, seq;
	struct step found;
};

static int step_find_op(struct journal *j, void *arg, struct err *e)
{
	struct step_query *q = arg;
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	step_free(&q->found);
	int r = db_query(j->at.db, &s, e, CODEC_STEP_SELECT, "i", (int64_t)q->order_id);
	while (!r && (r = db_step(s, e)) == 1) {
		r = 0;
		if ((unsigned)sqlite3_column_int64(s, 0) == q->seq)
			return codec_read_step(s, q->order_id, &q->found, e);
	}
	return r ? r : err_set(e, -ENOENT, "o%u has no step %u", q->order_id, q->seq);
}

int journal_put_step(struct journal *j, const struct step *s, struct err *e)
{
	struct step_query q = {s->order_id, s->seq, {{0}}};
	char subject[SUBJECT_MAX];
	int r = store_read(j, step_find_op, &q, e);
	if (r)
		return r;
	char *body = codec_step_change(&q.found, s);
	step_free(&q.found);
	step_subject(s, subject);
	if (body && !strcmp(body, "{}")) {
		free(body);
		return 0;
	}
	return store_emit_owned(j, "step.change", subject, body, e);
}

int journal_put_pending(struct journal *j, unsigned id, const char *what, struct err *e)
{
	char subject[SUBJECT_MAX];
	snprintf(subject, sizeof subject, "o%u", id);
	return store_emit_owned(j, "order.pending", subject, codec_texts("pending", what, NULL), e);
}

struct order_query {
	unsigned id;
	struct order o;
	struct plan p;
	char incident[INCIDENT_ID_MAX], pending[32];
};

static int no_order(unsigned id, struct err *e)
{
	return err_set(e, -ENOENT, "there is no order o%u; `stanch status` shows them", id);
}

static int pending_op(struct journal *j, void *arg, struct err *e)
{
	struct order_query *q = arg;
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int r = db_query(j->at.db, &s, e, "SELECT pending FROM orders WHERE id=?1", "i",
	                 (int64_t)q->id);
	if (!r)
		r = db_step(s, e);
	if (r == 1)
		snprintf(q->pending, sizeof q->pending, "%s", db_text(s, 0));
	return r < 0 ? r : r == 1 ? 0 : no_order(q->id, e);
}

int journal_get_pending(struct journal *j, unsigned id, char ret[static 32], struct err *e)
{
	struct order_query q = {.id = id};
	int r = store_read(j, pending_op, &q, e);
	if (!r)
		strcpy(ret, q.pending);
	return r;
}

static int read_steps(struct journal *j, struct order_query *q, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int r = db_query(j->at.db, &s, e, CODEC_STEP_SELECT, "i", (int64_t)q->id);
	while (!r && (r = db_step(s, e)) == 1) {
		struct step read;
		r = codec_read_step(s, q->id, &read, e);
		if (r)
			return r;
		struct step *v = realloc(q->p.steps, (q->p.n_steps + 1) * sizeof *v);
		if (!v) {
			step_free(&read);
			return no_memory(e);
		}
		q->p.steps = v;
		v[q->p.n_steps++] = read;
	}
	return r;
}

static int read_order(struct journal *j, struct order_query *q, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int r = db_query(j->at.db, &s, e,
	                 "SELECT o.body, o.incident, p.body FROM orders o LEFT JOIN plans p ON "
	                 "p.order_id=o.id WHERE o.id=?1",
	                 "i", (int64_t)q->id);
	if (!r)
		r = db_step(s, e);
	if (r != 1)
		return r < 0 ? r : no_order(q->id, e);
	r = order_from_json(db_text(s, 0), &q->o, e);
	if (!r && q->o.id != q->id)
		r = err_set(e, -EBADMSG, "it says that it is o%u", q->o.id);
	if (!r)
		r = codec_read_plan(db_text(s, 2), &q->p, e);
	snprintf(q->incident, sizeof q->incident, "%s", db_text(s, 1));
	return r;
}

static int get_order_op(struct journal *j, void *arg, struct err *e)
{
	struct order_query *q = arg;
	order_free(&q->o);
	plan_free(&q->p);
	int r = read_order(j, q, e);
	if (!r)
		r = read_steps(j, q, e);
	if (!r) {
		feeds_open(j, &q->o);
		return 0;
	}
	order_free(&q->o);
	plan_free(&q->p);
	return r == -EBADMSG ? err_prefix(e, r, "order o%u in the journal is malformed", q->id) : r;
}

int journal_get_order(struct journal *j, unsigned id, struct order *ret_o, struct plan *ret_p,
                      char *ret_incident, struct err *e)
{
	struct order_query q = {.id = id};
	int r = store_read(j, get_order_op, &q, e);
	if (r)
		return r;
	*ret_o = q.o;
	*ret_p = q.p;
	if (ret_incident)
		memcpy(ret_incident, q.incident, INCIDENT_ID_MAX);
	return 0;
}

/* The first column of every row. */
static int list_ids(struct list *l, sqlite3_stmt *s, struct err *e)
{
	int r;
	while ((r = db_step(s, e)) == 1) {
		unsigned *id = list_grow(l, sizeof *id);
		if (!id)
			return no_memory(e);
		*id = (unsigned)sqlite3_column_int64(s, 0);
	}
	return r;
}

static int list_orders_op(struct journal *j, void *arg, struct err *e)
{
	struct list *l = arg;
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	list_reset(l);
	int r = db_query(j->at.db, &s, e,
	                 "SELECT id FROM orders o WHERE (?1 IS NULL OR incident=?1) AND (?2=0 OR "
	                 "state IN ('applying', 'unconfirmed', 'held', 'partial') OR EXISTS "
	                 "(SELECT 1 FROM steps s WHERE s.order_id=o.id AND s.state IN ('intent', "
	                 "'applied', 'verified', 'undoing', 'unknown'))) ORDER BY id",
	                 "ti", l->incident, (int64_t)l->only_open);
	return r ? r : list_ids(l, s, e);
}

static int list_findings_op(struct journal *j, void *arg, struct err *e)
{
	struct list *l = arg;
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	list_reset(l);
	int r = db_query(j->at.db, &s, e, "SELECT id FROM findings WHERE incident=?1 ORDER BY id",
	                 "t", l->incident);
	return r ? r : list_ids(l, s, e);
}

static int list_by(struct journal *j, struct list *l,
                   int (*op)(struct journal *j, void *arg, struct err *e), unsigned **ret,
                   size_t *ret_n, struct err *e)
{
	int r = store_read(j, op, l, e);
	if (r) {
		free(l->v);
		return r;
	}
	*ret = l->v;
	*ret_n = l->n;
	return 0;
}

int journal_list_orders(struct journal *j, const char *incident, bool only_open, unsigned **ret,
                        size_t *ret_n, struct err *e)
{
	struct list l = {.incident = incident, .only_open = only_open};
	return list_by(j, &l, list_orders_op, ret, ret_n, e);
}

int journal_list_findings(struct journal *j, const char *incident, unsigned **ret, size_t *ret_n,
                          struct err *e)
{
	struct list l = {.incident = incident};
	return list_by(j, &l, list_findings_op, ret, ret_n, e);
}

/* --- findings, notes, reading all --- */

int journal_put_finding(struct journal *j, struct finding *f, struct err *e)
{
	char incident[INCIDENT_ID_MAX], subject[SUBJECT_MAX];
	int64_t max = 0;
	int r = journal_incident(j, NULL, incident, e);
	if (!r && !f->id)
		r = db_number(j->at.db, &max, e, "SELECT max(id) FROM findings", "");
	if (r)
		return r;
	unsigned id = f->id ? f->id : (unsigned)max + 1;
	snprintf(subject, sizeof subject, "f%u", id);
	r = store_emit_owned(j, "finding", subject, codec_finding(f), e);
	if (!r)
		f->id = id;
	return r;
}

struct finding_query {
	unsigned id;
	struct finding f;
};

static int get_finding_op(struct journal *j, void *arg, struct err *e)
{
	struct finding_query *q = arg;
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int r =
	    db_query(j->at.db, &s, e, "SELECT body FROM findings WHERE id=?1", "i", (int64_t)q->id);
	if (!r)
		r = db_step(s, e);
	if (r < 0)
		return r;
	if (!r)
		return err_set(e, -ENOENT, "there is no finding f%u in the journal", q->id);
	r = codec_read_finding(db_text(s, 0), &q->f, e);
	return r == -EBADMSG ? err_prefix(e, r, "finding f%u in the journal is malformed", q->id)
	                     : r;
}

int journal_get_finding(struct journal *j, unsigned id, struct finding *ret, struct err *e)
{
	struct finding_query q = {.id = id};
	int r = store_read(j, get_finding_op, &q, e);
	if (r)
		return r;
	*ret = q.f;
	ret->id = id;
	return 0;
}

int journal_note(struct journal *j, const char *kind, const char *subject, const char *body,
                 struct err *e)
{
	if (entry_kind_parse(kind) >= 0 || !strncmp(kind, "journal.", 8))
		return err_set(e, -EINVAL, "\"%.40s\" is a kind that the journal writes by itself",
		               kind);
	return store_emit(j, kind, subject, body, e);
}

int journal_walk(struct journal *j, uint64_t from,
                 int (*cb)(void *arg, const struct journal_entry *), void *arg, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	struct row row;
	char hex[HASH_HEX_MAX];
	int r = db_query(j->at.db, &s, e, CHAIN_SELECT, "i", (int64_t)from);
	while (!r && (r = db_step(s, e)) == 1) {
		r = chain_row(s, &row, e);
		if (r)
			return r;
		struct journal_entry x = {.seq = row.seq,
		                          .wall = (usec_t)row.wall,
		                          .kind = row.kind,
		                          .subject = row.subject,
		                          .body = row.body,
		                          .hash = hex_encode(row.hash, SHA256_LEN, hex)};
		r = cb(arg, &x);
	}
	return r;
}
