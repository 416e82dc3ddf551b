/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "priv/msg.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/sys.h"

#define HEAD_SIZE 8
#define BUFFER    (4 * (size_t)MSG_BODY_MAX)

struct msg_reader {
	int fd;
	size_t from, to; /* what is in bytes[] and not yet handed out */
	uint8_t bytes[BUFFER];
};

int msg_send(int fd, uint32_t type, const void *body, size_t len)
{
	uint32_t head[2] = {type, (uint32_t)len};
	struct iovec iov[2] = {{head, sizeof(head)}, {NULL, len}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = len ? 2 : 1};

	if (len > MSG_BODY_MAX)
		return -EMSGSIZE;
	/* sendmsg wants a pointer without const, and does not write through it. */
	memcpy(&iov[1].iov_base, &body, sizeof(body));
	while (m.msg_iovlen) {
		ssize_t n = sys->sendmsg(fd, &m, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		while (m.msg_iovlen && (size_t)n >= m.msg_iov->iov_len) {
			n -= (ssize_t)m.msg_iov->iov_len;
			m.msg_iov++;
			m.msg_iovlen--;
		}
		if (m.msg_iovlen) {
			m.msg_iov->iov_base = (char *)m.msg_iov->iov_base + n;
			m.msg_iov->iov_len -= (size_t)n;
		}
	}
	return 0;
}

int msg_reader_new(int fd, struct msg_reader **ret)
{
	struct msg_reader *r = malloc(sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->fd = fd;
	r->from = r->to = 0;
	*ret = r;
	return 0;
}

void msg_reader_free(struct msg_reader *r)
{
	free(r);
}

/* 1: a whole message is there. */
static int take(struct msg_reader *r, struct msg *ret)
{
	size_t have = r->to - r->from;
	uint32_t head[2];

	if (have < HEAD_SIZE)
		return 0;
	memcpy(head, r->bytes + r->from, HEAD_SIZE);
	if (head[1] > MSG_BODY_MAX)
		return -EBADMSG;
	if (have - HEAD_SIZE < head[1])
		return 0;
	*ret = (struct msg){head[0], head[1], r->bytes + r->from + HEAD_SIZE};
	r->from += HEAD_SIZE + (size_t)head[1];
	return 1;
}

int msg_next(struct msg_reader *r, int timeout_ms, struct msg *ret)
{
	int k;

	while (!(k = take(r, ret))) {
		struct pollfd p = {.fd = r->fd, .events = POLLIN};
		if (BUFFER - r->from < HEAD_SIZE + (size_t)MSG_BODY_MAX) {
			memmove(r->bytes, r->bytes + r->from, r->to - r->from);
			r->to -= r->from;
			r->from = 0;
		}
		k = sys->poll(&p, 1, timeout_ms);
		if (k <= 0)
			return k ? -errno : -EAGAIN;
		ssize_t n = sys->read(r->fd, r->bytes + r->to, BUFFER - r->to);
		if (n < 0 && errno == ECONNRESET)
			n = 0;
		if (n < 0)
			return -errno;
		if (!n)
			return r->to > r->from ? -EBADMSG : 0;
		r->to += (size_t)n;
	}
	return k;
}
