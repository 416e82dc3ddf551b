/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* tc egress: what no permit names does not leave this device. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#define CTX              struct __sk_buff
#define LOAD             bpf_skb_load_bytes
#define LENGTH(skb)      ((skb)->len)
#define IS_LONG(skb, at) ((skb)->gso_segs > 1)
#include "cut_ask.h"

static bool fits_neighbour(const struct cut_permit *k, const struct packet *p)
{
	if (p->family != 6 || p->proto != IPPROTO_ICMPV6 || p->fragment || p->hop_limit != 255)
		return false;
	if (k->kind == CUT_RA)
		return p->type == ND_ROUTER_SOLICIT && stays_on_link(p->dst);
	if (!stays_on_link(p->dst) && !in_prefix(k, p->dst))
		return false;
	if (p->type == ND_ADVERTISE)
		return true;
	if (p->type != ND_SOLICIT)
		return false;
	/* From the unspecified address: asks whether our own new address is taken. */
	bool unspecified = !(p->src[0] | p->src[1] | p->src[2] | p->src[3]);
	return unspecified || in_prefix(k, p->target);
}

static bool fits_dhcp(const struct cut_permit *k, const struct packet *p)
{
	if (p->proto != IPPROTO_UDP || !p->has_ports)
		return false;
	if (k->kind == CUT_DHCP6)
		return p->family == 6 && p->from_port == 546 && p->to_port == 547 &&
		       (stays_on_link(p->dst) || (k->family == 6 && in_prefix(k, p->dst)));
	return p->family == 4 && p->from_port == 68 && p->to_port == 67 &&
	       (k->family != 4 || in_prefix(k, p->dst) || p->dst[0] == 0xffffffff);
}

ONCE int fits(const struct cut_permit *k, const struct packet *p)
{
	if (!k || !p)
		return 0;
	switch (k->kind) {
	case CUT_FLOW:
		return fits_flow(k, p, p->dst, p->from_port, p->to_port);
	case CUT_ARP:
		return p->family == 0 && in_prefix(k, p->dst);
	case CUT_ND:
	case CUT_RA:
		return fits_neighbour(k, p);
	case CUT_DHCP4:
	case CUT_DHCP6:
		return fits_dhcp(k, p);
	default:
		return false;
	}
}

SEC("tc")
int stanch_cut(struct __sk_buff *skb)
{
	/* UNSPEC: whatever else is attached here still has its say. */
	return counted(may_pass(skb)) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

char cut_license[] SEC("license") = "Dual BSD/GPL";
