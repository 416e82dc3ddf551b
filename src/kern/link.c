/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Dumps of rtnetlink. Each message is checked for its fixed header and each attribute for its exact
 * or least size before it is read; a message that does not fit is skipped, since newer kernels may
 * say more than we know.
 */
#include "kern/link.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "kern/nl.h"

#define REQUEST_MAX 256

/* Rows as they arrive from a dump. */
struct rows {
	char *v;
	size_t n, cap, size;
	int error;
};

static void *rows_add(struct rows *r)
{
	if (r->n == LINK_ROWS_MAX) {
		r->error = -E2BIG;
		return NULL;
	}
	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 16;
		char *v = realloc(r->v, cap * r->size);
		if (!v) {
			r->error = -ENOMEM;
			return NULL;
		}
		r->v = v;
		r->cap = cap;
	}
	return memset(r->v + r->n++ * r->size, 0, r->size);
}

struct attrs {
	const struct nlattr **tb;
	uint16_t max;
};

static int attr_cb(const struct nlattr *a, void *arg)
{
	const struct attrs *s = arg;
	if (mnl_attr_get_type(a) <= s->max)
		s->tb[mnl_attr_get_type(a)] = a;
	return MNL_CB_OK;
}

static const void *attr_bytes(const struct nlattr *a, size_t least)
{
	return a && mnl_attr_get_payload_len(a) >= least ? mnl_attr_get_payload(a) : NULL;
}

static uint32_t attr_u32(const struct nlattr *a)
{
	uint32_t v = 0;
	const void *p = attr_bytes(a, sizeof(v));
	if (p)
		memcpy(&v, p, sizeof(v));
	return v;
}

/* Cut at n - 1 bytes; the attribute need not be terminated. */
static void attr_text(const struct nlattr *a, char *dst, size_t n)
{
	size_t len = a ? mnl_attr_get_payload_len(a) : 0;
	const char *p = a ? mnl_attr_get_payload(a) : "";

	len = strnlen(p, len);
	if (len >= n)
		len = n - 1;
	memcpy(dst, p, len);
	dst[len] = 0;
}

static struct addr attr_addr(const struct nlattr *a, int family)
{
	const void *p = attr_bytes(a, family == AF_INET ? 4 : 16);

	if (p && family == AF_INET)
		return addr_v4(p);
	if (p && family == AF_INET6) {
		struct addr v6 = {.family = ADDR_V6};
		memcpy(v6.bytes, p, 16);
		return v6;
	}
	return (struct addr){0};
}

static uint8_t attr_mac(const struct nlattr *a, uint8_t dst[static LINK_MAC_MAX])
{
	size_t len = a ? mnl_attr_get_payload_len(a) : 0;

	if (!len || len > LINK_MAC_MAX)
		return 0;
	memcpy(dst, mnl_attr_get_payload(a), len);
	return (uint8_t)len;
}

static void link_stats(const struct nlattr *a, struct link_counters *ret)
{
	struct rtnl_link_stats64 s = {0};
	size_t len = a ? mnl_attr_get_payload_len(a) : 0;

	if (!len)
		return;
	memcpy(&s, mnl_attr_get_payload(a), len < sizeof(s) ? len : sizeof(s));
	*ret = (struct link_counters){
	    .rx_packets = s.rx_packets,
	    .tx_packets = s.tx_packets,
	    .rx_bytes = s.rx_bytes,
	    .tx_bytes = s.tx_bytes,
	    .rx_errors = s.rx_errors,
	    .tx_errors = s.tx_errors,
	    .rx_dropped = s.rx_dropped,
	    .tx_dropped = s.tx_dropped,
	};
}

static void link_kind(const struct nlattr *info, char *dst, size_t n)
{
	const struct nlattr *tb[IFLA_INFO_MAX + 1] = {0};
	struct attrs s = {tb, IFLA_INFO_MAX};

	if (info && mnl_attr_parse_nested(info, attr_cb, &s) > 0)
		attr_text(tb[IFLA_INFO_KIND], dst, n);
}

