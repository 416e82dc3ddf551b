/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"

enum kind { FAULT_NONE, FAULT_FAIL, FAULT_FULL, FAULT_DIE, FAULT_MARK, FAULT_MALLOC };

static const struct {
	const char *name;
	enum kind kind;
} kinds[] = {
    {"fail:", FAULT_FAIL}, {"full:", FAULT_FULL},     {"die:", FAULT_DIE},
    {"mark:", FAULT_MARK}, {"malloc:", FAULT_MALLOC},
};

struct fault_counts fault_counts;
static enum kind armed;
static unsigned at;
static char mark_name[64];
static bool counting;

static void die(void)
{
	kill(getpid(), SIGKILL);
}

/* Counts one call; true: it is to fail with the errno that is set. */
static bool hit(int code)
{
	fault_counts.calls++;
	if (armed == FAULT_DIE && fault_counts.calls == at)
		die();
	bool full = armed == FAULT_FULL && fault_counts.calls >= at && code == ENOSPC;
	if (!full && !(armed == FAULT_FAIL && fault_counts.calls == at))
		return false;
	fault_counts.hit = true;
	errno = code;
	return true;
}

#define CALL(type, name, code, params, args)                                                       \
	static type fault_##name params                                                            \
	{                                                                                          \
		return hit(code) ? -1 : sys_kernel.name args;                                      \
	}

CALL(int, open, EIO, (const char *p, int f, mode_t m), (p, f, m))
CALL(int, openat, EIO, (int d, const char *p, int f, mode_t m), (d, p, f, m))
CALL(ssize_t, read, EIO, (int fd, void *p, size_t n), (fd, p, n))
CALL(ssize_t, write, ENOSPC, (int fd, const void *p, size_t n), (fd, p, n))
CALL(ssize_t, pread, EIO, (int fd, void *p, size_t n, off_t o), (fd, p, n, o))
CALL(ssize_t, pwrite, ENOSPC, (int fd, const void *p, size_t n, off_t o), (fd, p, n, o))
CALL(int, fsync, EIO, (int fd), (fd))
CALL(int, fdatasync, EIO, (int fd), (fd))
CALL(int, ftruncate, EIO, (int fd, off_t n), (fd, n))
CALL(int, fallocate, ENOSPC, (int fd, int m, off_t o, off_t n), (fd, m, o, n))
CALL(int, rename, EIO, (const char *a, const char *b), (a, b))
CALL(int, unlink, EIO, (const char *p), (p))
CALL(int, mkdir, ENOSPC, (const char *p, mode_t m), (p, m))
CALL(int, linkat, ENOSPC, (int d, const char *a, int t, const char *b, int f), (d, a, t, b, f))
CALL(int, unlinkat, EIO, (int d, const char *p, int f), (d, p, f))
CALL(int, mkdirat, ENOSPC, (int d, const char *p, mode_t m), (d, p, m))
CALL(int, renameat2, EIO, (int d, const char *a, int t, const char *b, unsigned f), (d, a, t, b, f))
CALL(int, fchown, EPERM, (int fd, uid_t u, gid_t g), (fd, u, g))
CALL(int, fchmod, EPERM, (int fd, mode_t m), (fd, m))
CALL(int, fsetxattr, ENOSPC, (int fd, const char *k, const void *v, size_t n, int f),
     (fd, k, v, n, f))
