/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Careful changes of configuration files: whole or not at all, and only of what was seen.
 *
 * Everything is named relative to an opened directory, its last component is never followed when it
 * is a link, and nothing that is not a plain file is waited for. A file is replaced by a complete
 * one beside it with the same owner, mode, labels, access lists and chattr(1) flags; on failure the
 * old one stands as it was, and nothing is left beside it. Flags that forbid a change (immutable,
 * append-only) are lifted for its moment and set again: an intruder sets them, too.
 */
#ifndef STANCH_ENFORCE_ACCOUNT_REWRITE_H
#define STANCH_ENFORCE_ACCOUNT_REWRITE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"

#define REWRITE_MAX    (16u << 20)
#define REWRITE_SUFFIX ".stanch-new" /* of the file beside, should a process die over it */

/* A file as it was read. */
struct file_image {
	struct buf bytes;
	struct stat st;
	unsigned flags; /* FS_IOC_GETFLAGS; 0 where the file system keeps none */
};

/* -ENOENT; -ELOOP: it is a link; -EINVAL: no plain file; -EFBIG: more than max bytes; -ESTALE: it
 * changed while it was read. */
int file_read(int dir, const char *name, size_t max, struct file_image *ret, struct err *e);
void file_image_free(struct file_image *f); /* takes NULL */

/* Puts n bytes in the place of what `seen` says; mtime NULL: now. -ESTALE: the file is not as seen
 * any more. -EROFS, -ENOSPC, -EPERM, … with the cause named. */
int file_swap(int dir, const char *name, const struct file_image *seen, const void *bytes, size_t n,
              const struct timespec *mtime, struct err *e);
/* Makes a new file of root's. -EEXIST: something has that name. */
int file_create(int dir, const char *name, const void *bytes, size_t n, mode_t mode, struct err *e);
/* Removes a file of exactly these bytes; absent is success. -ESTALE: it holds something else. */
int file_remove(int dir, const char *name, const void *bytes, size_t n, struct err *e);

/* Takes away what a process that died over file_swap left beside; only under the file's lock. */
void file_clear(int dir, const char *name);

/* Renames, whatever flags the file bears (they go along). -EEXIST: `to` is taken. -EXDEV. */
int file_move(int from_dir, const char *from, int to_dir, const char *to, struct err *e);

/* Why nothing can be renamed in this directory: -EROFS, -EPERM (its flags, named); 0. */
int dir_writable(int dir, const char *shown, struct err *e);

#endif
