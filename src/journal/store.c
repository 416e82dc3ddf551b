/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "journal/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"
#include "journal/db.h"

#define LOCK_STEP_MS 10

int store_dir(const char *dir, bool create, struct err *e)
{
	struct stat st;
	if (create && sys->mkdir(dir, 0700) && errno != EEXIST)
		return err_set(e, -errno, "cannot make %s: %s", dir, strerror(errno));
	_cleanup_close_ int fd = sys->open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0 || fstat(fd, &st))
		return err_set(e, -errno, "cannot open %s: %s", dir, strerror(errno));
	if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 022))
		return err_set(e, -EPERM,
		               "%s is not safe: others own it or may write in it (chown root and "
		               "chmod 700)",
		               dir);
	return 0;
}

static int lock_take(const char *dir, int *ret, struct err *e)
{
	char path[PATH_MAX];
	if ((size_t)snprintf(path, sizeof path, "%s/lock", dir) >= sizeof path)
		return err_set(e, -ENAMETOOLONG, "%.60s…: the path is too long", dir);
	int fd = sys->open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(e, -errno, "cannot open %s: %s", path, strerror(errno));
	for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB); waited += LOCK_STEP_MS) {
		int r = errno == EWOULDBLOCK || errno == EINTR ? 0 : -errno;
		if (!r && waited >= STORE_LOCK_WAIT_MS)
			r = -EBUSY;
		if (r) {
			sys->close(fd);
			return err_set(e, r,
			               "another stanch has been writing to the journal in %s for "
			               "%d s: wait for it or end it",
			               dir, STORE_LOCK_WAIT_MS / 1000);
		}
		nanosleep(&(struct timespec){.tv_nsec = LOCK_STEP_MS * 1000000L}, NULL);
	}
	*ret = fd;
	return 0;
}

int store_commit(struct store *s, struct err *e)
{
	return db_commit(s->dir, &s->db, s->log_pages, e);
}

/* What was finished is taken up only when its whole chain holds and its head is signed. */
static int adopt(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	struct store copy;
	sqlite3 *db;
	snprintf(path, sizeof path, "%s/" DB_FILE, dir);
	if (access(path, F_OK) == 0 || db_open_finished(dir, &db, NULL))
		return 0;
	int r = store_open_memory(&copy, e);
	bool good = r == 0 && fallback_copy(db, &copy, NULL) == 0 && copy.tip.seq > 0;
	if (r == 0)
		store_close(&copy);
	return r ? r : db_adopt(dir, db, good, e);
}

int store_open(const char *dir, struct store *ret, struct err *e)
{
	struct store s = {.lock = -1};
	snprintf(s.dir, sizeof s.dir, "%s", dir);
	int r = lock_take(dir, &s.lock, e);
	if (!r)
		r = adopt(dir, e);
	if (!r)
		r = db_open(dir, DB_WRITE, &s.db, e);
	if (!r && !(s.log_pages = calloc(1, sizeof *s.log_pages)))
		r = err_set(e, -ENOMEM, "out of memory while opening the journal");
	if (!r) {
		db_watch_log(s.db, s.log_pages);
		r = chain_tip(s.db, &s.tip, e);
	}
	/* Only a new journal gets a new key: with entries, a missing key is a broken journal. */
	if (!r)
		r = seal_key_open(dir, s.tip.seq == 0, &s.key, e);
	if (r == -ENOENT)
		r = err_set(e, -EBADMSG, "the journal in %s has entries but its key is gone", dir);
	if (!r)
		r = head_check(s.db, &s.tip, s.key, e);
	if (r)
		store_close(&s);
	else
		*ret = s;
	return r;
}

int store_open_memory(struct store *ret, struct err *e)
{
	struct store s = {.lock = -1};
	int r = db_open(NULL, DB_MEMORY, &s.db, e);
	if (!r)
		r = seal_key_new(&s.key, e);
	if (r)
		store_close(&s);
	else
		*ret = s;
	return r;
}

void store_close(struct store *s)
{
	db_close(s->db, s->log_pages ? *s->log_pages : 0);
	free(s->log_pages);
	seal_key_free(s->key);
	if (s->lock >= 0)
		sys->close(s->lock);
	*s = (struct store){.lock = -1};
}

static void staged_clear(struct journal *j)
{
	for (size_t i = 0; i < j->n_staged; i++) {
		free(j->staged[i].incident);
		free(j->staged[i].kind);
		free(j->staged[i].subject);
		free(j->staged[i].body);
	}
	free(j->staged);
	j->staged = NULL;
	j->n_staged = 0;
}

