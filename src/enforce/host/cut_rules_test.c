/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rules of a cut, run by a small interpreter over random packets, agree with
 * permit_matches_flow: in both families of tables, both directions, with and without ports.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "enforce/host/cut_rules.h"

#define ROUNDS 20000

/* A packet as nftables sees it. */
struct packet {
	uint16_t ethertype;
	uint8_t l4, nh[64], th[64];
	bool has_th; /* not a later fragment */
};

static bool load(const struct packet *p, const struct nft_expr *x, uint8_t reg[static 16])
{
	memset(reg, 0, 16);
	if (x->op == NFT_OP_PAYLOAD) {
		bool th = x->base == NFT_PAYLOAD_TRANSPORT_HEADER;
		assert_true(x->off + x->len <= 64);
		memcpy(reg, (th ? p->th : p->nh) + x->off, x->len);
		return !th || p->has_th;
	}
	switch (x->key) {
	case NFT_META_NFPROTO:
		reg[0] = p->ethertype == ETH_P_IP ? NFPROTO_IPV4 : NFPROTO_IPV6;
		return true;
	case NFT_META_PROTOCOL:
		reg[0] = (uint8_t)(p->ethertype >> 8);
		reg[1] = (uint8_t)p->ethertype;
		return true;
	case NFT_META_L4PROTO:
		reg[0] = p->l4;
		return p->ethertype != ETH_P_ARP;
	default:
		fail_msg("meta key %u is not known here", x->key);
		return false;
	}
}

static bool rule_accepts(const struct nft_rule *r, const struct packet *p)
{
	uint8_t reg[16] = {0};
	for (size_t i = 0; i < r->n; i++) {
		const struct nft_expr *x = &r->v[i];
		switch ((enum nft_op)x->op) {
		case NFT_OP_META:
		case NFT_OP_PAYLOAD:
			if (!load(p, x, reg))
				return false;
			break;
		case NFT_OP_MASK:
			for (size_t k = 0; k < x->len; k++)
				reg[k] &= x->data[k];
			break;
		case NFT_OP_CMP:
			if ((memcmp(reg, x->data, x->len) == 0) != (x->key == NFT_CMP_EQ))
				return false;
			break;
		case NFT_OP_VERDICT:
			return x->key == NF_ACCEPT;
		default:
			fail_msg("op %u is not for permits", x->op);
		}
	}
	return false;
}

static bool passes(const struct permit *p, uint8_t family, bool out, const struct packet *pkt)
{
	struct nft_chain c = {0};
	bool yes = false;
	assert_int_equal(cut_permit_rules(&c, family, out, p), 0);
	for (size_t i = 0; i < c.n_rules; i++)
		yes |= rule_accepts(&c.rules[i], pkt);
	free(c.rules);
	return yes;
}

static struct addr near_by(unsigned *seed, bool v6)
{
	struct addr a = {.family = v6 ? ADDR_V6 : ADDR_V4};
	memset(a.bytes, 10, v6 ? 16 : 4);
	a.bytes[v6 ? 15 : 3] = (uint8_t)(rand_r(seed) % 4);
	a.bytes[v6 ? 14 : 2] = (uint8_t)(rand_r(seed) % 2);
	return a;
}

/* A packet between us and peer; the other address is one that no permit names. */
static struct packet flow(const struct addr *peer, uint8_t proto, bool out, uint16_t local,
                          uint16_t other)
{
	bool v6 = peer->family == ADDR_V6;
	struct packet p = {.ethertype = v6 ? ETH_P_IPV6 : ETH_P_IP, .l4 = proto, .has_th = true};
	size_t at = v6 ? (out ? 24 : 8) : (out ? 16 : 12);
	uint16_t sport = out ? local : other, dport = out ? other : local;
	memset(p.nh, 0xee, sizeof p.nh);
	memcpy(p.nh + at, peer->bytes, v6 ? 16 : 4);
	p.th[0] = (uint8_t)(sport >> 8);
	p.th[1] = (uint8_t)sport;
	p.th[2] = (uint8_t)(dport >> 8);
	p.th[3] = (uint8_t)dport;
	return p;
}

