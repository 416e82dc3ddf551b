/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "journal/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/table.h"
#include "journal/schema.h"
#include "journal/vfs.h"

/* Longest body of an entry and a little more. */
#define DB_LENGTH_MAX (80 << 20)
#define DB_BUSY_MS    10000

static const struct {
	int rc, code;
} codes[] = {
    {SQLITE_FULL, -ENOSPC},      {SQLITE_CORRUPT, -EBADMSG}, {SQLITE_NOTADB, -EBADMSG},
    {SQLITE_READONLY, -EROFS},   {SQLITE_BUSY, -EBUSY},      {SQLITE_LOCKED, -EBUSY},
    {SQLITE_NOMEM, -ENOMEM},     {SQLITE_TOOBIG, -EMSGSIZE}, {SQLITE_CONSTRAINT, -EBADMSG},
    {SQLITE_MISMATCH, -EBADMSG}, {SQLITE_ERROR, -EBADMSG},
};

static int errno_or(sqlite3 *db, int otherwise)
{
	int sys_errno = db ? sqlite3_system_errno(db) : 0;
	return sys_errno > 0 ? -sys_errno : otherwise;
}

int db_error(sqlite3 *db, int rc, struct err *e)
{
	int primary = rc & 0xff, code = -EIO;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i].rc == primary)
			code = codes[i].code;
	if (primary == SQLITE_CANTOPEN || primary == SQLITE_IOERR)
		code = rc == SQLITE_IOERR_NOMEM ? -ENOMEM : errno_or(db, code);
	const char *text = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
	const char *file = db ? sqlite3_db_filename(db, "main") : NULL;
	return err_set(e, code, "the journal %s%s%s (%s)", file ? file : "", *text ? ": " : "",
	               text, strerror(-code));
}

static int bind_one(sqlite3_stmt *s, int i, char kind, va_list *ap)
{
	if (kind == 'i')
		return sqlite3_bind_int64(s, i, va_arg(*ap, int64_t));
	if (kind == 't') /* a NULL pointer binds NULL */
		return sqlite3_bind_text(s, i, va_arg(*ap, const char *), -1, SQLITE_STATIC);
	const void *p = va_arg(*ap, const void *);
	return sqlite3_bind_blob64(s, i, p, va_arg(*ap, size_t), SQLITE_STATIC);
}

static int query(sqlite3 *db, sqlite3_stmt **ret, struct err *e, const char *sql, const char *args,
                 va_list *ap)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);
	for (int i = 0; rc == SQLITE_OK && args[i]; i++)
		rc = bind_one(s, i + 1, args[i], ap);
	if (rc != SQLITE_OK) {
		int r = db_error(db, rc, e);
		sqlite3_finalize(s);
		return r;
	}
	*ret = s;
	return 0;
}

int db_query(sqlite3 *db, sqlite3_stmt **ret, struct err *e, const char *sql, const char *args, ...)
{
	va_list ap;
	va_start(ap, args);
	int r = query(db, ret, e, sql, args, &ap);
	va_end(ap);
	return r;
}

int db_step(sqlite3_stmt *s, struct err *e)
{
	int rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : db_error(sqlite3_db_handle(s), rc, e);
}

int db_run(sqlite3 *db, struct err *e, const char *sql, const char *args, ...)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	va_list ap;
	va_start(ap, args);
	int r = query(db, &s, e, sql, args, &ap);
	va_end(ap);
	while (!r && (r = db_step(s, e)) == 1)
		r = 0;
	return r;
}

int db_number(sqlite3 *db, int64_t *ret, struct err *e, const char *sql, const char *args, ...)
{
	_cleanup_stmt_ sqlite3_stmt *s = NULL;
	va_list ap;
	va_start(ap, args);
	int r = query(db, &s, e, sql, args, &ap);
	va_end(ap);
	if (!r)
		r = db_step(s, e);
	if (r < 0)
		return r;
	if (r == 1)
		*ret = sqlite3_column_int64(s, 0);
	return 0;
}

const char *db_text(sqlite3_stmt *s, int column)
{
	const char *t = (const char *)sqlite3_column_text(s, column);
	return t ? t : "";
}

void db_stmtp(sqlite3_stmt *const *s)
{
	sqlite3_finalize(*s);
}

