/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The journal: what was ordered, planned, done, seen and undone, in an append-only hash chain
 * kept by SQLite (WAL, synchronous FULL), the head signed with this state directory's key.
 *
 * Invariants
 *  1. Every change is an entry (seq, wall time, kind, subject, body, prev hash, hash). The tables
 *     orders, steps, findings, incidents are views of the entries for quick reading; `verify`
 *     derives them again and compares.
 *  2. hash = SHA-256 over a canonical encoding of all fields and the previous hash; the head's hash
 *     is signed (Ed25519) in the same transaction.
 *  3. A transaction is one group of entries and at most one fsync. Nothing is applied at a point
 *     before the transaction that holds its INTENT has come back from the disk.
 *  4. The file is preallocated. Where the disk is full or broken, or the journal does not open, the
 *     caller gets a journal under /run (memory) and `degraded` says so; on a later open with a good
 *     disk its entries are taken over into the main journal and that is an entry, too.
 *  5. What is read back is parsed as untrusted input.
 */
#ifndef STANCH_JOURNAL_JOURNAL_H
#define STANCH_JOURNAL_JOURNAL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "model/evidence.h"
#include "model/finding.h"
#include "model/order.h"
#include "model/step.h"

struct journal;

#define HASH_HEX_MAX    65
#define INCIDENT_ID_MAX 64
#define DEGRADED_TEXT   256

enum journal_mode {
	JOURNAL_READ,  /* never writes; a missing journal is -ENOENT */
	JOURNAL_WRITE, /* creates it; a broken one is moved to no other place, but -EBADMSG */
	JOURNAL_CUT,   /* as WRITE, but never fails for the disk's or journal's sake: falls back */
};

/* state_dir: "/var/lib/stanch". Made with mode 0700 if absent. One writer at a time (waits up to
 * 10 s, then -EBUSY). On success *ret is to be freed by journal_close. */
int journal_open(const char *state_dir, enum journal_mode mode, struct journal **ret,
                 struct err *e);
void journal_close(struct journal *j); /* takes NULL */
/* NULL while on the main file; else a sentence that says where the journal is instead, and why. */
const char *journal_degraded(const struct journal *j);
/* In WRITE mode, too, the journal under /run is used while one stands there that cannot be taken
 * over: what it says is needed to confirm or undo. In READ mode it is laid over the main one. */
/* Sentences about what open had to do (taken over from /run, …), one a line, or NULL. */
const char *journal_notes(const struct journal *j);

/* Opened for reading: is what is read here old, since a journal stands (or stood) under /run, which
 * is read once, at open? Open it anew. */
bool journal_moved(const struct journal *j);
/* A number that is another one whenever somebody else has written. */
int journal_version(struct journal *j, int64_t *ret, struct err *e);

/* A group of changes that reaches the disk together. Between begin and commit, the calls below
 * stage entries; commit returns when they are on disk. In JOURNAL_CUT mode a failing commit falls
 * back to /run and succeeds. */
int journal_begin(struct journal *j, struct err *e);
int journal_commit(struct journal *j, struct err *e);
void journal_rollback(struct journal *j);

/* The incident in use; opens one named by date and host when none is. name (may be NULL): use it.
 */
int journal_incident(struct journal *j, const char *name, char ret[static INCIDENT_ID_MAX],
                     struct err *e);
struct incident {
	char name[INCIDENT_ID_MAX];
	usec_t opened, closed; /* closed 0: open */
	bool in_use;
	unsigned n_orders, n_findings;
};
int journal_incident_new(struct journal *j, const char *name, struct err *e); /* and use it */
int journal_incident_use(struct journal *j, const char *name, struct err *e);
int journal_incident_close(struct journal *j, const char *name, struct err *e);
int journal_incidents(struct journal *j, struct incident **ret, size_t *ret_n, struct err *e);

/* Stores order and steps as they stand. A new order (id 0) gets its id; steps take order_id and
 * seq. Later calls store what changed. */
int journal_put_order(struct journal *j, struct order *o, const struct plan *p, struct err *e);
int journal_put_order_state(struct journal *j, const struct order *o, struct err *e);
int journal_put_step(struct journal *j, const struct step *s, struct err *e);
/* What the engine has begun with an order beyond applying it ("rearm"); "" when it is done. Not
 * part of the order: it says what a process that died left half done. */
int journal_put_pending(struct journal *j, unsigned id, const char *what, struct err *e);
int journal_get_pending(struct journal *j, unsigned id, char ret[static 32], struct err *e);
int journal_put_finding(struct journal *j, struct finding *f, struct err *e); /* gives the id */
/* Evidence as it now stands; a new one (id 0) gets its id. Each call is an entry, the last one of
 * an id is what holds. */
int journal_put_evidence(struct journal *j, struct evidence *v, struct err *e);
/* -ENOENT. ret_incident may be NULL, else INCIDENT_ID_MAX bytes. */
int journal_get_evidence(struct journal *j, unsigned id, struct evidence *ret, char *ret_incident,
                         struct err *e);
/* Ids, ascending; incident NULL: of all. Freed by the caller. */
int journal_list_evidence(struct journal *j, const char *incident, unsigned **ret, size_t *ret_n,
                          struct err *e);
/* Anything else that must not be forgotten: evidence read before it is destroyed, drift, operator's
 * words. body is JSON. */
int journal_note(struct journal *j, const char *kind, const char *subject, const char *body,
                 struct err *e);

/* One order with its plan; -ENOENT. incident may be NULL. Both are to be freed by the caller. */
int journal_get_order(struct journal *j, unsigned id, struct order *ret_o, struct plan *ret_p,
                      char *ret_incident, struct err *e);
/* Ids of orders, ascending; incident NULL: of all; only_open: not UNDONE, FAILED, or cleaned up: in
 * force by its state, or with a step that is not settled (a FAILED order whose undo failed, an
 * EXPIRED one that `widen` keeps). */
int journal_list_orders(struct journal *j, const char *incident, bool only_open, unsigned **ret,
                        size_t *ret_n, struct err *e);
/* Ids of an incident's findings, ascending. */
int journal_list_findings(struct journal *j, const char *incident, unsigned **ret, size_t *ret_n,
                          struct err *e);
int journal_get_finding(struct journal *j, unsigned id, struct finding *ret, struct err *e);

struct journal_entry {
	uint64_t seq;
	usec_t wall;
	const char *kind, *subject, *body, *hash; /* valid during the call */
};
/* Entries in order, from seq `from`. The callback returns 0 to go on, else what it returns. */
int journal_walk(struct journal *j, uint64_t from,
                 int (*cb)(void *arg, const struct journal_entry *), void *arg, struct err *e);

/* "" while empty. */
int journal_head(struct journal *j, char ret[static HASH_HEX_MAX], struct err *e);

struct journal_check {
	uint64_t entries;
	bool intact;       /* chain, signature, views */
	bool head_known;   /* head_hash was given and stands somewhere in the chain */
	uint64_t bad_seq;  /* first entry that does not fit; 0: none */
	char problem[256]; /* sentence; "" when intact and head_hash, if given, is known */
};
/* Reads all of it again. head_hash (may be NULL): a hash that was noted off this host; it must be
 * the hash of an entry, else the chain was made anew. Opens the file by itself and read-only, so it
 * works on a copy and on a broken one. */
int journal_verify(const char *state_dir, const char *head_hash, struct journal_check *ret,
                   struct err *e);

#endif
