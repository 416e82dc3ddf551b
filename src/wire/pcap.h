/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Classic pcap files: either byte order, microsecond or nanosecond stamps, and the variant with
 * interface index in each record (magic a1b2cd34). Source: draft-ietf-opsawg-pcap,
 * pcap-savefile(5).
 */
#ifndef STANCH_WIRE_PCAP_H
#define STANCH_WIRE_PCAP_H

#include "base/cursor.h"
#include "base/err.h"
#include "wire/capture.h"

#define PCAP_HEADER_LEN 24

struct pcap {
	bool big;             /* byte order of the file */
	uint32_t frac_nsec;   /* nanoseconds in one unit of the fraction: 1 or 1000 */
	uint8_t record_len;   /* bytes before each frame: 16 or 24 */
	bool lengths_swapped; /* versions before 2.4 may have written them in the other order */
	unsigned linktype;
	uint32_t snaplen; /* as written; not relied upon */
};

/* Do these four bytes open a pcap file? */
bool pcap_magic(const uint8_t four[static 4]);
/* Reads the 24 bytes of file header. -EBADMSG with what does not fit. */
int pcap_header(struct cursor *c, struct pcap *ret, struct err *e);
/* One record from c: MORE, PACKET or BAD. */
enum capture_step pcap_next(const struct pcap *f, struct cursor *c, struct capture_record *ret);

#endif
