/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the payload says about a flow: the protocol it speaks and the name that was asked for (TLS,
 * QUIC, HTTP), and every DNS message. Runs in the sandboxed child: no system call after
 * inspect_new.
 *
 * Invariants
 *  1. Memory is fixed at birth. ClientHellos, requests and DNS messages that are not all there wait
 *     in it, each in a window of PIECES_MAX bytes; a full set gives up the one longest not added
 * to, and counts it.
 *  2. A name is what the client sent or nothing. A ClientHello with an encrypted one inside (in
 *     earnest or as grease; who watches cannot tell) is told as NAME_OUTER: sent, but maybe only
 * the name of a provider in front. An address in the place of a name is no name.
 *  3. TCP is put in order by sequence number; the first version of a byte counts. A first segment
 *     that was overtaken is waited for. What comes behind the window of a flow starts it anew: the
 *     ports are used again.
 *  4. A flow gets one app_event, at the packet that settles it.
 *
 * How to call it, for each packet with payload: if inspect_wants says so, inspect_packet; when that
 * returns true the flow is settled: remember it with the flow (one bit), and pass `settled` from
 * then on. Nothing else need be kept.
 */
#ifndef STANCH_OBSERVE_INSPECT_H
#define STANCH_OBSERVE_INSPECT_H

#include <netinet/in.h>

#include "base/err.h"
#include "model/flow.h"
#include "wire/packet.h"

#define INSPECT_PACKETS 16                          /* of a flow, both directions, are looked at */
#define INSPECT_MEMORY  (UINT64_C(6) * 1024 * 1024) /* good for about 1,200 half-seen flows */

struct inspect;

/* Each may be NULL. The event is valid in the call. */
struct inspect_sinks {
	void (*app)(void *arg, const struct app_event *e);
	void (*dns)(void *arg, const struct dns_event *e);
	void *arg;
};

struct inspect_stats {
	uint64_t names;     /* app events with a name */
	uint64_t apps;      /* app events */
	uint64_t dns;       /* DNS events */
	uint64_t malformed; /* on a DNS port, not DNS */
	uint64_t evicted;   /* half-seen ones that had to go */
};

static inline bool inspect_dns_port(uint16_t port)
{
	return port == 53 || port == 5353;
}

/* packets: of the flow, both directions, this one among them. */
static inline bool inspect_wants(uint8_t proto, uint16_t sport, uint16_t dport, uint64_t packets,
                                 bool settled)
{
	if (inspect_dns_port(sport) | inspect_dns_port(dport))
		return proto == IPPROTO_UDP || proto == IPPROTO_TCP;
	return !settled && packets <= INSPECT_PACKETS &&
	       (proto == IPPROTO_UDP || proto == IPPROTO_TCP);
}

/* Of max_bytes, of which only what is used is touched. -EINVAL (too little for anything), -ENOMEM,
 * -EIO (libcrypto). */
int inspect_new(size_t max_bytes, const struct inspect_sinks *sinks, struct inspect **ret,
                struct err *e);
void inspect_free(struct inspect *in); /* takes NULL; emits nothing */

/* p: the packet, with a payload; f: its flow, of which only src, dest and proto are read. True: the
 * flow is settled: an app_event went out, now or before. */
bool inspect_packet(struct inspect *in, const struct flow *f, uint64_t nsec, bool to_server,
                    bool settled, const struct packet *p);
void inspect_stats(const struct inspect *in, struct inspect_stats *ret);

#endif
