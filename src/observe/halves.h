/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What has been half seen: the start of a stream, by flow, direction and purpose. Memory is fixed
 * at birth; a full set gives up the entry that was longest not used.
 */
#ifndef STANCH_OBSERVE_HALVES_H
#define STANCH_OBSERVE_HALVES_H

#include <stdbool.h>

#include "model/flow.h"
#include "observe/pieces.h"
#include "wire/quic.h"

enum half_kind {
	HALF_FREE,
	HALF_START,    /* of a TCP stream to the server */
	HALF_HEADLESS, /* the same, its first segment yet to come */
	HALF_QUIC,     /* handshake messages of a client */
	HALF_DNS,      /* DNS over TCP, from the next message on */
};

/* No padding: compared and hashed as bytes. */
struct half_key {
	uint8_t src[16], dest[16];
	uint16_t src_port, dest_port;
	uint8_t proto, family, kind, to_server;
};

struct half {
	struct half_key key; /* kind HALF_FREE: a free entry */
	uint64_t used;
	uint32_t base; /* TCP: sequence number of the first byte of the window */
	uint32_t version;
	struct quic_keys keys; /* HALF_QUIC */
	struct pieces pieces;
};

struct halves;

struct half_key half_key_of(const struct flow *f, enum half_kind kind, bool to_server);

/* NULL: no memory, or max_bytes is not enough for one set. */
struct halves *halves_new(size_t max_bytes);
void halves_free(struct halves *h); /* takes NULL */
/* NULL: there is none. Valid until the next halves_make. */
struct half *halves_find(struct halves *h, const struct half_key *key);
/* A new entry, empty, for a key that is not there. */
struct half *halves_make(struct halves *h, const struct half_key *key);
void halves_drop(struct half *one); /* takes NULL */
uint64_t halves_evicted(const struct halves *h);

#endif
