/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/account/rewrite.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/sys.h"

#define FORBIDDING ((unsigned)(FS_IMMUTABLE_FL | FS_APPEND_FL))
#define XATTRS_MAX (64u << 10)
#define READ_CHUNK (64u << 10)
#define BESIDE_MAX 256
#define OPEN_PLAIN (O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

static int fail(struct err *e, const char *what, const char *name)
{
	int code = -errno;
	const char *why = code == -EPERM    ? "no permission, or flags of chattr(1) forbid it"
	                  : code == -EROFS  ? "its file system is read-only"
	                  : code == -ENOSPC ? "its file system is full"
	                  : code == -EDQUOT ? "a quota is used up"
	                                    : strerror(-code);
	return err_set(e, code, "%s of %s: %s", what, name, why);
}

/* --- flags --- */

static unsigned flags_of(int fd)
{
	int flags = 0;
	return sys->ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 ? (unsigned)flags : 0;
}

static int flags_set(int fd, unsigned flags)
{
	int v = (int)flags;
	return sys->ioctl(fd, FS_IOC_SETFLAGS, &v);
}

static int open_plain(int dir, const char *name)
{
	int fd = sys->openat(dir, name, O_RDONLY | O_NOATIME | OPEN_PLAIN, 0);
	return fd < 0 && errno == EPERM ? sys->openat(dir, name, O_RDONLY | OPEN_PLAIN, 0) : fd;
}

/* --- reading --- */

static int read_all(int fd, const char *name, size_t max, struct buf *b, struct err *e)
{
	_cleanup_free_ char *chunk = malloc(READ_CHUNK);
	if (!chunk)
		return err_set(e, -ENOMEM, "out of memory while reading %s", name);
	for (;;) {
		ssize_t n = sys->read(fd, chunk, READ_CHUNK);
		if (n < 0)
			return fail(e, "reading", name);
		if (n == 0)
			return 0;
		if (b->len + (size_t)n > max)
			return err_set(e, -EFBIG, "%s has more than %zu bytes", name, max);
		if (buf_add(b, chunk, (size_t)n) < 0)
			return err_set(e, -ENOMEM, "out of memory while reading %s", name);
	}
}

static bool same_state(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int read_plain(int fd, const char *name, size_t max, struct file_image *f, struct err *e)
{
	struct stat after;
	if (fstat(fd, &f->st) < 0)
		return fail(e, "looking at", name);
	if (!S_ISREG(f->st.st_mode))
		return err_set(e, -EINVAL, "%s is no plain file", name);
	f->bytes = BUF_INIT(max + 1);
	int r = read_all(fd, name, max, &f->bytes, e);
	if (r < 0)
		return r;
	if (fstat(fd, &after) < 0)
		return fail(e, "looking at", name);
	f->flags = flags_of(fd);
	return same_state(&f->st, &after)
	           ? 0
	           : err_set(e, -ESTALE, "%s changed while it was read; try again", name);
}

int file_read(int dir, const char *name, size_t max, struct file_image *ret, struct err *e)
{
	struct file_image f = {0};
	_cleanup_close_ int fd = open_plain(dir, name);
	if (fd < 0 && errno == ELOOP)
		return err_set(e, -ELOOP, "%s is a link", name);
	if (fd < 0)
		return fail(e, "opening", name);
	int r = read_plain(fd, name, max, &f, e);
	if (r < 0)
		file_image_free(&f);
	else
		*ret = f;
	return r;
}

void file_image_free(struct file_image *f)
{
	if (f)
		buf_free(&f->bytes);
}

/* --- replacing --- */

static int copy_xattr(int from, int to, const char *name)
{
	_cleanup_free_ char *value = malloc(XATTRS_MAX);
	ssize_t n = value ? fgetxattr(from, name, value, XATTRS_MAX) : -1;
	return n < 0 ? -1 : sys->fsetxattr(to, name, value, (size_t)n, 0);
}

/* Security labels and access lists among them. */
static int copy_xattrs(int from, int to)
{
	_cleanup_free_ char *names = malloc(XATTRS_MAX);
	ssize_t n = names ? flistxattr(from, names, XATTRS_MAX) : -1;
	if (n < 0)
		return names && errno == EOPNOTSUPP ? 0 : -1;
	for (const char *x = names; x < names + n; x += strlen(x) + 1)
		if (copy_xattr(from, to, x) < 0)
			return -1;
	return 0;
}

static int dress(int fd, int like, const struct stat *st, const struct timespec *mtime)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
	                                  mtime ? *mtime : (struct timespec){0}};
	if (sys->fchown(fd, st->st_uid, st->st_gid) < 0)
		return -1;
	if (sys->fchmod(fd, st->st_mode & 07777) < 0 || copy_xattrs(like, fd) < 0)
		return -1;
	if (mtime && sys->futimens(fd, times) < 0)
		return -1;
	return sys->fsync(fd);
}

static int beside(char dst[static BESIDE_MAX], const char *name, struct err *e)
{
	int n = snprintf(dst, BESIDE_MAX, ".%s" REWRITE_SUFFIX, name);
	return n < BESIDE_MAX ? 0 : err_set(e, -ENAMETOOLONG, "%.60s…: the name is too long", name);
}

void file_clear(int dir, const char *name)
{
	char temp[BESIDE_MAX];
	if (beside(temp, name, NULL) == 0)
		sys->unlinkat(dir, temp, 0);
}

