/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/packet.h"

#include <netinet/in.h>
#include <string.h>

#include "base/cursor.h"
#include "base/table.h"

#define TAGS_MAX       8  /* VLAN tags or MPLS labels on top of each other */
#define EXTENSIONS_MAX 16 /* IPv6 extension headers in one packet */

enum {
	ETHER_IP4 = 0x0800,
	ETHER_IP6 = 0x86dd,
	ETHER_VLAN = 0x8100,
	ETHER_QINQ = 0x88a8,
	ETHER_QINQ_OLD = 0x9100,
	ETHER_MPLS = 0x8847,
	ETHER_MPLS_UP = 0x8848,
	ETHER_PPPOE = 0x8864,
	ETHER_LEAST = 0x0600, /* below: a length, and LLC follows */
	PPP_IP4 = 0x0021,
	PPP_IP6 = 0x0057,
};

/* A frame being decoded. wire_end stands where the frame ended on the wire, maybe beyond c.end. */
struct reading {
	struct cursor c;
	size_t beyond; /* bytes of the frame that were not captured */
	struct packet *out;
};

/* Why a header is not there: it was not captured, or the sender never sent it. */
static enum packet_kind missing(const struct reading *r)
{
	return r->beyond ? PACKET_SHORT : PACKET_BAD;
}

/* ---- transport: p..p+n is what is there of it; n_said what the headers say there should be ----
 */

static bool ports(const uint8_t *p, size_t n, struct packet *out)
{
	if (n < 4)
		return false;
	out->sport = load_be16(p);
	out->dport = load_be16(p + 2);
	return true;
}

#define O TURN_OPENS
#define A TURN_ANSWERS
#define C TURN_CLOSES
const uint8_t packet_tcp_turn[PACKET_TCP_FLAGS] = {
    0, C, O, O | C, C, C, O | C, O | C, 0, C, O, O | C, C, C, O | C, O | C,
    0, C, A, A | C, C, C, A | C, A | C, 0, C, A, A | C, C, C, A | C, A | C,
};
#undef O
#undef A
#undef C

/* What lies behind a header of that length. */
static void payload(const uint8_t *p, size_t n, size_t header, struct packet *out)
{
	if (out->fragment || n <= header)
		return;
	out->payload = p + header;
	out->payload_len = (uint32_t)(n - header);
}

static bool tcp(const uint8_t *p, size_t n, struct packet *out)
{
	if (!ports(p, n, out))
		return false;
	if (n < 14)
		return true;
	out->turn = packet_tcp_turn[p[13] % PACKET_TCP_FLAGS];
	out->tcp_flags = p[13];
	out->seq = load_be32(p + 4);
	if (p[12] < 0x50)
		out->notes |= NOTE_CONTRADICTS;
	else
		payload(p, n, p[12] / 16u * 4, out);
	return true;
}

static bool udp(const uint8_t *p, size_t n, struct packet *out)
{
	if (!ports(p, n, out))
		return false;
	/* 0 stands for "as long as the IP payload" in jumbograms and offloaded segments. */
	if (n >= 8 && load_be16(p + 4) && load_be16(p + 4) < 8)
		out->notes |= NOTE_CONTRADICTS;
	else
		payload(p, n, 8, out);
	return true;
}

static bool sctp(const uint8_t *p, size_t n, struct packet *out)
{
	enum { INIT = 1, INIT_ACK = 2, ABORT = 6, SHUTDOWN_COMPLETE = 14, CHUNKS = 15 };
	static const uint8_t turn[CHUNKS] = {
	    [INIT] = TURN_OPENS,
	    [INIT_ACK] = TURN_ANSWERS,
	    [ABORT] = TURN_CLOSES,
	    [SHUTDOWN_COMPLETE] = TURN_CLOSES,
	};
	if (!ports(p, n, out))
		return false;
	if (n > 12 && p[12] < CHUNKS)
		out->turn |= turn[p[12]];
	return true;
}

