/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Images as lines of nft's language, for people: what `describe` shows and what a difference is
 * told with. Nothing of this goes to the kernel.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/table.h"
#include "kern/nft.h"

enum value {
	VALUE_HEX,
	VALUE_NUMBER,
	VALUE_HOST,
	VALUE_IP4,
	VALUE_IP6,
	VALUE_PROTO,
	VALUE_FAMILY,
	VALUE_ETHER
};

/* What stands in the register, and how a value of it is written. */
struct field {
	uint8_t base, len;
	uint16_t off;
	uint8_t
	    proto; /* of IP version 4 or 6; behind the IP header: only after this meta l4proto */
	const char *text;
	enum value value;
};

#define NH NFT_PAYLOAD_NETWORK_HEADER
#define TH NFT_PAYLOAD_TRANSPORT_HEADER

static const struct field payloads[] = {
    {NH, 4, 12, 4, "ip saddr", VALUE_IP4},
    {NH, 4, 16, 4, "ip daddr", VALUE_IP4},
    {NH, 16, 8, 6, "ip6 saddr", VALUE_IP6},
    {NH, 16, 24, 6, "ip6 daddr", VALUE_IP6},
    {NH, 1, 7, 6, "ip6 hoplimit", VALUE_NUMBER},
    {TH, 2, 0, IPPROTO_TCP, "th sport", VALUE_NUMBER},
    {TH, 2, 2, IPPROTO_TCP, "th dport", VALUE_NUMBER},
    {TH, 2, 0, IPPROTO_UDP, "th sport", VALUE_NUMBER},
    {TH, 2, 2, IPPROTO_UDP, "th dport", VALUE_NUMBER},
    {TH, 1, 13, IPPROTO_TCP, "tcp flags", VALUE_HEX},
    {TH, 1, 0, IPPROTO_ICMP, "icmp type", VALUE_NUMBER},
    {TH, 1, 1, IPPROTO_ICMP, "icmp code", VALUE_NUMBER},
    {TH, 1, 0, IPPROTO_ICMPV6, "icmpv6 type", VALUE_NUMBER},
};

static const struct {
	uint32_t key;
	const char *text;
	enum value value;
} metas[] = {
    {NFT_META_NFPROTO, "meta nfproto", VALUE_FAMILY},
    {NFT_META_L4PROTO, "meta l4proto", VALUE_PROTO},
    {NFT_META_PROTOCOL, "meta protocol", VALUE_ETHER},
    {NFT_META_IIF, "iif", VALUE_HOST},
    {NFT_META_OIF, "oif", VALUE_HOST},
};

/* What has been learned of the packet by the comparisons so far. */
struct printing {
	struct buf *out;
	uint8_t ip, l4;
	char field[48];
	enum value value;
	uint32_t meta;
	const struct nft_expr *mask;
	bool tests; /* something was printed for the register */
};

static void load_meta(struct printing *p, const struct nft_expr *x)
{
	p->meta = x->key;
	p->value = VALUE_HEX;
	snprintf(p->field, sizeof p->field, "meta key %u", x->key);
	for (size_t i = 0; i < ARRAY_SIZE(metas); i++)
		if (metas[i].key == x->key) {
			snprintf(p->field, sizeof p->field, "%s", metas[i].text);
			p->value = metas[i].value;
		}
}

static void load_payload(struct printing *p, const struct nft_expr *x)
{
	static const char *const bases[] = {"ll", "nh", "th"};
	p->meta = UINT32_MAX;
	p->value = VALUE_HEX;
	snprintf(p->field, sizeof p->field, "@%s,%u,%u", x->base < 3 ? bases[x->base] : "?",
	         x->off * 8u, x->len * 8u);
	for (size_t i = 0; i < ARRAY_SIZE(payloads); i++) {
		const struct field *f = &payloads[i];
		uint8_t seen = f->base == NH ? p->ip : p->l4;
		if (f->base == x->base && f->off == x->off && f->len == x->len &&
		    (f->proto == 0 || f->proto == seen)) {
			snprintf(p->field, sizeof p->field, "%s", f->text);
			p->value = f->value;
			return;
		}
	}
}

static void put_hex(struct buf *out, const uint8_t *v, size_t n)
{
	buf_addf(out, "0x");
	for (size_t i = 0; i < n; i++)
		buf_addf(out, "%02x", v[i]);
}

