/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files of a host that somebody else may own, copied as they are: nothing is opened that could
 * block or be changed by it (no FIFO, no device, no last component that is a link, no access time
 * where the kernel lets us), and nothing is longer than it may be.
 */
#ifndef STANCH_ACQUIRE_HOSTFILE_H
#define STANCH_ACQUIRE_HOSTFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "model/capture_ops.h"

/* A descriptor to read from, or -errno: -ENXIO for what is no regular file. dir: AT_FDCWD, or what
 * a relative path begins at. follow: of the last component, too (links of /proc). */
int hostfile_open(int dir, const char *path, bool follow);

struct hostfile {
	uint64_t bytes;
	bool cut; /* it is longer than max, or reading failed on the way (`error`) */
	int error;
};
/* Copies at most max bytes from fd into the file NAME of the bundle. 0, or the sink's error: a
 * failed read is *ret's alone. */
int hostfile_copy_fd(struct capture_sink *s, int fd, const char *name, uint64_t max,
                     struct hostfile *ret, struct err *e);
/* The same by path. -errno of the open (*e untouched then, nothing was made), or the sink's. */
int hostfile_copy(struct capture_sink *s, int dir, const char *path, const char *name, uint64_t max,
                  struct hostfile *ret, struct err *e);
/* Appends the whole of a small file, up to the buffer's maximum. 0, -errno; -EMSGSIZE: there is
 * more, what fits is in it. */
int hostfile_read(int dir, const char *path, struct buf *dst);

#endif
