/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * QUIC version 1 and 2 as far as a watcher can read them: long headers, and the frames of a
 * client's Initial packets, whose keys follow from the connection ID that the client chose.
 * Sources: RFC 9000 12, 16, 17.2 and 19, RFC 9001 5, RFC 9369, RFC 8999.
 */
#ifndef STANCH_WIRE_QUIC_H
#define STANCH_WIRE_QUIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "seal/crypt.h"

#define QUIC_CID_MAX    20
#define QUIC_PACKET_MAX 4096 /* a longer Initial packet is not opened */

enum { QUIC_V1 = 1, QUIC_V2 = 0x6b3343cf };

struct quic_cid {
	uint8_t n;
	uint8_t bytes[QUIC_CID_MAX]; /* unused ones are zero */
};

/* One packet with a long header; p lies in the datagram. */
struct quic_packet {
	uint32_t version; /* QUIC_V1 or QUIC_V2 */
	bool initial;
	struct quic_cid dcid;
	const uint8_t *p;
	size_t n;
	size_t number_at; /* Initial: offset of the packet number */
};

/* What a client's Initial packets are sealed with. */
struct quic_keys {
	uint8_t key[AES128_LEN], iv[GCM_IV_LEN], hp[AES128_LEN];
};

/* Data of the stream of handshake messages. */
struct quic_crypto {
	uint64_t offset;
	const uint8_t *p;
	size_t n;
};

/* Takes the next packet off a datagram that may hold several. False, and nothing taken: what is
 * left is no whole long-header packet of a version we know (a short header, padding, another
 * protocol, a capture cut short). */
bool quic_next(struct cursor *datagram, struct quic_packet *ret);

/* The client's keys, from the destination connection ID of its first Initial packet (or of its
 * first after a Retry). 0, -EINVAL for another version, -EIO. */
int quic_client_keys(struct crypt *c, uint32_t version, const struct quic_cid *dcid,
                     struct quic_keys *ret);

/* Opens an Initial packet; its frames, at most QUIC_PACKET_MAX bytes, go to plain, and *ret_frames
 * lies there. -EBADMSG: not sealed with these keys (the server's packet, another connection's);
 * -E2BIG, -EIO. */
int quic_open(struct crypt *c, const struct quic_keys *keys, const struct quic_packet *packet,
              uint8_t plain[static QUIC_PACKET_MAX], struct cursor *ret_frames);

/* The next CRYPTO frame, the frames before it passed over: 1; 0 at the end; -EBADMSG: a frame that
 * is not all there or may not be in an Initial packet. */
int quic_next_crypto(struct cursor *frames, struct quic_crypto *ret);

#endif