static bool is_unborn(sqlite3 *db)
{
	const char *file = sqlite3_db_filename(db, "main");
	size_t n = file ? strlen(file) : 0;
	return n > 4 && !strcmp(file + n - 4, ".new");
}

static int guards(sqlite3 *db, bool writes)
{
	static const struct {
		int op, value;
	} flags[] = {
	    {SQLITE_DBCONFIG_DEFENSIVE, 1},        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
	    {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},   {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
	    {SQLITE_DBCONFIG_DQS_DML, 0},          {SQLITE_DBCONFIG_DQS_DDL, 0},
	    {SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1}, /* a log that stays keeps its blocks */
	};
	int rc = SQLITE_OK;
	bool unborn = is_unborn(db); /* is synced when it is named */
	for (size_t i = 0; rc == SQLITE_OK && i < ARRAY_SIZE(flags); i++)
		rc = sqlite3_db_config(db, flags[i].op, flags[i].value, NULL);
	sqlite3_extended_result_codes(db, 1);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, DB_LENGTH_MAX);
	sqlite3_busy_timeout(db, DB_BUSY_MS);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db,
		                  unborn   ? "PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON"
		                  : writes ? "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
		                             "PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON"
		                           : "PRAGMA query_only=ON; PRAGMA temp_store=MEMORY;"
		                             "PRAGMA cell_size_check=ON",
		                  NULL, NULL, NULL);
	return rc;
}

static int pragma(sqlite3 *db, const char *sql, int64_t *ret, struct err *e)
{
	*ret = -1;
	return db_number(db, ret, e, sql, "");
}

/* Whose is it? 1: ours, 0: empty, -EBADMSG. */
static int identify(sqlite3 *db, struct err *e)
{
	int64_t id, version, tables;
	int r = pragma(db, "PRAGMA application_id", &id, e);
	if (!r)
		r = pragma(db, "PRAGMA user_version", &version, e);
	if (!r)
		r = pragma(db, "SELECT count(*) FROM sqlite_schema", &tables, e);
	if (r)
		return r;
	if (id == DB_APPLICATION_ID && version == DB_VERSION)
		return 1;
	if (id == 0 && version == 0 && tables == 0)
		return 0;
	if (id == DB_APPLICATION_ID)
		return err_set(e, -EBADMSG,
		               "the journal has format %lld, this stanch knows %d: use the stanch "
		               "that wrote it",
		               (long long)version, DB_VERSION);
	return err_set(e, -EBADMSG, "%s is not a journal of stanch",
	               sqlite3_db_filename(db, "main"));
}

/* The log gets its blocks before they are needed. Zeros read as the end of a log. */
static int wal_grow(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;
	snprintf(path, sizeof path, "%s/" DB_FILE "-wal", dir);
	_cleanup_close_ int fd = sys->open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
	if (fd < 0 || fstat(fd, &st))
		return err_set(e, -errno, "cannot preallocate %s: %s", path, strerror(errno));
	if (st.st_size >= DB_WAL_SIZE)
		return 0;
	if (sys->fallocate(fd, 0, 0, DB_WAL_SIZE) == 0)
		return 0;
	static const uint8_t zero[65536];
	int r = errno == EOPNOTSUPP ? 0 : -errno;
	for (off_t at = st.st_size; !r && at < DB_WAL_SIZE;) {
		size_t n = (size_t)(DB_WAL_SIZE - at) < sizeof zero ? (size_t)(DB_WAL_SIZE - at)
		                                                    : sizeof zero;
		ssize_t w = sys->pwrite(fd, zero, n, at);
		r = w > 0 ? 0 : w ? -errno : -EIO;
		at += w;
	}
	return r ? err_set(e, r, "cannot preallocate %s: %s", path, strerror(-r)) : 0;
}

static int schema_write(sqlite3 *db)
{
	const char *const parts[] = {"BEGIN IMMEDIATE", schema_main, schema_views,
	                             "PRAGMA application_id=1398033987; PRAGMA user_version=1",
	                             "COMMIT"};
	int rc = SQLITE_OK;
	for (size_t i = 0; rc == SQLITE_OK && i < ARRAY_SIZE(parts); i++)
		rc = sqlite3_exec(db, parts[i], NULL, NULL, NULL);
	return rc;
}

