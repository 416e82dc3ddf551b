/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the two programs of a cut share: the maps, the decoder of a packet, and asking the permits
 * about it. They look opposite ways, so that each has its own fits().
 *
 * Whoever includes this has defined CTX (its context), LOAD(frame, at, to, n), LENGTH(frame), and
 * IS_LONG(frame, at): a packet whose length does not fit the field that its header has for it.
 *
 * Invariants
 *  1. The bytes of the frame decide, never the kernel's own idea of its protocol: whoever made the
 *     frame by hand may have lied there.
 *  2. What cannot be read to the end fits no permit.
 *  3. A packet without readable ports (later fragments, headers cut short) fits only permits that
 *     ask for none.
 *  4. A packet whose header does not name its final destination (source routing) fits nothing.
 *  5. The clock is the boot clock, so that a deadline passes without anyone's help.
 */
#ifndef STANCH_KERN_BPF_CUT_ASK_H
#define STANCH_KERN_BPF_CUT_ASK_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "cut.h"

#define VLAN_TAGS_MAX    3
#define EXTENSIONS_MAX   8
#define V4_OPTIONS_MAX   40
#define PROTO_UNREADABLE 255

#define NEXT_HOP_BY_HOP  0
#define NEXT_ROUTING     43
#define NEXT_FRAGMENT    44
#define NEXT_AUTH        51
#define NEXT_NONE        59
#define NEXT_DESTINATION 60

#define OPTION_END          0
#define OPTION_NOP          1
#define OPTION_LOOSE_ROUTE  131
#define OPTION_STRICT_ROUTE 137

#define TCP_RST 0x04

#define ND_ROUTER_SOLICIT   133
#define ND_ROUTER_ADVERTISE 134
#define ND_SOLICIT          135
#define ND_ADVERTISE        136

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cut_config);
} stanch_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CUT_PERMITS_MAX);
	__type(key, __u32);
	__type(value, struct cut_permit);
} stanch_permits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CUT_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} stanch_counts SEC(".maps");

/*
 * Functions that are not static are verified by the kernel each by itself, once: that keeps loading
 * at a few milliseconds. They take pointers that may be NULL for all the verifier knows.
 */
#define ONCE __attribute__((noinline))

/* What the permits are asked about. Words are in network order, ports in host order. */
struct packet {
	__u32 src[4], dst[4];
	__u32 target[4]; /* ND: what it is about. ARP: src and dst say who asks about whom */
	__u32 at;        /* offset of the upper layer */
	__u32 left;      /* its bytes by the IP header's own count */
	__u16 from_port, to_port;
	__u8 family; /* 4, 6; 0: ARP */
	__u8 proto;
	__u8 hop_limit;
	__u8 type, code; /* ICMP, ICMPv6 */
	__u8 has_ports;
	__u8 fragment; /* not the first one */
	__u8 reset;    /* a TCP reset without data */
};

static bool in_prefix(const struct cut_permit *k, const __u32 *a)
{
	__u32 off = ((a[0] ^ k->addr[0]) & k->mask[0]) | ((a[1] ^ k->addr[1]) & k->mask[1]) |
	            ((a[2] ^ k->addr[2]) & k->mask[2]) | ((a[3] ^ k->addr[3]) & k->mask[3]);
	return off == 0;
}

/* Cannot be routed off the link: fe80::/10 and ff02::/16. */
static bool stays_on_link(const __u32 *a)
{
	__u32 head = bpf_ntohl(a[0]);
	return (head & 0xffc00000) == 0xfe800000 || (head & 0xffff0000) == 0xff020000;
}

struct walk {
	CTX *frame;
	__u32 at, left;
	__u8 next, done, bad, fragment;
};

/* One IPv6 extension header; 1: this was the last. */
static long extension(__u32 i, void *arg)
{
	struct walk *w = arg;
	__u8 h[8];
	if (w->next != NEXT_HOP_BY_HOP && w->next != NEXT_ROUTING && w->next != NEXT_FRAGMENT &&
	    w->next != NEXT_AUTH && w->next != NEXT_DESTINATION) {
		w->done = 1;
		return 1;
	}
	w->bad = 1;
	if (w->left < sizeof h || LOAD(w->frame, w->at, h, sizeof h) < 0)
		return 1;
	if (w->next == NEXT_ROUTING && h[3] != 0)
		return 1; /* segments are left: it goes on to somebody else */
	__u32 n = w->next == NEXT_FRAGMENT ? 8
	          : w->next == NEXT_AUTH   ? (h[1] + 2) * 4u
	                                   : (h[1] + 1) * 8u;
	if (n > w->left)
		return 1;
	bool later = w->next == NEXT_FRAGMENT && (h[2] | (h[3] & 0xf8));
	w->bad = 0;
	w->next = h[0];
	w->at += n;
	w->left -= n;
	if (later) {
		w->fragment = 1;
		w->done = 1;
	}
	return later;
}