static void flows_agree(void **state)
{
	static const uint8_t protos[] = {0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, 132};
	static const uint16_t ports[] = {0, 22, 443};
	unsigned seed = 7, accepted = 0;
	for (int i = 0; i < ROUNDS; i++) {
		bool v6 = rand_r(&seed) % 2, out = rand_r(&seed) % 2;
		struct addr net = near_by(&seed, v6),
		            peer = near_by(&seed, rand_r(&seed) % 8 ? v6 : !v6);
		struct permit p = {.kind = PERMIT_FLOW,
		                   .proto = protos[rand_r(&seed) % 5],
		                   .local_port = ports[rand_r(&seed) % 3],
		                   .peer_port = ports[rand_r(&seed) % 3]};
		p.peer = prefix_of(&net, (unsigned)rand_r(&seed) % (addr_bits(&net) + 1));
		uint8_t proto = protos[1 + rand_r(&seed) % 4];
		uint16_t local = ports[1 + rand_r(&seed) % 2], other = ports[1 + rand_r(&seed) % 2];
		struct packet pkt = flow(&peer, proto, out, local, other);
		bool want = permit_matches_flow(&p, &peer, proto, local, other);
		uint8_t family = rand_r(&seed) % 2 ? NFPROTO_INET : NFPROTO_NETDEV;
		assert_int_equal(passes(&p, family, out, &pkt), want);
		accepted += want;
	}
	assert_true(accepted > ROUNDS / 50);
}

/* The peer's address on the wrong side opens nothing: a forged source goes nowhere. */
static void one_way(void **state)
{
	unsigned seed = 1;
	struct addr peer = near_by(&seed, false);
	struct permit p = {.kind = PERMIT_FLOW, .peer = prefix_of(&peer, 32)};
	struct packet in = flow(&peer, IPPROTO_TCP, false, 1, 2);
	assert_true(passes(&p, NFPROTO_INET, false, &in));
	assert_false(passes(&p, NFPROTO_INET, true, &in));
	assert_false(passes(&p, NFPROTO_NETDEV, true, &in));
}

static void later_fragments_have_no_ports(void **state)
{
	unsigned seed = 1;
	struct addr peer = near_by(&seed, false);
	struct permit p = {.kind = PERMIT_FLOW, .peer = prefix_of(&peer, 32)};
	struct packet pkt = flow(&peer, IPPROTO_UDP, true, 22, 22);
	pkt.has_th = false;
	assert_true(passes(&p, NFPROTO_NETDEV, true, &pkt));
	p.local_port = 22;
	assert_false(passes(&p, NFPROTO_NETDEV, true, &pkt));
}

static void arp_only_about_the_peer(void **state)
{
	struct permit p = {.kind = PERMIT_ARP};
	assert_int_equal(prefix_parse("10.0.0.1", &p.peer, NULL), 0);
	struct packet pkt = {.ethertype = ETH_P_ARP, .nh = {0, 1, 8, 0, 6, 4, 0, 1}};
	const uint8_t peer[4] = {10, 0, 0, 1};
	assert_false(passes(&p, NFPROTO_NETDEV, true, &pkt));
	memcpy(pkt.nh + 24, peer, 4); /* target: outwards */
	assert_true(passes(&p, NFPROTO_NETDEV, true, &pkt));
	assert_false(passes(&p, NFPROTO_NETDEV, false, &pkt));
	assert_false(passes(&p, NFPROTO_INET, true, &pkt));
	pkt.nh[7] = 3; /* neither request nor reply */
	assert_false(passes(&p, NFPROTO_NETDEV, true, &pkt));
	pkt.nh[7] = 2;
	memcpy(pkt.nh + 14, peer, 4);
	assert_true(passes(&p, NFPROTO_BRIDGE, false, &pkt));
}