static int stage(struct journal *j, const char *kind, const char *subject, const char *body,
                 struct err *e)
{
	struct staged *v = realloc(j->staged, (j->n_staged + 1) * sizeof *v);
	if (v)
		j->staged = v;
	struct staged s = {.incident = strdup(j->incident),
	                   .kind = strdup(kind),
	                   .subject = strdup(subject),
	                   .body = strdup(body),
	                   .wall = (int64_t)wall_now()};
	if (!v || !s.incident || !s.kind || !s.subject || !s.body) {
		free(s.incident);
		free(s.kind);
		free(s.subject);
		free(s.body);
		return err_set(e, -ENOMEM, "out of memory while writing to the journal");
	}
	j->staged[j->n_staged++] = s;
	return 0;
}

static int append_staged(struct journal *j, const struct staged *s, struct err *e)
{
	struct row r = {.wall = s->wall,
	                .incident = s->incident,
	                .kind = s->kind,
	                .subject = s->subject,
	                .body = s->body};
	return chain_append(j->at.db, &j->at.tip, &r, e);
}

static int begin_here(struct journal *j, struct err *e)
{
	j->tip_before = j->at.tip;
	return db_run(j->at.db, e, "BEGIN IMMEDIATE", "");
}

static int commit_here(struct journal *j, struct err *e)
{
	int r = 0;
	if (j->at.tip.seq != j->tip_before.seq)
		r = head_write(j->at.db, &j->at.tip, j->at.key, e);
	sys->mark("journal:commit");
	if (!r)
		r = store_commit(&j->at, e);
	sys->mark("journal:committed");
	return r;
}

/* Moves under /run and brings the transaction there to where it was. */
static int move(struct journal *j, struct err *e)
{
	struct err why = e ? *e : (struct err){.code = -EIO, .text = "the journal failed"};
	if (j->mode != JOURNAL_CUT || j->on_fallback)
		return why.code;
	int r = fallback_enter(j, &why, e);
	if (!r && j->in_transaction) {
		r = begin_here(j, e);
		for (size_t i = 0; !r && i < j->n_staged; i++)
			r = append_staged(j, &j->staged[i], e);
	}
	return r;
}

int journal_begin(struct journal *j, struct err *e)
{
	struct err why = {0};
	if (j->mode == JOURNAL_READ)
		return err_set(e, -EROFS, "the journal was opened for reading only");
	if (j->in_transaction)
		return err_set(e, -EALREADY, "the journal is in the middle of a transaction");
	int r = begin_here(j, &why);
	if (r) {
		r = move(j, &why);
		if (!r)
			r = begin_here(j, &why);
	}
	if (r)
		return err_set(e, r, "%s", why.text);
	j->in_transaction = true;
	return 0;
}

int journal_commit(struct journal *j, struct err *e)
{
	struct err why = {0};
	if (!j->in_transaction)
		return err_set(e, -EINVAL, "the journal has no transaction to commit");
	int r = commit_here(j, &why);
	if (r) {
		r = move(j, &why);
		if (!r)
			r = commit_here(j, &why);
	}
	if (r) {
		journal_rollback(j);
		return err_set(e, r, "%s", why.text);
	}
	j->in_transaction = false;
	staged_clear(j);
	return 0;
}

void journal_rollback(struct journal *j)
{
	if (!j->in_transaction)
		return;
	if (j->at.db && !sqlite3_get_autocommit(j->at.db))
		db_run(j->at.db, NULL, "ROLLBACK", "");
	j->at.tip = j->tip_before;
	j->in_transaction = false;
	staged_clear(j);
}

int store_emit(struct journal *j, const char *kind, const char *subject, const char *body,
               struct err *e)
{
	struct err why = {0};
	bool own = !j->in_transaction;
	int r = own ? journal_begin(j, e) : 0;
	if (r)
		return r;
	r = stage(j, kind, subject, body, &why);
	if (!r) {
		r = append_staged(j, &j->staged[j->n_staged - 1], &why);
		if (r)
			r = move(j, &why);
	}
	if (r) {
		/* A group with a hole must not reach the disk. */
		journal_rollback(j);
		return err_set(e, r, "%s", why.text);
	}
	return own ? journal_commit(j, e) : 0;
}

int store_emit_owned(struct journal *j, const char *kind, const char *subject, char *body,
                     struct err *e)
{
	if (!body)
		return err_set(e, -ENOMEM, "out of memory while writing to the journal");
	int r = store_emit(j, kind, subject, body, e);
	free(body);
	return r;
}

/* Failures that another place can mend. */
static bool of_the_place(int r)
{
	return r == -EIO || r == -EBADMSG || r == -ENOSPC || r == -EROFS || r == -EACCES ||
	       r == -ENOMEM || r == -EPERM || r == -EBUSY;
}

