/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bundle of one evidence on disk: TO/INCIDENT/eN, a BagIt bag (RFC 8493).
 *
 *   data/…                   what was taken, and log.jsonl: every action with its time
 *   bagit.txt bag-info.txt   BagIt's own
 *   manifest-sha256.txt      of data/, as sha256sum -c reads it
 *   manifest.json            every file above with size and hash, what it is about, a Merkle root
 *   manifest.sig key.pub     Ed25519 over manifest.json, and the key
 *   manifest.tsq             a time stamp request (RFC 3161) over manifest.json, to be sent later
 *   tagmanifest-sha256.txt   of all the files beside data/
 *
 * Invariants
 *  1. Without manifest.json the evidence is unfinished; manifest.json comes last but for the files
 *     that are made from it, each beside its place, synced, then renamed.
 *  2. Folders are made 0700 and files 0600; nothing that stands there already is followed or
 *     overwritten.
 *  3. One process at a time writes into a bundle (flock).
 */
#ifndef STANCH_ACQUIRE_BUNDLE_H
#define STANCH_ACQUIRE_BUNDLE_H

#include "model/capture_ops.h"
#include "model/evidence.h"
#include "seal/key.h"

#define BUNDLE_MANIFEST "manifest.json"
#define BUNDLE_LOG      "log.jsonl"

struct bundle;

/* Makes TO (its last part only), TO/INCIDENT and in it eID. place gets the absolute path. */
int bundle_create(const char *to, const char *incident, unsigned id, struct bundle **ret,
                  char place[static EVIDENCE_PATH_MAX], struct err *e);
/* An unfinished one, to go on with. -EALREADY: it has its manifest; -EBUSY: another works on it. */
int bundle_reopen(const char *place, struct bundle **ret, struct err *e);
void bundle_close(struct bundle *b); /* takes NULL; removes nothing */

struct capture_sink *bundle_sink(struct bundle *b);
void bundle_on_progress(struct bundle *b,
                        void (*cb)(void *arg, const char *doing, uint64_t done, uint64_t total),
                        void *arg);

struct bundle_about {
	const struct evidence *evidence;
	const char *incident, *version, *journal_head;
	json_t *previous; /* array of {"evidence", "manifest", "place"} of the same incident */
};
/* Writes all that stands beside data/. Fills manifest and root (hex), and the number of files. */
int bundle_finish(struct bundle *b, const struct bundle_about *about, const struct seal_key *key,
                  char manifest[static EVIDENCE_HEX_MAX], char root[static EVIDENCE_HEX_MAX],
                  uint64_t *ret_files, struct err *e);

#endif
