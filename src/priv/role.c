/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The parent's side of roles: start, wait. The child's side is sandbox.c.
 *
 * Between fork and exec only async-signal-safe calls are made; nothing is inherited but the
 * descriptors by position: the standard ones point to /dev/null, so that a role that was taken
 * over cannot write to the terminal.
 */
#include "priv/role.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sys.h"

#define FD_PARK 64 /* above every position */

#define CHANNEL_BYTES (1 << 20)

/* Child, after fork: descriptors to their positions, all others closed. */
static bool place_fds(int channel, const int *fds, size_t n)
{
	int parked[ROLE_FDS_MAX + 1], null;

	for (size_t i = 0; i <= n; i++)
		if ((parked[i] = fcntl(i ? fds[i - 1] : channel, F_DUPFD, FD_PARK)) < 0)
			return false;
	if ((null = open("/dev/null", O_RDWR)) < 0)
		return false;
	for (int fd = 0; fd < ROLE_FD_CHANNEL; fd++)
		if (dup2(null, fd) < 0)
			return false;
	for (size_t i = 0; i <= n; i++)
		if (dup2(parked[i], ROLE_FD_CHANNEL + (int)i) < 0)
			return false;
	return syscall(SYS_close_range, ROLE_FD_FIRST + (unsigned)n, ~0u, 0) == 0;
}

static void __attribute__((noreturn))
become(const char *name, int channel, const int *fds, size_t n)
{
	char self[] = "stanch", role[] = ROLE_ARG, name_copy[64];
	char *argv[] = {self, role, name_copy, NULL}, *envp[] = {NULL};
	sigset_t none;

	strncpy(name_copy, name, sizeof(name_copy) - 1);
	name_copy[sizeof(name_copy) - 1] = 0;
	sigemptyset(&none);
	/* Ctrl-C goes to the whole group; the parent decides when a role ends. */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (place_fds(channel, fds, n))
		execve("/proc/self/exe", argv, envp);
	_exit(127);
}

int role_spawn(const char *name, const int *fds, size_t n_fds, struct role_child *ret,
               struct err *e)
{
	int pair[2], size = CHANNEL_BYTES;
	pid_t pid;

	if (n_fds > ROLE_FDS_MAX)
		return err_set(e, -EINVAL, "role %s cannot take %zu descriptors, at most %d", name,
		               n_fds, ROLE_FDS_MAX);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, -errno, "cannot make a channel for role %s: %s", name,
		               strerror(errno));
	/* Only speed hangs on it. */
	sys->setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	pid = fork();
	if (!pid)
		become(name, pair[1], fds, n_fds);
	int failed = errno;
	sys->close(pair[1]);
	if (pid < 0) {
		sys->close(pair[0]);
		return err_set(e, -failed, "cannot start role %s: %s", name, strerror(failed));
	}
	*ret = (struct role_child){pid, pair[0]};
	return 0;
}

/* True: it has ended and *status is its own. Where there is no pidfd_open (before Linux 5.3) the
 * wait is in short sleeps. */
static bool ended(pid_t pid, int timeout_ms, int *status)
{
	usec_t until = boot_now() + (usec_t)(timeout_ms < 0 ? 0 : timeout_ms) * USEC_PER_MSEC, now;
	struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	bool done;

	while (!(done = waitpid(pid, status, WNOHANG) == pid) && (now = boot_now()) < until) {
		int left = (int)((until - now) / USEC_PER_MSEC) + 1;
		sys->poll(&p, p.fd >= 0, p.fd >= 0 || left < 10 ? left : 10);
	}
	if (p.fd >= 0)
		sys->close(p.fd);
	return done;
}

static int wait_exit(pid_t pid, int timeout_ms, int *status)
{
	if (ended(pid, timeout_ms, status))
		return 0;
	kill(pid, SIGKILL);
	while (waitpid(pid, status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return -ETIMEDOUT;
}

int role_wait(struct role_child *c, int timeout_ms, struct err *e)
{
	int status = 0, r;

	if (c->channel >= 0)
		sys->close(c->channel);
	c->channel = -1;
	if (c->pid <= 0)
		return 0;
	r = wait_exit(c->pid, timeout_ms, &status);
	c->pid = 0;
	if (r == -ETIMEDOUT)
		return err_set(e, r, "the sandboxed child did not end within %d ms and was killed",
		               timeout_ms);
	if (r < 0)
		return err_set(e, r, "cannot wait for the sandboxed child: %s", strerror(-r));
	if (WIFSIGNALED(status))
		return err_set(e, -ECHILD, "the sandboxed child died of signal %d (%s)%s",
		               WTERMSIG(status), strsignal(WTERMSIG(status)),
		               WTERMSIG(status) == SIGSYS ? ": it made a call that it must not"
		                                          : "");
	if (WEXITSTATUS(status) == ROLE_EXIT_SANDBOX)
		return err_set(e, -EPERM,
		               "the child could not give up its rights (ids, capabilities or "
		               "seccomp), so it did no work; a container may forbid it");
	if (WEXITSTATUS(status))
		return err_set(e, -ECHILD, "the sandboxed child failed with code %d",
		               WEXITSTATUS(status));
	return 0;
}
