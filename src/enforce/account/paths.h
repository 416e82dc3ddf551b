/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Paths that somebody else may change while they are walked. `root` is an opened directory, "/" of
 * the host; paths are absolute from it.
 */
#ifndef STANCH_ENFORCE_ACCOUNT_PATHS_H
#define STANCH_ENFORCE_ACCOUNT_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define PATHS_MAX 1024

/* What has to be moved so that nothing is found at `path` any more: the path itself, or the first
 * link on the way that is not root's, which its owner could turn elsewhere. Links of root's are
 * followed. *ret has no links, no "." and no "..", but in its last component. -ENOENT: nothing is
 * there. */
int path_resolve(int root, const char *path, char ret[static PATHS_MAX], struct err *e);
/* Absolute, no empty, "." or ".." component, shorter than PATHS_MAX? Pure. */
bool path_ok(const char *path);

/* Opens what path_ok names, following no link at all. flags as for open(2). -1 and errno. */
int path_open(int root, const char *path, int flags);
/* Opens the folder that it lies in; *ret_name points at its last component. */
int path_parent(int root, const char *path, const char **ret_name);

/* The outermost folder that lies in the same mount as the folder of `path`: what is renamed from
 * one to the other is not copied. */
int path_mount_top(int root, const char *path, char ret[static PATHS_MAX], struct err *e);
/* Do the folders that hold a and b lie in one mount? */
bool path_same_mount(int root, const char *a, const char *b);

/* Names in a folder, without "." and ".."; false from cb ends it. At most max are given; -E2BIG
 * when there are more. Absent is success. */
int path_list(int root, const char *path, size_t max,
              bool (*cb)(void *arg, int dir, const char *name), void *arg, struct err *e);
/* A plain file's bytes, at most max; -ENOENT, … as file_read. Links are not followed. */
int path_read(int root, const char *path, size_t max, struct buf *ret, struct err *e);

#endif