static bool icmp_pair(const uint8_t *p, size_t n, const uint8_t (*pairs)[2], size_t n_pairs,
                      struct packet *out)
{
	if (n < 2)
		return false;
	out->sport = p[0];
	out->dport = p[1];
	out->turn |= TURN_OPENS;
	for (size_t i = 0; i < n_pairs; i++) {
		if (p[0] == pairs[i][1]) {
			out->sport = pairs[i][0];
			out->turn = TURN_ANSWERS;
		}
	}
	payload(p, n, 8, out);
	return true;
}

static bool icmp4(const uint8_t *p, size_t n, struct packet *out)
{
	static const uint8_t pairs[][2] = {{8, 0}, {13, 14}, {15, 16}, {17, 18}};
	return icmp_pair(p, n, pairs, ARRAY_SIZE(pairs), out);
}

static bool icmp6(const uint8_t *p, size_t n, struct packet *out)
{
	static const uint8_t pairs[][2] = {{128, 129}, {139, 140}};
	return icmp_pair(p, n, pairs, ARRAY_SIZE(pairs), out);
}

/* Each fills ports and turn, or returns false when too little is there. */
static bool (*const transports[256])(const uint8_t *p, size_t n, struct packet *out) = {
    [IPPROTO_ICMP] = icmp4, [IPPROTO_TCP] = tcp,      [IPPROTO_UDP] = udp,
    [IPPROTO_SCTP] = sctp,  [IPPROTO_ICMPV6] = icmp6,
};

/* The IP payload starts at r->c.p; r->c.end and r->beyond end with the datagram. */
static void transport(struct reading *r)
{
	struct packet *out = r->out;
	if (!out->first || !transports[out->proto])
		return;
	if (!transports[out->proto](r->c.p, cursor_left(&r->c), out))
		out->notes |= r->beyond ? NOTE_CUT : NOTE_CONTRADICTS;
	if (out->payload_len)
		out->payload_wire = out->payload_len + (uint32_t)r->beyond;
}

/* Ends the reading where the datagram ends: what the frame has behind it is padding. */
static void limit(struct reading *r, size_t said)
{
	size_t here = cursor_left(&r->c);
	if (said <= here) {
		r->c.end = r->c.p + said;
		r->beyond = 0;
	} else if (said - here <= r->beyond) {
		r->beyond = said - here;
	} else {
		r->out->notes |= NOTE_CONTRADICTS;
	}
}

/* ---- network ---- */

static enum packet_kind ip4(struct reading *r)
{
	const uint8_t *p = r->c.p;
	if (cursor_left(&r->c) < 20)
		return missing(r);
	size_t header = (p[0] & 15u) * 4, total = load_be16(p + 2);
	if (p[0] >> 4 != 4 || header < 20 || (total && total < header))
		return PACKET_BAD;

	struct packet *out = r->out;
	unsigned frag = load_be16(p + 6);
	out->family = 4;
	out->src = p + 12;
	out->dst = p + 16;
	out->proto = p[9];
	out->first = !(frag & 0x1fff);
	out->fragment = frag & 0x3fff;
	out->frag_id = load_be16(p + 4);
	/* Segmentation offload leaves 0 here: the frame tells how long it is. */
	if (total)
		limit(r, total);
	if (cursor_skip(&r->c, header))
		transport(r);
	else
		out->notes |= r->beyond ? NOTE_CUT : NOTE_CONTRADICTS;
	return PACKET_IP;
}

/* Reads one extension header and passes over it; false when it is not all there. */
static bool extension(struct reading *r, uint8_t *proto)
{
	struct packet *out = r->out;
	const uint8_t *p = r->c.p;
	if (cursor_left(&r->c) < 8)
		return false;
	size_t len = (p[1] + 1u) * 8;
	if (*proto == IPPROTO_AH) {
		len = (p[1] + 2u) * 4;
	} else if (*proto == IPPROTO_FRAGMENT) {
		len = 8;
		unsigned frag = load_be16(p + 2);
		out->fragment = frag & 0xfff9;
		out->first = !(frag & 0xfff8);
		out->frag_id = load_be32(p + 4);
	}
	*proto = p[0];
	return cursor_skip(&r->c, len);
}

