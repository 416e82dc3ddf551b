/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The system calls that stanch makes on the way from an order to its effect, behind one table
 * that tests replace: to fail the Nth call, or to die at it.
 *
 * Same meaning and return values as the calls themselves (-1 and errno). Calls that change or
 * read the world in journal, engine, kern and enforce go through it; pure memory calls do not.
 */
#ifndef STANCH_BASE_SYS_H
#define STANCH_BASE_SYS_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

union bpf_attr;
struct flock;

struct sys_ops {
	int (*open)(const char *path, int flags, mode_t mode);
	int (*openat)(int dirfd, const char *path, int flags, mode_t mode);
	ssize_t (*read)(int fd, void *p, size_t n);
	ssize_t (*write)(int fd, const void *p, size_t n);
	ssize_t (*pread)(int fd, void *p, size_t n, off_t off);
	ssize_t (*pwrite)(int fd, const void *p, size_t n, off_t off);
	int (*fsync)(int fd);
	int (*fdatasync)(int fd);
	int (*ftruncate)(int fd, off_t n);
	int (*fallocate)(int fd, int mode, off_t off, off_t n);
	int (*rename)(const char *from, const char *to);
	int (*unlink)(const char *path);
	int (*mkdir)(const char *path, mode_t mode);
	int (*linkat)(int from_dir, const char *from, int to_dir, const char *to, int flags);
	int (*unlinkat)(int dirfd, const char *path, int flags);
	int (*mkdirat)(int dirfd, const char *path, mode_t mode);
	int (*renameat2)(int from_dir, const char *from, int to_dir, const char *to,
	                 unsigned flags);
	int (*fchown)(int fd, uid_t uid, gid_t gid);
	int (*fchmod)(int fd, mode_t mode);
	int (*fsetxattr)(int fd, const char *name, const void *v, size_t n, int flags);
	int (*futimens)(int fd, const struct timespec times[2]);
	int (*setlk)(int fd, struct flock *l); /* fcntl(2), F_SETLK */
	int (*socket)(int domain, int type, int protocol);
	int (*bind)(int fd, const struct sockaddr *sa, socklen_t n);
	int (*connect)(int fd, const struct sockaddr *sa, socklen_t n);
	int (*setsockopt)(int fd, int level, int name, const void *v, socklen_t n);
	int (*getsockname)(int fd, struct sockaddr *sa, socklen_t *n);
	ssize_t (*sendto)(int fd, const void *p, size_t n, int flags, const struct sockaddr *sa,
	                  socklen_t sn);
	ssize_t (*sendmsg)(int fd, const struct msghdr *m, int flags);
	ssize_t (*recvmsg)(int fd, struct msghdr *m, int flags);
	int (*poll)(struct pollfd *fds, nfds_t n, int timeout_ms);
	int (*ioctl)(int fd, unsigned long request, void *arg);
	long (*bpf)(int cmd, union bpf_attr *attr, unsigned size);
	int (*setns)(int fd, int kind);
	int (*close)(int fd);
	/* Not a system call: a named place that a test can stop at ("engine:intent"). */
	void (*mark)(const char *place);
};

/* The table in force; never NULL. */
extern const struct sys_ops *sys;
/* The kernel's own calls. */
extern const struct sys_ops sys_kernel;

#define _cleanup_(f)    __attribute__((cleanup(f)))
#define _cleanup_close_ _cleanup_(sys_closep)
#define _cleanup_free_  _cleanup_(sys_freep)
void sys_closep(const int *fd); /* closes *fd when >= 0 */
void sys_freep(void *pointer);  /* free(*(void **)pointer) */

/* All n bytes, in as many calls as that takes. 0, or -errno, which errno is then, too. */
int sys_write_all(int fd, const void *bytes, size_t n);
/* A small file beneath dir as text: its first n - 1 bytes and a NUL. Their number, or -errno. */
ssize_t sys_read_text_at(int dir, const char *name, char *dst, size_t n);

#endif
