/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Invariants: every request carries a sequence number of its own and every answer is checked
 * against it and against our port id; only the kernel (nl_pid 0) is listened to; no call waits
 * longer than ANSWER_MSEC for the next datagram.
 */
#include "kern/nl.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/sys.h"

#define ANSWER_MSEC    30000
#define DUMP_TRIES     5
#define RECEIVE_BUFFER (4 << 20)
#define DATAGRAM_MAX   (1 << 16)
#define DUMP_MAX       (1u << 30)
#define EVENT_BUFFER   (32 << 20)
#define EVENTS_AT_ONCE 262144u /* then others get their turn */
#define BATCH_MAX      (1u << 29)

#define PORTS_KEPT 256

static _Atomic uint32_t ports[PORTS_KEPT];
static _Atomic unsigned n_ports;

bool nl_was_ours(uint32_t port)
{
	for (size_t i = 0; port && i < PORTS_KEPT; i++)
		if (ports[i] == port)
			return true;
	return false;
}

static void set_option(int fd, int level, int name, int value)
{
	(void)sys->setsockopt(fd, level, name, &value, sizeof value);
}

/* Falls back to the unprivileged option: then the limit is net.core.[rw]mem_max. */
static void set_buffer(int fd, int force, int plain, size_t n)
{
	int value = (int)n;
	if (sys->setsockopt(fd, SOL_SOCKET, force, &value, sizeof value) < 0)
		set_option(fd, SOL_SOCKET, plain, value);
}