/* ---- a journal's birth ----
 *
 * SQLite would sync seven times on the way to an empty file. Ours is written beside its place
 * without any, is synced once when its first transaction is in it, and then gets its name: it is
 * there whole, with an order, or not at all. That fsync of a new file brings its name to the disk,
 * too, is what ext4, XFS, btrfs and f2fs do; the name it gets after that may be lost with the
 * power, and is found again by db_open_finished.
 */

static void unborn_path(const char *dir, const char *more, char dst[static PATH_MAX])
{
	snprintf(dst, PATH_MAX, "%s/" DB_FILE ".new%s", dir, more);
}

static int unborn_remove(const char *dir, struct err *e)
{
	static const char *const parts[] = {"-wal", "-shm", "-journal", ""};
	char path[PATH_MAX];
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		unborn_path(dir, parts[i], path);
		if (sys->unlink(path) && errno != ENOENT)
			return err_set(e, -errno, "cannot remove %s: %s", path, strerror(errno));
	}
	return 0;
}

static int unborn_make(const char *dir, sqlite3 **ret, struct err *e)
{
	char path[PATH_MAX];
	int r = unborn_remove(dir, e);
	if (r)
		return r;
	unborn_path(dir, "", path);
	int rc = sqlite3_open_v2(path, ret,
	                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
	                             SQLITE_OPEN_NOFOLLOW,
	                         VFS_NAME);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(*ret,
		                  "PRAGMA synchronous=OFF; PRAGMA page_size=4096;"
		                  "PRAGMA journal_mode=MEMORY",
		                  NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = schema_write(*ret);
	return rc == SQLITE_OK ? 0 : db_error(*ret, rc, e);
}

static int unborn_name(const char *dir, struct err *e)
{
	char from[PATH_MAX], to[PATH_MAX];
	unborn_path(dir, "", from);
	snprintf(to, sizeof to, "%s/" DB_FILE, dir);
	_cleanup_close_ int fd = sys->open(from, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
	if (fd < 0 || sys->fsync(fd) || sys->rename(from, to))
		return err_set(e, -errno, "cannot write %s: %s", to, strerror(errno));
	return 0;
}

/* The mode is changed last: who finds it knows that all of the transaction was written before. */
static int birth(const char *dir, sqlite3 **db, int *log_pages, struct err *e)
{
	int rc = sqlite3_exec(*db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
	int r = rc == SQLITE_OK ? 0 : db_error(*db, rc, e);
	sqlite3_close(*db);
	*db = NULL;
	if (!r)
		r = unborn_name(dir, e);
	if (r) {
		(void)unborn_remove(dir, NULL);
		return r;
	}
	/* The transaction is on disk, come what may. */
	if (db_open(dir, DB_WRITE, db, NULL) == 0)
		db_watch_log(*db, log_pages);
	return 0;
}

int db_commit(const char *dir, sqlite3 **db, int *log_pages, struct err *e)
{
	int r = db_run(*db, e, "COMMIT", "");
	return r || !is_unborn(*db) ? r : birth(dir, db, log_pages, e);
}

#define MODE_AT                                                                                    \
	18 /* file format, write and read version: 2 is WAL (sqlite.org/fileformat.html)           \
	    */

static bool finished(const char *path)
{
	uint8_t mode[2] = {0};
	_cleanup_close_ int fd = sys->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	return fd >= 0 && sys->pread(fd, mode, sizeof mode, MODE_AT) == sizeof mode &&
	       mode[0] == 2 && mode[1] == 2;
}

int db_open_finished(const char *dir, sqlite3 **ret, struct err *e)
{
	char path[PATH_MAX];
	int64_t whole = 0;
	sqlite3 *db = NULL;
	unborn_path(dir, "", path);
	int r = finished(path) ? vfs_install(e) : -ENOENT;
	if (r)
		return r;
	int rc = sqlite3_open_v2(path, &db,
	                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
	                         VFS_NAME);
	r = rc == SQLITE_OK ? identify(db, e) : db_error(db, rc, e);
	if (r == 1)
		r = db_number(db, &whole, e,
		              "SELECT integrity_check = 'ok' FROM pragma_integrity_check", "");
	if (r || !whole) {
		sqlite3_close(db);
		return -ENOENT;
	}
	*ret = db;
	return 0;
}

int db_adopt(const char *dir, sqlite3 *db, bool good, struct err *e)
{
	sqlite3_close(db);
	return good ? unborn_name(dir, e) : unborn_remove(dir, e);
}

/* Blocks for the file itself come in chunks, and the log is kept at its size. */
static int settle(sqlite3 *db, const char *dir, struct err *e)
{
	int keep = 1, chunk = DB_CHUNK;
	if (is_unborn(db))
		return 0;
	sqlite3_file_control(db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
	sqlite3_file_control(db, "main", SQLITE_FCNTL_CHUNK_SIZE, &chunk);
	int r = identify(db, e);
	if (r == 0)
		return err_set(e, -EBADMSG, "%s holds no journal", sqlite3_db_filename(db, "main"));
	/* Room for later is not what this order hangs on. */
	if (r > 0)
		wal_grow(dir, NULL);
	return r < 0 ? r : 0;
}

static int open_file(const char *dir, enum db_how how, sqlite3 **ret, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;
	if ((size_t)snprintf(path, sizeof path, "%s/" DB_FILE, dir) >= sizeof path - 8)
		return err_set(e, -ENAMETOOLONG, "%.60s…: the path is too long", dir);
	bool missing = stat(path, &st) != 0;
	if (missing && (how != DB_WRITE || errno != ENOENT))
		return err_set(e, -errno, "no journal at %s: %s", path, strerror(errno));
	if (missing)
		return unborn_make(dir, ret, e);
	int flags = how == DB_LOOK ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	int rc = sqlite3_open_v2(path, ret, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
	                         how == DB_LOOK ? VFS_NAME_LOOK : VFS_NAME);
	return rc == SQLITE_OK ? 0 : db_error(*ret, rc, e);
}

static int open_any(const char *dir, enum db_how how, sqlite3 **ret, struct err *e)
{
	if (how != DB_MEMORY)
		return open_file(dir, how, ret, e);
	int rc =
	    sqlite3_open_v2(":memory:", ret, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, "unix");
	return rc == SQLITE_OK ? 0 : db_error(*ret, rc, e);
}

/* After the guards: makes it, or sees that it is one of ours. */
static int make_or_check(sqlite3 *db, const char *dir, enum db_how how, struct err *e)
{
	if (how == DB_WRITE)
		return settle(db, dir, e);
	if (how == DB_MEMORY) {
		int rc = schema_write(db);
		return rc == SQLITE_OK ? 0 : db_error(db, rc, e);
	}
	/* Without locks there is no shared index of the log: this process makes its own. */
	int r = how == DB_LOOK ? db_run(db, e, "PRAGMA locking_mode=EXCLUSIVE", "") : 0;
	if (!r)
		r = identify(db, e);
	if (r == 0)
		return err_set(e, -ENOENT, "the journal at %s is empty", dir);
	return r < 0 ? r : 0;
}

int db_open(const char *dir, enum db_how how, sqlite3 **ret, struct err *e)
{
	sqlite3 *db = NULL;
	int r = vfs_install(e);
	if (!r)
		r = open_any(dir, how, &db, e);
	if (!r) {
		int rc = guards(db, how == DB_WRITE || how == DB_MEMORY);
		r = rc == SQLITE_OK ? 0 : db_error(db, rc, e);
	}
	if (!r)
		r = make_or_check(db, dir, how, e);
	if (r) {
		sqlite3_close(db);
		return r;
	}
	*ret = db;
	return 0;
}

static int log_pages(void *arg, sqlite3 *db, const char *name, int pages)
{
	*(int *)arg = pages;
	return SQLITE_OK;
}

void db_watch_log(sqlite3 *db, int *pages)
{
	sqlite3_wal_hook(db, log_pages, pages);
}

void db_close(sqlite3 *db, int pages_in_log)
{
	if (db && pages_in_log > DB_WAL_HIGH)
		sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	char dir[PATH_MAX] = "";
	if (db && is_unborn(db))
		snprintf(dir, sizeof dir, "%s", sqlite3_db_filename(db, "main"));
	sqlite3_close(db);
	if (dir[0]) {
		*strrchr(dir, '/') = 0;
		(void)unborn_remove(dir, NULL);
	}
}
