/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/host/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/sys.h"

#define NAME        "stanch-hold-"
#define BATCH       64 /* descriptors of one message */
#define ANSWER_MSEC 5000

enum asks { ASK_STATE = 1, ASK_TIME, ASK_ADD, ASK_NAME, ASK_END };

struct question {
	uint32_t what; /* enum asks */
	uint32_t n;    /* ADD: descriptors that come along */
	uint64_t until;
};

/* One message with up to BATCH descriptors. */
struct parcel {
	struct question q;
	struct iovec v;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(BATCH * sizeof(int))];
	struct msghdr m;
};

static void wrap(struct parcel *p)
{
	p->v = (struct iovec){&p->q, sizeof p->q};
	p->m = (struct msghdr){.msg_iov = &p->v,
	                       .msg_iovlen = 1,
	                       .msg_control = p->control,
	                       .msg_controllen = sizeof p->control};
}

/* ---- the child ---- */

const int holder_syscalls[] = {SCMP_SYS(accept4), SCMP_SYS(getsockopt), SCMP_SYS(setsid),
                               SCMP_SYS(dup3), -1};

/* Descriptors that came stay open by being left alone. Returns how many; *ret_first is one of them.
 */
static uint32_t taken(const struct msghdr *m, int *ret_first)
{
	uint32_t n = 0;
	struct msghdr *w = (struct msghdr *)(uintptr_t)m;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(w); c; c = CMSG_NXTHDR(w, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			memcpy(ret_first, CMSG_DATA(c), sizeof *ret_first);
			n += (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		}
	return n;
}

static void carry_out(const struct parcel *p, int listener, struct holder_state *s)
{
	int first = -1;
	uint32_t n = taken(&p->m, &first);
	if (p->q.what == ASK_NAME && n == 1) {
		dup3(first, listener, O_CLOEXEC);
		close(first);
		return;
	}
	s->n += n;
	if (p->q.what == ASK_TIME || p->q.what == ASK_ADD)
		s->until = p->q.until;
}

/* false: it is to end. */
static bool answer(int fd, int listener, struct holder_state *s)
{
	struct ucred who = {0};
	socklen_t size = sizeof who;
	struct parcel p;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || who.uid != 0)
		return true;
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	for (;;) {
		wrap(&p);
		if (poll(&ready, 1, ANSWER_MSEC) != 1 ||
		    recvmsg(fd, &p.m, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof p.q)
			return true;
		carry_out(&p, listener, s);
		bool told = write(fd, s, sizeof *s) == (ssize_t)sizeof *s;
		if (p.q.what == ASK_END || !told)
			return p.q.what != ASK_END;
	}
}

static int msec_to(usec_t until)
{
	usec_t now = boot_now(), left = until > now ? (until - now) / USEC_PER_MSEC + 1 : 0;
	return until == 0 ? -1 : left > 3600000 ? 3600000 : (int)left;
}

int holder_role(int channel, const int *fds, size_t n)
{
	struct holder_state s = {0};
	if (n != 1)
		return 1;
	setsid(); /* the operator's terminal goes and this stays */
	struct pollfd p = {.fd = fds[0], .events = POLLIN};
	for (bool on = true; on && (s.until == 0 || boot_now() < s.until);) {
		if (poll(&p, 1, msec_to(s.until)) <= 0)
			continue;
		int fd = accept4(fds[0], NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		on = answer(fd, fds[0], &s);
		close(fd);
	}
	return 0;
}

/* ---- the parent ---- */

static socklen_t name_of(const char *token, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	int n = snprintf(ret->sun_path + 1, sizeof ret->sun_path - 1, NAME "%.32s", token);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static int call(const char *token, int *ret, struct err *e)
{
	struct sockaddr_un at;
	socklen_t n = name_of(token, &at);
	int fd = sys->socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || sys->connect(fd, (struct sockaddr *)&at, n) < 0) {
		int code = -errno;
		if (fd >= 0)
			sys->close(fd);
		return err_set(e, code == -ECONNREFUSED ? -ENOENT : code,
		               "no process of ours holds sockets: %s", strerror(-code));
	}
	*ret = fd;
	return 0;
}

static int ask(int fd, struct parcel *p, const int *fds, size_t n, struct holder_state *ret,
               struct err *e)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	struct holder_state s;
	wrap(p);
	p->m.msg_controllen = n ? CMSG_SPACE(n * sizeof *fds) : 0;
	if (n) {
		struct cmsghdr *c = CMSG_FIRSTHDR(&p->m);
		*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(n * sizeof *fds),
		                      .cmsg_level = SOL_SOCKET,
		                      .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(c), fds, n * sizeof *fds);
	}
	if (sys->sendmsg(fd, &p->m, MSG_NOSIGNAL) < 0)
		return err_set(e, -errno, "speaking to the process that holds sockets: %s",
		               strerror(errno));
	if (sys->poll(&ready, 1, ANSWER_MSEC) != 1 || sys->read(fd, &s, sizeof s) != sizeof s)
		return err_set(e, -ENOENT, "the process that holds sockets does not answer");
	if (ret)
		*ret = s;
	return 0;
}