static int link_cb(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *tb[IFLA_MAX + 1] = {0};
	struct attrs s = {tb, IFLA_MAX};
	struct rows *rows = arg;
	struct link *l;

	if (h->nlmsg_type != RTM_NEWLINK ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(struct ifinfomsg) ||
	    mnl_attr_parse(h, sizeof(struct ifinfomsg), attr_cb, &s) < 0 || !tb[IFLA_IFNAME])
		return MNL_CB_OK;
	if (!(l = rows_add(rows)))
		return MNL_CB_ERROR;
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	l->ifindex = m->ifi_index;
	l->type = m->ifi_type;
	l->flags = m->ifi_flags;
	l->master = (int)attr_u32(tb[IFLA_MASTER]);
	l->lower = (int)attr_u32(tb[IFLA_LINK]);
	l->lower_nsid = tb[IFLA_LINK_NETNSID] ? (int)attr_u32(tb[IFLA_LINK_NETNSID]) : -1;
	l->mtu = attr_u32(tb[IFLA_MTU]);
	l->mac_len = attr_mac(tb[IFLA_ADDRESS], l->mac);
	const uint8_t *oper = attr_bytes(tb[IFLA_OPERSTATE], 1);
	l->operstate = oper ? *oper : 0;
	attr_text(tb[IFLA_IFNAME], l->name, sizeof(l->name));
	link_kind(tb[IFLA_LINKINFO], l->kind, sizeof(l->kind));
	link_stats(tb[IFLA_STATS64], &l->counters);
	return MNL_CB_OK;
}

static int addr_cb(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *tb[IFA_MAX + 1] = {0};
	struct attrs s = {tb, IFA_MAX};
	struct rows *rows = arg;
	struct link_addr *a;

	if (h->nlmsg_type != RTM_NEWADDR ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(struct ifaddrmsg) ||
	    mnl_attr_parse(h, sizeof(struct ifaddrmsg), attr_cb, &s) < 0)
		return MNL_CB_OK;
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	if (m->ifa_family != AF_INET && m->ifa_family != AF_INET6)
		return MNL_CB_OK;
	if (!(a = rows_add(rows)))
		return MNL_CB_ERROR;
	a->ifindex = (int)m->ifa_index;
	a->prefix_len = m->ifa_prefixlen;
	a->scope = m->ifa_scope;
	a->flags = tb[IFA_FLAGS] ? attr_u32(tb[IFA_FLAGS]) : m->ifa_flags;
	a->peer = attr_addr(tb[IFA_ADDRESS], m->ifa_family);
	a->addr = tb[IFA_LOCAL] ? attr_addr(tb[IFA_LOCAL], m->ifa_family) : a->peer;
	a->valid = a->preferred = LIFETIME_FOREVER;
	attr_text(tb[IFA_LABEL], a->label, sizeof(a->label));
	const void *cache = attr_bytes(tb[IFA_CACHEINFO], sizeof(struct ifa_cacheinfo));
	if (cache) {
		struct ifa_cacheinfo c;
		memcpy(&c, cache, sizeof(c));
		a->valid = c.ifa_valid;
		a->preferred = c.ifa_prefered;
	}
	return MNL_CB_OK;
}

/* RTA_VIA: the gateway's family is its own. */
static struct addr via_addr(const struct nlattr *a)
{
	struct addr v = {0};
	const uint8_t *p = attr_bytes(a, 2);
	uint16_t family;

	if (!p)
		return v;
	memcpy(&family, p, 2);
	size_t left = mnl_attr_get_payload_len(a) - 2u;
	if (family == AF_INET && left >= 4)
		return addr_v4(p + 2);
	if (family == AF_INET6 && left >= 16) {
		v.family = ADDR_V6;
		memcpy(v.bytes, p + 2, 16);
	}
	return v;
}

static void route_hop(const struct nlattr *const *tb, int family, struct route *r)
{
	if (tb[RTA_GATEWAY])
		r->gateway = attr_addr(tb[RTA_GATEWAY], family);
	else if (tb[RTA_VIA])
		r->gateway = via_addr(tb[RTA_VIA]);
}

/* One row a next hop of a multipath route. */
static bool route_hops(const struct nlattr *multi, const struct route *base, int family,
                       struct rows *rows)
{
	const char *p = mnl_attr_get_payload(multi);
	size_t left = mnl_attr_get_payload_len(multi);

	while (left >= sizeof(struct rtnexthop)) {
		const struct nlattr *tb[RTA_MAX + 1] = {0};
		struct attrs s = {tb, RTA_MAX};
		struct rtnexthop hop;
		struct route *r;

		memcpy(&hop, p, sizeof(hop));
		if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > left)
			break;
		if (!(r = rows_add(rows)))
			return false;
		*r = *base;
		r->ifindex = hop.rtnh_ifindex;
		r->flags = hop.rtnh_flags;
		mnl_attr_parse_payload(p + sizeof(hop), hop.rtnh_len - sizeof(hop), attr_cb, &s);
		route_hop(tb, family, r);
		size_t step = (hop.rtnh_len + 3u) & ~(size_t)3;
		if (step >= left)
			break;
		p += step;
		left -= step;
	}
	return true;
}

