/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guard/scout.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sys.h"
#include "priv/role.h"

/* Both ends are this program: a fixed size in the machine's own order. */
struct question {
	uint32_t answer; /* 1: it is wanted; 0: only look */
	struct culprit who;
};

struct known {
	struct culprit who;
	struct suspect is;
};

static const int caps[] = {CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_IPC_LOCK, -1};
static const int calls[] = {SCMP_SYS(open),       SCMP_SYS(openat),
                            SCMP_SYS(newfstatat), SCMP_SYS(stat),
                            SCMP_SYS(lstat),      SCMP_SYS(statx),
                            SCMP_SYS(getdents64), SCMP_SYS(readlink),
                            SCMP_SYS(readlinkat), SCMP_SYS(recvfrom),
                            SCMP_SYS(sendto),     SCMP_SYS(pread64),
                            SCMP_SYS(fcntl),      -1};

/* --- the scout's side --- */

static struct suspect look(const struct culprit *c)
{
	struct suspect s = {.pid = c->pid};
	struct proc_id id;
	bool nft = c->kind == CHANGE_RULES || c->kind == CHANGE_OTHER;
	memcpy(s.comm, c->comm, sizeof s.comm);
	if (!s.pid)
		s.pid = change_port_owner(nft ? NETLINK_NETFILTER : NETLINK_ROUTE, c->port);
	if (!s.pid || proc_read(s.pid, &id) < 0)
		return s;
	memcpy(s.comm, id.comm, sizeof s.comm);
	memcpy(s.exe, id.exe, sizeof s.exe);
	memcpy(s.unit, id.unit, sizeof s.unit);
	return s;
}

static bool same(const struct culprit *a, const struct culprit *b)
{
	return a->kind == b->kind && a->port == b->port && a->pid == b->pid &&
	       !strncmp(a->comm, b->comm, sizeof a->comm);
}

static void __attribute__((noreturn)) serve(int fd)
{
	static struct known v[SCOUT_CACHE];
	static const struct confinement c = {.caps = caps, .syscalls = calls};
	unsigned n = 0;
	struct question q;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	if (role_confine(&c, NULL) < 0)
		_exit(ROLE_EXIT_SANDBOX);
	while (recv(fd, &q, sizeof q, 0) == sizeof q) {
		struct known *k = NULL;
		for (unsigned i = 0; i < SCOUT_CACHE && !k; i++)
			if (same(&v[i].who, &q.who))
				k = &v[i];
		if (!k) {
			k = &v[n++ % SCOUT_CACHE];
			*k = (struct known){q.who, look(&q.who)};
		}
		if (q.answer)
			(void)send(fd, &k->is, sizeof k->is, MSG_NOSIGNAL);
	}
	_exit(0);
}

/* --- the guard's side --- */

int scout_start(struct scout *ret, struct err *e)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, -errno, "a channel to the scout: %s", strerror(errno));
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		serve(pair[1]);
	}
	int failed = errno;
	sys->close(pair[1]);
	if (pid < 0) {
		sys->close(pair[0]);
		return err_set(e, -failed, "the scout cannot be started: %s", strerror(failed));
	}
	*ret = (struct scout){pair[0], pid};
	return 0;
}

void scout_stop(struct scout *s)
{
	if (s->fd >= 0)
		sys->close(s->fd);
	s->fd = -1;
	if (s->pid > 0)
		(void)waitpid(s->pid, NULL, 0); /* it ends when the channel does */
	s->pid = 0;
}

void scout_point(const struct scout *s, const struct culprit *c)
{
	const struct question q = {.who = *c};
	(void)send(s->fd, &q, sizeof q, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool scout_ask(const struct scout *s, const struct culprit *c, struct suspect *ret)
{
	const struct question q = {.answer = 1, .who = *c};
	struct pollfd p = {.fd = s->fd, .events = POLLIN};
	struct suspect got;
	*ret = (struct suspect){.pid = c->pid};
	memcpy(ret->comm, c->comm, sizeof ret->comm);
	if (send(s->fd, &q, sizeof q, MSG_NOSIGNAL) != sizeof q)
		return false;
	if (sys->poll(&p, 1, SCOUT_WAIT_MSEC) != 1 ||
	    recv(s->fd, &got, sizeof got, MSG_DONTWAIT) != sizeof got)
		return false;
	got.comm[sizeof got.comm - 1] = got.exe[sizeof got.exe - 1] =
	    got.unit[sizeof got.unit - 1] = '\0';
	*ret = got;
	return true;
}

void suspect_text(const struct culprit *c, const struct suspect *s,
                  char dst[static SUSPECT_TEXT_MAX])
{
	if (!c)
		snprintf(dst, SUSPECT_TEXT_MAX, "the kernel did not tell by whom");
	else if (!s->pid)
		snprintf(dst, SUSPECT_TEXT_MAX,
		         "by a process that has gone (netlink port %u, as a rule its pid)",
		         c->port);
	else if (!s->exe[0])
		snprintf(dst, SUSPECT_TEXT_MAX, "by process %d (%s), which has gone", s->pid,
		         s->comm[0] ? s->comm : "its name was not told");
	else
		snprintf(dst, SUSPECT_TEXT_MAX, "by process %d (%s, %.160s%s%.60s)", s->pid,
		         s->comm, s->exe, s->unit[0] ? ", " : "", s->unit);
}
