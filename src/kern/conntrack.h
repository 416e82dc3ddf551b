/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tracked connections: list them, delete single ones (nfnetlink, ctnetlink). Everything speaks of
 * the network namespace that the netlink socket was opened in.
 *
 * nl is a socket opened on NETLINK_NETFILTER that is reused, or NULL to open one for the call.
 */
#ifndef STANCH_KERN_CONNTRACK_H
#define STANCH_KERN_CONNTRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

struct nl;

/* One direction of a connection as a packet would carry it. */
struct ct_tuple {
	struct endpoint src, dst; /* ports are 0 where the protocol has none */
	uint8_t proto;            /* IPPROTO_* */
	uint16_t icmp_id;         /* ICMP and ICMPv6: of the echo */
	uint8_t icmp_type, icmp_code;
};

#define CT_RAW_MAX 128

struct ct_flow {
	struct ct_tuple orig, reply; /* with NAT the reply is not the mirror of orig */
	uint32_t id;                 /* changes with every entry; 0: not told */
	uint32_t mark;
	uint32_t status;      /* IPS_*: ASSURED, SEEN_REPLY, SRC_NAT, … */
	uint32_t timeout_sec; /* left; 0: not told (offloaded, dying) */
	uint8_t tcp_state;    /* TCP_CONNTRACK_*; 0: not TCP */
	uint16_t zone;        /* 0: the default zone */
	bool has_counters;    /* net.netfilter.nf_conntrack_acct was on when it began */
	uint64_t start_nsec;  /* wall; 0: net.netfilter.nf_conntrack_timestamp was off */
	uint64_t packets_orig, bytes_orig, packets_reply, bytes_reply;
	uint8_t raw_orig[CT_RAW_MAX]; /* the kernel's own form of orig, for ct_delete */
	uint8_t raw_len;
};

const char *ct_tcp_state_str(unsigned state); /* "established", …; "" for 0 or unknown */

/* cb returns false to stop early, which is a success. The list is whole before the first call, so
 * that cb may delete what it sees. -EOPNOTSUPP: this kernel cannot list (no ctnetlink). */
typedef bool (*ct_fn)(void *arg, const struct ct_flow *f);
int ct_list(struct nl *nl, ct_fn cb, void *arg, struct err *e);

/* Connections that end tell so from then on; nl becomes a socket of its own. -EPERM. */
int ct_ended_open(struct nl *nl, struct err *e);
/* Those that ended since the last call, with their last counts. lost: see nl_heard. */
int ct_ended_read(struct nl *nl, ct_fn cb, void *arg, uint64_t *lost, struct err *e);

/* Deletes exactly this entry (tuple, zone and id). -ENOENT: gone already, or replaced by another
 * one. */
int ct_delete(struct nl *nl, const struct ct_flow *f, struct err *e);

#endif
