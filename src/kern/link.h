/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What rtnetlink tells about this network namespace: links with their 64-bit counters, addresses,
 * routes, neighbours. Snapshots; each call is one dump.
 *
 * Every *_list returns a malloc'd array in *ret (free() it; NULL when empty) and its length in
 * *ret_n. nl is a socket opened on NETLINK_ROUTE that is reused, or NULL to open one for the call.
 * Bounded: more than LINK_ROWS_MAX rows are -E2BIG, never a silently shorter list.
 */
#ifndef STANCH_KERN_LINK_H
#define STANCH_KERN_LINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

struct nl;

#define LINK_ROWS_MAX (1u << 20)
#define LINK_MAC_MAX  32

struct link_counters { /* IFLA_STATS64 */
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes;
	uint64_t rx_errors, tx_errors, rx_dropped, tx_dropped;
};

struct link {
	int ifindex;
	char name[IFNAMSIZ]; /* as the kernel has it: any byte but '/' and blank; clean before show
	                      */
	char kind[16];       /* IFLA_INFO_KIND: "bridge", "veth", "macvlan", …; "" for hardware */
	uint16_t type;       /* ARPHRD_* */
	uint32_t flags;      /* IFF_* */
	int master;          /* ifindex of the bridge or bond it belongs to; 0: none */
	int lower;      /* IFLA_LINK: the device it sits on (vlan, macvlan) or a veth's peer; 0 */
	int lower_nsid; /* the lower device is in another namespace: its id; -1: it is in ours */
	uint32_t mtu;
	uint8_t operstate; /* IF_OPER_* */
	uint8_t mac[LINK_MAC_MAX];
	uint8_t mac_len;
	struct link_counters counters;
};

#define LIFETIME_FOREVER UINT32_MAX

struct link_addr {
	int ifindex;
	struct addr addr; /* our own address (IFA_LOCAL where there is one) */
	struct addr peer; /* point-to-point: the other end; else the same as addr */
	uint8_t prefix_len;
	uint8_t scope;             /* RT_SCOPE_* */
	uint32_t flags;            /* IFA_F_*: PERMANENT, DYNAMIC is its absence, DEPRECATED, … */
	uint32_t valid, preferred; /* seconds left; LIFETIME_FOREVER */
	char label[IFNAMSIZ];      /* v4 only; "" */
};

/* One next hop; a multipath route gives one row a hop. */
struct route {
	struct prefix dst;   /* len 0: default */
	struct addr gateway; /* ADDR_NONE: on-link. May be v6 for a v4 route (RTA_VIA) */
	struct addr prefsrc; /* ADDR_NONE: none */
	int ifindex;         /* 0: none (blackhole, unreachable) */
	uint32_t table;      /* RT_TABLE_MAIN, RT_TABLE_LOCAL, … */
	uint32_t metric;
	uint8_t protocol; /* RTPROT_KERNEL, _BOOT, _STATIC, _RA, _DHCP, … */
	uint8_t scope;    /* RT_SCOPE_* */
	uint8_t type;     /* RTN_UNICAST, RTN_LOCAL, RTN_BLACKHOLE, … */
	uint32_t flags;   /* RTNH_F_* of the hop */
};

struct neigh {
	int ifindex;
	struct addr addr;
	uint8_t mac[LINK_MAC_MAX];
	uint8_t mac_len;
	uint16_t state; /* NUD_* */
	uint8_t flags;  /* NTF_* */
};

/* A rule of policy routing: which table is asked. */
struct route_rule {
	enum addr_family family;
	uint32_t priority, table;
	uint8_t action;   /* FR_ACT_* */
	uint8_t protocol; /* RTPROT_*: who made it, by its own word */
};

int link_list(struct nl *nl, struct link **ret, size_t *ret_n, struct err *e);
int link_addr_list(struct nl *nl, struct link_addr **ret, size_t *ret_n, struct err *e);
int route_list(struct nl *nl, struct route **ret, size_t *ret_n, struct err *e);
int neigh_list(struct nl *nl, struct neigh **ret, size_t *ret_n, struct err *e);
int route_rule_list(struct nl *nl, struct route_rule **ret, size_t *ret_n, struct err *e);

/* One of those that every host has: local, main, default at 0, 32766 and 32767. */
bool route_rule_is_usual(const struct route_rule *r);
/* What RTPROT_* number n calls itself: "static", "dhcp", …; "protocol 200" else. Returns dst. */
const char *route_protocol_str(uint8_t n, char dst[static 16]);

/* A default route that is used (unicast, length 0, not of the local table). */
bool route_is_default(const struct route *r);
/* By name among n rows; NULL. */
const struct link *link_find(const struct link *l, size_t n, const char *name);
/* The route that the kernel would take to dst (RTM_GETROUTE), its source address included.
 * -ENETUNREACH, -EHOSTUNREACH: none. */
int route_get(struct nl *nl, const struct addr *dst, struct route *ret, struct err *e);

#endif
