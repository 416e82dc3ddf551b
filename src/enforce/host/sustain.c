/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a cut must let through so that what is kept stays reachable for days: the neighbours on the
 * way are found again, leases are renewed, routers stay known, path MTUs are learned.
 */
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/parts.h"

struct present {
	struct route *routes;
	struct link_addr *addrs;
	size_t n_routes, n_addrs;
};

static void present_free(struct present *p)
{
	free(p->routes);
	free(p->addrs);
}

static int add(struct order *o, enum permit_kind kind, const struct prefix *peer, const char *why,
               struct err *e)
{
	struct permit p = {.kind = kind};
	if (peer)
		p.peer = *peer;
	snprintf(p.why, sizeof p.why, "%s", why);
	return order_add_permit(o, &p, e);
}

/* Neighbour resolution about a prefix, by its family. */
static int add_neighbour(struct order *o, const struct prefix *peer, const char *why, struct err *e)
{
	return add(o, peer->addr.family == ADDR_V4 ? PERMIT_ARP : PERMIT_ND, peer, why, e);
}

static int add_gateway(struct order *o, const struct addr *gateway, struct err *e)
{
	struct prefix p = prefix_of(gateway, addr_bits(gateway));
	return gateway->family == ADDR_NONE ? 0 : add_neighbour(o, &p, "gateway", e);
}

static int sustain_gateways(struct order *o, const struct present *at, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < at->n_routes; i++)
		if (route_is_default(&at->routes[i]))
			r = add_gateway(o, &at->routes[i].gateway, e);
	return r;
}

/* Subnets that we are in and the peer's prefix: what lies in both is asked for on the link. */
static int sustain_subnets(struct order *o, const struct present *at, const struct prefix *peer,
                           struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < at->n_addrs; i++) {
		const struct link_addr *a = &at->addrs[i];
		struct prefix net = prefix_of(&a->peer, a->prefix_len);
		if (addr_is_loopback(&a->addr) || net.addr.family != peer->addr.family)
			continue;
		if (prefix_covers(&net, peer))
			r = add_neighbour(o, peer, "kept peer on the link", e);
		else if (prefix_covers(peer, &net))
			r = add_neighbour(o, &net, "kept subnet on the link", e);
	}
	return r;
}

static int sustain_peers(struct order *o, const struct present *at, struct err *e)
{
	size_t n = o->n_permits; /* those added here are none of them */
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (o->permits[i].kind != PERMIT_FLOW)
			continue;
		struct prefix peer = o->permits[i].peer; /* the array moves when it grows */
		struct route way;
		r = sustain_subnets(o, at, &peer, e);
		if (r == 0 && route_get(NULL, &peer.addr, &way, NULL) == 0)
			r = add_gateway(o, &way.gateway, e);
	}
	return r;
}

static bool is_leased(const struct link_addr *a)
{
	return !addr_is_loopback(&a->addr) && !(a->flags & IFA_F_PERMANENT) &&
	       a->valid != LIFETIME_FOREVER;
}

static bool routers_advertise(const struct present *at)
{
	for (size_t i = 0; i < at->n_routes; i++)
		if (at->routes[i].protocol == RTPROT_RA)
			return true;
	return false;
}

/* A lease is renewed with the server (most often in the subnet, or behind the gateway as a relay)
 * and, when that fails, by broadcast. */
static int sustain_lease4(struct order *o, const struct link_addr *a, struct err *e)
{
	const uint8_t ones[4] = {255, 255, 255, 255};
	struct addr all = addr_v4(ones);
	struct prefix net = prefix_of(&a->addr, a->prefix_len), broadcast = prefix_of(&all, 32);
	int r = add(o, PERMIT_DHCP4, &broadcast, "leased address, any server on the link", e);
	if (r == 0)
		r = add_neighbour(o, &net, "DHCP server of a leased address", e);
	return r < 0 ? r : add(o, PERMIT_DHCP4, &net, "leased address, server in the subnet", e);
}

static int sustain_leases(struct order *o, const struct present *at, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < at->n_addrs; i++) {
		const struct link_addr *a = &at->addrs[i];
		if (!is_leased(a))
			continue;
		if (a->addr.family == ADDR_V4)
			r = sustain_lease4(o, a, e);
		else if (a->prefix_len == 128)
			r = add(o, PERMIT_DHCP6, NULL, "leased address", e);
		else
			r = add(o, PERMIT_RA, NULL, "address from a router advertisement", e);
	}
	return r;
}

int host_sustain(struct order *o, struct err *e)
{
	struct present at = {0};
	int r = route_list(NULL, &at.routes, &at.n_routes, e);
	if (r == 0)
		r = link_addr_list(NULL, &at.addrs, &at.n_addrs, e);
	if (r == 0)
		r = sustain_gateways(o, &at, e);
	if (r == 0)
		r = sustain_peers(o, &at, e);
	if (r == 0)
		r = sustain_leases(o, &at, e);
	if (r == 0 && routers_advertise(&at))
		r = add(o, PERMIT_RA, NULL, "routes from router advertisements", e);
	if (r == 0)
		r = add(o, PERMIT_TOOBIG, NULL, "path MTU", e);
	present_free(&at);
	return r;
}