int nl_open(struct nl *nl, int bus, struct err *e)
{
	*nl = (struct nl){.fd = -1};
	int fd = sys->socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, bus);
	if (fd < 0)
		return err_set(e, -errno, "netlink socket (bus %d): %s", bus, strerror(errno));
	set_option(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
	/* An ack that repeats the whole refused message would overflow our receive buffer. */
	set_option(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
	set_option(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
	set_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER);

	struct sockaddr_nl self = {.nl_family = AF_NETLINK};
	socklen_t n = sizeof self;
	if (sys->bind(fd, (struct sockaddr *)&self, n) < 0 ||
	    sys->getsockname(fd, (struct sockaddr *)&self, &n) < 0) {
		int code = -errno;
		sys->close(fd);
		return err_set(e, code, "netlink socket (bus %d): %s", bus, strerror(-code));
	}
	*nl = (struct nl){.fd = fd, .portid = self.nl_pid, .seq = 1};
	ports[n_ports++ % PORTS_KEPT] = self.nl_pid;
	return 0;
}

void nl_close(struct nl *nl)
{
	if (nl && nl->fd >= 0)
		sys->close(nl->fd);
	if (nl)
		nl->fd = -1;
}

static int send_all(struct nl *nl, const void *bytes, size_t n, struct err *e)
{
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t sent;
	do {
		sent = sys->sendto(nl->fd, bytes, n, 0, (const struct sockaddr *)&kernel,
		                   sizeof kernel);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return err_set(e, -errno, "sending %zu bytes over netlink: %s", n, strerror(errno));
	if ((size_t)sent != n)
		return err_set(e, -EIO, "netlink took %zd of %zu bytes", sent, n);
	return 0;
}

static int wait_for(struct nl *nl, int wait_msec, struct err *e)
{
	struct pollfd pfd = {.fd = nl->fd, .events = POLLIN};
	int ready = sys->poll(&pfd, 1, wait_msec);
	if (ready < 0 && errno != EINTR)
		return err_set(e, -errno, "waiting for netlink: %s", strerror(errno));
	if (ready == 0)
		return err_set(e, -ETIMEDOUT, "the kernel did not answer over netlink");
	return 0;
}

/* One datagram from the kernel into p; its length, -ENOBUFS when answers were lost. */
static ssize_t receive(struct nl *nl, void *p, size_t max, int wait_msec, struct err *e)
{
	for (;;) {
		struct sockaddr_nl from = {0};
		struct iovec iov = {p, max};
		struct msghdr m = {.msg_name = &from,
		                   .msg_namelen = sizeof from,
		                   .msg_iov = &iov,
		                   .msg_iovlen = 1};
		ssize_t n = sys->recvmsg(nl->fd, &m, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN) { /* rare: the kernel answers while it is asked */
			int r = wait_for(nl, wait_msec, e);
			if (r < 0)
				return r;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(e, -errno, "reading from netlink: %s", strerror(errno));
		if (m.msg_flags & MSG_TRUNC)
			return err_set(e, -EMSGSIZE, "a netlink answer is larger than %zu bytes",
			               max);
		if (from.nl_pid == 0)
			return n;
	}
}

/* The kernel's own words out of an NLMSG_ERROR with extended ack; NULL when it gave none. */
static const char *ack_text(const struct nlmsghdr *h)
{
	const struct nlmsgerr *ack = mnl_nlmsg_get_payload(h);
	size_t skip = sizeof *ack;
	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(h->nlmsg_flags & NLM_F_CAPPED))
		skip += MNL_ALIGN(ack->msg.nlmsg_len) - sizeof ack->msg;
	if (MNL_NLMSG_HDRLEN + skip >= h->nlmsg_len)
		return NULL;
	const struct nlattr *a;
	mnl_attr_for_each(a, h, skip) if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG &&
	                                  mnl_attr_validate(a, MNL_TYPE_NUL_STRING) >=
	                                      0) return mnl_attr_get_str(a);
	return NULL;
}

static int ack_error(const struct nlmsghdr *h, struct err *e)
{
	if (h->nlmsg_len < mnl_nlmsg_size(sizeof(struct nlmsgerr)))
		return err_set(e, -EBADMSG, "a netlink acknowledgement is too short");
	const struct nlmsgerr *ack = mnl_nlmsg_get_payload(h);
	int code = ack->error > 0 ? -EBADMSG : ack->error;
	if (code == 0)
		return 0;
	const char *words = ack_text(h);
	return err_set(e, code, "the kernel refused: %s%s%s%s", strerror(-code), words ? " (" : "",
	               words ? words : "", words ? ")" : "");
}

/* What one message of an answer means for the exchange. */
enum turn { TURN_MORE, TURN_DONE, TURN_FAILED };

struct exchange {
	mnl_cb_t cb;
	void *arg;
	struct buf rows; /* a dump's messages, kept until it is known to be whole */
	bool dump, interrupted;
};

static int call_back(mnl_cb_t cb, void *arg, const struct nlmsghdr *h, struct err *e)
{
	if (!cb)
		return 0;
	errno = 0;
	if (cb(h, arg) != MNL_CB_ERROR)
		return 0;
	int code = errno ? -errno : -EIO;
	if (!e || e->code == 0)
		err_set(e, code, "reading a netlink answer: %s", strerror(-code));
	return code;
}

static int dump_end(const struct nlmsghdr *h, struct err *e)
{
	if (h->nlmsg_len < mnl_nlmsg_size(sizeof(int)))
		return 0;
	int code = *(const int *)mnl_nlmsg_get_payload(h);
	return code < 0 ? err_set(e, code, "the kernel broke off a dump: %s", strerror(-code)) : 0;
}

static enum turn take(struct exchange *x, const struct nlmsghdr *h, int *ret, struct err *e)
{
	if (h->nlmsg_flags & NLM_F_DUMP_INTR)
		x->interrupted = true;
	switch (h->nlmsg_type) {
	case NLMSG_NOOP:
		return TURN_MORE;
	case NLMSG_OVERRUN:
		*ret = err_set(e, -ENOBUFS, "the kernel lost netlink answers");
		return TURN_FAILED;
	case NLMSG_ERROR:
		*ret = ack_error(h, e);
		return *ret < 0 ? TURN_FAILED : TURN_DONE;
	case NLMSG_DONE:
		*ret = dump_end(h, e);
		return *ret < 0 ? TURN_FAILED : TURN_DONE;
	default:
		if (!x->dump)
			*ret = call_back(x->cb, x->arg, h, e);
		else if ((*ret = buf_add(&x->rows, h, MNL_ALIGN(h->nlmsg_len))) < 0)
			err_set(e, *ret, "a netlink dump is larger than can be held: %s",
			        strerror(-*ret));
		return *ret < 0 ? TURN_FAILED : TURN_MORE;
	}
}

static int exchange(struct nl *nl, const struct nlmsghdr *request, struct exchange *x,
                    struct err *e)
{
	_cleanup_free_ char *p = malloc(DATAGRAM_MAX);
	if (!p)
		return err_set(e, -ENOMEM, "out of memory for netlink answers");
	int r = send_all(nl, request, request->nlmsg_len, e);
	if (r < 0)
		return r;
	for (;;) {
		ssize_t n = receive(nl, p, DATAGRAM_MAX, ANSWER_MSEC, e);
		if (n < 0)
			return (int)n;
		const struct nlmsghdr *h = (const struct nlmsghdr *)p;
		for (int left = (int)n; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			/* Answers to a request given up earlier may still be in the queue. */
			if (h->nlmsg_seq != request->nlmsg_seq || h->nlmsg_pid != nl->portid)
				continue;
			enum turn t = take(x, h, &r, e);
			if (t != TURN_MORE)
				return r;
		}
	}
}

static int hand_out(const struct exchange *x, struct err *e)
{
	const struct nlmsghdr *h = (const struct nlmsghdr *)x->rows.data;
	for (int left = (int)x->rows.len; left > 0 && mnl_nlmsg_ok(h, left);
	     h = mnl_nlmsg_next(h, &left)) {
		int r = call_back(x->cb, x->arg, h, e);
		if (r < 0)
			return r;
	}
	return 0;
}

int nl_talk(struct nl *nl, struct nlmsghdr *request, mnl_cb_t cb, void *arg, struct err *e)
{
	bool dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	request->nlmsg_flags |= NLM_F_REQUEST | (dump ? 0 : NLM_F_ACK);
	request->nlmsg_pid = nl->portid;
	for (int i = 0; i < DUMP_TRIES; i++) {
		struct exchange x = {
		    .cb = cb, .arg = arg, .dump = dump, .rows = BUF_INIT(DUMP_MAX)};
		struct err why = {0};
		request->nlmsg_seq = ++nl->seq;
		int r = exchange(nl, request, &x, &why);
		bool again = dump && (x.interrupted || r == -ENOBUFS || r == -EINTR);
		if (r == 0 && !again)
			r = hand_out(&x, &why);
		buf_free(&x.rows);
		if (again)
			continue;
		return r < 0 ? err_set(e, r, "%s", why.text) : 0;
	}
	return err_set(e, -EAGAIN, "the kernel's tables changed during each of %d readings",
	               DUMP_TRIES);
}

int nl_join(struct nl *nl, unsigned group, struct err *e)
{
	if (sys->setsockopt(nl->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
		return err_set(e, -errno, "listening to netlink group %u: %s", group,
		               strerror(errno));
	set_buffer(nl->fd, SO_RCVBUFFORCE, SO_RCVBUF, EVENT_BUFFER);
	return 0;
}

int nl_heard(struct nl *nl, mnl_cb_t cb, void *arg, uint64_t *lost, struct err *e)
{
	_cleanup_free_ char *p = malloc(DATAGRAM_MAX);
	if (!p)
		return err_set(e, -ENOMEM, "out of memory for netlink events");
	for (unsigned i = 0; i < EVENTS_AT_ONCE; i++) {
		struct err why = {0};
		ssize_t n = receive(nl, p, DATAGRAM_MAX, 0, &why);
		if (n == -ETIMEDOUT)
			return 0;
		if (n == -ENOBUFS) {
			++*lost;
			continue;
		}
		if (n < 0)
			return err_set(e, (int)n, "%s", why.text);
		const struct nlmsghdr *h = (const struct nlmsghdr *)p;
		for (int left = (int)n; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
			int r = call_back(cb, arg, h, e);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* Numbers the messages of a batch; how many there are, 0 when the bytes are no messages. */
static size_t number(struct nl *nl, void *bytes, size_t n)
{
	size_t count = 0;
	for (size_t at = 0; at < n; count++) {
		struct nlmsghdr *h = (struct nlmsghdr *)((char *)bytes + at);
		if (n - at < sizeof *h || h->nlmsg_len < sizeof *h || h->nlmsg_len > n - at)
			return 0;
		h->nlmsg_seq = ++nl->seq;
		h->nlmsg_pid = nl->portid;
		at += MNL_ALIGN(h->nlmsg_len);
	}
	return count;
}

struct acks {
	uint32_t first;
	size_t count, wanted;
};

/* 0: more to come; 1: all that were wanted are there; -errno: the first refusal. */
static int read_acks(struct acks *a, const struct nlmsghdr *h, int left, size_t *ret_at,
                     struct err *e)
{
	for (; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		uint32_t at = h->nlmsg_seq - a->first;
		if (at >= a->count || h->nlmsg_type != NLMSG_ERROR)
			continue;
		int r = ack_error(h, e);
		if (r < 0) {
			if (ret_at)
				*ret_at = at;
			return r;
		}
		if (--a->wanted == 0)
			return 1;
	}
	return 0;
}

static void drain(struct nl *nl, char *p)
{
	while (receive(nl, p, DATAGRAM_MAX, 0, NULL) >= 0)
		;
}

/* Reads answers until all acks are in, one is a refusal, or nothing is left to come. */
static int collect_acks(struct nl *nl, char *p, struct acks *a, size_t *ret_at, struct err *e)
{
	/* The kernel has worked before sendto returns: without acks only refusals are waiting. */
	bool lost = false;
	for (;;) {
		ssize_t got = receive(nl, p, DATAGRAM_MAX, a->wanted ? ANSWER_MSEC : 0, e);
		if (got == -ENOBUFS && !lost) {
			lost = true; /* what came before the loss is still in the queue */
			continue;
		}
		if (got == -ETIMEDOUT && a->wanted == 0)
			return 0;
		if (got < 0)
			return (int)got;
		int r = read_acks(a, (const struct nlmsghdr *)p, (int)got, ret_at, e);
		if (r < 0)
			drain(nl, p);
		if (r != 0)
			return r < 0 ? r : 0;
	}
}

int nl_batch(struct nl *nl, void *bytes, size_t n, size_t n_acks, size_t *ret_at, struct err *e)
{
	_cleanup_free_ char *p = malloc(DATAGRAM_MAX);
	if (!p)
		return err_set(e, -ENOMEM, "out of memory for netlink answers");
	if (n > BATCH_MAX)
		return err_set(e, -EMSGSIZE, "a batch of %zu bytes is too large", n);
	struct acks a = {.first = nl->seq + 1, .wanted = n_acks};
	a.count = number(nl, bytes, n);
	if (a.count == 0)
		return err_set(e, -EINVAL, "a batch is not made of whole netlink messages");
	if (n > DATAGRAM_MAX)
		set_buffer(nl->fd, SO_SNDBUFFORCE, SO_SNDBUF, n + DATAGRAM_MAX);

	int r = send_all(nl, bytes, n, e);
	return r < 0 ? r : collect_acks(nl, p, &a, ret_at, e);
}
