/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "acquire/memory/hold.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"

#define STOP_LIMIT (2 * USEC_PER_SEC)
#define ROUNDS     8

static bool has(const struct hold *h, pid_t tid)
{
	for (size_t i = h->n; i > 0; i--)
		if (h->tids[i - 1] == tid)
			return true;
	return false;
}

static int add(struct hold *h, pid_t tid)
{
	if (h->n == HOLD_THREADS_MAX)
		return -E2BIG;
	if (h->n == h->cap) {
		size_t cap = h->cap ? 2 * h->cap : 16;
		pid_t *v = realloc(h->tids, cap * sizeof(*v));
		if (!v)
			return -ENOMEM;
		h->tids = v;
		h->cap = cap;
	}
	h->tids[h->n++] = tid;
	return 0;
}

/* Waits until the thread has stopped; it may have ended. */
static int wait_stop(pid_t tid)
{
	usec_t until = boot_now() + STOP_LIMIT;
	for (;;) {
		int status;
		pid_t r = waitpid(tid, &status, __WALL | WNOHANG);
		if (r == tid)
			return WIFSTOPPED(status) ? 0 : -ESRCH;
		if (r < 0)
			return -errno;
		if (boot_now() > until)
			return -ETIMEDOUT;
		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
	}
}

static int seize(struct hold *h, pid_t tid)
{
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0)
		return errno == ESRCH ? 0 : -errno;
	int r = add(h, tid);
	if (r < 0) {
		ptrace(PTRACE_DETACH, tid, NULL, NULL);
		return r;
	}
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0)
		return errno == ESRCH ? 0 : -errno;
	r = wait_stop(tid);
	if (r == -ESRCH || r == -ECHILD)
		h->n--;
	return r == -ESRCH || r == -ECHILD ? 0 : r;
}

/* Calls take for every thread that is not in h; how many there were, or -errno. */
static int each_new(struct hold *h, int dir, int (*take)(struct hold *h, pid_t tid))
{
	int fd = sys->openat(dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), n = 0, r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		r = errno == ENOENT ? -ESRCH : -errno;
		sys_closep(&fd);
		return r;
	}
	for (struct dirent *t; r == 0 && (t = readdir(d));) {
		pid_t tid = (pid_t)strtol(t->d_name, NULL, 10);
		if (tid <= 0 || has(h, tid))
			continue;
		r = take(h, tid);
		n++;
	}
	closedir(d);
	return r < 0 ? r : n;
}

int hold_begin(int dir, struct hold *ret, struct err *e)
{
	struct hold h = {0};
	int r = 1;
	/* A thread that is not stopped yet may start others. */
	for (unsigned round = 0; round < ROUNDS && r > 0; round++)
		r = each_new(&h, dir, seize);
	if (r < 0 || !h.n) {
		hold_end(&h);
		r = r < 0 ? r : -ESRCH;
		return err_set(e, r, "its threads cannot be held: %s%s", strerror(-r),
		               r == -EPERM       ? " (something traces it already, or no right)"
		               : r == -ETIMEDOUT ? " (one waits for a device and does not stop)"
		                                 : "");
	}
	*ret = h;
	return 0;
}

void hold_end(struct hold *h)
{
	for (size_t i = 0; i < h->n; i++)
		ptrace(PTRACE_DETACH, h->tids[i], NULL, NULL);
	free(h->tids);
	*h = (struct hold){0};
}

ssize_t hold_registers(const struct hold *h, size_t i, int set, void *dst, size_t n)
{
	struct iovec v = {dst, n};
	if (ptrace(PTRACE_GETREGSET, h->tids[i], (void *)(intptr_t)set, &v) < 0)
		return -errno;
	return (ssize_t)v.iov_len;
}

size_t hold_threads(int dir, pid_t **ret)
{
	struct hold h = {0};
	each_new(&h, dir, add);
	*ret = h.tids;
	return h.n;
}
