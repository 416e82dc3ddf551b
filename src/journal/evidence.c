/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Evidence in the journal: entries of kind "evidence", subject e7; read from the chain itself, in
 * no view. The last entry of an id is what holds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/db.h"
#include "journal/store.h"

#define KIND        "evidence"
#define SUBJECT_MAX 16

static int next_op(struct journal *j, void *arg, struct err *e)
{
	int64_t max = 0;
	int r = db_number(j->at.db, &max, e,
	                  "SELECT max(CAST(substr(subject, 2) AS INTEGER)) FROM entries WHERE "
	                  "kind='" KIND "'",
	                  "");
	*(unsigned *)arg = (unsigned)max + 1;
	return r;
}

static int put(struct journal *j, struct evidence *v, struct err *e)
{
	char incident[INCIDENT_ID_MAX], subject[SUBJECT_MAX];
	unsigned id = v->id;
	int r = journal_incident(j, NULL, incident, e);
	if (!r && !id)
		r = store_read(j, next_op, &id, e);
	if (r)
		return r;
	snprintf(subject, sizeof subject, "e%u", id);
	r = store_emit_owned(j, KIND, subject, evidence_json(v), e);
	if (!r)
		v->id = id;
	return r;
}

int journal_put_evidence(struct journal *j, struct evidence *v, struct err *e)
{
	unsigned id = v->id;
	bool own = !j->in_transaction;
	int r = own ? journal_begin(j, e) : 0;
	if (r)
		return r;
	r = put(j, v, e);
	if (own && !r)
		r = journal_commit(j, e);
	if (r) {
		v->id = id;
		if (own)
			journal_rollback(j);
	}
	return r;
}

struct query {
	unsigned id;
	struct evidence found;
	char incident[INCIDENT_ID_MAX];
};

static int get_op(struct journal *j, void *arg, struct err *e)
{
	struct query *q = arg;
	char subject[SUBJECT_MAX];
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	snprintf(subject, sizeof subject, "e%u", q->id);
	int r = db_query(j->at.db, &s, e,
	                 "SELECT body, incident FROM entries WHERE kind='" KIND "' AND subject=?1 "
	                 "ORDER BY seq DESC LIMIT 1",
	                 "t", subject);
	if (!r)
		r = db_step(s, e);
	if (r < 0)
		return r;
	if (!r)
		return err_set(e, -ENOENT, "there is no evidence e%u in the journal", q->id);
	r = evidence_parse(db_text(s, 0), &q->found, e);
	snprintf(q->incident, sizeof q->incident, "%s", db_text(s, 1));
	return r == -EBADMSG ? err_prefix(e, r, "e%u in the journal is malformed", q->id) : r;
}

int journal_get_evidence(struct journal *j, unsigned id, struct evidence *ret, char *ret_incident,
                         struct err *e)
{
	struct query *q = calloc(1, sizeof *q);
	if (!q)
		return err_set(e, -ENOMEM, "out of memory while reading evidence");
	q->id = id;
	int r = store_read(j, get_op, q, e);
	if (!r) {
		*ret = q->found;
		ret->id = id;
		if (ret_incident)
			memcpy(ret_incident, q->incident, INCIDENT_ID_MAX);
	}
	free(q);
	return r;
}

struct list {
	const char *incident;
	unsigned *v;
	size_t n, cap;
};

static int list_op(struct journal *j, void *arg, struct err *e)
{
	struct list *l = arg;
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	l->n = 0;
	int r = db_query(j->at.db, &s, e,
	                 "SELECT DISTINCT CAST(substr(subject, 2) AS INTEGER) AS id FROM entries "
	                 "WHERE kind='" KIND "' AND (?1 IS NULL OR incident=?1) ORDER BY id",
	                 "t", l->incident);
	while (!r && (r = db_step(s, e)) == 1) {
		if (l->n == l->cap) {
			size_t cap = l->cap ? 2 * l->cap : 16;
			unsigned *v = realloc(l->v, cap * sizeof *v);
			if (!v)
				return err_set(e, -ENOMEM, "out of memory while reading evidence");
			l->v = v;
			l->cap = cap;
		}
		l->v[l->n++] = (unsigned)sqlite3_column_int64(s, 0);
		r = 0;
	}
	return r;
}

int journal_list_evidence(struct journal *j, const char *incident, unsigned **ret, size_t *ret_n,
                          struct err *e)
{
	struct list l = {.incident = incident};
	int r = store_read(j, list_op, &l, e);
	if (r) {
		free(l.v);
		return r;
	}
	*ret = l.v;
	*ret_n = l.n;
	return 0;
}