static int route_cb(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *tb[RTA_MAX + 1] = {0};
	struct attrs s = {tb, RTA_MAX};
	struct rows *rows = arg;
	struct route base = {0}, *r;

	if (h->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(h) < sizeof(struct rtmsg) ||
	    mnl_attr_parse(h, sizeof(struct rtmsg), attr_cb, &s) < 0)
		return MNL_CB_OK;
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	if (m->rtm_family != AF_INET && m->rtm_family != AF_INET6)
		return MNL_CB_OK;
	base.dst.addr = attr_addr(tb[RTA_DST], m->rtm_family);
	base.dst.addr.family = m->rtm_family == AF_INET ? ADDR_V4 : ADDR_V6;
	base.dst.len = m->rtm_dst_len;
	base.prefsrc = attr_addr(tb[RTA_PREFSRC], m->rtm_family);
	base.ifindex = (int)attr_u32(tb[RTA_OIF]);
	base.table = tb[RTA_TABLE] ? attr_u32(tb[RTA_TABLE]) : m->rtm_table;
	base.metric = attr_u32(tb[RTA_PRIORITY]);
	base.protocol = m->rtm_protocol;
	base.scope = m->rtm_scope;
	base.type = m->rtm_type;
	base.flags = m->rtm_flags & 0xffu;
	if (tb[RTA_MULTIPATH])
		return route_hops(tb[RTA_MULTIPATH], &base, m->rtm_family, rows) ? MNL_CB_OK
		                                                                 : MNL_CB_ERROR;
	if (!(r = rows_add(rows)))
		return MNL_CB_ERROR;
	*r = base;
	route_hop(tb, m->rtm_family, r);
	return MNL_CB_OK;
}

static int neigh_cb(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *tb[NDA_MAX + 1] = {0};
	struct attrs s = {tb, NDA_MAX};
	struct rows *rows = arg;
	struct neigh *n;

	if (h->nlmsg_type != RTM_NEWNEIGH || mnl_nlmsg_get_payload_len(h) < sizeof(struct ndmsg) ||
	    mnl_attr_parse(h, sizeof(struct ndmsg), attr_cb, &s) < 0)
		return MNL_CB_OK;
	const struct ndmsg *m = mnl_nlmsg_get_payload(h);
	if (m->ndm_family != AF_INET && m->ndm_family != AF_INET6)
		return MNL_CB_OK;
	if (!(n = rows_add(rows)))
		return MNL_CB_ERROR;
	n->ifindex = m->ndm_ifindex;
	n->addr = attr_addr(tb[NDA_DST], m->ndm_family);
	n->mac_len = attr_mac(tb[NDA_LLADDR], n->mac);
	n->state = m->ndm_state;
	n->flags = m->ndm_flags;
	return MNL_CB_OK;
}

static int rule_cb(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *tb[FRA_MAX + 1] = {0};
	struct attrs s = {tb, FRA_MAX};
	struct route_rule *r;

	if (h->nlmsg_type != RTM_NEWRULE ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(struct fib_rule_hdr) ||
	    mnl_attr_parse(h, sizeof(struct fib_rule_hdr), attr_cb, &s) < 0)
		return MNL_CB_OK;
	const struct fib_rule_hdr *m = mnl_nlmsg_get_payload(h);
	if (m->family != AF_INET && m->family != AF_INET6)
		return MNL_CB_OK;
	if (!(r = rows_add(arg)))
		return MNL_CB_ERROR;
	const uint8_t *protocol = attr_bytes(tb[FRA_PROTOCOL], 1);
	*r = (struct route_rule){
	    .family = m->family == AF_INET ? ADDR_V4 : ADDR_V6,
	    .priority = attr_u32(tb[FRA_PRIORITY]),
	    .table = tb[FRA_TABLE] ? attr_u32(tb[FRA_TABLE]) : m->table,
	    .action = m->action,
	    .protocol = protocol ? *protocol : RTPROT_UNSPEC,
	};
	return MNL_CB_OK;
}

/* A dump: what to ask for, the size of its fixed header, who reads the answers. */
struct dump {
	const char *what;
	uint16_t type, header;
	size_t row;
	mnl_cb_t cb;
};

static const struct dump dumps[] = {
    {"links", RTM_GETLINK, sizeof(struct ifinfomsg), sizeof(struct link), link_cb},
    {"addresses", RTM_GETADDR, sizeof(struct ifaddrmsg), sizeof(struct link_addr), addr_cb},
    {"routes", RTM_GETROUTE, sizeof(struct rtmsg), sizeof(struct route), route_cb},
    {"neighbours", RTM_GETNEIGH, sizeof(struct ndmsg), sizeof(struct neigh), neigh_cb},
    {"routing rules", RTM_GETRULE, sizeof(struct fib_rule_hdr), sizeof(struct route_rule), rule_cb},
};

