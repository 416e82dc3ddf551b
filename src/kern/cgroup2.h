/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The unified cgroup hierarchy. */
#ifndef STANCH_KERN_CGROUP2_H
#define STANCH_KERN_CGROUP2_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Opens the hierarchy's topmost directory that can be had: of a mount that is there, else of a
 * mount of our own that nobody sees and that goes with *ret_fd. *ret_whole: it is the root of the
 * whole system, and not of a cgroup namespace. -ENOENT: the kernel has none, or no right to mount.
 * The caller closes. */
int cgroup2_open(int *ret_fd, bool *ret_whole, struct err *e);

/* Where a line of /proc/PID/mountinfo (proc(5)) mounts the hierarchy's top; false: something else,
 * a part of it, or longer than dst. Pure. */
bool cgroup2_mount_of(const char *line, char *dst, size_t n);

#endif
