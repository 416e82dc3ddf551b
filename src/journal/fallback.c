/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When the disk fails: the journal under /run, and back.
 *
 * Where the main journal can still be read, its whole chain is copied first and continued, so that
 * the entries can later be put behind it with the same hashes. Where it cannot, a new chain begins,
 * with order ids from STORE_STRANDED_ID; taken over, its entries get a place and a hash of their
 * own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "journal/codec.h"
#include "journal/db.h"
#include "journal/schema.h"
#include "journal/store.h"

int fallback_dir(const char *state_dir, char *dst, size_t n, struct err *e)
{
	uint8_t h[SHA256_LEN];
	char hex[SHA256_HEX_MAX];
	int r = sha256_of(state_dir, strlen(state_dir), h);
	if (r)
		return err_set(e, r, "cannot hash the path of the state directory: %s",
		               strerror(-r));
	snprintf(dst, n, STORE_RUN_DIR "/%.16s", hex_encode(h, sizeof h, hex));
	return 0;
}

static void run_path(const struct journal *j, const char *file, char dst[static 128])
{
	snprintf(dst, 128, "%s/%s", j->run_dir, file);
}

bool fallback_exists(const struct journal *j)
{
	char path[128];
	run_path(j, DB_FILE, path);
	return access(path, F_OK) == 0;
}

int fallback_copy(sqlite3 *from, struct store *to, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	struct tip seen;
	struct row row;
	memset(&seen, 0, sizeof seen);
	int r = db_run(to->db, e, "BEGIN IMMEDIATE", "");
	if (!r)
		r = db_query(from, &s, e, CHAIN_SELECT, "i", (int64_t)1);
	while (!r && (r = db_step(s, e)) == 1) {
		r = chain_row(s, &row, e);
		if (!r)
			r = chain_check(&seen, &row, e);
		if (!r)
			r = chain_append(to->db, &to->tip, &row, e);
	}
	if (!r)
		r = head_check(from, &seen, NULL, e);
	if (!r && seen.seq)
		r = head_write(to->db, &to->tip, to->key, e);
	if (!r)
		r = store_commit(to, e);
	if (r) {
		db_run(to->db, NULL, "ROLLBACK", "");
		memset(&to->tip, 0, sizeof to->tip);
	}
	return r;
}

/* A fallback that is broken itself is kept for a later look, out of the way. */
static int open_run(struct journal *j, struct store *ret, struct err *e)
{
	char aside[128];
	int r = store_dir(STORE_RUN_DIR, true, e);
	if (!r)
		r = store_dir(j->run_dir, true, e);
	if (!r)
		r = store_open(j->run_dir, ret, e);
	if (r != -EBADMSG)
		return r;
	snprintf(aside, sizeof aside, "%s.bad-%llu", j->run_dir, (unsigned long long)wall_now());
	if (sys->rename(j->run_dir, aside))
		return r;
	buf_addf(&j->notes, "the journal in %s is damaged (%s): kept as %s\n", j->run_dir,
	         e ? e->text : "", aside);
	r = store_dir(j->run_dir, true, e);
	return r ? r : store_open(j->run_dir, ret, e);
}

/* What the main journal holds, if it can be read to its end. */
static bool seed(struct journal *j, struct store *to)
{
	struct err ignored;
	sqlite3 *db = j->at.db, *own = NULL;
	if (!db && db_open(j->dir, DB_LOOK, &own, &ignored))
		return ignored.code == -ENOENT;
	bool ok = fallback_copy(db ? db : own, to, &ignored) == 0;
	sqlite3_close(own);
	return ok;
}

static int fallback_begin(struct journal *j, struct store *to, const struct err *why, struct err *e)
{
	bool seeded = seed(j, to);
	char *body = codec_texts("reason", why->text, "state", j->dir, "main",
	                         seeded ? "read" : "unreadable", NULL);
	if (!body)
		return err_set(e, -ENOMEM, "out of memory while leaving the main journal");
	struct row row = {.wall = (int64_t)wall_now(),
	                  .incident = j->incident,
	                  .kind = ENTRY_FALLBACK,
	                  .subject = "journal",
	                  .body = body};
	int r = db_run(to->db, e, "BEGIN IMMEDIATE", "");
	if (!r)
		r = chain_append(to->db, &to->tip, &row, e);
	if (!r)
		r = head_write(to->db, &to->tip, to->key, e);
	if (!r)
		r = store_commit(to, e);
	free(body);
	return r;
}

static unsigned stranded_id(sqlite3 *db)
{
	int64_t n = 0;
	db_number(db, &n, NULL,
	          "SELECT count(*) FROM entries WHERE seq=1 AND kind='" ENTRY_FALLBACK
	          "' AND json_extract(body, '$.main')='unreadable'",
	          "");
	return n ? STORE_STRANDED_ID : 1;
}

/* An incident that this process chose may be unknown to a chain that had to begin anew. */
static void incident_check(struct journal *j)
{
	int64_t n = 0;
	if (j->incident[0] &&
	    (db_number(j->at.db, &n, NULL, "SELECT count(*) FROM incidents WHERE name=?1", "t",
	               j->incident) ||
	     !n))
		j->incident[0] = '\0';
}

