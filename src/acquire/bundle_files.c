/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "acquire/bundle_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"

#define READ_BYTES (1u << 20)

const char bagit_text[] = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";

/* A FIFO or a device that took the place of a file must neither hold nor wind us up. */
static int open_regular(int dir, const char *name, uint64_t *ret_size)
{
	struct stat st;
	int fd =
	    sys->openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int r = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	if (r < 0) {
		sys->close(fd);
		return r;
	}
	*ret_size = (uint64_t)st.st_size;
	return fd;
}

int file_hash(int dir, const char *name, uint8_t ret[static SHA256_LEN], uint64_t *ret_size)
{
	struct sha256 h;
	uint64_t size, done = 0;
	_cleanup_close_ int fd = open_regular(dir, name, &size);
	if (fd < 0)
		return fd;
	_cleanup_free_ uint8_t *b = malloc(READ_BYTES);
	if (!b)
		return -ENOMEM;
	sha256_begin(&h);
	posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	ssize_t n;
	while ((n = sys->read(fd, b, READ_BYTES)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		sha256_add(&h, b, (size_t)n);
		done += (uint64_t)n;
	}
	int failed = n < 0 ? -errno : 0;
	int r = sha256_end(&h, ret);
	*ret_size = done;
	return failed ? failed : r;
}

int file_slurp(int dir, const char *name, struct buf *out)
{
	uint8_t piece[4096];
	uint64_t size;
	_cleanup_close_ int fd = open_regular(dir, name, &size);
	if (fd < 0)
		return fd;
	for (;;) {
		ssize_t n = sys->read(fd, piece, sizeof piece);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : out->error;
		int r = buf_add(out, piece, (size_t)n);
		if (r)
			return r;
	}
}

static int put(int dir, const char *name, const void *bytes, size_t n, bool replace, struct err *e)
{
	char temporary[300];
	snprintf(temporary, sizeof temporary, "%s.new", name);
	unlinkat(dir, temporary, 0); /* of a run that died here */
	int fd =
	    sys->openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : sys_write_all(fd, bytes, n);
	if (!r && sys->fsync(fd) < 0)
		r = -errno;
	if (fd >= 0 && sys->close(fd) < 0 && !r)
		r = -errno;
	/* Some file systems have no RENAME_NOREPLACE. */
	if (!r && !replace && faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		r = -EEXIST;
	if (!r && renameat(dir, temporary, dir, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dir, temporary, 0);
		return err_set(e, r, "%s cannot be written into the bundle: %s", name,
		               strerror(-r));
	}
	return 0;
}

int file_put(int dir, const char *name, const void *bytes, size_t n, struct err *e)
{
	return put(dir, name, bytes, n, false, e);
}

int file_replace(int dir, const char *name, const void *bytes, size_t n, struct err *e)
{
	return put(dir, name, bytes, n, true, e);
}
