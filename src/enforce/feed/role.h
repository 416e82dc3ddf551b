/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading a feed: the parent opens the file (it has the rights), a sandboxed child reads every byte
 * of it and sends entries back. What comes back is checked as if a stranger had sent it: one who
 * took the child over can name other prefixes, as the feed itself could, and nothing else.
 */
#ifndef STANCH_ENFORCE_FEED_ROLE_H
#define STANCH_ENFORCE_FEED_ROLE_H

#include "model/feed.h"
#include "priv/role.h"
#include "wire/blocklist.h"

/* The child's job; a row of the composition root's registry is FEED_ROLE. */
int feed_role(int channel, const int *fds, size_t n_fds);
#define FEED_ROLE                                                                                  \
	{                                                                                          \
		"feed", feed_role, NULL                                                            \
	}

#define FEED_READ_MS     120000 /* at most, for one feed */
#define FEED_DOMAINS_MAX 8

struct feed_report {
	enum blocklist_format format;
	struct blocklist_stats stats;
	char domains[FEED_DOMAINS_MAX][BLOCKLIST_TEXT_MAX]; /* the first; "" behind the last */
	char limits[128]; /* what the sandbox could not do here; "" */
};

/* Reads fd to its end. format: enum blocklist_format, or -1 to find out by looking. Entries go into
 * b, which the caller frees. -EBADMSG, -EFBIG, -ETIMEDOUT, … with a sentence without the source. */
int feed_read(int fd, int format, struct feed_builder *b, struct feed_report *ret, struct err *e);

#endif
