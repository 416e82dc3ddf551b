/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tables of a cut. In each: chains `out`, `in` and `through` do the work, and base chains, one
 * a hook (and device), only jump there. Every path ends in "drop while @armed"; an empty set
 * `armed` is an open host, and the kernel empties it by itself when an order is not confirmed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/cut_rules.h"

#define LOOPBACK_INDEX 1

void images_free(struct images *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->n; i++)
		nft_table_free(&m->v[i]);
	m->n = 0;
}

uint64_t msec_left(usec_t left)
{
	return left / USEC_PER_MSEC + (left % USEC_PER_MSEC ? 1 : 0);
}

bool left_agrees(uint64_t want_msec, const struct nft_elem *have)
{
	if (want_msec == 0)
		return have->timeout == 0;
	return have->timeout != 0 && have->left + SLACK_MSEC >= want_msec &&
	       have->left <= want_msec + SLACK_MSEC;
}

static bool has_glass(const struct order *o)
{
	for (size_t i = 0; i < o->n_permits; i++)
		if (o->permits[i].breakglass)
			return true;
	return false;
}

static int add_key(struct nft_set *s, const void *key, size_t n, usec_t left)
{
	struct nft_elem *el = nft_add_elem(s);
	if (!el)
		return -ENOMEM;
	memcpy(el->key, key, n);
	el->timeout = msec_left(left);
	return 0;
}

/* A rule that looks its packet up in such a set is a switch with a timer: by address family in
 * inet, by device elsewhere. */
static int add_switch(struct nft_table *t, const char *name, bool on, usec_t left,
                      const struct link *v, size_t n)
{
	static const uint8_t both[] = {NFPROTO_IPV4, NFPROTO_IPV6};
	bool inet = t->family == NFPROTO_INET;
	struct nft_set *s =
	    nft_add_set(t, name, inet ? NFT_KEY_NFPROTO : NFT_KEY_IFINDEX, NFT_SET_TIMEOUT);
	int r = s ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && on && inet && i < sizeof both; i++)
		r = add_key(s, &both[i], 1, left);
	for (size_t i = 0; r == 0 && on && !inet && i < n; i++)
		if (v[i].ifindex > 0) /* else it has gone and left only its chain */
			r = add_key(s, &v[i].ifindex, sizeof v[i].ifindex, left);
	return r;
}