int store_read(struct journal *j, int (*op)(struct journal *, void *arg, struct err *e), void *arg,
               struct err *e)
{
	struct err why = {0};
	int r = op(j, arg, &why);
	if (r < 0 && of_the_place(r) && j->mode == JOURNAL_CUT && !j->on_fallback) {
		struct err again = why;
		if (move(j, &again) == 0)
			r = op(j, arg, &why);
	}
	return r < 0 ? err_set(e, r, "%s", why.text) : r;
}

/* Opens what there is, to read: with what stands under /run laid over it in memory. */
static int open_read(struct journal *j, struct err *e)
{
	struct err why = {0};
	int r = db_open(j->dir, DB_READ, &j->at.db, &why);
	if (!r)
		r = chain_tip(j->at.db, &j->at.tip, &why);
	if (r && r != -ENOENT) {
		sqlite3_close(j->at.db);
		j->at.db = NULL;
		r = db_open(j->dir, DB_LOOK, &j->at.db, &why);
		if (!r)
			r = chain_tip(j->at.db, &j->at.tip, &why);
	}
	if (!fallback_exists(j))
		return r ? err_set(e, r, "%s", why.text) : 0;

	struct store memory;
	int x = store_open_memory(&memory, e);
	if (x)
		return x;
	if (!r && fallback_copy(j->at.db, &memory, &why)) {
		store_close(&memory);
		if ((x = store_open_memory(&memory, e)))
			return x;
	}
	store_close(&j->at);
	j->at = memory;
	snprintf(j->degraded, sizeof j->degraded,
	         "the latest entries stand in %s (memory, lost at a restart), not in %.100s",
	         j->run_dir, j->dir);
	return fallback_take_over(j, false, e);
}

static int open_write(struct journal *j, struct err *e)
{
	struct err why = {0};
	bool pending = fallback_exists(j);
	int r = store_dir(j->dir, true, &why);
	if (!r)
		r = store_open(j->dir, &j->at, &why);
	if (!r && pending)
		r = fallback_take_over(j, true, &why);
	if (!r)
		return 0;
	if (j->mode == JOURNAL_CUT || (pending && r != -EBUSY))
		return fallback_enter(j, &why, e);
	return err_set(e, r, "%s", why.text);
}

static int absolute(const char *dir, char dst[static PATH_MAX], struct err *e)
{
	char cwd[PATH_MAX] = "";
	if (dir[0] != '/' && !getcwd(cwd, sizeof cwd))
		return err_set(e, -errno, "the working directory is gone: give --state in full");
	int n = snprintf(dst, PATH_MAX, "%s%s%s", cwd, cwd[0] ? "/" : "", dir);
	if (n < 0 || n >= PATH_MAX - 64)
		return err_set(e, -ENAMETOOLONG, "%.60s…: the path is too long", dir);
	while (n > 1 && dst[n - 1] == '/')
		dst[--n] = '\0';
	return 0;
}

int journal_open(const char *state_dir, enum journal_mode mode, struct journal **ret, struct err *e)
{
	struct journal *j = calloc(1, sizeof *j);
	if (!j)
		return err_set(e, -ENOMEM, "out of memory while opening the journal");
	j->mode = mode;
	j->at.lock = -1;
	j->first_order = 1;
	j->notes = BUF_INIT(STORE_NOTES_MAX);
	int r = absolute(state_dir, j->dir, e);
	if (!r)
		r = fallback_dir(j->dir, j->run_dir, sizeof j->run_dir, e);
	j->saw_fallback = !r && fallback_exists(j);
	if (!r)
		r = mode == JOURNAL_READ ? open_read(j, e) : open_write(j, e);
	if (r)
		journal_close(j);
	else
		*ret = j;
	return r;
}

void journal_close(struct journal *j)
{
	if (!j)
		return;
	journal_rollback(j);
	store_close(&j->at);
	buf_free(&j->notes);
	free(j);
}

const char *journal_degraded(const struct journal *j)
{
	return j->degraded[0] ? j->degraded : NULL;
}

bool journal_moved(const struct journal *j)
{
	return j->saw_fallback || fallback_exists(j);
}

int journal_version(struct journal *j, int64_t *ret, struct err *e)
{
	return db_number(j->at.db, ret, e, "PRAGMA data_version", "");
}

const char *journal_notes(const struct journal *j)
{
	return j->notes.len ? buf_str(&j->notes) : NULL;
}

int journal_head(struct journal *j, char ret[static HASH_HEX_MAX], struct err *e)
{
	if (j->at.tip.seq)
		hex_encode(j->at.tip.hash, sizeof j->at.tip.hash, ret);
	else
		ret[0] = '\0';
	return 0;
}
