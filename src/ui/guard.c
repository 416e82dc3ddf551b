/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/guard.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kern/link.h"

/* Prefixes shorter than these hold whole continents: nobody means them. */
#define SHORTEST_V4 8
#define SHORTEST_V6 16

static bool hit_everything(const struct surroundings *s, const struct prefix *p, struct buf *why)
{
	char text[PREFIX_STR_MAX];
	unsigned least = p->addr.family == ADDR_V4 ? SHORTEST_V4 : SHORTEST_V6;
	if (p->len >= least)
		return false;
	buf_addf(why, "%s is (nearly) everything; to cut this host off, use stanch isolate self",
	         prefix_str(p, text));
	return true;
}

static bool overlaps(const struct prefix *a, const struct prefix *b)
{
	return prefix_covers(a, b) || prefix_covers(b, a);
}

static bool hit_loopback(const struct surroundings *s, const struct prefix *p, struct buf *why)
{
	static const uint8_t v4[4] = {127}, v6[16] = {[15] = 1};
	struct addr lo4 = addr_v4(v4), lo6 = addr_v6(v6);
	struct prefix a = prefix_of(&lo4, 8), b = prefix_of(&lo6, 128);
	char text[PREFIX_STR_MAX];
	if (!overlaps(p, &a) && !overlaps(p, &b))
		return false;
	buf_addf(why, "%s covers loopback; programs on this host would lose each other",
	         prefix_str(p, text));
	return true;
}

static bool hit_operator(const struct surroundings *s, const struct prefix *p, struct buf *why)
{
	char text[PREFIX_STR_MAX], peer[ENDPOINT_STR_MAX];
	for (size_t i = 0; s->sessions && i < s->sessions->n; i++) {
		if (!prefix_has(p, &s->sessions->v[i].peer.addr))
			continue;
		buf_addf(why, "%s covers your own session from %s", prefix_str(p, text),
		         endpoint_str(&s->sessions->v[i].peer, peer));
		return true;
	}
	return false;
}

static bool kept_path(const struct config *k, const struct prefix *p,
                      char dst[static PREFIX_STR_MAX])
{
	for (size_t i = 0; i < k->n_keep; i++)
		if (prefix_has(p, &k->keep[i].addr))
			return addr_str(&k->keep[i].addr, dst);
	for (size_t i = 0; i < k->n_keep_out; i++)
		if (prefix_has(p, &k->keep_out[i].addr))
			return addr_str(&k->keep_out[i].addr, dst);
	for (size_t i = 0; i < k->n_keep_in; i++)
		if (overlaps(p, &k->keep_in[i].peer))
			return prefix_str(&k->keep_in[i].peer, dst);
	for (size_t i = 0; i < k->n_break_glass; i++)
		if (overlaps(p, &k->break_glass[i]))
			return prefix_str(&k->break_glass[i], dst);
	return false;
}

static bool hit_kept(const struct surroundings *s, const struct prefix *p, struct buf *why)
{
	char text[PREFIX_STR_MAX], path[PREFIX_STR_MAX];
	if (!s->keeps || !kept_path(s->keeps, p, path))
		return false;
	buf_addf(why, "%s touches %s, which is to be kept", prefix_str(p, text), path);
	return true;
}

static bool hit_protected(const struct surroundings *s, const struct prefix *p, struct buf *why)
{
	char text[PREFIX_STR_MAX], other[PREFIX_STR_MAX];
	for (size_t i = 0; s->keeps && i < s->keeps->n_protect; i++) {
		if (!overlaps(p, &s->keeps->protect[i]))
			continue;
		buf_addf(why, "%s touches %s, which the configuration protects",
		         prefix_str(p, text), prefix_str(&s->keeps->protect[i], other));
		return true;
	}
	return false;
}

static bool hit_any(const struct addr *v, size_t n, const char *what, const struct prefix *p,
                    struct buf *why)
{
	char text[PREFIX_STR_MAX], a[ADDR_STR_MAX];
	for (size_t i = 0; i < n; i++) {
		if (!prefix_has(p, &v[i]))
			continue;
		buf_addf(why, "%s covers %s %s", prefix_str(p, text), what, addr_str(&v[i], a));
		return true;
	}
	return false;
}

