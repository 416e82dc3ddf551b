/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests over HTTPS, one after the other on a connection that is kept (libcurl).
 *
 * Invariants
 *  1. The other side's certificate and name are always checked, against one file of authorities
 *     where one is named, else the system's. There is no way to leave that out.
 *  2. Plain HTTP only where it was allowed, and then only to a literal loopback address or to the
 *     metadata service of the instance.
 *  3. No proxy, no redirect, no cookie, no netrc; nothing of the environment is looked at.
 *  4. Answer and time are bounded. Nothing is tried again here, but for a kept connection that
 * turns out to be closed before the answer began (not with `once`).
 *
 * Tests can stop at the marks "https:send" and "https:answer".
 */
#ifndef STANCH_IO_HTTPS_H
#define STANCH_IO_HTTPS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

struct https_options {
	const char *ca_file; /* PEM; NULL: the system's authorities */
	bool plain;          /* http:// is allowed (invariant 2) */
	usec_t timeout;      /* of one request, connecting included; 0: 30 s */
	size_t answer_max;   /* bytes of a body; 0: 8 MiB */
	/* For a process that can open nothing. socket: connected already, used for the one request
	 * and closed; no name is resolved; NULL: none. ca: n_ca bytes of PEM, used in place of any
	 * file; NULL: none. Both stay the caller's until https_close. */
	const int *socket;
	const void *ca;
	size_t n_ca;
};

struct https_request {
	const char *method;         /* NULL: POST with a body, else GET */
	const char *url;            /* holds no secret: errors name it */
	const char *const *headers; /* "Name: value"; ended by NULL; NULL: none */
	const void *body;           /* n bytes; NULL: none */
	size_t n;
	/* "aws:amz:REGION:SERVICE": signed so (AWS Signature Version 4); NULL: not. */
	const char *sigv4, *key, *secret;
	bool once; /* on a connection of its own, so that it is never sent twice */
};

struct https_answer {
	int status;
	struct buf body;
};

struct https; /* one thread's */

int https_open(const struct https_options *o, struct https **ret, struct err *e);
void https_close(struct https *h); /* takes NULL */

/* Any status is a success. ret->body is the caller's. Never sent: -EHOSTUNREACH (name or network),
 * -ECONNREFUSED, -EKEYREJECTED (certificate), -EINVAL (URL), -ENOENT (CA file). May have been
 * carried out: -ETIMEDOUT, -ECONNRESET, -EMSGSIZE (answer too large), -EPROTO. */
int https_do(struct https *h, const struct https_request *q, struct https_answer *ret,
             struct err *e);
/* True for codes after which the request cannot have been carried out. */
bool https_was_not_sent(int code);

/* "a=b&c=d" of one more field, percent-encoded; for bodies. */
int form_add(struct buf *out, const char *name, const char *value);

#endif
