/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading a journal again from its first byte: file, chain, signature, views. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"
#include "journal/db.h"
#include "journal/schema.h"
#include "journal/store.h"

struct check {
	struct journal_check *ret;
	sqlite3 *db;
	bool want_head;
	uint8_t head[SHA256_LEN];
	struct tip tip;
};

static int problem(struct check *c, uint64_t seq, const char *text)
{
	c->ret->intact = false;
	c->ret->bad_seq = seq;
	snprintf(c->ret->problem, sizeof c->ret->problem, "%.255s", text);
	return 1;
}

/* SQLite's own checks: a page or a tree that does not fit. */
static int check_file(struct check *c, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	int r = db_query(c->db, &s, e, "PRAGMA main.integrity_check(1)", "");
	if (!r)
		r = db_step(s, e);
	if (r == 1 && strcmp(db_text(s, 0), "ok") != 0) {
		err_set(e, -EBADMSG, "the file is damaged: %.200s", db_text(s, 0));
		return -EBADMSG;
	}
	return r < 0 ? r : 0;
}

static int check_chain(struct check *c, struct err *e)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	struct row row;
	int r = db_query(c->db, &s, e, CHAIN_SELECT, "i", INT64_MIN);
	while (!r && (r = db_step(s, e)) == 1) {
		r = chain_row(s, &row, e);
		if (!r)
			r = chain_check(&c->tip, &row, e);
		if (r == -EBADMSG)
			return problem(c, row.seq, e->text);
		if (!r)
			r = schema_derive(c->db, row.kind, row.incident, row.subject, row.body,
			                  row.wall, e);
		if (r == -EBADMSG) {
			err_prefix(e, r, "entry %llu", (unsigned long long)row.seq);
			return problem(c, row.seq, e->text);
		}
		c->ret->entries += !r;
		c->ret->head_known |= c->want_head && !memcmp(row.hash, c->head, sizeof row.hash);
	}
	return r;
}

static int check_signature(struct check *c, const char *dir, struct err *e)
{
	struct seal_key *key;
	int r = seal_pub_open(dir, &key, e);
	if (!r) {
		r = head_check(c->db, &c->tip, key, e);
		seal_key_free(key);
	} else if (!c->tip.seq) {
		return 0;
	}
	return r == -EBADMSG || r == -ENOENT ? problem(c, c->tip.seq, e->text) : r;
}

/* The tables beside the entries must say what the entries say. */
static int check_views(struct check *c, struct err *e)
{
	for (size_t i = 0; i < schema_n_views; i++) {
		char sql[256], text[128];
		int64_t n = 0;
		const char *t = schema_view_names[i];
		snprintf(sql, sizeof sql,
		         "SELECT (SELECT count(*) FROM (SELECT * FROM main.%s EXCEPT SELECT * FROM "
		         "temp.%s)) + (SELECT count(*) FROM (SELECT * FROM temp.%s EXCEPT SELECT * "
		         "FROM main.%s))",
		         t, t, t, t);
		int r = db_number(c->db, &n, e, sql, "");
		if (r)
			return r;
		if (n) {
			snprintf(text, sizeof text,
			         "the table of %s does not say what the entries say",
			         schema_view_names[i]);
			return problem(c, 0, text);
		}
	}
	return 0;
}

/* Views derived again stand in temp, which hides main's tables of the same names. */
static int temp_views(sqlite3 *db, struct err *e)
{
	char sql[2048];
	size_t n = 0;
	for (const char *p = schema_views; *p;) {
		const char *end = strchr(p, ';');
		n += (size_t)snprintf(sql + n, sizeof sql - n, "CREATE TEMP %.*s;",
		                      (int)(end - p) - 7, p + 7);
		if (n >= sizeof sql)
			return err_set(e, -EMSGSIZE, "the schema is larger than its check");
		p = end + 1;
	}
	int rc = sqlite3_exec(db, "PRAGMA query_only=OFF", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : db_error(db, rc, e);
}

static int check_all(struct check *c, const char *dir, struct err *e)
{
	int r = check_file(c, e);
	if (!r)
		r = temp_views(c->db, e);
	if (!r)
		r = db_run(c->db, e, "BEGIN", ""); /* one view of the file, one temporary change */
	if (!r)
		r = check_chain(c, e);
	if (!r)
		r = check_signature(c, dir, e);
	if (!r)
		r = check_views(c, e);
	if (r == -EBADMSG)
		r = problem(c, 0, e->text);
	return r < 0 ? r : 0;
}

/* Writers hold the lock for as long as they are open; without it a checkpoint could change pages
 * under our feet. A place where there is no lock has no writer. */
static int quiet_lock(const char *dir)
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s/lock", dir);
	int fd = sys->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	for (int waited = 0; fd >= 0 && waited < STORE_LOCK_WAIT_MS; waited += 10) {
		if (!flock(fd, LOCK_SH | LOCK_NB))
			break;
		nanosleep(&(struct timespec){.tv_nsec = 10000000L}, NULL);
	}
	return fd;
}

static int verify_dir(const char *dir, const char *head_hash, struct journal_check *ret,
                      struct err *e)
{
	struct err why = {0};
	struct check c = {.ret = ret, .want_head = head_hash != NULL};
	memset(ret, 0, sizeof *ret);
	ret->intact = true;
	if (head_hash && hex_decode(head_hash, c.head, sizeof c.head))
		return err_set(e, -EINVAL, "\"%.70s\" is not a head: 64 hexadecimal digits",
		               head_hash);
	_cleanup_close_ int lock = quiet_lock(dir);
	int r = db_open(dir, DB_LOOK, &c.db, &why);
	if (!r)
		r = check_all(&c, dir, &why);
	else if (r == -EBADMSG)
		r = problem(&c, 0, why.text);
	sqlite3_close(c.db);
	if (r < 0)
		return err_set(e, r, "%s", why.text);
	if (ret->intact && head_hash && !ret->head_known)
		snprintf(ret->problem, sizeof ret->problem,
		         "no entry has the hash that was noted: the chain was made anew, or it is "
		         "another journal's");
	return 0;
}

int journal_verify(const char *state_dir, const char *head_hash, struct journal_check *ret,
                   struct err *e)
{
	struct journal_check main_check, run_check;
	char run[64];
	int r = verify_dir(state_dir, head_hash, &main_check, e);
	if (r)
		return r;
	/* Entries that stand under /run for now are part of it. */
	char path[PATH_MAX];
	if (state_dir[0] == '/' && !fallback_dir(state_dir, run, sizeof run, NULL)) {
		snprintf(path, sizeof path, "%s/" DB_FILE, run);
		if (main_check.intact && !access(path, F_OK) &&
		    !verify_dir(run, head_hash, &run_check, NULL) &&
		    (!run_check.intact || (head_hash && run_check.head_known)))
			main_check = run_check;
	}
	*ret = main_check;
	return 0;
}
