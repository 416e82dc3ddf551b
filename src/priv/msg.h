/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Typed messages between roles, over a stream socket: a 32-bit type, a 32-bit length, the body, in
 * the machine's own byte order, since both ends are the same program. The receiver trusts nothing:
 * a length over MSG_BODY_MAX is -EBADMSG before a byte of the body is taken, and what the body
 * means is for the reader of that type to check.
 */
#ifndef STANCH_PRIV_MSG_H
#define STANCH_PRIV_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MSG_BODY_MAX (64u << 10)

/* Sends one message whole; blocks. -EPIPE: the other end has gone (no SIGPIPE). body may be NULL
 * when len is 0. -EMSGSIZE over MSG_BODY_MAX. */
int msg_send(int fd, uint32_t type, const void *body, size_t len);

struct msg {
	uint32_t type;
	size_t len;
	const uint8_t *body; /* in the reader's buffer, valid until the next msg_next; unaligned */
};

struct msg_reader;                                   /* buffers what arrives */
int msg_reader_new(int fd, struct msg_reader **ret); /* the fd stays the caller's */
void msg_reader_free(struct msg_reader *r);          /* takes NULL */
/* 1: a message; 0: the other end has closed; -EAGAIN: none within timeout_ms (-1: for ever);
 * -EINTR: a signal came; -EBADMSG: too long, or cut off in the middle. */
int msg_next(struct msg_reader *r, int timeout_ms, struct msg *ret);

#endif
