/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tree of cgroups below the unified hierarchy's root (cgroup2_open), and who is in it.
 *
 * A path is absolute from that root, "/" itself or "/a/b"; no empty, "." or ".." component. Names
 * in it may hold any byte but '/': clean them before a person sees them (proc_clean). An id is the
 * inode of the cgroup's folder: never used twice within a boot.
 */
#ifndef STANCH_KERN_CGTREE_H
#define STANCH_KERN_CGTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CGTREE_PATH_MAX  1024
#define CGTREE_DEPTH_MAX 32
#define CGTREE_MAX       65536 /* cgroups of one walk */
#define CGTREE_PIDS_MAX  (1u << 20)

/* Is it such a path, and shorter than CGTREE_PATH_MAX? Pure. */
bool cgtree_path_ok(const char *path);
/* Is path the cgroup `top`, or below it? Pure. */
bool cgtree_below(const char *path, const char *top);
/* The last component; "" of the root. Pure. */
const char *cgtree_name(const char *path);

/* Where a process is, from the unified line of its cgroup file. -ESRCH: gone; -ENOENT: no such
 * line, or its cgroup was removed; -ENAMETOOLONG. */
int cgtree_path_of(int pid, char dst[static CGTREE_PATH_MAX]);
/* Opens a cgroup's folder without following links. ret_id may be NULL. -ENOENT: there is none. */
int cgtree_open(int root, const char *path, int *ret_fd, uint64_t *ret_id, struct err *e);

enum cgtree_next { CGTREE_DEEPER, CGTREE_SKIP, CGTREE_STOP };
/* Visits `from` and every cgroup below it, each before its children; fd is closed after the call.
 */
typedef enum cgtree_next (*cgtree_fn)(void *arg, int fd, const char *path, uint64_t id);
/* -E2BIG: more than CGTREE_MAX, or deeper than CGTREE_DEPTH_MAX. A cgroup that goes meanwhile is
 * passed over. */
int cgtree_walk(int root, const char *from, cgtree_fn cb, void *arg, struct err *e);

/* The processes of one cgroup, without those below it; malloc'd. -EOPNOTSUPP: it holds threads
 * only. */
int cgtree_pids(int fd, int **ret, size_t *ret_n, struct err *e);
/* Moves a process there. -ESRCH: gone. */
int cgtree_move(int fd, int pid, struct err *e);
/* Makes a cgroup below that one; one that is there already is success. */
int cgtree_make(int fd, const char *name, struct err *e);
/* Freezes one with all below it, or thaws it; asked is not done: see cgtree_frozen. */
int cgtree_freeze(int fd, bool on, struct err *e);
/* Is it frozen to the last thread (0), is that only asked for (-EINPROGRESS), or is it not even
 * that (-ENOENT)? Waits at most so long for the first. */
int cgtree_frozen(int fd, unsigned wait_ms, struct err *e);
/* Ends every process in it and below with SIGKILL, frozen or not, and waits at most so long until
 * the last is gone. -ETIME: one is not; -EOPNOTSUPP: no cgroup.kill (Linux 5.14). */
int cgtree_kill(int fd, unsigned wait_ms, struct err *e);
/* Removes one; absent is success. -EBUSY: it is not empty. */
int cgtree_remove(int fd, const char *name, struct err *e);

#endif
