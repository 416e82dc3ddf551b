/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A feed: a list of prefixes that somebody published, as it was when an order took it. The order
 * keeps its name, its count and its hash; the entries are bytes of their own, since there may be
 * millions, and are opened by descriptor when they are needed.
 *
 * The bytes: "stanch feed\n", u32 version, u64 n, u64 n_text, then n entries sorted by address,
 * then n_text bytes of notes, each ended by NUL, the first one empty. In the machine's own byte
 * order: they do not leave the host.
 */
#ifndef STANCH_MODEL_FEED_H
#define STANCH_MODEL_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/table.h"

enum feed_role {
	FEED_BLOCK,
	FEED_ALLOW, /* never blocked by the order's feeds, whatever they say */
	_FEED_ROLE_MAX,
	_FEED_ROLE_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(feed_role, enum feed_role);

#define FEED_SOURCE_MAX  512
#define FEED_FORMAT_MAX  24
#define FEED_SHA256_MAX  65
#define FEED_NOTE_MAX    96         /* with NUL */
#define FEED_ENTRIES_MAX (8u << 20) /* of one feed */
#define FEED_TEXT_MAX    (256u << 20)
#define FEEDS_MAX        64 /* of one order */

/* As the feed gave it: overlaps and repetitions are kept. */
struct feed_entry {
	uint8_t addr[16]; /* v4 in the first four, the rest zero */
	uint8_t family, len;
	uint8_t zero[2];
	uint32_t line;  /* where it stands in its feed, from 1; 0: nowhere */
	uint32_t until; /* wall seconds since the epoch; 0: the feed gives no end */
	uint32_t note;  /* offset of its note in the text; 0: none */
};

struct feed {
	enum feed_role role;
	char source[FEED_SOURCE_MAX]; /* path or URL as given, or "this host" */
	char format[FEED_FORMAT_MAX];
	char sha256[FEED_SHA256_MAX]; /* of the bytes */
	uint64_t n;
	usec_t read_at; /* wall */
	int fd;         /* the bytes, readable from 0; owned; -1: not at hand */
};

/* A feed under construction. The first failure is kept in error. */
struct feed_builder {
	struct feed_entry *v; /* owned */
	char *text;           /* owned */
	size_t n, cap, n_text, cap_text;
	uint32_t last_note; /* offset: the same note again takes no room */
	int error;          /* -ENOMEM, -E2BIG */
};
void feed_add(struct feed_builder *b, const struct prefix *p, uint32_t line, uint32_t until,
              const char *note);
void feed_builder_free(struct feed_builder *b); /* takes NULL */
/* Sorts and writes the bytes into memory that a descriptor names (memfd); *ret_fd is the caller's.
 */
int feed_build(struct feed_builder *b, int *ret_fd, struct err *e);

/* The entries of a feed, checked: every prefix is one, every note is a text. */
struct feed_view {
	const struct feed_entry *v;
	const char *text;
	size_t n;
	void *bytes; /* all of them, for their hash; read-only */
	size_t n_bytes;
};
/* -ENOENT: the entries are not at hand; -EBADMSG: they are none. */
int feed_open(const struct feed *f, struct feed_view *ret, struct err *e);
void feed_close(struct feed_view *v);
struct prefix feed_prefix(const struct feed_entry *x);
/* Index of the first entry that does not begin before a; v->n: none. */
size_t feed_lower(const struct feed_view *v, const struct addr *a);

#endif
