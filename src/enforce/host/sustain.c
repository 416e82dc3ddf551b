/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What keeps an isolated host alive for days, derived from its routes and addresses: the neighbours
 * through which kept peers are reached, lease renewal, router advertisements, path MTU.
 *
 * As narrow as can be: a lease is renewed by broadcast, and directly only with its own server.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/parts.h"

#define SERVERS_MAX 8
#define LEASE_MAX   (1u << 20)

struct net {
	struct route *routes; /* owned */
	size_t n_routes;
	struct link_addr *addrs; /* owned */
	size_t n_addrs;
	struct addr servers[SERVERS_MAX]; /* that leases came from */
	size_t n_servers;
};

static int add(struct order *o, enum permit_kind kind, const struct prefix *peer, const char *why,
               struct err *e)
{
	struct permit p = {.kind = kind};
	if (peer)
		p.peer = *peer;
	strncpy(p.why, why, sizeof p.why - 1);
	return order_add_permit(o, &p, e);
}

static int add_neighbour(struct order *o, const struct prefix *about, const char *why,
                         struct err *e)
{
	return add(o, about->addr.family == ADDR_V4 ? PERMIT_ARP : PERMIT_ND, about, why, e);
}

/* ---- neighbours ---- */

static bool is_used(const struct route *r)
{
	return r->type == RTN_UNICAST && r->table != RT_TABLE_LOCAL && r->ifindex > 1;
}

/* Everything that may lie on the way to a peer: gateways, or the peer itself where it is on-link.
 */
static int add_way_to(struct order *o, const struct net *n, const struct prefix *peer,
                      struct err *e)
{
	int x = 0;
	for (size_t i = 0; x == 0 && i < n->n_routes; i++) {
		const struct route *r = &n->routes[i];
		bool inside = prefix_covers(&r->dst, peer);
		if (!is_used(r) || !(inside || prefix_covers(peer, &r->dst)))
			continue;
		if (r->gateway.family != ADDR_NONE) {
			struct prefix gateway = prefix_of(&r->gateway, addr_bits(&r->gateway));
			x = add_neighbour(o, &gateway, "gateway", e);
		} else {
			x = add_neighbour(o, inside ? peer : &r->dst, "on the same link", e);
		}
	}
	return x;
}

static int add_ways(struct order *o, const struct net *n, struct err *e)
{
	size_t n_permits = o->n_permits; /* grows below */
	int x = 0;
	for (size_t i = 0; x == 0 && i < n_permits; i++) {
		struct prefix peer = o->permits[i].peer;
		if (o->permits[i].kind == PERMIT_FLOW && peer.addr.family != ADDR_NONE)
			x = add_way_to(o, n, &peer, e);
	}
	return x;
}

/* ---- leases ---- */

static void add_server(struct net *n, const char *text, size_t len)
{
	char one[ADDR_STR_MAX];
	struct addr a;
	if (len >= sizeof one || n->n_servers == SERVERS_MAX)
		return;
	memcpy(one, text, len);
	one[len] = 0;
	if (addr_parse(one, &a) < 0 || a.family != ADDR_V4)
		return;
	for (size_t i = 0; i < n->n_servers; i++)
		if (addr_equal(&n->servers[i], &a))
			return;
	n->servers[n->n_servers++] = a;
}

static void find_servers(struct net *n, const char *text, const char *mark)
{
	for (const char *p = text; (p = strstr(p, mark));) {
		p += strlen(mark);
		add_server(n, p, strspn(p, "0123456789."));
	}
}

