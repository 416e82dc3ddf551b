/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/order.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/sys.h"

static const char *const verb_names[_VERB_MAX] = {
    [VERB_ISOLATE] = "isolate", [VERB_BLOCK] = "block",     [VERB_FREEZE] = "freeze",
    [VERB_KILL] = "kill",       [VERB_DISABLE] = "disable",
};
STRING_TABLE_DEFINE(verb, enum verb, verb_names)

static const char *const target_kind_names[_TARGET_MAX] = {
    [TARGET_HOST] = "host",           [TARGET_PREFIX] = "prefix",   [TARGET_DOMAIN] = "domain",
    [TARGET_UNIT] = "unit",           [TARGET_ACCOUNT] = "account", [TARGET_PROCESS] = "process",
    [TARGET_CONTAINER] = "container",
};
STRING_TABLE_DEFINE(target_kind, enum target_kind, target_kind_names)

static const char *const permit_kind_names[_PERMIT_MAX] = {
    [PERMIT_FLOW] = "flow",     [PERMIT_ARP] = "arp",     [PERMIT_ND] = "nd",
    [PERMIT_RA] = "ra",         [PERMIT_DHCP4] = "dhcp4", [PERMIT_DHCP6] = "dhcp6",
    [PERMIT_TOOBIG] = "toobig",
};
STRING_TABLE_DEFINE(permit_kind, enum permit_kind, permit_kind_names)

static const char *const on_expiry_names[_EXPIRY_MAX] = {
    [EXPIRY_OPEN] = "open",
    [EXPIRY_WIDEN] = "widen",
};
STRING_TABLE_DEFINE(on_expiry, enum on_expiry, on_expiry_names)

static const char *const order_state_names[_ORDER_STATE_MAX] = {
    [ORDER_PLANNED] = "planned", [ORDER_APPLYING] = "applying", [ORDER_UNCONFIRMED] = "unconfirmed",
    [ORDER_HELD] = "held",       [ORDER_PARTIAL] = "partial",   [ORDER_EXPIRED] = "expired",
    [ORDER_UNDONE] = "undone",   [ORDER_FAILED] = "failed",
};
STRING_TABLE_DEFINE(order_state, enum order_state, order_state_names)

void order_free(struct order *o)
{
	if (!o)
		return;
	for (size_t i = 0; i < o->n_feeds; i++)
		if (o->feeds[i].fd >= 0)
			sys->close(o->feeds[i].fd);
	free(o->feeds);
	free(o->targets);
	free(o->permits);
	memset(o, 0, sizeof *o);
}

/* Grows an array of n elements by one, in powers of two; NULL when out of memory. */
static void *grow(void *array, size_t n, size_t size)
{
	if (n && (n & (n - 1)))
		return array; /* capacity is the next power of two */
	return realloc(array, (n ? n * 2 : 1) * size);
}

int order_add_target(struct order *o, const struct target *t, struct err *e)
{
	if (o->n_targets >= ORDER_TARGETS_MAX)
		return err_set(e, -E2BIG, "an order takes at most %d targets", ORDER_TARGETS_MAX);
	struct target *v = grow(o->targets, o->n_targets, sizeof *v);
	if (!v)
		return err_set(e, -ENOMEM, "out of memory after %zu targets", o->n_targets);
	o->targets = v;
	v[o->n_targets++] = *t;
	return 0;
}

int order_add_feed(struct order *o, const struct feed *f, struct err *e)
{
	bool full = o->n_feeds >= FEEDS_MAX;
	struct feed *v = full ? NULL : grow(o->feeds, o->n_feeds, sizeof *v);
	if (!v) {
		if (f->fd >= 0)
			sys->close(f->fd);
		return full ? err_set(e, -E2BIG, "an order takes at most %d feeds", FEEDS_MAX)
		            : err_set(e, -ENOMEM, "out of memory after %zu feeds", o->n_feeds);
	}
	o->feeds = v;
	v[o->n_feeds++] = *f;
	return 0;
}

static bool permit_same(const struct permit *a, const struct permit *b)
{
	return a->kind == b->kind && a->peer.len == b->peer.len &&
	       addr_equal(&a->peer.addr, &b->peer.addr) && a->proto == b->proto &&
	       a->local_port == b->local_port && a->peer_port == b->peer_port &&
	       a->breakglass == b->breakglass;
}

int order_add_permit(struct order *o, const struct permit *p, struct err *e)
{
	for (size_t i = 0; i < o->n_permits; i++)
		if (permit_same(&o->permits[i], p))
			return 0;
	if (o->n_permits >= PERMIT_MAX)
		return err_set(e, -E2BIG,
		               "the allow-list takes at most %d entries; give prefixes instead of "
		               "single addresses",
		               PERMIT_MAX);
	struct permit *v = grow(o->permits, o->n_permits, sizeof *v);
	if (!v)
		return err_set(e, -ENOMEM, "out of memory after %zu permits", o->n_permits);
	o->permits = v;
	v[o->n_permits++] = *p;
	return 0;
}

static const char *proto_name(const struct permit *p)
{
	switch (p->proto) {
	case 0:
		return p->local_port || p->peer_port ? "tcp+udp" : "all";
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	default:
		return NULL;
	}
}

static void describe_flow(const struct permit *p, struct buf *out)
{
	char peer[PREFIX_STR_MAX];
	const char *proto = proto_name(p);
	if (proto)
		buf_addf(out, "%s ", proto);
	else
		buf_addf(out, "protocol %u ", p->proto);
	buf_addf(out, "%s", prefix_str(&p->peer, peer));
	if (p->peer_port)
		buf_addf(out, " port %u", p->peer_port);
	buf_addf(out, " <-> the host");
	if (p->local_port)
		buf_addf(out, " port %u", p->local_port);
}

int permit_describe(const struct permit *p, struct buf *out)
{
	static const char *const texts[_PERMIT_MAX] = {
	    [PERMIT_ARP] = "ARP about",
	    [PERMIT_ND] = "IPv6 neighbour discovery about",
	    [PERMIT_RA] = "IPv6 router solicitation and advertisement",
	    [PERMIT_DHCP4] = "DHCP renewal, udp 68 <-> 67",
	    [PERMIT_DHCP6] = "DHCPv6 renewal, udp 546 <-> 547",
	    [PERMIT_TOOBIG] = "ICMP packet-too-big, inbound only",
	};
	if (p->kind == PERMIT_FLOW) {
		describe_flow(p, out);
	} else {
		char peer[PREFIX_STR_MAX];
		buf_addf(out, "%s", texts[p->kind]);
		if (p->peer.addr.family != ADDR_NONE)
			buf_addf(out, " %s", prefix_str(&p->peer, peer));
	}
	if (p->why[0])
		buf_addf(out, " (%s)", p->why);
	return p->breakglass ? buf_addf(out, " — only after the deadline") : out->error;
}

bool permit_matches_flow(const struct permit *p, const struct addr *peer, uint8_t proto,
                         uint16_t local_port, uint16_t peer_port)
{
	if (p->kind != PERMIT_FLOW || !prefix_has(&p->peer, peer))
		return false;
	bool ports = p->local_port || p->peer_port;
	if (p->proto ? p->proto != proto : ports && proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return false;
	return (!p->local_port || p->local_port == local_port) &&
	       (!p->peer_port || p->peer_port == peer_port);
}
