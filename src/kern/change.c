/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/change.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"

#define DATAGRAM_MAX   (1 << 16)
#define RECEIVE_BUFFER (8 << 20)
#define OUR_PREFIX     "stanch"
#define NETLINK_TABLE  "/proc/thread-self/net/netlink"

/* By number: the headers may be older than the kernel. */
#define GEN_PROC_PID     2  /* NFTA_GEN_PROC_PID */
#define GEN_PROC_NAME    3  /* NFTA_GEN_PROC_NAME */
#define LINK_NEW_NETNSID 45 /* IFLA_NEW_NETNSID */

static const char *const change_kind_names[_CHANGE_MAX] = {
    [CHANGE_RULES] = "our_rules",     [CHANGE_OTHER] = "other_rules",
    [CHANGE_LINK_NEW] = "link_new",   [CHANGE_LINK_GONE] = "link_gone",
    [CHANGE_LINK_AWAY] = "link_away", [CHANGE_LINK] = "link",
    [CHANGE_ADDRESS] = "address",     [CHANGE_TC] = "tc",
    [CHANGE_ROUTE] = "route",         [CHANGE_RULE] = "policy_route",
    [CHANGE_LOST] = "lost",
};
STRING_TABLE_DEFINE(change_kind, enum change_kind, change_kind_names)

/* ---- culprits ---- */

static void add_culprit(struct changes *sum, const struct culprit *c)
{
	if ((!c->pid && !c->port) || c->pid == getpid() || (!c->pid && nl_was_ours(c->port)))
		return;
	for (size_t i = 0; i < sum->n_who; i++) {
		struct culprit *w = &sum->who[i];
		if (w->kind == c->kind && w->port == c->port && w->pid == c->pid)
			return;
	}
	if (sum->n_who == CHANGE_CULPRITS_MAX)
		sum->who_more++;
	else
		sum->who[sum->n_who++] = *c;
}

/* ---- nf_tables ---- */

/* Every kind of object has the name of its table in attribute 1. */
static bool is_our_table(const struct nlmsghdr *h)
{
	const struct nlattr *a;
	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) != NFTA_TABLE_NAME)
			continue;
		size_t n = mnl_attr_get_payload_len(a), k = strlen(OUR_PREFIX);
		return n > k && !memcmp(mnl_attr_get_payload(a), OUR_PREFIX, k);
	}
	return false;
}

/* The end of a transaction; it says whose. Which tables it touched came before. */
static void on_generation(struct changes *sum, const struct nlmsghdr *h)
{
	struct culprit c = {.kind = sum->open ? CHANGE_RULES : CHANGE_OTHER, .port = h->nlmsg_pid};
	const struct nlattr *a;
	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		size_t n = mnl_attr_get_payload_len(a);
		if (mnl_attr_get_type(a) == GEN_PROC_PID && n == sizeof(uint32_t))
			c.pid = (int)ntohl(mnl_attr_get_u32(a));
		if (mnl_attr_get_type(a) == GEN_PROC_NAME)
			proc_clean(mnl_attr_get_payload(a), n, c.comm, sizeof c.comm);
	}
	if (c.pid == getpid())
		sum->ours[CHANGE_RULES] += sum->open;
	sum->open = 0;
	add_culprit(sum, &c);
}

