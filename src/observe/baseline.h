/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What was usual: for each program and destination, since when, on how many days, and the most it
 * sent there in a day. Kept across reboots in a bounded file.
 *
 * A program is the path of its executable ("" unknown), a destination its registered domain when
 * its name is certain, else its address. Only a SHA-256 of both (128 bits of it) is kept. The file
 * is written to a temporary name, synced and renamed. It lies on a host that someone else may own:
 * the reader checks every length and number, and its checksum finds accidents, not an enemy.
 */
#ifndef STANCH_OBSERVE_BASELINE_H
#define STANCH_OBSERVE_BASELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

#define BASELINE_MAX      16384u /* entries; then the one that was not used for longest goes */
#define BASELINE_FILE_MAX (64u + BASELINE_MAX * 48u)

struct baseline;

struct usual {
	usec_t first, last; /* to the day, wall */
	unsigned days;      /* on which it was seen */
	uint64_t day_bytes; /* the most sent in one day, the present one left out */
};

int baseline_new(size_t max, struct baseline **ret); /* 0: BASELINE_MAX; empty; -ENOMEM */
void baseline_free(struct baseline *b);              /* takes NULL */
/* Frozen: baseline_seen does nothing. Kept in the file. */
void baseline_freeze(struct baseline *b, bool frozen);
bool baseline_frozen(const struct baseline *b);
size_t baseline_count(const struct baseline *b);
uint64_t baseline_evicted(const struct baseline *b);

/* Bytes are those since the last call for the same pair. when: wall; times before the last day that
 * the pair was seen on count for that day. */
void baseline_seen(struct baseline *b, const char *exe, const char *where, usec_t when,
                   uint64_t bytes);
/* false: not before the day of `when`. */
bool baseline_usual(const struct baseline *b, const char *exe, const char *where, usec_t when,
                    struct usual *ret);

int baseline_encode(const struct baseline *b, struct buf *ret);
/* Replaces what b has; b is untouched on failure. -EBADMSG says what is wrong. */
int baseline_decode(struct baseline *b, const void *bytes, size_t n, struct err *e);

/* -ENOENT: there is no such file (nothing is known yet); -EBADMSG; -errno. */
int baseline_load(struct baseline *b, const char *path, struct err *e);
/* Writes path.tmp, syncs and renames it. -errno. */
int baseline_save(const struct baseline *b, const char *path, struct err *e);

#endif
