/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "acquire/hostfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/sys.h"

#define BLOCK (64u << 10)

int hostfile_open(int dir, const char *path, bool follow)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	char self[40];
	struct stat st;
	/* A path descriptor first, since opening a device may do something; then the very same file
	 * by it. */
	_cleanup_close_ int place =
	    sys->openat(dir, path, O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW), 0);
	if (place < 0)
		return -errno;
	if (fstat(place, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENXIO;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", place);
	int fd = sys->open(self, flags | O_NOATIME, 0);
	if (fd < 0 && errno == EPERM)
		fd = sys->open(self, flags, 0);
	return fd < 0 ? -errno : fd;
}

static ssize_t read_some(int fd, void *dst, size_t n)
{
	ssize_t r;
	do
		r = sys->read(fd, dst, n);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

int hostfile_copy_fd(struct capture_sink *s, int fd, const char *name, uint64_t max,
                     struct hostfile *ret, struct err *e)
{
	struct capture_file *f = NULL;
	struct hostfile done = {0};
	uint8_t block[BLOCK];
	int r = s->ops->begin(s, name, &f, e);
	if (r < 0)
		return r;
	for (;;) {
		size_t most = max - done.bytes < BLOCK ? (size_t)(max - done.bytes) : BLOCK;
		/* One byte more than allowed tells whether there is more. */
		ssize_t n = read_some(fd, block, most ? most : 1);
		if (n <= 0 || !most) {
			done.cut = n != 0;
			done.error = n < 0 ? (int)n : 0;
			break;
		}
		r = s->ops->write(f, block, (size_t)n, e);
		if (r < 0) {
			s->ops->drop(f, true);
			return r;
		}
		done.bytes += (uint64_t)n;
	}
	r = s->ops->end(f, e);
	if (r == 0)
		*ret = done;
	return r;
}

int hostfile_copy(struct capture_sink *s, int dir, const char *path, const char *name, uint64_t max,
                  struct hostfile *ret, struct err *e)
{
	_cleanup_close_ int fd = hostfile_open(dir, path, false);
	return fd < 0 ? fd : hostfile_copy_fd(s, fd, name, max, ret, e);
}

int hostfile_read(int dir, const char *path, struct buf *dst)
{
	_cleanup_close_ int fd = hostfile_open(dir, path, false);
	uint8_t block[16384];
	ssize_t n;
	if (fd < 0)
		return fd;
	while ((n = read_some(fd, block, sizeof(block))) > 0) {
		size_t room = dst->max - dst->len;
		if (buf_add(dst, block, (size_t)n < room ? (size_t)n : room) < 0)
			return dst->error;
		if ((size_t)n > room)
			return -EMSGSIZE;
	}
	return (int)n;
}
