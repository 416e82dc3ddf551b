/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NETCONF over SSH: how one message ends and the next begins. Source: RFC 6242 4.2 (chunks, used
 * when both sides say base:1.1) and 4.3 (end-of-message, used for every hello).
 */
#ifndef STANCH_WIRE_NETCONF_H
#define STANCH_WIRE_NETCONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum netconf_framing {
	NETCONF_EOM,     /* "]]>]]>" behind each message */
	NETCONF_CHUNKED, /* "\n#LEN\n" before each chunk, "\n##\n" behind the last */
};

#define NETCONF_MESSAGE_MAX (16u << 20)

struct netconf_reader {
	enum netconf_framing framing;
	struct buf message; /* what has come of it so far; whole when feed says so */
	int state;
	uint32_t chunk; /* bytes to come of this chunk, or the length being read */
	unsigned digits;
	bool any; /* a chunk was seen */
};

/* Messages of at most max bytes. Between messages the framing may be changed. */
void netconf_reader_init(struct netconf_reader *r, enum netconf_framing framing, size_t max);
void netconf_reader_free(struct netconf_reader *r);
/* Forgets the message that was read, to begin the next. */
void netconf_reader_next(struct netconf_reader *r);
/* Takes what belongs to the message at hand: *ret_used bytes, all of n unless *ret_done. -EBADMSG:
 * what comes is not framed so; -EMSGSIZE: longer than max; -ENOMEM. After an error nothing that
 * follows has a meaning. */
int netconf_feed(struct netconf_reader *r, const uint8_t *p, size_t n, size_t *ret_used,
                 bool *ret_done, struct err *e);

/* One message as it is sent. -EINVAL: by end-of-message framing it would end in the middle. */
int netconf_frame(enum netconf_framing framing, const char *message, size_t n, struct buf *out,
                  struct err *e);

#endif