static struct packet icmp6(uint8_t type, uint8_t hops)
{
	struct packet p = {.ethertype = ETH_P_IPV6, .l4 = IPPROTO_ICMPV6, .has_th = true};
	p.nh[7] = hops;
	p.th[0] = type;
	return p;
}

static void neighbours(void **state)
{
	struct permit p = {.kind = PERMIT_ND};
	struct prefix other;
	assert_int_equal(prefix_parse("2001:db8::1", &p.peer, NULL), 0);
	assert_int_equal(prefix_parse("2001:db8::2", &other, NULL), 0);
	struct packet ns = icmp6(135, 255);
	memcpy(ns.th + 8, p.peer.addr.bytes, 16);
	assert_true(passes(&p, NFPROTO_NETDEV, true, &ns));
	ns.nh[7] = 254; /* came over a router */
	assert_false(passes(&p, NFPROTO_NETDEV, true, &ns));
	ns = icmp6(135, 255);
	memcpy(ns.th + 8, other.addr.bytes, 16);
	assert_false(passes(&p, NFPROTO_NETDEV, true, &ns));
	struct packet na = icmp6(136, 255);
	memcpy(na.nh + 24, other.addr.bytes, 16);
	assert_false(passes(&p, NFPROTO_INET, true, &na)); /* an answer to a stranger */
	memcpy(na.nh + 24, p.peer.addr.bytes, 16);
	assert_true(passes(&p, NFPROTO_INET, true, &na));
	struct packet echo = icmp6(128, 255);
	memcpy(echo.th + 8, p.peer.addr.bytes, 16);
	assert_false(passes(&p, NFPROTO_INET, true, &echo));
}

static void small_kinds(void **state)
{
	struct permit ra = {.kind = PERMIT_RA}, big = {.kind = PERMIT_TOOBIG},
	              dhcp = {.kind = PERMIT_DHCP4};
	struct packet p = icmp6(134, 255);
	assert_false(passes(&ra, NFPROTO_NETDEV, false, &p)); /* not from a link-local address */
	p.nh[8] = 0xfe, p.nh[9] = 0x80;
	assert_true(passes(&ra, NFPROTO_NETDEV, false, &p));
	assert_false(passes(&ra, NFPROTO_NETDEV, true, &p));
	p = icmp6(2, 64);
	assert_true(passes(&big, NFPROTO_INET, false, &p));
	assert_false(passes(&big, NFPROTO_INET, true, &p));
	struct packet frag = {
	    .ethertype = ETH_P_IP, .l4 = IPPROTO_ICMP, .has_th = true, .th = {3, 4}};
	assert_true(passes(&big, NFPROTO_INET, false, &frag));
	frag.th[1] = 1;
	assert_false(passes(&big, NFPROTO_INET, false, &frag));
	struct addr all = {.family = ADDR_V4, .bytes = {255, 255, 255, 255}};
	struct addr far = {.family = ADDR_V4, .bytes = {203, 0, 113, 5}};
	dhcp.peer = prefix_of(&all, 32);
	struct packet ask = flow(&all, IPPROTO_UDP, true, 68, 67);
	assert_true(passes(&dhcp, NFPROTO_NETDEV, true, &ask));
	ask = flow(&all, IPPROTO_UDP, true, 68, 53);
	assert_false(passes(&dhcp, NFPROTO_NETDEV, true, &ask));
	ask = flow(&far, IPPROTO_UDP, true, 68, 67); /* no way out by the lease's ports */
	assert_false(passes(&dhcp, NFPROTO_NETDEV, true, &ask));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(flows_agree),
	    cmocka_unit_test(one_way),
	    cmocka_unit_test(later_fragments_have_no_ports),
	    cmocka_unit_test(arp_only_about_the_peer),
	    cmocka_unit_test(neighbours),
	    cmocka_unit_test(small_kinds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