static void put_named(struct buf *out, enum value kind, unsigned v)
{
	static const struct {
		enum value kind;
		unsigned v;
		const char *name;
	} names[] = {
	    {VALUE_FAMILY, NFPROTO_IPV4, "ipv4"}, {VALUE_FAMILY, NFPROTO_IPV6, "ipv6"},
	    {VALUE_PROTO, IPPROTO_TCP, "tcp"},    {VALUE_PROTO, IPPROTO_UDP, "udp"},
	    {VALUE_PROTO, IPPROTO_ICMP, "icmp"},  {VALUE_PROTO, IPPROTO_ICMPV6, "ipv6-icmp"},
	    {VALUE_ETHER, ETH_P_IP, "ip"},        {VALUE_ETHER, ETH_P_IPV6, "ip6"},
	    {VALUE_ETHER, ETH_P_ARP, "arp"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].kind == kind && names[i].v == v) {
			buf_addf(out, "%s", names[i].name);
			return;
		}
	buf_addf(out, "%u", v);
}

static void put_value(struct buf *out, enum value kind, const uint8_t *v, size_t n)
{
	char text[INET6_ADDRSTRLEN];
	uint32_t host = 0;
	unsigned number = 0;
	for (size_t i = 0; i < n && i < 4; i++)
		number = number << 8 | v[i];
	switch (kind) {
	case VALUE_IP4:
		buf_addf(out, "%s", inet_ntop(AF_INET, v, text, sizeof text));
		break;
	case VALUE_IP6:
		buf_addf(out, "%s", inet_ntop(AF_INET6, v, text, sizeof text));
		break;
	case VALUE_HOST:
		memcpy(&host, v, n < 4 ? n : 4);
		buf_addf(out, "%u", host);
		break;
	case VALUE_HEX:
		put_hex(out, v, n);
		break;
	case VALUE_NUMBER:
		buf_addf(out, "%u", number);
		break;
	default:
		put_named(out, kind, number);
	}
}

/* A mask of leading ones as a prefix length; -1 for another mask. */
static int prefix_len(const struct nft_expr *mask)
{
	int ones = 0;
	while (ones < mask->len * 8 && mask->data[ones / 8] & (0x80 >> ones % 8))
		ones++;
	for (int i = ones; i < mask->len * 8; i++)
		if (mask->data[i / 8] & (0x80 >> i % 8))
			return -1;
	return ones;
}

static void learn(struct printing *p, const struct nft_expr *x)
{
	unsigned v = x->len == 2 ? (unsigned)(x->data[0] << 8 | x->data[1]) : x->data[0];
	if (p->meta == NFT_META_L4PROTO)
		p->l4 = (uint8_t)v;
	if (p->meta == NFT_META_NFPROTO)
		p->ip = v == NFPROTO_IPV4 ? 4 : 6;
	if (p->meta == NFT_META_PROTOCOL)
		p->ip = v == ETH_P_IP ? 4 : v == ETH_P_IPV6 ? 6 : 0;
}

static void print_cmp(struct printing *p, const struct nft_expr *x)
{
	bool address = p->value == VALUE_IP4 || p->value == VALUE_IP6;
	int len = p->mask && address ? prefix_len(p->mask) : -1;
	buf_addf(p->out, "%s ", p->field);
	if (p->mask && len < 0) {
		buf_addf(p->out, "& ");
		put_hex(p->out, p->mask->data, p->mask->len);
		buf_addf(p->out, x->key == NFT_CMP_EQ ? " == " : " ");
	}
	if (x->key == NFT_CMP_NEQ)
		buf_addf(p->out, "!= ");
	put_value(p->out, p->value, x->data, x->len);
	if (len >= 0)
		buf_addf(p->out, "/%d", len);
	buf_addf(p->out, " ");
	if (x->key == NFT_CMP_EQ)
		learn(p, x);
}

static void print_verdict(struct printing *p, const struct nft_expr *x)
{
	static const struct {
		uint32_t v;
		const char *name;
	} names[] = {{NF_ACCEPT, "accept"},
	             {NF_DROP, "drop"},
	             {(uint32_t)NFT_JUMP, "jump "},
	             {(uint32_t)NFT_GOTO, "goto "},
	             {(uint32_t)NFT_RETURN, "return"}};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].v == x->key) {
			buf_addf(p->out, "%s%s", names[i].name, x->name);
			return;
		}
	buf_addf(p->out, "verdict %u", x->key);
}

static void print_expr(struct printing *p, const struct nft_expr *x)
{
	switch ((enum nft_op)x->op) {
	case NFT_OP_META:
		p->mask = NULL;
		load_meta(p, x);
		break;
	case NFT_OP_PAYLOAD:
		p->mask = NULL;
		load_payload(p, x);
		break;
	case NFT_OP_MASK:
		p->mask = x;
		break;
	case NFT_OP_CMP:
		print_cmp(p, x);
		break;
	case NFT_OP_LOOKUP:
		buf_addf(p->out, "%s %s@%s ", p->field, x->key ? "!= " : "", x->name);
		break;
	case NFT_OP_VERDICT:
		print_verdict(p, x);
		break;
	case NFT_OP_OTHER:
		buf_addf(p->out, "[%s] ", x->name);
		break;
	}
}