/* Talks on nl, or on a socket of its own when nl is NULL. */
static int talk(struct nl *nl, struct nlmsghdr *h, mnl_cb_t cb, void *arg, struct err *e)
{
	struct nl own;
	int r;

	if (nl)
		return nl_talk(nl, h, cb, arg, e);
	if ((r = nl_open(&own, NETLINK_ROUTE, e)) < 0)
		return r;
	r = nl_talk(&own, h, cb, arg, e);
	nl_close(&own);
	return r;
}

static int dump(struct nl *nl, const struct dump *d, void **ret, size_t *ret_n, struct err *e)
{
	char bytes[REQUEST_MAX] __attribute__((aligned(NLMSG_ALIGNTO))) = {0};
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	struct rows rows = {.size = d->row};
	int r;

	h->nlmsg_type = d->type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(h, d->header); /* zero: AF_UNSPEC, everything */
	r = talk(nl, h, d->cb, &rows, e);
	if (rows.error)
		r = err_set(e, rows.error, "the kernel's %s do not fit: %s", d->what,
		            rows.error == -E2BIG ? "too many" : "out of memory");
	else if (r < 0)
		err_prefix(e, r, "cannot read %s from the kernel", d->what);
	if (r < 0) {
		free(rows.v);
		return r;
	}
	*ret = rows.v;
	*ret_n = rows.n;
	return 0;
}

#define LIST(function, type, index)                                                                \
	int function(struct nl *nl, type **ret, size_t *ret_n, struct err *e)                      \
	{                                                                                          \
		void *v = NULL;                                                                    \
		int r = dump(nl, &dumps[index], &v, ret_n, e);                                     \
		if (!r)                                                                            \
			*ret = v;                                                                  \
		return r;                                                                          \
	}

LIST(link_list, struct link, 0)
LIST(link_addr_list, struct link_addr, 1)
LIST(route_list, struct route, 2)
LIST(neigh_list, struct neigh, 3)
LIST(route_rule_list, struct route_rule, 4)

bool route_rule_is_usual(const struct route_rule *r)
{
	static const struct {
		uint32_t priority, table;
	} usual[] = {{0, RT_TABLE_LOCAL}, {32766, RT_TABLE_MAIN}, {32767, RT_TABLE_DEFAULT}};

	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if (r->priority == usual[i].priority && r->table == usual[i].table)
			return r->action == FR_ACT_TO_TBL;
	return false;
}

const char *route_protocol_str(uint8_t n, char dst[static 16])
{
	static const struct {
		uint8_t n;
		const char *name;
	} known[] = {
	    {RTPROT_KERNEL, "kernel"}, {RTPROT_BOOT, "boot"},   {RTPROT_STATIC, "static"},
	    {RTPROT_RA, "ra"},         {RTPROT_ZEBRA, "zebra"}, {RTPROT_BIRD, "bird"},
	    {RTPROT_DHCP, "dhcp"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].n == n)
			return strcpy(dst, known[i].name);
	snprintf(dst, 16, "protocol %u", n);
	return dst;
}

bool route_is_default(const struct route *r)
{
	return r->dst.len == 0 && r->type == RTN_UNICAST && r->table != RT_TABLE_LOCAL &&
	       !(r->flags & RTNH_F_DEAD);
}

const struct link *link_find(const struct link *l, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(l[i].name, name))
			return &l[i];
	return NULL;
}

int route_get(struct nl *nl, const struct addr *dst, struct route *ret, struct err *e)
{
	char bytes[REQUEST_MAX] __attribute__((aligned(NLMSG_ALIGNTO))) = {0};
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	struct rows rows = {.size = sizeof(struct route)};
	char text[ADDR_STR_MAX];
	struct rtmsg *m;
	int r;

	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	m->rtm_family = dst->family == ADDR_V4 ? AF_INET : AF_INET6;
	m->rtm_dst_len = (unsigned char)addr_bits(dst);
	mnl_attr_put(h, RTA_DST, addr_bits(dst) / 8, dst->bytes);
	r = talk(nl, h, route_cb, &rows, e);
	if (r < 0 || rows.error)
		r = err_prefix(e, rows.error ? rows.error : r, "no route to %s",
		               addr_str(dst, text));
	else if (!rows.n)
		r = err_set(e, -ENETUNREACH, "no route to %s", addr_str(dst, text));
	else
		memcpy(ret, rows.v, sizeof(*ret));
	free(rows.v);
	return r;
}