int fallback_enter(struct journal *j, const struct err *why, struct err *e)
{
	struct store to = {.lock = -1};
	struct err run = {0};
	struct err reason = *why; /* e may be the same */
	if (j->at.db && !sqlite3_get_autocommit(j->at.db))
		db_run(j->at.db, NULL, "ROLLBACK", "");

	bool memory = false;
	int r = open_run(j, &to, &run);
	if (!r && to.tip.seq == 0)
		r = fallback_begin(j, &to, &reason, &run);
	if (r) {
		store_close(&to);
		memory = true;
		r = store_open_memory(&to, e);
		if (!r)
			r = fallback_begin(j, &to, &reason, e);
	}
	if (r) {
		store_close(&to);
		return r;
	}
	store_close(&j->at);
	j->at = to;
	j->on_fallback = true;
	j->first_order = stranded_id(to.db);
	incident_check(j);
	/* The reason last: it is what may be cut. */
	if (memory)
		snprintf(j->degraded, sizeof j->degraded,
		         "the journal is kept nowhere, later commands will not find this order: "
		         "%.60s; %.100s",
		         run.text, reason.text);
	else
		snprintf(j->degraded, sizeof j->degraded,
		         "the journal is in %s (memory, lost at a restart): %.130s", j->run_dir,
		         reason.text);
	return 0;
}

/* Ids that are taken in the main journal and what they become. */
struct renumber {
	char kind; /* 'o' or 'f' */
	unsigned from, to;
};

struct takeover {
	struct journal *j;
	struct renumber *v;
	size_t n;
	bool exact; /* the chain continues the main one: nothing is renumbered */
	uint64_t taken;
};

static bool subject_id(const char *subject, unsigned *ret, const char **ret_rest)
{
	char *end;
	unsigned long id = strtoul(subject + 1, &end, 10);
	if ((subject[0] != 'o' && subject[0] != 'f') || end == subject + 1 || id > UINT32_MAX)
		return false;
	*ret = (unsigned)id;
	*ret_rest = end;
	return true;
}

static int renumber_add(struct takeover *t, char kind, unsigned from, struct err *e)
{
	int64_t max = 0;
	int r = db_number(
	    t->j->at.db, &max, e,
	    kind == 'o' ? "SELECT max(id) FROM orders" : "SELECT max(id) FROM findings", "");
	struct renumber *v = r ? NULL : realloc(t->v, (t->n + 1) * sizeof *v);
	if (!v)
		return r ? r : err_set(e, -ENOMEM, "out of memory while taking entries over");
	t->v = v;
	t->v[t->n++] = (struct renumber){kind, from, (unsigned)max + 1};
	buf_addf(&t->j->notes, "%c%u from the time under /run is now %c%lld\n", kind, from, kind,
	         (long long)max + 1);
	return 0;
}

/* Does the main journal hold this very record (1), another one with its id (2), none (0)? The first
 * happens when a write failed that the disk had taken all the same; entries keep their time when
 * they are said again. */
static int record_stands(struct takeover *t, const struct row *row, unsigned id, struct err *e)
{
	int64_t found = 0;
	int r = db_number(t->j->at.db, &found, e,
	                  "SELECT 2 - EXISTS (SELECT 1 FROM entries WHERE kind=?1 AND subject=?2 "
	                  "AND body=?3 AND wall=?4) WHERE EXISTS (SELECT 1 FROM orders WHERE "
	                  "id=?5 AND ?1='order') OR EXISTS (SELECT 1 FROM findings WHERE id=?5 AND "
	                  "?1='finding')",
	                  "tttii", row->kind, row->subject, row->body, row->wall, (int64_t)id);
	return r ? r : (int)found;
}

static int order_with_id(sqlite3 *db, const char *body, unsigned id, char **ret, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int r = db_query(db, &s, e, "SELECT json_set(?1, '$.id', ?2)", "ti", body, (int64_t)id);
	if (!r && (r = db_step(s, e)) == 1) {
		*ret = strdup(db_text(s, 0));
		r = *ret ? 0 : err_set(e, -ENOMEM, "out of memory while taking entries over");
	}
	return r;
}

static const struct renumber *renumbered(const struct takeover *t, char kind, unsigned id)
{
	for (size_t i = t->n; i-- > 0;)
		if (t->v[i].kind == kind && t->v[i].from == id)
			return &t->v[i];
	return NULL;
}

static int append(struct takeover *t, const struct row *row, struct err *e)
{
	struct row copy = *row;
	int r = chain_append(t->j->at.db, &t->j->at.tip, &copy, e);
	t->taken += !r;
	return r;
}

