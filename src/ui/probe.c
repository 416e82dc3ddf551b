/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/neighbour.h>
#include <linux/types.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys.h"
#include "kern/link.h"
#include "ui/out.h"

static const char *const reach_names[_REACH_MAX] = {
    [REACH_OK] = "reachable",      [REACH_REFUSED] = "refused",
    [REACH_FILTERED] = "filtered", [REACH_UNREACHABLE] = "unreachable",
    [REACH_RESET] = "reset",       [REACH_NO_SSH] = "no_ssh",
    [REACH_NO_ROUTE] = "no_route", [REACH_LOCAL] = "local_error",
};
STRING_TABLE_DEFINE(reach, enum reach, reach_names)

static const struct {
	uint8_t family, type, code;
	enum reach outcome;
	const char *text;
} icmp_meanings[] = {
    {ADDR_V4, 3, 0, REACH_UNREACHABLE, "network unreachable"},
    {ADDR_V4, 3, 1, REACH_UNREACHABLE, "host unreachable"},
    {ADDR_V4, 3, 2, REACH_FILTERED, "protocol unreachable"},
    {ADDR_V4, 3, 3, REACH_FILTERED, "port unreachable"},
    {ADDR_V4, 3, 6, REACH_UNREACHABLE, "network unknown"},
    {ADDR_V4, 3, 7, REACH_UNREACHABLE, "host unknown"},
    {ADDR_V4, 3, 9, REACH_FILTERED, "network prohibited"},
    {ADDR_V4, 3, 10, REACH_FILTERED, "host prohibited"},
    {ADDR_V4, 3, 13, REACH_FILTERED, "administratively prohibited"},
    {ADDR_V4, 11, 0, REACH_UNREACHABLE, "time to live exceeded (a routing loop?)"},
    {ADDR_V6, 1, 0, REACH_UNREACHABLE, "no route to the destination"},
    {ADDR_V6, 1, 1, REACH_FILTERED, "administratively prohibited"},
    {ADDR_V6, 1, 2, REACH_UNREACHABLE, "beyond the scope of the source address"},
    {ADDR_V6, 1, 3, REACH_UNREACHABLE, "address unreachable"},
    {ADDR_V6, 1, 4, REACH_FILTERED, "port unreachable"},
    {ADDR_V6, 1, 5, REACH_FILTERED, "source address refused by policy"},
    {ADDR_V6, 1, 6, REACH_UNREACHABLE, "route rejected"},
    {ADDR_V6, 3, 0, REACH_UNREACHABLE, "hop limit exceeded (a routing loop?)"},
};

static const struct {
	int code;
	enum reach outcome;
	const char *text;
} meanings[] = {
    {ECONNREFUSED, REACH_REFUSED, "nobody listens there (RST)"},
    {ETIMEDOUT, REACH_FILTERED, "no answer within 2 s"},
    {ENETUNREACH, REACH_NO_ROUTE, "this host has no route to it"},
    {EHOSTUNREACH, REACH_UNREACHABLE, "nobody on the link answers for it (ARP or ND)"},
    {ECONNRESET, REACH_RESET, "the connection was reset"},
    {EPIPE, REACH_RESET, "the connection was reset"},
    {EPERM, REACH_LOCAL, "a rule of this host drops it (EPERM)"},
    {EACCES, REACH_LOCAL, "this host forbids it (EACCES): a rule, or a broadcast address"},
    {EADDRNOTAVAIL, REACH_LOCAL,
     "the source address is not one of this host's, or no port is free"},
};

void probe_classify(int code, const struct icmp_error *icmp, struct probe *ret)
{
	char from[ADDR_STR_MAX];

	for (size_t i = 0; icmp && icmp->seen && i < ARRAY_SIZE(icmp_meanings); i++) {
		if (icmp_meanings[i].family != icmp->family ||
		    icmp_meanings[i].type != icmp->type || icmp_meanings[i].code != icmp->code)
			continue;
		ret->outcome = icmp_meanings[i].outcome;
		snprintf(ret->detail, sizeof(ret->detail), "ICMP from %s: %s",
		         addr_str(&icmp->from, from), icmp_meanings[i].text);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++) {
		if (meanings[i].code != code)
			continue;
		ret->outcome = meanings[i].outcome;
		snprintf(ret->detail, sizeof(ret->detail), "%s", meanings[i].text);
		return;
	}
	ret->outcome = REACH_LOCAL;
	snprintf(ret->detail, sizeof(ret->detail), "%s", strerror(code));
}

static bool is_recverr(const struct cmsghdr *c)
{
	return (c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) ||
	       (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR);
}