static bool is_extension(__u8 next)
{
	return next == NEXT_HOP_BY_HOP || next == NEXT_ROUTING || next == NEXT_FRAGMENT ||
	       next == NEXT_AUTH || next == NEXT_DESTINATION;
}

ONCE int read_v6(CTX *frame, __u32 at, struct packet *p)
{
	if (!p)
		return 0;
	__u8 h[8];
	if (LOAD(frame, at, h, sizeof h) < 0 || h[0] >> 4 != 6 ||
	    LOAD(frame, at + 8, p->src, sizeof p->src) < 0 ||
	    LOAD(frame, at + 24, p->dst, sizeof p->dst) < 0)
		return false;
	struct walk w = {.frame = frame, .at = at + 40, .left = h[4] << 8 | h[5], .next = h[6]};
	if (w.left == 0 && IS_LONG(frame, at))
		w.left = LENGTH(frame) - (at + 40); /* larger than the field can say */
	bpf_loop(EXTENSIONS_MAX, extension, &w, 0);
	if (w.bad || !(w.done || !is_extension(w.next)))
		return false;
	p->family = 6;
	p->hop_limit = h[7];
	/* Behind a later fragment's header nothing can be walked. */
	p->proto = is_extension(w.next) ? PROTO_UNREADABLE : w.next;
	p->fragment = w.fragment;
	p->at = w.at;
	p->left = w.left;
	return true;
}

/* One IPv4 option; 1: no more. `bad` stays set unless the list ended well. */
static long option(__u32 i, void *arg)
{
	struct walk *w = arg;
	__u8 o[2] = {0};
	if (w->left == 0) {
		w->bad = 0;
		return 1;
	}
	if (LOAD(w->frame, w->at, o, 1) < 0)
		return 1;
	if (o[0] == OPTION_END) {
		w->bad = 0;
		return 1;
	}
	__u32 n = 1;
	if (o[0] != OPTION_NOP) {
		if (LOAD(w->frame, w->at + 1, o + 1, 1) < 0)
			return 1;
		n = o[1];
		if (n < 2 || o[0] == OPTION_LOOSE_ROUTE || o[0] == OPTION_STRICT_ROUTE)
			return 1;
	}
	if (n > w->left)
		return 1;
	w->at += n;
	w->left -= n;
	return 0;
}

ONCE int read_v4(CTX *frame, __u32 at, struct packet *p)
{
	if (!p)
		return 0;
	__u8 h[20];
	if (LOAD(frame, at, h, sizeof h) < 0 || h[0] >> 4 != 4)
		return false;
	__u32 header = (h[0] & 15) * 4u, total = h[2] << 8 | h[3];
	if (total == 0 && IS_LONG(frame, at))
		total = LENGTH(frame) - at; /* larger than the field can say */
	if (header < 20 || total < header)
		return false;
	if (header > 20) {
		struct walk w = {.frame = frame, .at = at + 20, .left = header - 20, .bad = 1};
		bpf_loop(V4_OPTIONS_MAX + 1, option, &w, 0);
		if (w.bad)
			return false;
	}
	__builtin_memcpy(&p->src[0], h + 12, 4);
	__builtin_memcpy(&p->dst[0], h + 16, 4);
	p->family = 4;
	p->proto = h[9];
	p->hop_limit = h[8];
	p->fragment = (h[6] & 0x1f) || h[7];
	p->at = at + header;
	p->left = total - header;
	return true;
}

/* ARP for IPv4 over Ethernet. */
ONCE int read_arp(CTX *frame, __u32 at, struct packet *p)
{
	if (!p)
		return 0;
	static const __u8 head[7] = {0, 1, 8, 0, 6, 4, 0};
	__u8 h[28];
	if (LOAD(frame, at, h, sizeof h) < 0)
		return false;
	for (int i = 0; i < 7; i++)
		if (h[i] != head[i])
			return false;
	if (h[7] != 1 && h[7] != 2)
		return false;
	__builtin_memcpy(&p->src[0], h + 14, 4);
	__builtin_memcpy(&p->dst[0], h + 24, 4);
	return true;
}

static bool has_ports(__u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_DCCP || proto == IPPROTO_UDPLITE;
}

static void read_ports(CTX *frame, struct packet *p)
{
	__u8 h[4];
	if (p->left < sizeof h || LOAD(frame, p->at, h, sizeof h) < 0)
		return;
	p->from_port = h[0] << 8 | h[1];
	p->to_port = h[2] << 8 | h[3];
	p->has_ports = 1;
}