/* A record about an order or a finding, under the id that it has here. */
static int take_record(struct takeover *t, const struct row *row, unsigned id, const char *rest,
                       struct err *e)
{
	bool creates = !strcmp(row->kind, "order") || !strcmp(row->kind, "finding");
	int r = creates ? record_stands(t, row, id, e) : 0;
	if (r < 0)
		return r;
	if (r == 1)
		return 0;
	if (r == 2 && (r = renumber_add(t, row->subject[0], id, e)))
		return r;
	const struct renumber *n = renumbered(t, row->subject[0], id);
	if (!n)
		return append(t, row, e);

	char subject[64];
	char *body = NULL;
	struct row changed = *row;
	snprintf(subject, sizeof subject, "%c%u%.40s", n->kind, n->to, rest);
	changed.subject = subject;
	if (!strcmp(row->kind, "order")) {
		r = order_with_id(t->j->at.db, row->body, n->to, &body, e);
		changed.body = body;
	}
	if (!r)
		r = append(t, &changed, e);
	free(body);
	return r;
}

static int take_row(struct takeover *t, const struct row *row, struct err *e)
{
	unsigned id;
	const char *rest;
	if (t->exact)
		return append(t, row, e);
	if (subject_id(row->subject, &id, &rest) && entry_kind_parse(row->kind) >= 0)
		return take_record(t, row, id, rest, e);
	struct row changed = *row;
	int64_t known = 0;
	int r = 0;
	if (!strcmp(row->kind, "incident.new")) {
		r = db_number(t->j->at.db, &known, e,
		              "SELECT count(*) FROM incidents WHERE name=?1", "t", row->subject);
		if (known)
			changed.kind = "incident.use";
	}
	return r ? r : append(t, &changed, e);
}

/* Every entry of `from`, its chain checked; those from the last fallback on go to main. */
static int take_rows(struct takeover *t, sqlite3 *from, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	struct tip seen, *main_tip = &t->j->at.tip;
	struct row row;
	int64_t first = 0;
	memset(&seen, 0, sizeof seen);
	int r = db_number(from, &first, e,
	                  "SELECT max(seq) FROM entries WHERE kind='" ENTRY_FALLBACK "'", "");
	if (!r)
		r = db_query(from, &s, e, CHAIN_SELECT, "i", (int64_t)1);
	while (!r && (r = db_step(s, e)) == 1) {
		if ((r = chain_row(s, &row, e)) || (r = chain_check(&seen, &row, e)))
			break;
		if (row.seq == (uint64_t)first)
			t->exact = main_tip->seq == row.seq - 1 &&
			           !memcmp(main_tip->hash, row.prev, sizeof row.prev);
		if (first && row.seq >= (uint64_t)first)
			r = take_row(t, &row, e);
	}
	return r ? r : head_check(from, &seen, NULL, e);
}

static int take_note(struct takeover *t, const char *head, struct err *e)
{
	char count[24];
	snprintf(count, sizeof count, "%llu", (unsigned long long)t->taken);
	char *body = codec_texts("from", t->j->run_dir, "entries", count, "head", head, NULL);
	if (!body)
		return err_set(e, -ENOMEM, "out of memory while taking entries over");
	struct row row = {.wall = (int64_t)wall_now(),
	                  .incident = "",
	                  .kind = ENTRY_TAKEOVER,
	                  .subject = "journal",
	                  .body = body};
	int r = chain_append(t->j->at.db, &t->j->at.tip, &row, e);
	free(body);
	return r ? r : head_write(t->j->at.db, &t->j->at.tip, t->j->at.key, e);
}

static void remove_run(struct journal *j)
{
	static const char *const files[] = {DB_FILE, DB_FILE "-wal", DB_FILE "-shm",
	                                    "key",   "key.pub",      "lock"};
	char path[128];
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		run_path(j, files[i], path);
		sys->unlink(path);
	}
	rmdir(j->run_dir);
}

static int take_all(struct takeover *t, struct store *from, bool note, struct err *e)
{
	char head[HASH_HEX_MAX];
	struct tip before = t->j->at.tip;
	int r = db_run(t->j->at.db, e, "BEGIN IMMEDIATE", "");
	if (!r)
		r = take_rows(t, from->db, e);
	if (!r && note && t->taken)
		r = take_note(t, hex_encode(from->tip.hash, SHA256_LEN, head), e);
	if (!r)
		r = store_commit(&t->j->at, e);
	if (r) {
		db_run(t->j->at.db, NULL, "ROLLBACK", "");
		t->j->at.tip = before;
	}
	return r;
}

int fallback_take_over(struct journal *j, bool remove, struct err *e)
{
	struct takeover t = {.j = j};
	struct store from = {.lock = -1};
	int r =
	    remove ? store_open(j->run_dir, &from, e) : db_open(j->run_dir, DB_READ, &from.db, e);
	if (!r && !remove)
		r = chain_tip(from.db, &from.tip, e);
	if (!r)
		r = take_all(&t, &from, remove, e);
	if (!r && remove) {
		if (t.taken)
			buf_addf(&j->notes,
			         "%llu entries were taken over from %s into the journal in %s\n",
			         (unsigned long long)t.taken, j->run_dir, j->dir);
		remove_run(j);
	}
	free(t.v);
	store_close(&from);
	return r;
}
