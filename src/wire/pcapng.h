/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pcapng files: sections of either byte order, any number of interfaces with link type, resolution
 * and offset of their own, enhanced, simple and obsolete packet blocks, drop counts of interface
 * statistics. Other blocks are passed over. Source: draft-ietf-opsawg-pcapng.
 */
#ifndef STANCH_WIRE_PCAPNG_H
#define STANCH_WIRE_PCAPNG_H

#include "base/cursor.h"
#include "wire/capture.h"

#define PCAPNG_IFACES_MAX 1024 /* in one section */

struct pcapng_iface {
	uint16_t linktype;
	uint8_t resol; /* if_tsresol as written: 10^-n, or 2^-n with the high bit */
	uint32_t snaplen;
	int64_t offset_sec; /* if_tsoffset */
	uint64_t dropped;   /* last isb_ifdrop + isb_osdrop */
};

/* Zeroed at the start of a file. About 32 KiB; no memory of its own. */
struct pcapng {
	bool big, in_section;
	size_t n_ifaces;
	uint64_t dropped_before; /* of sections that are over */
	uint64_t last_nsec;      /* stands in where a block has no time stamp */
	struct pcapng_iface ifaces[PCAPNG_IFACES_MAX];
};

/* Do these four bytes open a pcapng file? */
bool pcapng_magic(const uint8_t four[static 4]);
/* One block from c: MORE, PACKET, SKIP or BAD. */
enum capture_step pcapng_next(struct pcapng *f, struct cursor *c, struct capture_record *ret);
/* What the capturing side says that it has lost so far. */
uint64_t pcapng_dropped(const struct pcapng *f);

#endif
