/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One frame down to the fields that name its flow. The outermost IP header decides: what a tunnel
 * carries belongs to the tunnel. Link types: Ethernet (802.1Q, 802.1ad, SNAP, PPPoE, MPLS), Linux
 * cooked v1 and v2, raw IP, BSD null and loop. Sources: RFC 791, 768, 9293, 9260, 792, 4443, 8200,
 * 4302; IEEE 802.1Q; the LINKTYPE_ registry of tcpdump.org.
 */
#ifndef STANCH_WIRE_PACKET_H
#define STANCH_WIRE_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cursor.h"

enum linktype {
	LINK_NULL = 0,
	LINK_ETHERNET = 1,
	LINK_RAW_DLT = 12, /* DLT_RAW of most systems, and of OpenBSD */
	LINK_RAW_DLT_OPENBSD = 14,
	LINK_RAW = 101,
	LINK_LOOP = 108,
	LINK_SLL = 113,
	LINK_IPV4 = 228,
	LINK_IPV6 = 229,
	LINK_SLL2 = 276,
};

enum packet_kind {
	PACKET_IP,    /* *ret is filled in */
	PACKET_OTHER, /* not IP (ARP, STP, …), or a link type we do not know */
	PACKET_SHORT, /* captured too short to see both addresses */
	PACKET_BAD,   /* headers contradict themselves before both addresses are known */
};

/* What the packet says about who opened the conversation. */
enum packet_turn {
	TURN_OPENS = 1,   /* SYN, INIT, an ICMP message that is no reply */
	TURN_ANSWERS = 2, /* SYN-ACK, INIT-ACK, an ICMP reply */
	TURN_CLOSES = 4,  /* FIN, RST, ABORT, SHUTDOWN-COMPLETE */
};

/* What else is to be told; the packet is counted all the same. */
enum packet_note {
	NOTE_CUT = 1,         /* the ports (or ICMP type) were not captured */
	NOTE_CONTRADICTS = 2, /* lengths or header fields do not fit each other */
};

struct packet {
	const uint8_t *src, *dst; /* 4 or 16 bytes, inside the frame */
	uint8_t family;           /* 4 or 6 */
	uint8_t proto;            /* IPPROTO_ behind all extension headers */
	uint8_t turn;             /* bits of enum packet_turn */
	uint8_t notes;            /* bits of enum packet_note */
	uint16_t vlan;            /* outermost tag's id; 0: none */
	/* Host order. ICMP: type and code of the request, the same for request and reply; both 0
	 * where the protocol has none, or in a fragment that is not the first. */
	uint16_t sport, dport;
	bool fragment;     /* part of a datagram of several pieces */
	bool first;        /* that piece which has the ports; true if not a fragment */
	uint8_t tcp_flags; /* as on the wire, low eight; 0 if not TCP */
	uint32_t frag_id;
	uint32_t seq; /* TCP: sequence number of the first byte of payload (of SYN: its own) */
	/* What was captured of the bytes behind the TCP, UDP or ICMP header; len 0: none, or a
	 * fragment. payload_wire is how many there were. */
	const uint8_t *payload;
	uint32_t payload_len, payload_wire;
};

/* What the flags of a TCP segment say, by FIN 1, SYN 2, RST 4, ACK 16. */
#define PACKET_TCP_FLAGS 32
extern const uint8_t packet_tcp_turn[PACKET_TCP_FLAGS];

/*
 * Nine packets of ten, in one go: TCP or UDP in IPv4 without options or fragments in untagged
 * Ethernet, headers all there. Anything else, whatever contradicts itself included, is left to the
 * long way, which would say the same of these; a test holds the two together.
 */
static inline bool packet_plain(const uint8_t *p, uint32_t cap_len, uint32_t wire_len,
                                struct packet *out)
{
	if (cap_len < 54 || load_be16(p + 12) != 0x0800 || p[14] != 0x45 ||
	    load_be16(p + 20) & 0x3fff)
		return false;
	/* Which of the two it is, is chance: no branch on it. */
	uint32_t total = load_be16(p + 16), tcp = p[23] == 6, udp = p[23] == 17;
	if (total < 40 || total > wire_len - 14 || !(tcp | udp) ||
	    (tcp & (p[46] < 0x50)) | (udp & (load_be16(p + 38) < 8)))
		return false;
	uint32_t headers = 20 + (tcp ? p[46] / 16u * 4 : 8), captured = cap_len - 14;
	captured = captured < total ? captured : total;
	*out = (struct packet){
	    .src = p + 26,
	    .dst = p + 30,
	    .family = 4,
	    .proto = p[23],
	    .turn = (uint8_t)(packet_tcp_turn[p[47] % PACKET_TCP_FLAGS] & (0u - tcp)),
	    .sport = load_be16(p + 34),
	    .dport = load_be16(p + 36),
	    .first = true,
	    .tcp_flags = (uint8_t)(p[47] & (0u - tcp)),
	    .seq = load_be32(p + 38) & (0u - tcp),
	    .payload = p + 14 + headers,
	    .payload_len = captured > headers ? captured - headers : 0,
	    .payload_wire = total > headers ? total - headers : 0,
	};
	return true;
}

/* Every kind of frame. */
enum packet_kind packet_decode_long(unsigned linktype, const uint8_t *data, uint32_t cap_len,
                                    uint32_t wire_len, struct packet *ret);

/* wire_len >= cap_len. Unless PACKET_IP is returned, *ret is of no use. It lives as long as data.
 */
static inline enum packet_kind packet_decode(unsigned linktype, const uint8_t *data,
                                             uint32_t cap_len, uint32_t wire_len,
                                             struct packet *ret)
{
	if (linktype == LINK_ETHERNET && packet_plain(data, cap_len, wire_len, ret))
		return PACKET_IP;
	return packet_decode_long(linktype, data, cap_len, wire_len, ret);
}

#endif
