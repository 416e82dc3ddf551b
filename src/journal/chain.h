/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The hash chain. hash = SHA-256("stanch-entry-1" ‖ be64 seq ‖ be64 wall ‖ incident ‖ kind ‖
 * subject ‖ body ‖ prev), each text preceded by its length in four bytes, prev 32 bytes (zeros for
 * the first). The head's signature is Ed25519 over "stanch-head-1" ‖ be64 seq ‖ hash.
 */
#ifndef STANCH_JOURNAL_CHAIN_H
#define STANCH_JOURNAL_CHAIN_H

#include <sqlite3.h>
#include <stdint.h>

#include "base/err.h"
#include "seal/key.h"
#include "seal/sha256.h"

/* The last entry; seq 0 and zeros before the first. */
struct tip {
	uint64_t seq;
	uint8_t hash[SHA256_LEN];
};

struct row {
	uint64_t seq;
	int64_t wall;
	const char *incident, *kind, *subject, *body; /* as long as the statement stands still */
	uint8_t prev[SHA256_LEN], hash[SHA256_LEN];
};

int chain_hash(const struct row *r, uint8_t ret[static SHA256_LEN]);
/* Puts r behind *tip: fills seq, prev and hash, inserts it, derives the views, moves *tip. */
int chain_append(sqlite3 *db, struct tip *tip, struct row *r, struct err *e);

/* All entries from seq `from`, in order. */
#define CHAIN_SELECT                                                                               \
	"SELECT seq, wall, incident, kind, subject, body, prev, hash FROM main.entries "           \
	"WHERE seq >= ?1 ORDER BY seq"
/* Reads a row of CHAIN_SELECT; -EBADMSG when a hash has not 32 bytes. */
int chain_row(sqlite3_stmt *s, struct row *ret, struct err *e);
/* Is r what follows *tip? Moves *tip when it is; else -EBADMSG with the reason. */
int chain_check(struct tip *tip, const struct row *r, struct err *e);

int head_write(sqlite3 *db, const struct tip *t, const struct seal_key *k, struct err *e);
/* -EBADMSG: head and last entry differ, or (k not NULL) the signature is not k's. An empty journal
 * has no head. */
int head_check(sqlite3 *db, const struct tip *t, const struct seal_key *k, struct err *e);
/* The last entry, checked against its own hash but not against the rest of the chain. */
int chain_tip(sqlite3 *db, struct tip *ret, struct err *e);

#endif
