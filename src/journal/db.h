/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SQLite as the journal uses it: opening with every guard on, short statements, errors as
 * sentences. */
#ifndef STANCH_JOURNAL_DB_H
#define STANCH_JOURNAL_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define DB_FILE           "journal.db"
#define DB_APPLICATION_ID 0x53544e43 /* "STNC" */
#define DB_VERSION        1
#define DB_WAL_SIZE       (4 << 20) /* bytes on disk before they are needed */
#define DB_CHUNK          (1 << 20)
#define DB_WAL_HIGH       256 /* pages; more than that in the log at close: moved into the file */

enum db_how {
	DB_WRITE,  /* creates */
	DB_READ,   /* an existing one, with locks */
	DB_LOOK,   /* an existing one, no lock, no write: a copy, a read-only place */
	DB_MEMORY, /* dir is not used */
};

/* -ENOENT, -EBADMSG (not ours, damaged), -EACCES, -EROFS, -ENOSPC, -EIO, …
 * DB_WRITE where there is no journal begins one beside its place, without a sync; its first
 * db_commit gives it its name. Until then nobody else sees it, and closing it removes it. */
int db_open(const char *dir, enum db_how how, sqlite3 **ret, struct err *e);
/* Commits. When this returns 0 the transaction is on disk, and *db may be another handle, or NULL
 * when the file that was just named could not be opened again. */
int db_commit(const char *dir, sqlite3 **db, int *log_pages, struct err *e);
/* A journal that was finished but whose name did not reach the disk before the power went. Opens it
 * for looking into; db_adopt then closes it and gives it its name, or removes it. -ENOENT: none. */
int db_open_finished(const char *dir, sqlite3 **ret, struct err *e);
int db_adopt(const char *dir, sqlite3 *db, bool good, struct err *e);
/* From now on *pages says how long the log is after each commit. */
void db_watch_log(sqlite3 *db, int *pages);
/* Moves the log into the file when it is long; failing to is no harm. Takes NULL. */
void db_close(sqlite3 *db, int pages_in_log);

/* -errno for what SQLite said last, with a sentence. */
int db_error(sqlite3 *db, int rc, struct err *e);

/* One statement. args: one letter each: 'i' int64_t, 't' const char * (NULL: null), 'b' const void
 * *, size_t. */
int db_run(sqlite3 *db, struct err *e, const char *sql, const char *args, ...);
/* The same for reading; step it with db_step, then sqlite3_finalize. */
int db_query(sqlite3 *db, sqlite3_stmt **ret, struct err *e, const char *sql, const char *args,
             ...);
/* 1: a row, 0: the end, -errno. */
int db_step(sqlite3_stmt *s, struct err *e);
/* One number; *ret untouched when there is no row. */
int db_number(sqlite3 *db, int64_t *ret, struct err *e, const char *sql, const char *args, ...);

/* "" instead of NULL. */
const char *db_text(sqlite3_stmt *s, int column);

#define _cleanup_stmt_ __attribute__((cleanup(db_stmtp)))
void db_stmtp(sqlite3_stmt *const *s);

#endif