static void on_nft(struct changes *sum, const struct nlmsghdr *h)
{
	if (h->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
		return;
	bool about_us = is_our_table(h);
	if ((h->nlmsg_type & 0xff) == NFT_MSG_NEWGEN) {
		on_generation(sum, h);
		return;
	}
	sum->n[about_us ? CHANGE_RULES : CHANGE_OTHER]++;
	sum->open += about_us;
}

/* ---- rtnetlink ---- */

static void note_link(struct changes *sum, const struct nlmsghdr *h)
{
	const struct nlattr *a;
	if (sum->n_links == CHANGE_LINKS_MAX)
		return;
	mnl_attr_for_each(a, h, sizeof(struct ifinfomsg)) if (mnl_attr_get_type(a) == IFLA_IFNAME)
	    proc_clean(mnl_attr_get_payload(a), mnl_attr_get_payload_len(a),
	               sum->links[sum->n_links++], IFNAMSIZ);
}

static bool has_attr(const struct nlmsghdr *h, uint16_t type)
{
	const struct nlattr *a;
	mnl_attr_for_each(a, h,
	                  sizeof(struct ifinfomsg)) if (mnl_attr_get_type(a) == type) return true;
	return false;
}

/* A link is new when it is told with ifi_change at all ones; a bridge tells of its ports in a
 * family of its own. */
static int link_kind(const struct nlmsghdr *h)
{
	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
		return _CHANGE_INVALID;
	const struct ifinfomsg *i = mnl_nlmsg_get_payload(h);
	if (i->ifi_family != AF_UNSPEC)
		return CHANGE_LINK;
	if (h->nlmsg_type == RTM_DELLINK)
		return has_attr(h, LINK_NEW_NETNSID) ? CHANGE_LINK_AWAY : CHANGE_LINK_GONE;
	return i->ifi_change == ~0u ? CHANGE_LINK_NEW : CHANGE_LINK;
}

static int route_kind(const struct nlmsghdr *h)
{
	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return link_kind(h);
	case RTM_NEWADDR:
	case RTM_DELADDR:
		return CHANGE_ADDRESS;
	case RTM_NEWQDISC:
	case RTM_DELQDISC:
	case RTM_NEWTFILTER:
	case RTM_DELTFILTER:
	case RTM_NEWTCLASS:
	case RTM_DELTCLASS:
	case RTM_NEWCHAIN:
	case RTM_DELCHAIN:
		return CHANGE_TC;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		return CHANGE_ROUTE;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		return CHANGE_RULE;
	default:
		return _CHANGE_INVALID;
	}
}

static void on_route(struct changes *sum, const struct nlmsghdr *h)
{
	int kind = route_kind(h);
	if (kind < 0)
		return;
	sum->n[kind]++;
	sum->ours[kind] += !h->nlmsg_pid || nl_was_ours(h->nlmsg_pid);
	if (kind == CHANGE_LINK_AWAY)
		note_link(sum, h);
	struct culprit c = {.kind = (enum change_kind)kind, .port = h->nlmsg_pid};
	add_culprit(sum, &c);
}

void change_add(struct changes *sum, int bus, const struct nlmsghdr *h)
{
	if (bus == NETLINK_NETFILTER)
		on_nft(sum, h);
	else
		on_route(sum, h);
}

void change_merge(struct changes *sum, const struct changes *more)
{
	for (size_t i = 0; i < _CHANGE_MAX; i++) {
		sum->n[i] += more->n[i];
		sum->ours[i] += more->ours[i];
	}
	for (size_t i = 0; i < more->n_who; i++)
		add_culprit(sum, &more->who[i]);
	sum->who_more += more->who_more;
	sum->open = more->open;
	for (size_t i = 0; i < more->n_links && sum->n_links < CHANGE_LINKS_MAX; i++)
		memcpy(sum->links[sum->n_links++], more->links[i], IFNAMSIZ);
}

/* ---- the sockets ---- */