CALL(int, futimens, EIO, (int fd, const struct timespec *t), (fd, t))
CALL(int, setlk, ENOLCK, (int fd, struct flock *l), (fd, l))
CALL(int, socket, EMFILE, (int d, int t, int p), (d, t, p))
CALL(int, bind, EADDRINUSE, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
CALL(int, connect, ECONNREFUSED, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
CALL(int, setsockopt, EPERM, (int fd, int l, int o, const void *v, socklen_t n), (fd, l, o, v, n))
CALL(int, getsockname, ENOBUFS, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
CALL(ssize_t, sendto, ENOBUFS,
     (int fd, const void *p, size_t n, int f, const struct sockaddr *a, socklen_t an),
     (fd, p, n, f, a, an))
CALL(ssize_t, sendmsg, ENOBUFS, (int fd, const struct msghdr *m, int f), (fd, m, f))
CALL(ssize_t, recvmsg, ENOMEM, (int fd, struct msghdr *m, int f), (fd, m, f))
CALL(int, poll, ENOMEM, (struct pollfd * p, nfds_t n, int t), (p, n, t))
CALL(int, ioctl, EPERM, (int fd, unsigned long r, void *a), (fd, r, a))
CALL(long, bpf, EPERM, (int c, union bpf_attr *a, unsigned n), (c, a, n))
CALL(int, setns, EPERM, (int fd, int k), (fd, k))

static void fault_mark(const char *place)
{
	bool this = !strcmp(mark_name, "*") || !strcmp(mark_name, place);
	static unsigned seen;
	if (fault_counts.marks++ == 0)
		seen = 0;
	if (armed == FAULT_MARK && this && ++seen == at)
		die();
}

static struct sys_ops table;

bool fault_malloc(void)
{
	if (!counting)
		return false;
	fault_counts.mallocs++;
	if (armed != FAULT_MALLOC || fault_counts.mallocs != at)
		return false;
	fault_counts.hit = true;
	return true;
}

static bool parse(const char *spec)
{
	for (size_t i = 0; spec && i < sizeof kinds / sizeof *kinds; i++) {
		size_t n = strlen(kinds[i].name);
		if (strncmp(spec, kinds[i].name, n) != 0)
			continue;
		const char *number = strrchr(spec, ':') + 1;
		if (kinds[i].kind == FAULT_MARK && number > spec + n)
			snprintf(mark_name, sizeof mark_name, "%.*s", (int)(number - 1 - spec - n),
			         spec + n);
		at = (unsigned)strtoul(number, NULL, 10);
		armed = kinds[i].kind;
		return at > 0;
	}
	return !spec;
}

bool fault_arm(const char *spec)
{
	fault_disarm();
	if (!parse(spec))
		return false;
	table = (struct sys_ops){
	    .open = fault_open,
	    .openat = fault_openat,
	    .read = fault_read,
	    .write = fault_write,
	    .pread = fault_pread,
	    .pwrite = fault_pwrite,
	    .fsync = fault_fsync,
	    .fdatasync = fault_fdatasync,
	    .ftruncate = fault_ftruncate,
	    .fallocate = fault_fallocate,
	    .rename = fault_rename,
	    .unlink = fault_unlink,
	    .mkdir = fault_mkdir,
	    .linkat = fault_linkat,
	    .unlinkat = fault_unlinkat,
	    .mkdirat = fault_mkdirat,
	    .renameat2 = fault_renameat2,
	    .fchown = fault_fchown,
	    .fchmod = fault_fchmod,
	    .fsetxattr = fault_fsetxattr,
	    .futimens = fault_futimens,
	    .setlk = fault_setlk,
	    .socket = fault_socket,
	    .bind = fault_bind,
	    .connect = fault_connect,
	    .setsockopt = fault_setsockopt,
	    .getsockname = fault_getsockname,
	    .sendto = fault_sendto,
	    .sendmsg = fault_sendmsg,
	    .recvmsg = fault_recvmsg,
	    .poll = fault_poll,
	    .ioctl = fault_ioctl,
	    .bpf = fault_bpf,
	    .setns = fault_setns,
	    .close = sys_kernel.close, /* a failed close leaves nothing to do */
	    .mark = fault_mark,
	};
	sys = &table;
	counting = true;
	return true;
}

void fault_disarm(void)
{
	sys = &sys_kernel;
	armed = FAULT_NONE;
	counting = false;
	memset(&fault_counts, 0, sizeof fault_counts);
}