static bool hit_own(const struct surroundings *s, const struct prefix *p, struct buf *why)
{
	return hit_any(s->own, s->n_own, "this host's own address", p, why);
}

static bool hit_gateway(const struct surroundings *s, const struct prefix *p, struct buf *why)
{
	return hit_any(s->gateways, s->n_gateways, "the gateway", p, why);
}

static bool hit_resolver(const struct surroundings *s, const struct prefix *p, struct buf *why)
{
	return hit_any(s->resolvers, s->n_resolvers, "the name server", p, why);
}

const struct guard guards[] = {
    {"everything", GUARD_REFUSES, "a prefix shorter than /8 (IPv6: /16)", hit_everything},
    {"loopback", GUARD_REFUSES, "loopback addresses", hit_loopback},
    {"operator", GUARD_REFUSES, "the address that your own session comes from", hit_operator},
    {"kept", GUARD_REFUSES, "what --keep… or the configuration keeps", hit_kept},
    {"protected", GUARD_REFUSES, "what the configuration protects", hit_protected},
    {"own", GUARD_REFUSES, "an address of this host", hit_own},
    {"gateway", GUARD_DEADLINE, "a default gateway: only under the dead man's switch", hit_gateway},
    {"resolver", GUARD_DEADLINE, "a name server: only under the dead man's switch", hit_resolver},
    {"feed-shrink", GUARD_REFUSES, "a feed that has lost half of its entries, or was cut short",
     NULL},
    {"feed-broken", GUARD_REFUSES, "a feed of which more than a tenth cannot be read", NULL},
    {"daemon", GUARD_REFUSES,
     "a daemon that the host cannot do without, among what to freeze or kill", NULL},
    {"rootfs", GUARD_REFUSES, "isolation of a host whose root file system is on the network", NULL},
    {"roundtrip", GUARD_REFUSES, "confirm without proof that the way in works", NULL},
    {NULL},
};

const struct guard *guard_find(const char *name)
{
	for (const struct guard *g = guards; g->name; g++)
		if (!strcmp(g->name, name))
			return g;
	return NULL;
}

static void add(struct addr *v, size_t *n, const struct addr *a)
{
	if (*n < SURROUNDINGS_MAX && a->family != ADDR_NONE)
		v[(*n)++] = *a;
}

void resolvers_parse(const char *text, struct surroundings *s)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		char line[128], word[64];
		struct addr a;
		snprintf(line, sizeof line, "%.*s", (int)(n < 127 ? n : 127), text);
		if (sscanf(line, " nameserver %63s", word) == 1) {
			word[strcspn(word, "%")] = 0; /* fe80::1%eth0 */
			if (addr_parse(word, &a) == 0 && !addr_is_loopback(&a))
				add(s->resolvers, &s->n_resolvers, &a);
		}
		text += n + (text[n] == '\n');
	}
}

static void read_resolvers(struct surroundings *s)
{
	char text[8192];
	FILE *f = fopen("/etc/resolv.conf", "re");
	if (!f)
		return; /* none is none */
	size_t n = fread(text, 1, sizeof text - 1, f);
	text[n] = 0;
	fclose(f);
	resolvers_parse(text, s);
}

int surroundings_read(struct surroundings *ret, struct err *e)
{
	struct link_addr *addrs = NULL;
	struct route *routes = NULL;
	size_t n_addrs = 0, n_routes = 0;
	int r = link_addr_list(NULL, &addrs, &n_addrs, e);
	if (r == 0)
		r = route_list(NULL, &routes, &n_routes, e);
	for (size_t i = 0; i < n_addrs; i++)
		if (!addr_is_loopback(&addrs[i].addr))
			add(ret->own, &ret->n_own, &addrs[i].addr);
	for (size_t i = 0; i < n_routes; i++)
		if (route_is_default(&routes[i]))
			add(ret->gateways, &ret->n_gateways, &routes[i].gateway);
	free(addrs);
	free(routes);
	read_resolvers(ret);
	return r;
}
