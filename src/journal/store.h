/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside the journal: the open journal, staging entries, falling back to /run. */
#ifndef STANCH_JOURNAL_STORE_H
#define STANCH_JOURNAL_STORE_H

#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>

#include "base/buf.h"
#include "journal/chain.h"
#include "journal/journal.h"
#include "seal/key.h"

#define STORE_LOCK_WAIT_MS 10000
#define STORE_NOTES_MAX    8192
#define STORE_RUN_DIR      "/run/stanch"
/* Ids of orders in a fallback that could not read the main journal start here, so that they do not
 * meet those of the main journal later. */
#define STORE_STRANDED_ID 1001

/* One entry of the transaction at hand, kept until it is on disk, to be said again elsewhere. */
struct staged {
	char *incident, *kind, *subject, *body;
	int64_t wall;
};

/* A place for a journal that is open: its files, lock and key. */
struct store {
	sqlite3 *db;
	struct seal_key *key; /* NULL: only read */
	int lock;             /* -1: none */
	char dir[PATH_MAX];   /* "": memory */
	int *log_pages;       /* owned; SQLite counts in it */
	struct tip tip;
};

struct journal {
	enum journal_mode mode;
	char dir[PATH_MAX], run_dir[64];
	struct store at;
	bool on_fallback, in_transaction;
	bool saw_fallback;     /* one stood under /run when this was opened */
	struct tip tip_before; /* at begin */
	struct staged *staged;
	size_t n_staged;
	unsigned first_order;
	char incident[INCIDENT_ID_MAX]; /* chosen for this process; "" none */
	char degraded[DEGRADED_TEXT];
	struct buf notes;
};

/* Makes dir (mode 0700) if absent and refuses one that others could write. */
int store_dir(const char *dir, bool create, struct err *e);
/* Opens dir for writing: lock, database, key, and checks that the tip is signed. */
int store_open(const char *dir, struct store *ret, struct err *e);
int store_open_memory(struct store *ret, struct err *e);
void store_close(struct store *s);
/* As db_commit, of what was begun with BEGIN IMMEDIATE. */
int store_commit(struct store *s, struct err *e);

/* Puts one entry into the open transaction, or into one of its own. With JOURNAL_CUT a failure of
 * the place makes the journal move under /run and say it there. */
int store_emit(struct journal *j, const char *kind, const char *subject, const char *body,
               struct err *e);
/* As store_emit, with a body from a codec: NULL is -ENOMEM; frees it. */
int store_emit_owned(struct journal *j, const char *kind, const char *subject, char *body,
                     struct err *e);
/* Runs a reading operation; with JOURNAL_CUT once more under /run when the place fails. */
int store_read(struct journal *j, int (*op)(struct journal *, void *arg, struct err *e), void *arg,
               struct err *e);

/* fallback.c */
/* Moves the journal under /run (or into memory), says the staged entries again there. */
int fallback_enter(struct journal *j, const struct err *why, struct err *e);
bool fallback_exists(const struct journal *j);
/* Takes what stands under /run over into j (on its main files, or in memory for reading); removes
 * it when `remove`. */
int fallback_take_over(struct journal *j, bool remove, struct err *e);
/* Copies a checked chain; -EBADMSG where it breaks. */
int fallback_copy(sqlite3 *from, struct store *to, struct err *e);
/* "/run/stanch/" + first 16 digits of SHA-256 of the absolute path. */
int fallback_dir(const char *state_dir, char *dst, size_t n, struct err *e);

#endif