static int add_permits(struct nft_table *t, const char *chain, bool out, bool glass,
                       const struct order *o)
{
	struct nft_chain *c = nft_add_chain(t, chain);
	if (!c)
		return -ENOMEM;
	for (size_t i = 0; i < o->n_permits; i++) {
		int r = o->permits[i].breakglass != glass
		            ? 0
		            : cut_permit_rules(c, t->family, out, &o->permits[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static void loopback_rule(struct nft_chain *c, uint32_t meta)
{
	uint32_t lo = LOOPBACK_INDEX;
	struct nft_rule *r = nft_add_rule(c);
	if (!r)
		return;
	nft_meta(r, meta);
	nft_cmp(r, NFT_CMP_EQ, &lo, sizeof lo);
	nft_verdict(r, NF_ACCEPT, NULL);
}

/* device: NFT_META_IIF or NFT_META_OIF, whichever this way knows. */
static void load_switch(struct nft_rule *r, uint8_t family, uint32_t device)
{
	nft_meta(r, family == NFPROTO_INET ? NFT_META_NFPROTO : device);
}

static void switched(struct nft_chain *c, uint8_t family, uint32_t device, const char *set,
                     bool inverted, uint32_t verdict, const char *to)
{
	struct nft_rule *r = nft_add_rule(c);
	if (!r)
		return;
	load_switch(r, family, device);
	nft_lookup(r, set, inverted);
	nft_verdict(r, verdict, to);
}

/* Resets of the sockets that are about to be destroyed. */
static void reset_rule(struct nft_chain *c, uint8_t family, uint32_t device)
{
	const uint8_t tcp = 6, rst = 0x04, none = 0;
	struct nft_rule *r = nft_add_rule(c);
	if (!r)
		return;
	load_switch(r, family, device);
	nft_lookup(r, "drain", false);
	nft_meta(r, NFT_META_L4PROTO);
	nft_cmp(r, NFT_CMP_EQ, &tcp, 1);
	nft_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1);
	nft_mask(r, &rst, 1);
	nft_cmp(r, NFT_CMP_NEQ, &none, 1);
	nft_verdict(r, NF_ACCEPT, NULL);
}

/* permits: NULL: what is forwarded fits none. */
static int add_way(struct nft_table *t, const char *name, const char *permits, const char *glass,
                   uint32_t device)
{
	struct nft_chain *c = nft_add_chain(t, name);
	if (!c)
		return -ENOMEM;
	if (permits && t->family == NFPROTO_INET)
		loopback_rule(c, device);
	if (permits)
		rule_jump(c, permits);
	reset_rule(c, t->family, device);
	if (glass)
		switched(c, t->family, device, "narrow", true, (uint32_t)NFT_JUMP, glass);
	switched(c, t->family, device, "armed", false, NF_DROP, NULL);
	return c->error;
}

static int add_hooks(struct nft_table *t)
{
	static const struct {
		const char *name, *to;
		uint32_t hook;
	} hooks[] = {
	    /* numbers are the same for inet and bridge */
	    {"prerouting", "in", NF_INET_PRE_ROUTING},
	    {"input", "in", NF_INET_LOCAL_IN},
	    {"forward", "through", NF_INET_FORWARD},
	    {"output", "out", NF_INET_LOCAL_OUT},
	};
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(hooks); i++)
		r = base_chain(t, hooks[i].name, hooks[i].hook, NULL, hooks[i].to);
	return r;
}

static int add_devices(struct nft_table *t, const struct layers *l, const struct link *v, size_t n)
{
	int r = 0;
	char name[NFT_NAME_CAP];
	for (size_t i = 0; r == 0 && i < n; i++) {
		device_chain(&v[i], true, name);
		if (l->egress)
			r = base_chain(t, name, NF_NETDEV_EGRESS, v[i].name, "out");
		device_chain(&v[i], false, name);
		if (r == 0 && l->ingress)
			r = base_chain(t, name, NF_NETDEV_INGRESS, v[i].name, "in");
	}
	return r;
}

static int fill(struct nft_table *t, const struct order *o, const struct hold_time *h,
                const struct link *v, size_t n)
{
	bool glass = has_glass(o);
	int r = add_switch(t, "armed", true, h->armed, v, n);
	if (r == 0)
		r = add_switch(t, "drain", h->drain != 0, h->drain, v, n);
	if (r == 0 && glass)
		r = add_switch(t, "narrow", true, h->narrow, v, n);
	if (r == 0)
		r = add_permits(t, "permit_out", true, false, o);
	if (r == 0)
		r = add_permits(t, "permit_in", false, false, o);
	if (r == 0 && glass)
		r = add_permits(t, "glass_out", true, true, o);
	if (r == 0 && glass)
		r = add_permits(t, "glass_in", false, true, o);
	if (r == 0)
		r = add_way(t, "out", "permit_out", glass ? "glass_out" : NULL, NFT_META_OIF);
	if (r == 0)
		r = add_way(t, "in", "permit_in", glass ? "glass_in" : NULL, NFT_META_IIF);
	return r;
}

static int add_table(struct images *m, uint8_t family, const struct order *o, const char *token,
                     const struct hold_time *t, const struct link *v, size_t n_devices)
{
	struct nft_table *n = &m->v[m->n++];
	*n = (struct nft_table){.family = family};
	strcpy(n->name, CUT_TABLE);
	snprintf(n->comment, sizeof n->comment, "stanch %s", token);
	return fill(n, o, t, v, n_devices);
}

int cut_images(const struct order *o, const char *token, const struct layers *l,
               const struct link *devices, size_t n, const struct hold_time *t, struct images *ret,
               struct err *e)
{
	struct images m = {0};
	int r = add_table(&m, NFPROTO_INET, o, token, t, devices, n);
	if (r == 0)
		r = add_way(&m.v[0], "through", NULL, NULL, NFT_META_IIF);
	if (r == 0)
		r = add_hooks(&m.v[0]);
	if (r == 0 && (l->egress || l->ingress)) {
		r = add_table(&m, NFPROTO_NETDEV, o, token, t, devices, n);
		if (r == 0)
			r = add_devices(&m.v[m.n - 1], l, devices, n);
	}
	if (r == 0 && l->bridge) {
		r = add_table(&m, NFPROTO_BRIDGE, o, token, t, devices, n);
		if (r == 0)
			r = add_way(&m.v[m.n - 1], "through", NULL, NULL, NFT_META_IIF);
		if (r == 0)
			r = add_hooks(&m.v[m.n - 1]);
	}
	if (r < 0) {
		images_free(&m);
		return err_set(e, r, "deriving the rules of the cut: %s", strerror(-r));
	}
	*ret = m;
	return 0;
}
