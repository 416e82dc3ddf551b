/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Permits become rules. A permit speaks of this host and a peer, so each rule looks one way only:
 * outwards at the destination, inwards at the source; a forged source opens nothing. What is
 * forwarded fits no permit. Where a port is asked for, a fragment that has none does not fit.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <string.h>

#include "enforce/host/cut_rules.h"

#define NH NFT_PAYLOAD_NETWORK_HEADER
#define TH NFT_PAYLOAD_TRANSPORT_HEADER

/* Where a permit's rules are put; the first failure is kept. */
struct target_chain {
	struct nft_chain *c;
	uint8_t family;
	bool out;
	int error;
};

static struct nft_rule *rule(struct target_chain *x)
{
	struct nft_rule *r = nft_add_rule(x->c);
	if (!r)
		x->error = -ENOMEM;
	return r;
}

static void cmp8(struct nft_rule *r, uint8_t v)
{
	nft_cmp(r, NFT_CMP_EQ, &v, 1);
}

static void cmp16(struct nft_rule *r, uint16_t v)
{
	uint8_t be[2] = {(uint8_t)(v >> 8), (uint8_t)v};
	nft_cmp(r, NFT_CMP_EQ, be, 2);
}

void rule_ip(struct nft_rule *r, uint8_t table_family, enum addr_family v)
{
	if (table_family == NFPROTO_INET) {
		nft_meta(r, NFT_META_NFPROTO);
		cmp8(r, v == ADDR_V4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
	} else {
		nft_meta(r, NFT_META_PROTOCOL);
		cmp16(r, v == ADDR_V4 ? ETH_P_IP : ETH_P_IPV6);
	}
}

void rule_jump(struct nft_chain *c, const char *to)
{
	struct nft_rule *r = nft_add_rule(c);
	if (r)
		nft_verdict(r, (uint32_t)NFT_JUMP, to);
}

int base_chain(struct nft_table *t, const char *name, uint32_t hook, const char *dev,
               const char *to)
{
	struct nft_chain *c = nft_add_chain(t, name);
	if (!c)
		return -ENOMEM;
	c->base = true;
	c->hook = hook;
	c->prio = CUT_PRIORITY;
	if (dev)
		strncpy(c->dev, dev, sizeof c->dev - 1);
	rule_jump(c, to);
	return c->error;
}

static void l4(struct nft_rule *r, uint8_t proto)
{
	nft_meta(r, NFT_META_L4PROTO);
	cmp8(r, proto);
}

static void in_prefix(struct nft_rule *r, uint8_t base, uint16_t off, const struct prefix *p)
{
	uint8_t bytes = (uint8_t)(addr_bits(&p->addr) / 8), mask[16] = {0};
	if (p->len == 0)
		return;
	nft_payload(r, base, off, bytes);
	if (p->len < bytes * 8) {
		for (unsigned i = 0; i < p->len; i++)
			mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
		nft_mask(r, mask, bytes);
	}
	nft_cmp(r, NFT_CMP_EQ, p->addr.bytes, bytes);
}

static void source(struct nft_rule *r, const struct prefix *p)
{
	in_prefix(r, NH, p->addr.family == ADDR_V4 ? 12 : 8, p);
}

static void destination(struct nft_rule *r, const struct prefix *p)
{
	in_prefix(r, NH, p->addr.family == ADDR_V4 ? 16 : 24, p);
}

static void peer(struct nft_rule *r, const struct target_chain *x, const struct prefix *p)
{
	if (x->out)
		destination(r, p);
	else
		source(r, p);
}

static void port(struct nft_rule *r, bool destination_port, uint16_t v)
{
	if (!v)
		return;
	nft_payload(r, TH, destination_port ? 2 : 0, 2);
	cmp16(r, v);
}

/* Ports as this direction has them. */
static void ports(struct nft_rule *r, const struct target_chain *x, uint16_t local, uint16_t other)
{
	port(r, false, x->out ? local : other);
	port(r, true, x->out ? other : local);
}

static void accept_it(struct nft_rule *r)
{
	nft_verdict(r, NF_ACCEPT, NULL);
}

static void put_flow(struct target_chain *x, const struct permit *p)
{
	bool any = p->proto == 0 && !p->local_port && !p->peer_port;
	uint8_t protos[2] = {p->proto ? p->proto : IPPROTO_TCP, IPPROTO_UDP};
	size_t n = p->proto || any ? 1 : 2;
	for (size_t i = 0; i < n; i++) {
		struct nft_rule *r = rule(x);
		if (!r)
			return;
		rule_ip(r, x->family, p->peer.addr.family);
		if (!any)
			l4(r, protos[i]);
		peer(r, x, &p->peer);
		ports(r, x, p->local_port, p->peer_port);
		accept_it(r);
	}
}

/* Requests and replies over Ethernet with IPv4 about the peer; nothing else that calls itself ARP.
 */
static void put_arp(struct target_chain *x, const struct permit *p)
{
	for (uint8_t op = 1; op <= 2; op++) {
		const uint8_t head[8] = {0, ARPHRD_ETHER, ETH_P_IP >> 8, 0, 6, 4, 0, op};
		struct nft_rule *r = x->family == NFPROTO_INET ? NULL : rule(x);
		if (!r)
			return;
		nft_meta(r, NFT_META_PROTOCOL);
		cmp16(r, ETH_P_ARP);
		nft_payload(r, NH, 0, sizeof head);
		nft_cmp(r, NFT_CMP_EQ, head, sizeof head);
		in_prefix(r, NH, x->out ? 24 : 14, &p->peer);
		accept_it(r);
	}
}

/* Starts a rule for one ICMPv6 type from the own link. */
static struct nft_rule *nd_rule(struct target_chain *x, uint8_t type)
{
	struct nft_rule *r = rule(x);
	if (!r)
		return NULL;
	rule_ip(r, x->family, ADDR_V6);
	l4(r, IPPROTO_ICMPV6);
	nft_payload(r, NH, 7, 1);
	cmp8(r, 255);
	nft_payload(r, TH, 0, 1);
	cmp8(r, type);
	return r;
}

static struct prefix link_local(void)
{
	return (struct prefix){.addr = {.family = ADDR_V6, .bytes = {0xfe, 0x80}}, .len = 10};
}

#define SOLICIT   135
#define ADVERTISE 136

/* Solicitations come from link-local addresses, too, whatever address the peer is kept by. */
static void put_nd(struct target_chain *x, const struct permit *p)
{
	struct prefix local = link_local();
	struct nft_rule *r = nd_rule(x, x->out ? SOLICIT : ADVERTISE);
	if (!r)
		return;
	in_prefix(r, TH, 8, &p->peer); /* the target */
	accept_it(r);
	if (!x->out) {
		if ((r = nd_rule(x, SOLICIT)))
			accept_it(r);
		return;
	}
	const struct prefix *to[] = {&p->peer, &local};
	for (size_t i = 0; i < 2; i++) {
		if (!(r = nd_rule(x, ADVERTISE)))
			return;
		destination(r, to[i]);
		accept_it(r);
	}
}

static void put_ra(struct target_chain *x, const struct permit *p)
{
	const struct prefix routers = {
	    .addr = {.family = ADDR_V6, .bytes = {0xff, 0x02, [15] = 0x02}}, .len = 128};
	struct prefix from = p->peer.addr.family == ADDR_V6 ? p->peer : link_local();
	struct nft_rule *r = nd_rule(x, x->out ? 133 : 134);
	if (!r)
		return;
	if (x->out)
		destination(r, &routers);
	else
		source(r, &from);
	accept_it(r);
}

static void put_dhcp4(struct target_chain *x, const struct permit *p)
{
	struct nft_rule *r = rule(x);
	if (!r)
		return;
	rule_ip(r, x->family, ADDR_V4);
	l4(r, IPPROTO_UDP);
	if (x->out && p->peer.addr.family == ADDR_V4)
		destination(r, &p->peer);
	ports(r, x, 68, 67);
	accept_it(r);
}

static void put_dhcp6(struct target_chain *x, const struct permit *p)
{
	const struct prefix servers = {
	    .addr = {.family = ADDR_V6, .bytes = {0xff, 0x02, [13] = 1, [15] = 2}}, .len = 128};
	struct prefix local = link_local();
	struct nft_rule *r = rule(x);
	if (!r)
		return;
	rule_ip(r, x->family, ADDR_V6);
	l4(r, IPPROTO_UDP);
	source(r, &local);
	if (x->out)
		destination(r, p->peer.addr.family == ADDR_V6 ? &p->peer : &servers);
	ports(r, x, 546, 547);
	accept_it(r);
}

static void put_toobig(struct target_chain *x, const struct permit *p)
{
	uint8_t family = p->peer.addr.family;
	if (x->out)
		return;
	struct nft_rule *r = family == ADDR_V6 ? NULL : rule(x);
	if (r) {
		const uint8_t frag_needed[2] = {3, 4};
		rule_ip(r, x->family, ADDR_V4);
		l4(r, IPPROTO_ICMP);
		nft_payload(r, TH, 0, 2);
		nft_cmp(r, NFT_CMP_EQ, frag_needed, 2);
		accept_it(r);
	}
	r = family == ADDR_V4 ? NULL : rule(x);
	if (r) {
		rule_ip(r, x->family, ADDR_V6);
		l4(r, IPPROTO_ICMPV6);
		nft_payload(r, TH, 0, 1);
		cmp8(r, 2);
		accept_it(r);
	}
}

int cut_permit_rules(struct nft_chain *c, uint8_t family, bool out, const struct permit *p)
{
	static void (*const put[_PERMIT_MAX])(struct target_chain *, const struct permit *) = {
	    [PERMIT_FLOW] = put_flow,     [PERMIT_ARP] = put_arp,     [PERMIT_ND] = put_nd,
	    [PERMIT_RA] = put_ra,         [PERMIT_DHCP4] = put_dhcp4, [PERMIT_DHCP6] = put_dhcp6,
	    [PERMIT_TOOBIG] = put_toobig,
	};
	struct target_chain x = {.c = c, .family = family, .out = out};
	if (p->kind >= _PERMIT_MAX || (int)p->kind < 0)
		return -EINVAL;
	put[p->kind](&x, p);
	return x.error;
}
