/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which datagram an IP fragment belongs to. Only the first fragment has the ports: the others wait
 * for it here, or are told what it said.
 *
 * Invariants
 *  1. Memory is fixed at birth. A full set gives its oldest datagram up; the caller gets what was
 *     still waiting in it.
 *  2. An entry older than FRAGS_LIFE_NSEC is another datagram with the same id.
 */
#ifndef STANCH_OBSERVE_FRAGS_H
#define STANCH_OBSERVE_FRAGS_H

#include "base/err.h"
#include "wire/packet.h"

#define FRAGS_LIFE_NSEC UINT64_C(30000000000)

struct frag {
	uint8_t src[16], dst[16]; /* as sent: one direction */
	uint32_t id;
	uint8_t family; /* 4 or 6; 0: a free entry */
	uint8_t match;  /* IPv4: protocol, a part of the key; IPv6: 0 */
	bool known;     /* the first fragment was seen: proto and ports are its */
	uint8_t proto;
	uint16_t sport, dport, vlan;
	/* Waiting for the first. */
	uint64_t pkts, bytes, first_nsec, last_nsec;
	uint64_t seen_nsec;
};

struct frags;

int frags_new(struct frags **ret, struct err *e);
void frags_free(struct frags *f); /* takes NULL */
/* The entry of p's datagram, made if need be; valid until the next call. *ret_lost (always written)
 * is an entry that had to go with pkts > 0, or has pkts 0. */
struct frag *frags_entry(struct frags *f, const struct packet *p, uint64_t nsec,
                         struct frag *ret_lost);
/* Hands out every entry with waiting packets that was last seen before `before`, and frees all
 * those entries. */
void frags_drain(struct frags *f, uint64_t before, void (*cb)(void *arg, const struct frag *lost),
                 void *arg);

#endif