/* The newest ICMP error that the kernel kept for this socket. */
static void read_errors(int fd, struct icmp_error *ret)
{
	char control[512] __attribute__((aligned(8))), data[64];

	for (int i = 0; i < 16; i++) {
		struct iovec iov = {data, sizeof(data)};
		struct msghdr m = {.msg_iov = &iov,
		                   .msg_iovlen = 1,
		                   .msg_control = control,
		                   .msg_controllen = sizeof(control)};
		if (sys->recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
			struct sock_extended_err err;
			struct sockaddr_in6 sa = {0};
			size_t left = c->cmsg_len - CMSG_LEN(0);
			if (!is_recverr(c) || left < sizeof(err) + sizeof(struct sockaddr_in))
				continue;
			memcpy(&err, CMSG_DATA(c), sizeof(err));
			if (err.ee_origin != SO_EE_ORIGIN_ICMP &&
			    err.ee_origin != SO_EE_ORIGIN_ICMP6)
				continue;
			left -= sizeof(err);
			memcpy(&sa, CMSG_DATA(c) + sizeof(err),
			       left < sizeof(sa) ? left : sizeof(sa));
			ret->seen = true;
			ret->family = err.ee_origin == SO_EE_ORIGIN_ICMP ? ADDR_V4 : ADDR_V6;
			ret->type = err.ee_type;
			ret->code = err.ee_code;
			addr_from_sockaddr((struct sockaddr *)&sa, &ret->from, NULL);
		}
	}
}

/* The kernel gives up on a neighbour after three seconds, we after two: is it still asking? */
static bool neighbour_silent(const struct addr *to)
{
	_cleanup_free_ struct neigh *v = NULL;
	struct route r;
	size_t n = 0;

	if (route_get(NULL, to, &r, NULL) < 0 || neigh_list(NULL, &v, &n, NULL) < 0)
		return false;
	const struct addr *hop = r.gateway.family ? &r.gateway : to;
	for (size_t i = 0; i < n; i++)
		if (v[i].ifindex == r.ifindex && addr_equal(&v[i].addr, hop))
			return v[i].state & (NUD_INCOMPLETE | NUD_FAILED);
	return false;
}

static void failed(int fd, int code, const struct addr *to, struct probe *ret)
{
	struct icmp_error icmp = {0};

	read_errors(fd, &icmp);
	if (code == ETIMEDOUT && !icmp.seen && neighbour_silent(to))
		code = EHOSTUNREACH;
	probe_classify(code, &icmp, ret);
}

/* A socket that keeps ICMP errors and is bound to the source. */
static int probe_socket(const struct addr *to, int type, int proto, const struct addr *from,
                        struct probe *ret, int *ret_code)
{
	int family = to->family == ADDR_V4 ? AF_INET : AF_INET6, on = 1;
	int fd = sys->socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, proto);
	struct sockaddr_storage ss;

	if (fd < 0) {
		*ret_code = errno;
		probe_classify(*ret_code, NULL, ret);
		return -1;
	}
	sys->setsockopt(fd, family == AF_INET ? SOL_IP : SOL_IPV6,
	                family == AF_INET ? IP_RECVERR : IPV6_RECVERR, &on, sizeof(on));
	if (from->family &&
	    sys->bind(fd, (struct sockaddr *)&ss, addr_to_sockaddr(from, 0, &ss)) < 0) {
		*ret_code = errno;
		probe_classify(*ret_code, NULL, ret);
		sys->close(fd);
		return -1;
	}
	return fd;
}

/* 0: an event; else the errno of what ended the wait. */
static int wait_for(int fd, short events, usec_t until)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		usec_t now = boot_now();
		int left = now < until ? (int)((until - now) / USEC_PER_MSEC) + 1 : 0;
		int r = sys->poll(&p, 1, left);
		if (r > 0)
			return 0;
		if (!r && boot_now() >= until)
			return ETIMEDOUT;
		if (r < 0 && errno != EINTR)
			return errno;
	}
}

static int socket_error(int fd)
{
	int code = 0;
	socklen_t n = sizeof(code);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &n) < 0 ? errno : code;
}

/* First line, without its end; true when it is that of an SSH server. */
static bool take_banner(const char *text, struct probe *ret)
{
	char line[PROBE_TEXT_MAX];
	size_t n = strcspn(text, "\r\n");

	snprintf(line, sizeof(line), "%.*s", (int)(n < sizeof(line) ? n : sizeof(line) - 1), text);
	out_clean(line, ret->banner, sizeof(ret->banner));
	return !strncmp(text, "SSH-", 4);
}

/* What the other side does after the connection is made. */
static void after_connect(int fd, bool ssh, const struct addr *to, struct probe *ret)
{
	char text[256] = "";
	usec_t until = boot_now() + (ssh ? PROBE_MSEC : PROBE_AFTER) * USEC_PER_MSEC;
	size_t have = 0;
	ssize_t n = 1;

	ret->outcome = REACH_OK;
	while (have < sizeof(text) - 1 && !strchr(text, '\n') && n > 0) {
		if (wait_for(fd, POLLIN, until))
			break;
		n = sys->read(fd, text + have, sizeof(text) - 1 - have);
		if (n < 0) {
			failed(fd, errno, to, ret);
			ret->outcome = REACH_RESET;
			return;
		}
		have += (size_t)n;
		text[have] = 0;
	}
	if (take_banner(text, ret))
		return;
	ret->banner[0] = 0;
	if (ssh) {
		ret->outcome = REACH_NO_SSH;
		snprintf(ret->detail, sizeof(ret->detail), "%s",
		         !n     ? "connected, then closed without an SSH banner"
		         : have ? "connected, but it is no SSH server that answers"
		                : "connected, but no SSH banner within 2 s");
	} else if (!n) {
		snprintf(ret->detail, sizeof(ret->detail), "closed again at once");
	}
}