static bool is_extension(uint8_t proto, const struct reading *r)
{
	switch (proto) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
		return true;
	case 135: /* mobility, HIP, shim6: mostly the message itself, with nothing behind it */
	case 139:
	case 140:
		return cursor_left(&r->c) && r->c.p[0] != IPPROTO_NONE;
	default:
		return false;
	}
}

/* Follows the chain to the transport; false when it is cut or never ends. */
static bool extensions(struct reading *r, uint8_t *proto)
{
	for (unsigned i = 0; is_extension(*proto, r); i++) {
		if (i == EXTENSIONS_MAX) {
			r->out->notes |= NOTE_CONTRADICTS;
			return false;
		}
		if (!extension(r, proto)) {
			r->out->notes |= r->beyond ? NOTE_CUT : NOTE_CONTRADICTS;
			return false;
		}
		if (!r->out->first)
			return true;
	}
	return true;
}

static enum packet_kind ip6(struct reading *r)
{
	const uint8_t *p;
	if (r->c.p < r->c.end && r->c.p[0] >> 4 != 6)
		return PACKET_BAD;
	if (!cursor_take(&r->c, 40, &p))
		return missing(r);
	struct packet *out = r->out;
	out->family = 6;
	out->src = p + 8;
	out->dst = p + 24;
	out->first = true;
	/* 0: a jumbogram or segmentation offload. */
	if (load_be16(p + 4))
		limit(r, load_be16(p + 4));
	uint8_t proto = p[6];
	bool whole = extensions(r, &proto);
	out->proto = proto;
	if (whole)
		transport(r);
	return PACKET_IP;
}

static enum packet_kind ip_any(struct reading *r)
{
	if (r->c.p == r->c.end)
		return missing(r);
	switch (*r->c.p >> 4) {
	case 4:
		return ip4(r);
	case 6:
		return ip6(r);
	default:
		return PACKET_BAD;
	}
}

/* ---- link ---- */

static enum packet_kind mpls(struct reading *r)
{
	const uint8_t *p;
	for (unsigned i = 0; i < TAGS_MAX; i++) {
		if (!cursor_take(&r->c, 4, &p))
			return missing(r);
		if (p[2] & 1) {
			/* What a label means is agreed elsewhere; a pseudowire is not IP. */
			bool ip = r->c.p < r->c.end && (*r->c.p >> 4 == 4 || *r->c.p >> 4 == 6);
			return ip ? ip_any(r) : PACKET_OTHER;
		}
	}
	return PACKET_OTHER;
}

static enum packet_kind pppoe(struct reading *r)
{
	const uint8_t *p;
	uint8_t low;
	if (!cursor_take(&r->c, 7, &p))
		return missing(r);
	/* An odd first byte is a whole protocol number: some compress it though they must not. */
	unsigned proto = p[6];
	if (!(proto & 1)) {
		if (!cursor_u8(&r->c, &low))
			return missing(r);
		proto = proto << 8 | low;
	}
	switch (proto) {
	case PPP_IP4:
		return ip4(r);
	case PPP_IP6:
		return ip6(r);
	default:
		return PACKET_OTHER;
	}
}

/* LLC: only SNAP with an ethertype can carry IP. */
static bool snap(struct reading *r, uint16_t *ret_type)
{
	static const uint8_t head[6] = {0xaa, 0xaa, 0x03};
	if (cursor_left(&r->c) < 8 || memcmp(r->c.p, head, sizeof head))
		return false;
	*ret_type = load_be16(r->c.p + 6);
	return cursor_skip(&r->c, 8) && *ret_type >= ETHER_LEAST;
}

