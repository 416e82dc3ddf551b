/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names and contents of what stands beside data/ in a bundle: the same when it is written and
 * when it is verified. */
#ifndef STANCH_ACQUIRE_BUNDLE_FILES_H
#define STANCH_ACQUIRE_BUNDLE_FILES_H

#include "base/buf.h"
#include "wire/manifest.h"

#define FILE_SUMS     "manifest-sha256.txt"
#define FILE_TAGSUMS  "tagmanifest-sha256.txt"
#define FILE_SIG      "manifest.sig"
#define FILE_KEY      "key.pub"
#define FILE_TSQ      "manifest.tsq"
#define FILE_TSR      "manifest.tsr" /* the answer to it, if somebody has put it there */
#define FILE_BAGIT    "bagit.txt"
#define FILE_BAG_INFO "bag-info.txt"
#define SMALL_MAX     (1u << 20)

extern const char bagit_text[];

/* SHA-256 and size of a regular file below dir, opened without following links and without
 * blocking. -ELOOP, -EINVAL (no regular file), -errno. */
int file_hash(int dir, const char *name, uint8_t ret[static SHA256_LEN], uint64_t *ret_size);
/* The whole of a regular file of at most out->max bytes. */
int file_slurp(int dir, const char *name, struct buf *out);
/* Writes beside its place, syncs, renames. -EEXIST where the name stands already. */
int file_put(int dir, const char *name, const void *bytes, size_t n, struct err *e);
/* The same over what stands there. */
int file_replace(int dir, const char *name, const void *bytes, size_t n, struct err *e);

#endif
