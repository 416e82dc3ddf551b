/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/feed/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/sys.h"
#include "base/table.h"
#include "io/https.h"
#include "priv/msg.h"

#define URL_MAX 2048
#define WAIT_MS 20000

enum fetch_msg { FETCH_URL = 1, FETCH_DONE, FETCH_FAILED };
enum fetch_fd { FD_SOCKET, FD_BODY, FD_CA, N_FDS };

/* What libcurl and OpenSSL do with a socket that is given, and the files that they look for at
 * their start: Landlock has none for them, and where the kernel has no Landlock they are
 * `nobody`'s. */
const int fetch_syscalls[] = {SCMP_SYS(openat),
                              SCMP_SYS(newfstatat),
                              SCMP_SYS(readlink),
                              SCMP_SYS(access),
                              SCMP_SYS(fcntl),
                              SCMP_SYS(getsockopt),
                              SCMP_SYS(setsockopt),
                              SCMP_SYS(getsockname),
                              SCMP_SYS(getpeername),
                              SCMP_SYS(sendto),
                              SCMP_SYS(recvfrom),
                              SCMP_SYS(socketpair),
                              SCMP_SYS(pipe2),
                              SCMP_SYS(eventfd2),
                              SCMP_SYS(ioctl),
                              SCMP_SYS(dup),
                              SCMP_SYS(rt_sigaction),
                              SCMP_SYS(getuid),
                              SCMP_SYS(geteuid),
                              SCMP_SYS(getgid),
                              SCMP_SYS(getegid),
                              SCMP_SYS(sysinfo),
                              SCMP_SYS(sched_yield),
                              SCMP_SYS(uname),
                              SCMP_SYS(shutdown),
                              SCMP_SYS(prlimit64),
                              SCMP_SYS(sched_getaffinity),
                              -1};
/* libcurl 7.88 connects a socket although it was told that it is connected. */
const int fetch_answered[] = {SCMP_SYS(connect), -1};

/* ---- the child ---- */

static int read_ca(int fd, struct buf *ca)
{
	char part[16384];
	ssize_t n;
	while ((n = sys->read(fd, part, sizeof part)) > 0)
		if (buf_add(ca, part, (size_t)n) < 0)
			return -EFBIG;
	return n < 0 ? -errno : 0;
}

static int get(const char *url, int socket, const struct buf *ca, struct https_answer *ret,
               struct err *e)
{
	const struct https_options o = {.timeout = FETCH_TIMEOUT,
	                                .answer_max = FETCH_BYTES_MAX,
	                                .plain = true,
	                                .socket = &socket,
	                                .ca = ca->data,
	                                .n_ca = ca->len};
	const struct https_request q = {.url = url, .once = true};
	struct https *h;
	int r = https_open(&o, &h, e);
	if (r < 0)
		return r;
	r = https_do(h, &q, ret, e);
	https_close(h);
	return r;
}

static int write_body(int fd, const struct buf *body)
{
	size_t at = 0;
	while (at < body->len) {
		ssize_t n = sys->write(fd, body->data + at, body->len - at);
		if (n < 0 && errno != EINTR)
			return -errno;
		at += n < 0 ? 0 : (size_t)n;
	}
	return 0;
}

static int take_url(int channel, char url[static URL_MAX])
{
	struct msg_reader *reader;
	struct msg m;
	int r = msg_reader_new(channel, &reader);
	if (r < 0)
		return r;
	r = msg_next(reader, WAIT_MS, &m);
	bool good = r == 1 && m.type == FETCH_URL && m.len < URL_MAX;
	if (good) {
		memcpy(url, m.body, m.len);
		url[m.len] = 0;
	}
	msg_reader_free(reader);
	return good ? 0 : -EBADMSG;
}

int fetch_role(int channel, const int *fds, size_t n_fds)
{
	char url[URL_MAX];
	struct buf ca = BUF_INIT(FETCH_CA_MAX);
	struct https_answer a = {0};
	struct err e = {0};
	if (n_fds != N_FDS || take_url(channel, url) < 0)
		return 1;
	int r = read_ca(fds[FD_CA], &ca);
	if (r < 0)
		err_set(&e, r, "reading the authorities: %s", strerror(-r));
	else
		r = get(url, fds[FD_SOCKET], &ca, &a, &e);
	if (r < 0)
		return msg_send(channel, FETCH_FAILED, e.text, strlen(e.text)) < 0;
	/* What is no feed is no feed's beginning either. */
	if (a.status == 200 && write_body(fds[FD_BODY], &a.body) < 0)
		return 2;
	return msg_send(channel, FETCH_DONE, &a.status, sizeof a.status) < 0;
}

/* ---- the parent ---- */

/* "HOST[:PORT]", "[V6][:PORT]"; n bytes. */
static bool authority(const char *p, size_t n, char host[static 256], char port[static 8])
{
	const char *end = p + n, *close = *p == '[' ? memchr(p, ']', n) : NULL;
	const char *colon = memchr(close ? close : p, ':', (size_t)(end - (close ? close : p)));
	const char *from = close ? p + 1 : p, *to = close ? close : colon ? colon : end;
	size_t len = (size_t)(to - from);
	if (!len || len >= 256 || *from == '[' || memchr(p, '@', n))
		return false;
	memcpy(host, from, len);
	host[len] = 0;
	if (colon)
		snprintf(port, 8, "%.*s", (int)(end - colon - 1 < 7 ? end - colon - 1 : 7),
		         colon + 1);
	return true;
}