void probe_tcp(const struct addr *to, uint16_t port, const struct addr *from, struct probe *ret)
{
	usec_t begin;
	int fd, code = 0;
	struct sockaddr_storage ss;

	*ret = (struct probe){0};
	if ((fd = probe_socket(to, SOCK_STREAM, 0, from, ret, &code)) < 0)
		return;
	begin = boot_now();
	if (sys->connect(fd, (struct sockaddr *)&ss, addr_to_sockaddr(to, port, &ss)) < 0 &&
	    errno != EINPROGRESS)
		code = errno;
	if (!code && !(code = wait_for(fd, POLLOUT, begin + PROBE_MSEC * USEC_PER_MSEC)))
		code = socket_error(fd);
	if (code != ETIMEDOUT)
		ret->latency = boot_now() - begin;
	if (code)
		failed(fd, code, to, ret);
	else
		after_connect(fd, port == SSH_PORT, to, ret);
	sys->close(fd);
}

#define ECHO_BYTES 24 /* header and a nonce */

struct echo {
	int fd;
	bool v6, raw;
	uint8_t nonce[16];
};

static uint16_t icmp_sum(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(p[i] << 8 | p[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static int echo_send(const struct echo *s, const struct addr *to, uint8_t seq)
{
	uint8_t p[ECHO_BYTES] = {s->v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO};
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(to, 0, &ss);
	uint16_t sum;

	memcpy(p + 4, s->nonce, 2); /* id: only a raw socket keeps it */
	p[7] = seq;
	memcpy(p + 8, s->nonce, sizeof(s->nonce));
	sum = s->v6 ? 0 : icmp_sum(p, sizeof(p)); /* v6: the kernel's task */
	p[2] = (uint8_t)(sum >> 8);
	p[3] = (uint8_t)sum;
	return sys->sendto(s->fd, p, sizeof(p), 0, (struct sockaddr *)&ss, n) < 0 ? errno : 0;
}

/* 0: our answer; EAGAIN: something else or nothing; else the error. */
static int echo_receive(const struct echo *s)
{
	uint8_t b[512], *p = b;
	ssize_t n = recv(s->fd, b, sizeof(b), MSG_DONTWAIT);

	if (n < 0)
		return errno;
	if (s->raw && !s->v6) { /* with its IP header */
		size_t head = n > 0 ? (size_t)(b[0] & 15) * 4 : 0;
		if ((size_t)n < head)
			return EAGAIN;
		p += head;
		n -= (ssize_t)head;
	}
	if (n != ECHO_BYTES || p[0] != (s->v6 ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY) ||
	    memcmp(p + 8, s->nonce, sizeof(s->nonce)))
		return EAGAIN;
	return 0;
}

/* Ping sockets need no right, where net.ipv4.ping_group_range lets us; else a raw one. */
static bool echo_open(struct echo *s, const struct addr *to, const struct addr *from,
                      struct probe *ret)
{
	int proto = to->family == ADDR_V4 ? IPPROTO_ICMP : (int)IPPROTO_ICMPV6;
	int code = 0;
	usec_t nonce[2] = {wall_now(), boot_now() ^ (usec_t)getpid() << 40};

	s->v6 = to->family == ADDR_V6;
	memcpy(s->nonce, nonce, sizeof(s->nonce));
	s->fd = probe_socket(to, SOCK_DGRAM, proto, from, ret, &code);
	if (s->fd < 0 && (code == EACCES || code == EPERM || code == EPROTONOSUPPORT)) {
		*ret = (struct probe){0};
		s->fd = probe_socket(to, SOCK_RAW, proto, from, ret, &code);
		s->raw = true;
		if (s->fd < 0 && (code == EACCES || code == EPERM))
			snprintf(ret->detail, sizeof(ret->detail),
			         "ICMP needs root here, or net.ipv4.ping_group_range");
	}
	return s->fd >= 0;
}

void probe_icmp(const struct addr *to, const struct addr *from, struct probe *ret)
{
	struct echo s = {0};
	usec_t begin, until;
	int code = ETIMEDOUT;

	*ret = (struct probe){0};
	if (!echo_open(&s, to, from, ret))
		return;
	begin = boot_now();
	/* Two tries: the first may be lost to address resolution. */
	for (uint8_t seq = 1; seq <= 2 && code == ETIMEDOUT; seq++) {
		until = begin + seq * (PROBE_MSEC / 2) * USEC_PER_MSEC;
		if ((code = echo_send(&s, to, seq)))
			break;
		do {
			if (!(code = wait_for(s.fd, POLLIN, until)))
				code = echo_receive(&s);
		} while (code == EAGAIN);
	}
	if (code != ETIMEDOUT)
		ret->latency = boot_now() - begin;
	if (code)
		failed(s.fd, code, to, ret);
	sys->close(s.fd);
}
