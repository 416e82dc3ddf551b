/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The driver `host`: isolate and block on this host. The layers of a cut, outermost first:
 *
 *   host.cut       nftables, one transaction: inet hooks before conntrack, netdev egress and
 * ingress on every device, bridge where there is one (cut.c, nft in kern/) host.raw       a BPF
 * program at tc egress of every device, for frames that a redirect puts there behind the netfilter
 * hook (raw.c) host.inbound   an XDP program on every device that frames come in by, for packet
 * sockets that hear what nftables drops only later (inbound.c) host.sessions  evidence first, then
 * SOCK_DESTROY while RSTs may still pass, then the final drop, then the matching conntrack entries;
 * packet-socket owners named (sessions.c) host.block     the shared block sets, reconciled with
 * what all orders want (block.c)
 *
 * Timers live in the kernel: nftables set elements with time-outs, boot-time deadlines in BPF maps.
 */
#ifndef STANCH_ENFORCE_HOST_HOST_H
#define STANCH_ENFORCE_HOST_HOST_H

#include "kern/conntrack.h"
#include "kern/diag.h"
#include "model/driver_ops.h"

extern const struct driver_ops host_driver;

/* How long the kernel is to keep a cut, relative to now; 0: for good. */
struct hold_time {
	usec_t armed; /* the cut itself: 0 or time left */
	usec_t
	    narrow;   /* widen: time left until break-glass permits take effect; 0: they never do */
	usec_t drain; /* RSTs of destroyed sockets may pass for this long; 0: no longer */
};

/* From an order's deadlines and the present boot time; -ETIME when it is over already. */
int hold_time_of(const struct deadlines *d, usec_t boot_now, struct hold_time *ret);

/* Begins to find out what this kernel takes, in threads of its own and changing nothing, for the
 * driver that this process opens next. That it fails is no harm. A command that began it ends it:
 * what was not used is dropped. */
void host_look_ahead(void);
void host_look_ahead_done(void);

/* Adds to an isolate order what keeps this host alive for days, as the present state needs it: ARP
 * and neighbour discovery for gateways and on-link kept peers, DHCP renewal where an address is
 * leased, router advertisements where they are in use, ICMP too-big. Each permit says why. Changes
 * nothing. */
int host_sustain(struct order *o, struct err *e);

/* Does the kernel block this address because of a feed now? Asks the very tries that packets are
 * held against. *ret_left: microseconds; 0: for good. -ENOENT: not blocked. */
int host_ask_feeds(const struct addr *a, usec_t *ret_left, struct err *e);

/* raw.c: the tc layer for one device; used by host.c's table of step kinds. All idempotent. */
struct raw_report {
	bool attached;      /* our program is on this device's egress hook and is ours by its tag */
	bool foreign_ahead; /* another egress program runs before ours */
	bool made_clsact;   /* we made the qdisc; undo removes it if nothing else uses it */
	unsigned n_named;   /* programs of our name there, of other versions, too */
	uint32_t prog_id;
	usec_t armed_left, narrow_left; /* as read from the program's own map; 0: for good */
};
struct cut_programs; /* programs.h */
/* ps NULL: a program for this device alone. */
int raw_attach(struct cut_programs *ps, int ifindex, const struct permit *permits, size_t n,
               const struct hold_time *t, struct raw_report *ret, struct err *e);
int raw_read(int ifindex, struct raw_report *ret, struct err *e); /* attached=false is no error */
/* raw_read, and compares the permits in the program's map with these; *ret_same. */
int raw_compare(int ifindex, const struct permit *permits, size_t n, struct raw_report *ret,
                bool *ret_same, struct err *e);
/* -ENOENT: no program of ours is there; -ETIME: its time is over. */
int raw_rearm(int ifindex, const struct hold_time *t, struct err *e);
int raw_detach(int ifindex, bool made_clsact, struct err *e); /* absent is success */
/* Can it be done on this kernel with these rights? 0 or -errno with the reason. What was loaded to
 * find out is kept for the next raw_attach; keep may be NULL. */
int raw_probe(struct cut_programs *keep, struct err *e);

/* sessions.c. What a cut leaves standing is found by permits (isolate) or by prefixes (block). */
struct bulk_sets;
struct session_scope {
	struct nl *netfilter;         /* for tracked connections; NULL: one is opened */
	const struct permit *permits; /* sockets that fit none of these go; NULL: use prefixes */
	size_t n_permits;
	const struct prefix *prefixes; /* sockets whose peer is in one of these go */
	size_t n_prefixes;
	const struct bulk_sets *bulk; /* … or in one of these; may be NULL */
	/* Of what the above takes, only what these take, too. NULL: all of it. */
	bool (*only_sock)(void *arg, const struct diag_sock *k);
	bool (*only_flow)(void *arg, const struct ct_flow *f);
	bool (*only_packet)(void *arg, const struct diag_packet *k);
	void *only_arg;
};

struct session_counts {
	unsigned sockets_seen, sockets_destroyed, sockets_failed;
	unsigned flows_seen, flows_deleted, flows_failed; /* conntrack entries */
	unsigned packet_sockets; /* AF_PACKET sockets with an owner named */
};

/* Sockets (with tcp_info and owner), tracked connections and packet sockets that fit the scope, as
 * a JSON object; bounded: the first 65,536 of each are listed, the rest are counted. */
int sessions_evidence(const struct session_scope *s, char **ret_json, struct err *e);
/* TCP and connected UDP of both families, in this network namespace and those of other processes
 * that can be entered. A socket that is gone already is no failure. */
int sessions_destroy_sockets(const struct session_scope *s, struct session_counts *ret,
                             struct err *e);
int sessions_delete_flows(const struct session_scope *s, struct session_counts *ret, struct err *e);
/* Counts what fits the scope now; for verify. */
int sessions_count(const struct session_scope *s, struct session_counts *ret, struct err *e);

#endif