static int ask_once(const char *token, uint32_t what, usec_t until, struct holder_state *ret,
                    struct err *e)
{
	struct parcel p = {.q = {.what = what, .until = until}};
	_cleanup_close_ int fd = -1;
	int r = call(token, &fd, e);
	return r < 0 ? r : ask(fd, &p, NULL, 0, ret, e);
}

/* A socket that listens under this token; -1 and e. */
static int listen_as(const char *token, struct err *e)
{
	struct sockaddr_un at;
	socklen_t n = name_of(token, &at);
	int fd = sys->socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd >= 0 && sys->bind(fd, (struct sockaddr *)&at, n) == 0 && listen(fd, 8) == 0)
		return fd;
	int code = -errno;
	if (fd >= 0)
		sys->close(fd);
	return err_set(e, code, "making the socket of the process that holds sockets: %s",
	               strerror(-code));
}

static int start(const char *token, struct err *e)
{
	struct role_child child;
	_cleanup_close_ int fd = listen_as(token, e);
	if (fd < 0)
		return fd;
	int r = role_spawn("hold", &fd, 1, &child, e);
	if (r == 0)
		sys->close(child.channel);
	return r;
}

int holder_add(const char *token, const int *fds, size_t n, usec_t until, struct err *e)
{
	_cleanup_close_ int fd = -1;
	int r = call(token, &fd, NULL);
	if (r == -ENOENT) {
		r = start(token, e);
		if (r == 0)
			r = call(token, &fd, e);
	} else if (r < 0) {
		err_set(e, r, "calling the process that holds sockets: %s", strerror(-r));
	}
	for (size_t i = 0; r == 0 && (i < n || i == 0); i += BATCH) {
		size_t k = n - i < BATCH ? n - i : BATCH;
		struct parcel p = {.q = {.what = ASK_ADD, .n = (uint32_t)k, .until = until}};
		r = ask(fd, &p, fds + i, k, NULL, e);
	}
	return r;
}

int holder_ask(const char *token, struct holder_state *ret, struct err *e)
{
	return ask_once(token, ASK_STATE, 0, ret, e);
}

int holder_set_time(const char *token, usec_t until, struct err *e)
{
	return ask_once(token, ASK_TIME, until, NULL, e);
}

int holder_rename(const char *token, const char *to, struct err *e)
{
	struct parcel p = {.q = {.what = ASK_NAME, .n = 1}};
	_cleanup_close_ int fd = -1, name = listen_as(to, e);
	if (name < 0)
		return name;
	int r = call(token, &fd, e);
	return r < 0 ? r : ask(fd, &p, &name, 1, NULL, e);
}

int holder_end(const char *token, struct err *e)
{
	struct parcel p = {.q = {.what = ASK_END}};
	_cleanup_close_ int fd = -1;
	char rest;
	int r = call(token, &fd, e);
	if (r == 0)
		r = ask(fd, &p, NULL, 0, NULL, e);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	/* It closes this connection first and the rest when it ends: wait until nobody listens. */
	(void)sys->read(fd, &rest, 1);
	for (int i = 0; i < 200; i++) {
		_cleanup_close_ int again = -1;
		if (call(token, &again, NULL) == -ENOENT)
			return 0;
		sys->poll(NULL, 0, 5);
	}
	return err_set(e, -EBUSY, "the process that holds sockets does not end");
}

static int read_sockets(struct buf *ret, struct err *e)
{
	char block[8192];
	ssize_t n = 0;
	_cleanup_close_ int fd = sys->open("/proc/thread-self/net/unix", O_RDONLY | O_CLOEXEC, 0);
	while (fd >= 0 && (n = sys->read(fd, block, sizeof block)) > 0)
		if (buf_add(ret, block, (size_t)n) < 0)
			return err_set(e, ret->error, "out of room for the list of sockets");
	return fd < 0 || n < 0 ? err_set(e, -errno, "listing sockets: %s", strerror(errno)) : 0;
}

static bool is_token(const char *s)
{
	return strspn(s, "0123456789abcdef") == STEP_TOKEN_MAX - 1;
}

int holder_list(struct holder_name **ret, size_t *ret_n, struct err *e)
{
	struct buf text = BUF_INIT(16u << 20);
	size_t n = 0;
	int r = read_sockets(&text, e);
	struct holder_name *v = r < 0 ? NULL : calloc(HOLDERS_MAX, sizeof *v);
	if (r == 0 && !v)
		r = err_set(e, -ENOMEM, "out of memory for the processes that hold sockets");
	for (const char *p = r < 0 ? NULL : buf_str(&text);
	     p && n < HOLDERS_MAX && (p = strstr(p, "@" NAME));) {
		p += sizeof NAME;
		if (is_token(p))
			memcpy(v[n++].token, p, STEP_TOKEN_MAX - 1);
	}
	buf_free(&text);
	if (r < 0)
		return r;
	*ret = v;
	*ret_n = n;
	return 0;
}
