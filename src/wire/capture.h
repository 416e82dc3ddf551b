/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the decoders of capture files have in common: one step over bytes that someone else reads.
 *
 * Invariants
 *  1. A decoder looks only at bytes between c->p and c->end, and moves c->p only over what it has
 *     understood (PACKET, SKIP). MORE and BAD leave the cursor where it was.
 *  2. Every PACKET or SKIP moves the cursor by at least 8 bytes or leaves something to skip.
 *  3. A need is never above CAPTURE_BLOCK_MAX, so a fixed buffer is enough for every file.
 */
#ifndef STANCH_WIRE_CAPTURE_H
#define STANCH_WIRE_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CAPTURE_FRAME_MAX 262144 /* largest frame that is believed; libpcap's own limit */
#define CAPTURE_BLOCK_MAX 524288 /* frame with headers and options */

enum capture_step {
	CAPTURE_MORE,   /* `need` bytes from c->p are needed, fewer are there */
	CAPTURE_PACKET, /* the record is filled in */
	CAPTURE_SKIP,   /* understood or unknown, no frame in it; pass over `need` bytes more */
	CAPTURE_BAD,    /* contradicts itself; `why` says how */
};

struct capture_record {
	uint64_t nsec; /* since the epoch */
	const uint8_t *data;
	uint32_t cap_len, wire_len; /* cap_len <= wire_len always */
	unsigned linktype;          /* LINKTYPE_ of the pcap registry */
	bool contradicts;           /* lengths or time stamp did not fit and were mended */
	size_t need;                /* MORE, SKIP */
	const char *why;            /* BAD: a static phrase */
};

#define NSEC_PER_SEC UINT64_C(1000000000)

#endif