int nft_print_rule(const struct nft_rule *r, struct buf *out)
{
	struct printing p = {.out = out, .meta = UINT32_MAX};
	for (size_t i = 0; i < r->n && i < NFT_EXPRS_MAX; i++)
		print_expr(&p, &r->v[i]);
	return out->error;
}

static const char *hook_str(uint8_t family, uint32_t hook)
{
	static const char *const inet[] = {"prerouting", "input", "forward", "output",
	                                   "postrouting"};
	static const char *const netdev[] = {"ingress", "egress"};
	if (family == NFPROTO_NETDEV)
		return hook < ARRAY_SIZE(netdev) ? netdev[hook] : "?";
	return hook < ARRAY_SIZE(inet) ? inet[hook] : "?";
}

static void print_elems(const struct nft_table *t, const struct nft_set *s, const char *prefix,
                        struct buf *out)
{
	static const enum value kinds[_NFT_KEY_MAX] = {VALUE_FAMILY, VALUE_HOST, VALUE_IP4,
	                                               VALUE_IP6};
	for (size_t i = 0; i < s->n_elems; i++) {
		const struct nft_elem *el = &s->elems[i];
		if (el->interval_end)
			continue;
		buf_addf(out, "%sadd element %s %s %s { ", prefix, nft_family_str(t->family),
		         t->name, s->name);
		put_value(out, kinds[s->key], el->key, nft_key_len(s->key));
		if (i + 1 < s->n_elems && el[1].interval_end) {
			uint8_t last[NFT_KEY_MAX];
			memcpy(last, el[1].key, sizeof last);
			for (size_t k = nft_key_len(s->key); k-- && last[k]-- == 0;)
				;
			if (memcmp(last, el->key, sizeof last)) {
				buf_addf(out, "-");
				put_value(out, kinds[s->key], last, nft_key_len(s->key));
			}
		}
		if (el->timeout)
			buf_addf(out, " timeout %llums", (unsigned long long)el->timeout);
		buf_addf(out, " }\n");
	}
}

static void print_set(const struct nft_table *t, const struct nft_set *s, const char *prefix,
                      struct buf *out)
{
	static const char *const types[_NFT_KEY_MAX] = {"nf_proto", "iface_index", "ipv4_addr",
	                                                "ipv6_addr"};
	buf_addf(out, "%sadd set %s %s %s { type %s; ", prefix, nft_family_str(t->family), t->name,
	         s->name, types[s->key]);
	if (s->flags)
		buf_addf(out, "flags %s%s%s; ", s->flags & NFT_SET_INTERVAL ? "interval" : "",
		         s->flags == (NFT_SET_INTERVAL | NFT_SET_TIMEOUT) ? "," : "",
		         s->flags & NFT_SET_TIMEOUT ? "timeout" : "");
	buf_addf(out, "}\n");
}

int nft_print_table(const struct nft_table *t, const char *prefix, struct buf *out)
{
	const char *family = nft_family_str(t->family);
	buf_addf(out, "%sadd table %s %s", prefix, family, t->name);
	if (t->comment[0])
		buf_addf(out, " { comment \"%s\"; }", t->comment);
	buf_addf(out, "\n");
	for (size_t i = 0; i < t->n_sets; i++)
		print_set(t, &t->sets[i], prefix, out);
	for (size_t i = 0; i < t->n_chains; i++) {
		const struct nft_chain *c = &t->chains[i];
		buf_addf(out, "%sadd chain %s %s %s", prefix, family, t->name, c->name);
		if (c->base)
			buf_addf(out, " { type filter hook %s %s%s%spriority %d; policy %s; }",
			         hook_str(t->family, c->hook), c->dev[0] ? "device \"" : "", c->dev,
			         c->dev[0] ? "\" " : "", c->prio,
			         c->policy == NF_ACCEPT ? "accept" : "drop");
		buf_addf(out, "\n");
	}
	for (size_t i = 0; i < t->n_chains; i++)
		for (size_t k = 0; k < t->chains[i].n_rules; k++) {
			buf_addf(out, "%sadd rule %s %s %s ", prefix, family, t->name,
			         t->chains[i].name);
			nft_print_rule(&t->chains[i].rules[k], out);
			buf_addf(out, "\n");
		}
	for (size_t i = 0; i < t->n_sets; i++)
		print_elems(t, &t->sets[i], prefix, out);
	return out->error;
}