static void read_leases(struct net *n, const char *pattern, const char *mark)
{
	glob_t found;
	if (glob(pattern, GLOB_NOSORT, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char block[4096];
		struct buf text = BUF_INIT(LEASE_MAX);
		ssize_t got = 0;
		_cleanup_close_ int fd =
		    sys->open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
		while (fd >= 0 && (got = sys->read(fd, block, sizeof block)) > 0)
			if (buf_add(&text, block, (size_t)got) < 0)
				break;
		find_servers(n, buf_str(&text), mark);
		buf_free(&text);
	}
	globfree(&found);
}

static void read_all_leases(struct net *n)
{
	static const struct {
		const char *pattern, *mark;
	} places[] = {
	    {"/run/systemd/netif/leases/*", "SERVER_ADDRESS="},
	    {"/var/lib/dhcp/dhclient*.leases", "dhcp-server-identifier "},
	    {"/var/lib/NetworkManager/*.lease", "SERVER_ADDRESS="},
	};
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		read_leases(n, places[i].pattern, places[i].mark);
}

static bool is_leased4(const struct link_addr *a)
{
	return a->addr.family == ADDR_V4 && !addr_is_loopback(&a->addr) &&
	       !(a->flags & IFA_F_PERMANENT) && a->valid != LIFETIME_FOREVER;
}

static bool has_lease4(const struct net *n)
{
	for (size_t i = 0; i < n->n_addrs; i++)
		if (is_leased4(&n->addrs[i]))
			return true;
	return false;
}

/* A whole address that runs out: DHCPv6 gave it; an advertised prefix gives shorter ones. */
static bool has_lease6(const struct net *n)
{
	for (size_t i = 0; i < n->n_addrs; i++)
		if (n->addrs[i].addr.family == ADDR_V6 && n->addrs[i].prefix_len == 128 &&
		    n->addrs[i].valid != LIFETIME_FOREVER)
			return true;
	return false;
}

/* Where no lease names its server: it is in the subnet, or behind the gateway. */
static int add_any_server(struct order *o, const struct net *n, struct err *e)
{
	int x = 0;
	for (size_t i = 0; x == 0 && i < n->n_addrs; i++) {
		struct prefix p = prefix_of(&n->addrs[i].peer, n->addrs[i].prefix_len);
		if (!is_leased4(&n->addrs[i]))
			continue;
		x = add(o, PERMIT_DHCP4, &p, "lease renewal, a server in the subnet", e);
		if (x == 0)
			x = add_neighbour(o, &p, "lease renewal, a server in the subnet", e);
	}
	return x;
}

static int add_lease4(struct order *o, struct net *n, struct err *e)
{
	const uint8_t all[4] = {255, 255, 255, 255};
	struct addr broadcast = addr_v4(all);
	struct prefix p = prefix_of(&broadcast, 32);
	if (!has_lease4(n))
		return 0;
	read_all_leases(n);
	int x = add(o, PERMIT_DHCP4, &p, "lease renewal", e);
	for (size_t i = 0; x == 0 && i < n->n_servers; i++) {
		p = prefix_of(&n->servers[i], 32);
		x = add(o, PERMIT_DHCP4, &p, "lease renewal, its server", e);
		if (x == 0)
			x = add_way_to(o, n, &p, e);
	}
	return x == 0 && !n->n_servers ? add_any_server(o, n, e) : x;
}

/* ---- router advertisements ---- */

static int add_routers(struct order *o, const struct net *n, struct err *e)
{
	int x = 0;
	for (size_t i = 0; x == 0 && i < n->n_routes; i++) {
		const struct route *r = &n->routes[i];
		if (r->protocol != RTPROT_RA || r->gateway.family != ADDR_V6)
			continue;
		struct prefix p = prefix_of(&r->gateway, 128);
		x = add(o, PERMIT_RA, &p, "router advertisements", e);
		if (x == 0)
			x = add_neighbour(o, &p, "router", e);
	}
	return x;
}

static int read_net(struct net *ret, struct err *e)
{
	struct net n = {0};
	int x = route_list(NULL, &n.routes, &n.n_routes, e);
	if (x == 0)
		x = link_addr_list(NULL, &n.addrs, &n.n_addrs, e);
	if (x < 0)
		free(n.routes);
	else
		*ret = n;
	return x;
}

int host_sustain(struct order *o, struct err *e)
{
	struct net n;
	int x = read_net(&n, e);
	if (x < 0)
		return x;
	x = add_ways(o, &n, e);
	if (x == 0)
		x = add_lease4(o, &n, e);
	if (x == 0)
		x = add_routers(o, &n, e);
	if (x == 0 && has_lease6(&n))
		x = add(o, PERMIT_DHCP6, NULL, "lease renewal", e);
	if (x == 0)
		x = add(o, PERMIT_TOOBIG, NULL, "path MTU", e);
	free(n.routes);
	free(n.addrs);
	return x;
}