static int create_beside(int dir, const char *temp)
{
	if (sys->unlinkat(dir, temp, 0) < 0 && errno != ENOENT)
		return -1;
	return sys->openat(dir, temp, O_CREAT | O_EXCL | O_WRONLY | OPEN_PLAIN, 0600);
}

static int check_seen(int dir, const char *name, const struct file_image *seen, int *ret_fd,
                      struct err *e)
{
	struct stat now;
	int fd = open_plain(dir, name);
	if (fd < 0)
		return fail(e, "opening", name);
	if (fstat(fd, &now) < 0 || !same_state(&now, &seen->st)) {
		sys->close(fd);
		return err_set(
		    e, -ESTALE,
		    "%s was changed by somebody else meanwhile; nothing was written, try "
		    "again",
		    name);
	}
	*ret_fd = fd;
	return 0;
}

/* Renames the finished file over the old one, whose flags the new one takes over. */
static int put_in_place(int dir, const char *temp, int fd, const char *name, int old,
                        unsigned flags)
{
	if (flags & FORBIDDING && flags_set(old, flags & ~FORBIDDING) < 0)
		return -1;
	if (sys->renameat2(dir, temp, dir, name, 0) < 0) {
		int code = errno;
		if (flags & FORBIDDING)
			flags_set(old, flags);
		errno = code;
		return -1;
	}
	/* The new bytes stand. A flag that cannot be set costs the flag. */
	if (flags)
		flags_set(fd, flags);
	sys->fsync(dir);
	return 0;
}

int file_swap(int dir, const char *name, const struct file_image *seen, const void *bytes, size_t n,
              const struct timespec *mtime, struct err *e)
{
	char temp[BESIDE_MAX];
	_cleanup_close_ int fd = -1;
	_cleanup_close_ int old = -1;
	int r = beside(temp, name, e);
	if (r == 0)
		r = check_seen(dir, name, seen, &old, e);
	if (r < 0)
		return r;
	fd = create_beside(dir, temp);
	if (fd < 0)
		return fail(e, "making a new copy", name);
	if (sys_write_all(fd, bytes, n) < 0 || dress(fd, old, &seen->st, mtime) < 0)
		r = fail(e, "writing a new copy", name);
	sys->mark("account:written");
	_cleanup_close_ int again = -1;
	if (r == 0)
		r = check_seen(dir, name, seen, &again, e);
	if (r == 0 && put_in_place(dir, temp, fd, name, old, seen->flags) < 0)
		r = fail(e, "replacing", name);
	if (r < 0)
		sys->unlinkat(dir, temp, 0);
	else
		sys->mark("account:replaced");
	return r;
}

int file_create(int dir, const char *name, const void *bytes, size_t n, mode_t mode, struct err *e)
{
	char temp[BESIDE_MAX];
	int r = beside(temp, name, e);
	if (r < 0)
		return r;
	_cleanup_close_ int fd = create_beside(dir, temp);
	if (fd < 0)
		return fail(e, "making", name);
	if (sys_write_all(fd, bytes, n) < 0 || sys->fchmod(fd, mode) < 0 || sys->fsync(fd) < 0)
		r = fail(e, "writing", name);
	if (r == 0 && sys->renameat2(dir, temp, dir, name, RENAME_NOREPLACE) < 0)
		r = fail(e, "making", name);
	if (r < 0)
		sys->unlinkat(dir, temp, 0);
	else
		sys->fsync(dir);
	return r;
}

int file_remove(int dir, const char *name, const void *bytes, size_t n, struct err *e)
{
	struct file_image f = {0};
	int r = file_read(dir, name, n + 1, &f, e);
	if (r == -ENOENT)
		return 0;
	if (r == -EFBIG ||
	    (r == 0 && (f.bytes.len != n || (n && memcmp(f.bytes.data, bytes, n) != 0))))
		r = err_set(e, -ESTALE, "%s was changed by somebody else and is left as it is",
		            name);
	if (r == 0 && sys->unlinkat(dir, name, 0) < 0 && errno != ENOENT)
		r = fail(e, "removing", name);
	if (r == 0)
		sys->fsync(dir);
	file_image_free(&f);
	return r;
}

int file_move(int from_dir, const char *from, int to_dir, const char *to, struct err *e)
{
	struct stat st;
	_cleanup_close_ int fd = -1;
	if (fstatat(from_dir, from, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(e, "looking at", from);
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		fd = open_plain(from_dir, from);
	unsigned flags = fd >= 0 ? flags_of(fd) : 0;
	if (flags & FORBIDDING && flags_set(fd, flags & ~FORBIDDING) < 0)
		return fail(e, "lifting the flags", from);
	int r = sys->renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE);
	if (r < 0)
		r = fail(e, "moving", from);
	if (flags & FORBIDDING)
		flags_set(fd, flags);
	if (r == 0) {
		sys->fsync(from_dir);
		sys->fsync(to_dir);
	}
	return r;
}

int dir_writable(int dir, const char *shown, struct err *e)
{
	struct statvfs v;
	if (fstatvfs(dir, &v) < 0)
		return fail(e, "looking at", shown);
	if (v.f_flag & ST_RDONLY)
		return err_set(e, -EROFS,
		               "%s is read-only: mount it writable first (mount -o "
		               "remount,rw)",
		               shown);
	if (flags_of(dir) & FORBIDDING)
		return err_set(e, -EPERM,
		               "%s is marked immutable or append-only: chattr -i -a %s "
		               "first",
		               shown, shown);
	return 0;
}
