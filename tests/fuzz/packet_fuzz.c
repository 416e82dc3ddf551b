/* SPDX-License-Identifier: GPL-3.0-or-later */
/* First two bytes: link type, bytes that were not captured. The rest is a frame. */
#include <stdlib.h>
#include <string.h>

#include "wire/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct packet *p, const uint8_t *frame, size_t n)
{
	size_t len = p->family == 4 ? 4 : 16;
	if (p->family != 4 && p->family != 6)
		abort();
	if (p->src < frame || p->src + len > frame + n || p->dst < frame ||
	    p->dst + len > frame + n)
		abort();
	if (p->payload_len && (p->payload < frame || p->payload + p->payload_len > frame + n ||
	                       p->payload_wire < p->payload_len))
		abort();
	if (p->vlan > 4095 || (!p->first && (p->sport || p->dport || !p->fragment)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned links[] = {LINK_ETHERNET,
	                                 LINK_NULL,
	                                 LINK_RAW,
	                                 LINK_LOOP,
	                                 LINK_SLL,
	                                 LINK_IPV4,
	                                 LINK_IPV6,
	                                 LINK_SLL2,
	                                 LINK_RAW_DLT,
	                                 LINK_RAW_DLT_OPENBSD,
	                                 147};
	if (size < 2)
		return 0;
	/* A copy of exactly that size: a read past its end is seen. */
	size_t n = size - 2;
	uint8_t *frame = malloc(n ? n : 1);
	if (!frame)
		return 0;
	memcpy(frame, data + 2, n);
	unsigned link = links[data[0] % (sizeof links / sizeof *links)];
	struct packet p, raw;
	uint32_t wire = (uint32_t)n + data[1];
	enum packet_kind k = packet_decode(link, frame, (uint32_t)n, wire, &p);
	if (k == PACKET_IP)
		check(&p, frame, n);
	/* What the short cut for plain packets says is what the long way says. */
	if (link == LINK_ETHERNET && n > 14 && frame[12] == 8 && frame[13] == 0) {
		enum packet_kind l =
		    packet_decode(LINK_IPV4, frame + 14, (uint32_t)n - 14, wire - 14, &raw);
		if (l != k || (k == PACKET_IP &&
		               (p.src != raw.src || p.proto != raw.proto || p.turn != raw.turn ||
		                p.notes != raw.notes || p.sport != raw.sport ||
		                p.dport != raw.dport || p.tcp_flags != raw.tcp_flags ||
		                p.seq != raw.seq || p.payload_len != raw.payload_len)))
			abort();
	}
	free(frame);
	return 0;
}
