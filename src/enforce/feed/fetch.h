/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A feed from a URL. The parent resolves the name and connects; a sandboxed child that can open
 * nothing speaks TLS and HTTP over that one socket, with the certificate always checked, and passes
 * the body on through a pipe to the child that parses it. No redirect is followed.
 */
#ifndef STANCH_ENFORCE_FEED_FETCH_H
#define STANCH_ENFORCE_FEED_FETCH_H

#include "base/clock.h"
#include "base/err.h"
#include "priv/role.h"

/* The child's job; a row of the composition root's registry is FETCH_ROLE. */
int fetch_role(int channel, const int *fds, size_t n_fds);
extern const int fetch_syscalls[], fetch_answered[];
#define FETCH_ROLE                                                                                 \
	{                                                                                          \
		"fetch", fetch_role, fetch_syscalls, fetch_answered                                \
	}

#define FETCH_TIMEOUT    (60 * USEC_PER_SEC) /* of the whole request */
#define FETCH_CONNECT_MS 10000
#define FETCH_BYTES_MAX  (128u << 20)
#define FETCH_CA_MAX     (4u << 20)

struct fetch {
	struct role_child child;
	int body; /* the reading end; the caller may close it and set it to -1 */
};

/* ca_file: PEM authorities; NULL: the system's. -EINVAL: no https URL; -EHOSTUNREACH,
 * -ECONNREFUSED, -ETIMEDOUT; -ENOENT: no authorities. On success fetch_end must follow. */
int fetch_begin(const char *url, const char *ca_file, struct fetch *ret, struct err *e);
/* When the body has been read to its end: was it all of it? -EPROTO: another status than 200. */
int fetch_end(struct fetch *f, struct err *e);

#endif