static int listen_on(int bus, const int *groups, size_t n, struct err *e)
{
	struct nl nl;
	int size = RECEIVE_BUFFER, r = nl_open(&nl, bus, e);
	if (r < 0)
		return r;
	(void)sys->setsockopt(nl.fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	for (size_t i = 0; i < n; i++)
		if (sys->setsockopt(nl.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
		                    sizeof groups[i]) < 0) {
			r = err_set(e, -errno, "listening to netlink (bus %d, group %d): %s", bus,
			            groups[i], strerror(errno));
			nl_close(&nl);
			return r;
		}
	return nl.fd;
}

int change_open(struct change_feed *ret, struct err *e)
{
	static const int nft[] = {NFNLGRP_NFTABLES};
	static const int route[] = {RTNLGRP_LINK,      RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
	                            RTNLGRP_TC,        RTNLGRP_IPV4_ROUTE,  RTNLGRP_IPV6_ROUTE,
	                            RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE};
	struct change_feed f = {-1, -1};
	f.netfilter = listen_on(NETLINK_NETFILTER, nft, ARRAY_SIZE(nft), e);
	if (f.netfilter < 0)
		return f.netfilter;
	f.route = listen_on(NETLINK_ROUTE, route, ARRAY_SIZE(route), e);
	if (f.route < 0) {
		sys->close(f.netfilter);
		return f.route;
	}
	*ret = f;
	return 0;
}

void change_close(struct change_feed *f)
{
	int *const fds[] = {&f->netfilter, &f->route};
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			sys->close(*fds[i]);
		*fds[i] = -1;
	}
}

/* 1: a datagram was taken in; 0: none waits. Only the kernel is listened to. */
static int read_one(int fd, int bus, struct changes *sum, struct err *e)
{
	static _Thread_local char bytes[DATAGRAM_MAX] __attribute__((aligned(16)));
	struct sockaddr_nl from = {0};
	struct iovec iov = {bytes, sizeof bytes};
	struct msghdr m = {
	    .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n = sys->recvmsg(fd, &m, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0 && errno != ENOBUFS)
		return err_set(e, -errno, "listening to the kernel: %s", strerror(errno));
	if (n < 0 || m.msg_flags & MSG_TRUNC)
		sum->n[CHANGE_LOST]++;
	if (n < 0 || from.nl_pid)
		return 1;
	const struct nlmsghdr *h = (const struct nlmsghdr *)bytes;
	for (int left = (int)n; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left))
		change_add(sum, bus, h);
	return 1;
}

int change_read(struct change_feed *f, struct changes *sum, struct err *e)
{
	const struct {
		int fd, bus;
	} v[] = {{f->netfilter, NETLINK_NETFILTER}, {f->route, NETLINK_ROUTE}};
	int more = 0;
	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		int r = 1;
		for (int k = 0; k < CHANGE_BURST && r == 1; k++)
			r = read_one(v[i].fd, v[i].bus, sum, e);
		if (r < 0)
			return r;
		more |= r;
	}
	return more;
}

/* ---- whose port ---- */

/* A row: sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode. */
static uint64_t port_inode(int bus, uint32_t port)
{
	char line[256];
	uint64_t found = 0;
	FILE *f = fopen(NETLINK_TABLE, "re");
	while (f && !found && fgets(line, sizeof line, f)) {
		int eth;
		unsigned pid;
		unsigned long long inode;
		if (sscanf(line, "%*s %d %u %*s %*s %*s %*s %*s %*s %llu", &eth, &pid, &inode) ==
		        3 &&
		    eth == bus && pid == port)
			found = inode;
	}
	if (f)
		fclose(f);
	return found;
}

struct search {
	uint64_t inode;
	bool found;
};

static bool is_it(void *arg, int fd, uint64_t inode)
{
	struct search *s = arg;
	s->found |= inode == s->inode;
	return !s->found;
}

static bool holds_socket(int pid, uint64_t inode)
{
	struct search s = {inode, false};
	return proc_sockets(pid, is_it, &s) == 0 && s.found;
}

int change_port_owner(int bus, uint32_t port)
{
	uint64_t inode = port ? port_inode(bus, port) : 0;
	if (!inode)
		return 0;
	if (port <= INT32_MAX && holds_socket((int)port, inode))
		return (int)port;
	struct inode_map *m = NULL;
	struct inode_map_stats stats;
	int pid = 0;
	if (inode_map_new(&m) == 0 && inode_map_scan(m, &stats, NULL) == 0)
		pid = inode_map_find(m, inode, NULL);
	inode_map_free(m);
	return pid;
}