/* "https://HOST[:PORT]/…"; what libcurl makes of it is held against the certificate. */
static int split(const char *url, char host[static 256], char port[static 8], struct err *e)
{
	static const struct {
		const char *scheme, *port;
	} known[] = {{"https://", "443"}, {"http://", "80"}}; /* plain: https.c says to whom */
	for (size_t i = 0; i < ARRAY_SIZE(known) && strlen(url) < URL_MAX; i++) {
		size_t n = strlen(known[i].scheme);
		if (strncmp(url, known[i].scheme, n) != 0)
			continue;
		snprintf(port, 8, "%s", known[i].port);
		size_t all = strcspn(url + n, "/?#");
		if (all && authority(url + n, all, host, port))
			return 0;
	}
	return err_set(e, -EINVAL, "%.200s is no https:// URL without a user name", url);
}

static int connect_one(const struct addrinfo *ai)
{
	int fd = sys->socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int failed = 0;
	socklen_t n = sizeof failed;
	if (fd < 0)
		return -errno;
	int r = sys->connect(fd, ai->ai_addr, ai->ai_addrlen) < 0 ? -errno : 0;
	if (r == -EINPROGRESS) {
		r = sys->poll(&p, 1, FETCH_CONNECT_MS);
		r = r == 0 ? -ETIMEDOUT : r < 0 ? -errno : 0;
		if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &n) == 0)
			r = -failed;
	}
	if (r < 0)
		sys->close(fd);
	return r < 0 ? r : fd;
}

static int connect_to(const char *host, const char *port, struct err *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	int x = getaddrinfo(host, port, &hints, &list), fd = -EHOSTUNREACH;
	if (x != 0)
		return err_set(e, fd, "%.200s cannot be resolved: %s", host, gai_strerror(x));
	for (const struct addrinfo *ai = list; ai && fd < 0; ai = ai->ai_next)
		fd = connect_one(ai);
	freeaddrinfo(list);
	return fd < 0 ? err_set(e, fd, "%.200s port %s: %s", host, port, strerror(-fd)) : fd;
}

static int open_ca(const char *ca_file, struct err *e)
{
	static const char *const places[] = {"/etc/ssl/certs/ca-certificates.crt",
	                                     "/etc/pki/tls/certs/ca-bundle.crt",
	                                     "/etc/ssl/ca-bundle.pem"};
	int fd = -1;
	if (ca_file)
		fd = sys->open(ca_file, O_RDONLY | O_CLOEXEC, 0);
	for (size_t i = 0; !ca_file && fd < 0 && i < ARRAY_SIZE(places); i++)
		fd = sys->open(places[i], O_RDONLY | O_CLOEXEC, 0);
	if (fd >= 0)
		return fd;
	return ca_file ? err_set(e, -ENOENT, "cannot open %.200s: %s", ca_file, strerror(errno))
	               : err_set(e, -ENOENT,
	                         "this host has no file of authorities (package ca-certificates); "
	                         "name one by --feed-ca");
}

int fetch_begin(const char *url, const char *ca_file, struct fetch *ret, struct err *e)
{
	char host[256], port[8];
	int fds[N_FDS] = {-1, -1, -1}, ends[2] = {-1, -1};
	struct fetch f = {.body = -1};
	int r = split(url, host, port, e);
	if (r == 0)
		r = fds[FD_CA] = open_ca(ca_file, e);
	if (r >= 0)
		r = fds[FD_SOCKET] = connect_to(host, port, e);
	if (r >= 0 && (r = pipe2(ends, O_CLOEXEC)) < 0)
		r = err_set(e, -errno, "making a pipe: %s", strerror(errno));
	if (r >= 0) {
		f.body = ends[0];
		fds[FD_BODY] = ends[1];
		r = role_spawn("fetch", fds, N_FDS, &f.child, e);
	}
	for (size_t i = 0; i < N_FDS; i++)
		if (fds[i] >= 0)
			sys->close(fds[i]);
	if (r >= 0 && (r = msg_send(f.child.channel, FETCH_URL, url, strlen(url))) < 0) {
		err_set(e, r, "cannot talk to the fetching child: %s", strerror(-r));
		role_wait(&f.child, 0, NULL);
	}
	if (r >= 0)
		*ret = f;
	else if (f.body >= 0)
		sys->close(f.body);
	return r < 0 ? r : 0;
}

static int read_answer(const struct fetch *f, struct err *e)
{
	struct msg_reader *reader;
	struct msg m;
	int status = 0, r = msg_reader_new(f->child.channel, &reader);
	if (r < 0)
		return err_set(e, r, "out of memory");
	r = msg_next(reader, WAIT_MS, &m);
	if (r == 1 && m.type == FETCH_DONE && m.len == sizeof status) {
		memcpy(&status, m.body, sizeof status);
		r = status == 200 ? 0
		    : status / 100 == 3
		        ? err_set(e, -EPROTO,
		                  "the server answered %d: it leads elsewhere; give the "
		                  "URL that it leads to",
		                  status)
		        : err_set(e, -EPROTO, "the server answered %d", status);
	} else if (r == 1 && m.type == FETCH_FAILED) {
		r = err_set(e, -EIO, "%.*s", (int)(m.len < 400 ? m.len : 400),
		            (const char *)m.body);
	} else {
		r = -EBADMSG;
	}
	msg_reader_free(reader);
	return r;
}

int fetch_end(struct fetch *f, struct err *e)
{
	struct err died = {0}, why = {0};
	if (f->body >= 0)
		sys->close(f->body);
	f->body = -1;
	int r = read_answer(f, &why), w = role_wait(&f->child, 1000, &died);
	if (why.code)
		return err_set(e, r, "%s", why.text);
	if (w < 0)
		return err_set(e, w, "%s", died.text);
	return r < 0 ? err_set(e, r, "the child that fetched it ended before its time") : 0;
}
