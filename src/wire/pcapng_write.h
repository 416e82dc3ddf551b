/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Blocks of a pcapng file, to be written one behind the other: one section, little-endian, with
 * time stamps in nanoseconds. Source: draft-ietf-opsawg-pcapng.
 *
 * Each returns what buf_add does; what has been added before stays.
 */
#ifndef STANCH_WIRE_PCAPNG_WRITE_H
#define STANCH_WIRE_PCAPNG_WRITE_H

#include "base/buf.h"

/* What a packet block needs beyond its frame and its comment. */
#define PCAPNG_PACKET_ROOM 64

struct pcapng_packet {
	uint32_t iface; /* in the order of pcapng_put_interface */
	uint64_t nsec;  /* since the epoch */
	const uint8_t *data;
	uint32_t cap_len, wire_len;
	const char *comment; /* UTF-8, at most 65,535 bytes; NULL: none */
};

/* The head of the file. */
int pcapng_put_section(struct buf *b, const char *application);
/* name may be "": not known. */
int pcapng_put_interface(struct buf *b, uint16_t linktype, const char *name);
int pcapng_put_packet(struct buf *b, const struct pcapng_packet *p);

#endif
