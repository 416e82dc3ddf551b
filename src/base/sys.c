/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Variadic calls get the one shape that we use. */
static int do_open(const char *path, int flags, mode_t mode)
{
	return open(path, flags, mode);
}

static int do_openat(int dirfd, const char *path, int flags, mode_t mode)
{
	return openat(dirfd, path, flags, mode);
}

static int do_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

static int do_setlk(int fd, struct flock *l)
{
	return fcntl(fd, F_SETLK, l);
}

static long do_bpf(int cmd, union bpf_attr *attr, unsigned size)
{
	return syscall(SYS_bpf, cmd, attr, size);
}

static void do_mark(const char *place)
{
	(void)place;
}

const struct sys_ops sys_kernel = {
    .open = do_open,
    .openat = do_openat,
    .read = read,
    .write = write,
    .pread = pread,
    .pwrite = pwrite,
    .fsync = fsync,
    .fdatasync = fdatasync,
    .ftruncate = ftruncate,
    .fallocate = fallocate,
    .rename = rename,
    .unlink = unlink,
    .mkdir = mkdir,
    .linkat = linkat,
    .unlinkat = unlinkat,
    .mkdirat = mkdirat,
    .renameat2 = renameat2,
    .fchown = fchown,
    .fchmod = fchmod,
    .fsetxattr = fsetxattr,
    .futimens = futimens,
    .setlk = do_setlk,
    .socket = socket,
    .bind = bind,
    .connect = connect,
    .setsockopt = setsockopt,
    .getsockname = getsockname,
    .sendto = sendto,
    .sendmsg = sendmsg,
    .recvmsg = recvmsg,
    .poll = poll,
    .ioctl = do_ioctl,
    .bpf = do_bpf,
    .setns = setns,
    .close = close,
    .mark = do_mark,
};

const struct sys_ops *sys = &sys_kernel;

void sys_closep(const int *fd)
{
	if (*fd >= 0)
		sys->close(*fd);
}

void sys_freep(void *pointer)
{
	free(*(void **)pointer);
}

int sys_write_all(int fd, const void *bytes, size_t n)
{
	for (const char *p = bytes; n;) {
		ssize_t w = sys->write(fd, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w == 0)
			errno = EIO;
		if (w <= 0)
			return -errno;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

ssize_t sys_read_text_at(int dir, const char *name, char *dst, size_t n)
{
	_cleanup_close_ int fd = sys->openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0);
	size_t len = 0;

	if (fd < 0)
		return -errno;
	while (len < n - 1) {
		ssize_t k = sys->read(fd, dst + len, n - 1 - len);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -errno;
		if (!k)
			break;
		len += (size_t)k;
	}
	dst[len] = 0;
	return (ssize_t)len;
}
