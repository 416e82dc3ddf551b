/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * XDP: what no permit names does not reach this host, its packet sockets included, which hear what
 * nftables drops only later.
 */
#include <linux/bpf.h>

/* A packet whose length field says nothing is one that was put together here. */
#define CTX              struct xdp_md
#define LOAD             bpf_xdp_load_bytes
#define LENGTH(xdp)      ((__u32)bpf_xdp_get_buff_len(xdp))
#define IS_LONG(xdp, at) (LENGTH(xdp) > (at) + 65535)
#include "cut_ask.h"

#define UNREACHABLE    3
#define MUST_FRAGMENT  4
#define PACKET_TOO_BIG 2

/* Who asks about our addresses is not known beforehand; the answers go out only to kept ones. */
static bool fits_neighbour(const struct cut_permit *k, const struct packet *p)
{
	if (p->family != 6 || p->proto != IPPROTO_ICMPV6 || p->fragment || p->hop_limit != 255)
		return false;
	if (k->kind == CUT_RA)
		return p->type == ND_ROUTER_ADVERTISE &&
		       (k->family == 6 ? in_prefix(k, p->src) : stays_on_link(p->src));
	return p->type == ND_SOLICIT || (p->type == ND_ADVERTISE && in_prefix(k, p->target));
}

static bool fits_dhcp(const struct cut_permit *k, const struct packet *p)
{
	if (p->proto != IPPROTO_UDP || !p->has_ports)
		return false;
	if (k->kind == CUT_DHCP6)
		return p->family == 6 && p->to_port == 546 && p->from_port == 547 &&
		       stays_on_link(p->src);
	return p->family == 4 && p->to_port == 68 && p->from_port == 67;
}

static bool fits_toobig(const struct cut_permit *k, const struct packet *p)
{
	if (p->fragment || (k->family && k->family != p->family))
		return false;
	if (p->family == 4)
		return p->proto == IPPROTO_ICMP && p->type == UNREACHABLE &&
		       p->code == MUST_FRAGMENT;
	return p->family == 6 && p->proto == IPPROTO_ICMPV6 && p->type == PACKET_TOO_BIG;
}

ONCE int fits(const struct cut_permit *k, const struct packet *p)
{
	if (!k || !p)
		return 0;
	switch (k->kind) {
	case CUT_FLOW:
		return fits_flow(k, p, p->src, p->to_port, p->from_port);
	case CUT_ARP:
		return p->family == 0 && in_prefix(k, p->src);
	case CUT_ND:
	case CUT_RA:
		return fits_neighbour(k, p);
	case CUT_DHCP4:
	case CUT_DHCP6:
		return fits_dhcp(k, p);
	case CUT_TOOBIG:
		return fits_toobig(k, p);
	default:
		return false;
	}
}

SEC("xdp")
int stanch_cut_in(struct xdp_md *xdp)
{
	return counted(may_pass(xdp)) ? XDP_PASS : XDP_DROP;
}

char cut_in_license[] SEC("license") = "Dual BSD/GPL";