static bool is_tag(uint16_t type)
{
	return type == ETHER_VLAN || type == ETHER_QINQ || type == ETHER_QINQ_OLD;
}

static enum packet_kind tagged(struct reading *r, uint16_t type);

/* What follows an ethertype. */
static inline enum packet_kind ethertype(struct reading *r, uint16_t type)
{
	if (type < ETHER_LEAST && !snap(r, &type))
		return PACKET_OTHER;
	switch (type) {
	case ETHER_IP4:
		return ip4(r);
	case ETHER_IP6:
		return ip6(r);
	case ETHER_MPLS:
	case ETHER_MPLS_UP:
		return mpls(r);
	case ETHER_PPPOE:
		return pppoe(r);
	default:
		return is_tag(type) ? tagged(r, type) : PACKET_OTHER;
	}
}

/* Takes all tags, so that ethertype() comes here once at most. */
static enum packet_kind tagged(struct reading *r, uint16_t type)
{
	for (unsigned i = 0; is_tag(type); i++) {
		const uint8_t *p;
		if (i == TAGS_MAX)
			return PACKET_BAD;
		if (!cursor_take(&r->c, 4, &p))
			return missing(r);
		if (i == 0)
			r->out->vlan = load_be16(p) & 0x0fff;
		type = load_be16(p + 2);
	}
	/* A tag behind a SNAP header behind a tag: no one sends this. */
	if (type < ETHER_LEAST && (!snap(r, &type) || is_tag(type)))
		return PACKET_OTHER;
	return ethertype(r, type);
}

static enum packet_kind ethernet(struct reading *r)
{
	const uint8_t *p;
	return cursor_take(&r->c, 14, &p) ? ethertype(r, load_be16(p + 12)) : missing(r);
}

static enum packet_kind sll(struct reading *r)
{
	const uint8_t *p;
	return cursor_take(&r->c, 16, &p) ? ethertype(r, load_be16(p + 14)) : missing(r);
}

static enum packet_kind sll2(struct reading *r)
{
	const uint8_t *p;
	return cursor_take(&r->c, 20, &p) ? ethertype(r, load_be16(p)) : missing(r);
}

/* Four bytes of address family as the capturing system numbers it, in its or in network order. */
static enum packet_kind null(struct reading *r)
{
	const uint8_t *p;
	if (!cursor_take(&r->c, 4, &p))
		return missing(r);
	uint32_t family = load_be32(p) <= 0xffff ? load_be32(p) : load_le32(p);
	switch (family) {
	case 2:
		return ip4(r);
	case 10: /* Linux */
	case 24: /* NetBSD, OpenBSD */
	case 28: /* FreeBSD */
	case 30: /* Darwin */
		return ip6(r);
	default:
		return PACKET_OTHER;
	}
}

static const struct {
	unsigned linktype;
	enum packet_kind (*read)(struct reading *r);
} links[] = {
    {LINK_ETHERNET, ethernet},
    {LINK_SLL, sll},
    {LINK_SLL2, sll2},
    {LINK_RAW, ip_any},
    {LINK_RAW_DLT, ip_any},
    {LINK_IPV4, ip4},
    {LINK_RAW_DLT_OPENBSD, ip_any},
    {LINK_IPV6, ip6},
    {LINK_NULL, null},
    {LINK_LOOP, null},
};

enum packet_kind packet_decode_long(unsigned linktype, const uint8_t *data, uint32_t cap_len,
                                    uint32_t wire_len, struct packet *ret)
{
	struct reading r = {.c = cursor_of(data, cap_len), .out = ret};
	*ret = (struct packet){0};
	r.beyond = wire_len > cap_len ? wire_len - cap_len : 0;
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (links[i].linktype == linktype)
			return links[i].read(&r);
	return PACKET_OTHER;
}