static void read_reset(CTX *frame, struct packet *p)
{
	__u8 h[14];
	if (p->left >= 20 && LOAD(frame, p->at, h, sizeof h) == 0)
		p->reset = (h[13] & TCP_RST) && (h[12] >> 4) * 4u == p->left;
}

static void read_icmp(CTX *frame, struct packet *p)
{
	__u8 h[2];
	if (p->left >= 4 && LOAD(frame, p->at, h, sizeof h) == 0) {
		p->type = h[0];
		p->code = h[1];
	}
	if (p->proto == IPPROTO_ICMPV6 && p->left >= 24)
		LOAD(frame, p->at + 8, p->target, sizeof p->target);
}

ONCE int read_upper(CTX *frame, struct packet *p)
{
	if (!p || p->fragment)
		return 0;
	if (has_ports(p->proto))
		read_ports(frame, p);
	if (p->proto == IPPROTO_TCP)
		read_reset(frame, p);
	if (p->proto == IPPROTO_ICMPV6 || p->proto == IPPROTO_ICMP)
		read_icmp(frame, p);
	return 0;
}

/* Ethernet's type behind up to VLAN_TAGS_MAX tags; *at moves behind them. */
static __u16 ether_type(CTX *frame, __u32 *at)
{
	__u8 h[2];
	__u16 type = 0;
	*at -= 2;
	for (int i = 0; i <= VLAN_TAGS_MAX; i++) {
		if (LOAD(frame, *at, h, sizeof h) < 0)
			return 0;
		type = h[0] << 8 | h[1];
		*at += 2;
		if (type != ETH_P_8021Q && type != ETH_P_8021AD && type != ETH_P_QINQ1)
			break;
		*at += 2;
	}
	return type;
}

static bool read_packet(CTX *frame, __u32 link_header, struct packet *p)
{
	__u32 at = link_header;
	__u16 type = 0;
	if (link_header) {
		type = ether_type(frame, &at);
	} else {
		__u8 first;
		if (LOAD(frame, 0, &first, 1) < 0)
			return false;
		type = first >> 4 == 4 ? ETH_P_IP : first >> 4 == 6 ? ETH_P_IPV6 : 0;
	}
	bool good = type == ETH_P_IP     ? read_v4(frame, at, p)
	            : type == ETH_P_IPV6 ? read_v6(frame, at, p)
	            : type == ETH_P_ARP  ? read_arp(frame, at, p)
	                                 : false;
	if (good && type != ETH_P_ARP)
		read_upper(frame, p);
	return good;
}

static bool fits_flow(const struct cut_permit *k, const struct packet *p, const __u32 *peer,
                      __u16 local_port, __u16 peer_port)
{
	bool wants_ports = k->local_port || k->peer_port;
	if (!p->family || p->family != k->family || !in_prefix(k, peer))
		return false;
	if (k->proto ? k->proto != p->proto
	             : wants_ports && p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP)
		return false;
	if (!wants_ports)
		return true;
	return p->has_ports && (!k->local_port || k->local_port == local_port) &&
	       (!k->peer_port || k->peer_port == peer_port);
}

/* Does the packet fit the permit, the way this program looks? */
ONCE int fits(const struct cut_permit *k, const struct packet *p);

struct question {
	struct packet p;
	__u32 n;
	__u8 broken_glass; /* break-glass permits count */
	__u8 fits;
};

static long ask(__u32 i, void *arg)
{
	struct question *q = arg;
	const struct cut_permit *k = bpf_map_lookup_elem(&stanch_permits, &i);
	if (!k || i >= q->n)
		return 1;
	if (k->breakglass && !q->broken_glass)
		return 0;
	if (!fits(k, &q->p))
		return 0;
	q->fits = 1;
	return 1;
}

static bool may_pass(CTX *frame)
{
	__u32 zero = 0;
	__u64 now = bpf_ktime_get_boot_ns();
	const struct cut_config *c = bpf_map_lookup_elem(&stanch_config, &zero);
	if (!c || c->version != CUT_VERSION || (c->armed_until && now >= c->armed_until))
		return true;
	struct question q = {.n = c->n_permits,
	                     .broken_glass = c->narrow_until && now >= c->narrow_until};
	if (!read_packet(frame, c->link_header ? ETH_HLEN : 0, &q.p))
		return false;
	if (q.p.reset && now < c->drain_until)
		return true;
	bpf_loop(CUT_PERMITS_MAX, ask, &q, 0);
	return q.fits;
}

/* For counting: passes its argument on. */
static bool counted(bool pass)
{
	__u32 which = pass ? CUT_PASSED : CUT_DROPPED;
	__u64 *count = bpf_map_lookup_elem(&stanch_counts, &which);
	if (count)
		*count += 1;
	return pass;
}

#endif
