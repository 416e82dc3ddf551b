/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/conntrack.h"

#include <errno.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>

#include "base/table.h"
#include "kern/nl.h"

static const char *const tcp_state_names[TCP_CONNTRACK_MAX] = {
    [TCP_CONNTRACK_SYN_SENT] = "syn_sent",       [TCP_CONNTRACK_SYN_RECV] = "syn_recv",
    [TCP_CONNTRACK_ESTABLISHED] = "established", [TCP_CONNTRACK_FIN_WAIT] = "fin_wait",
    [TCP_CONNTRACK_CLOSE_WAIT] = "close_wait",   [TCP_CONNTRACK_LAST_ACK] = "last_ack",
    [TCP_CONNTRACK_TIME_WAIT] = "time_wait",     [TCP_CONNTRACK_CLOSE] = "close",
    [TCP_CONNTRACK_SYN_SENT2] = "syn_sent2",
};

const char *ct_tcp_state_str(unsigned state)
{
	return state < ARRAY_SIZE(tcp_state_names) && tcp_state_names[state]
	           ? tcp_state_names[state]
	           : "";
}

/* Big-endian integers of an attribute; 0 when it is shorter than it should be. */
static uint64_t be(const struct nlattr *a, size_t size)
{
	const uint8_t *p = mnl_attr_get_payload(a);
	uint64_t v = 0;
	if (mnl_attr_get_payload_len(a) < size)
		return 0;
	for (size_t i = 0; i < size; i++)
		v = v << 8 | p[i];
	return v;
}

static int read_ip(const struct nlattr *a, void *arg)
{
	struct ct_tuple *t = arg;
	size_t n = mnl_attr_get_payload_len(a);
	const void *p = mnl_attr_get_payload(a);
	uint16_t type = mnl_attr_get_type(a);
	bool v4 = type == CTA_IP_V4_SRC || type == CTA_IP_V4_DST;
	struct endpoint *end = type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC ? &t->src : &t->dst;
	if (type < CTA_IP_V4_SRC || type > CTA_IP_V6_DST || n < (v4 ? 4 : 16))
		return MNL_CB_OK;
	end->addr = v4 ? addr_v4(p) : addr_v6(p);
	return MNL_CB_OK;
}

static int read_proto(const struct nlattr *a, void *arg)
{
	struct ct_tuple *t = arg;
	switch (mnl_attr_get_type(a)) {
	case CTA_PROTO_NUM:
		t->proto = (uint8_t)be(a, 1);
		break;
	case CTA_PROTO_SRC_PORT:
		t->src.port = (uint16_t)be(a, 2);
		break;
	case CTA_PROTO_DST_PORT:
		t->dst.port = (uint16_t)be(a, 2);
		break;
	case CTA_PROTO_ICMP_ID:
	case CTA_PROTO_ICMPV6_ID:
		t->icmp_id = (uint16_t)be(a, 2);
		break;
	case CTA_PROTO_ICMP_TYPE:
	case CTA_PROTO_ICMPV6_TYPE:
		t->icmp_type = (uint8_t)be(a, 1);
		break;
	case CTA_PROTO_ICMP_CODE:
	case CTA_PROTO_ICMPV6_CODE:
		t->icmp_code = (uint8_t)be(a, 1);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int read_tuple(const struct nlattr *a, void *arg)
{
	switch (mnl_attr_get_type(a)) {
	case CTA_TUPLE_IP:
		return mnl_attr_parse_nested(a, read_ip, arg);
	case CTA_TUPLE_PROTO:
		return mnl_attr_parse_nested(a, read_proto, arg);
	default:
		return MNL_CB_OK;
	}
}

static int read_orig(const struct nlattr *a, struct ct_flow *f)
{
	size_t n = mnl_attr_get_payload_len(a);
	if (n <= sizeof f->raw_orig) {
		memcpy(f->raw_orig, mnl_attr_get_payload(a), n);
		f->raw_len = (uint8_t)n;
	}
	return mnl_attr_parse_nested(a, read_tuple, &f->orig);
}

struct counters {
	uint64_t packets, bytes;
};

static int read_counter(const struct nlattr *a, void *arg)
{
	struct counters *c = arg;
	if (mnl_attr_get_type(a) == CTA_COUNTERS_PACKETS)
		c->packets = be(a, 8);
	if (mnl_attr_get_type(a) == CTA_COUNTERS_BYTES)
		c->bytes = be(a, 8);
	return MNL_CB_OK;
}

static void read_counters(const struct nlattr *a, struct ct_flow *f)
{
	struct counters c = {0};
	mnl_attr_parse_nested(a, read_counter, &c);
	f->has_counters = true;
	if (mnl_attr_get_type(a) == CTA_COUNTERS_ORIG) {
		f->packets_orig = c.packets;
		f->bytes_orig = c.bytes;
	} else {
		f->packets_reply = c.packets;
		f->bytes_reply = c.bytes;
	}
}

static int read_tcp(const struct nlattr *a, void *arg)
{
	struct ct_flow *f = arg;
	if (mnl_attr_get_type(a) == CTA_PROTOINFO_TCP_STATE)
		f->tcp_state = (uint8_t)be(a, 1);
	return MNL_CB_OK;
}

static int read_protoinfo(const struct nlattr *a, void *arg)
{
	if (mnl_attr_get_type(a) == CTA_PROTOINFO_TCP)
		return mnl_attr_parse_nested(a, read_tcp, arg);
	return MNL_CB_OK;
}

/* The plain 32- and 16-bit values; false: it is none of them. */
static bool read_plain(const struct nlattr *a, struct ct_flow *f)
{
	switch (mnl_attr_get_type(a)) {
	case CTA_ID:
		f->id = (uint32_t)be(a, 4);
		return true;
	case CTA_MARK:
		f->mark = (uint32_t)be(a, 4);
		return true;
	case CTA_STATUS:
		f->status = (uint32_t)be(a, 4);
		return true;
	case CTA_TIMEOUT:
		f->timeout_sec = (uint32_t)be(a, 4);
		return true;
	case CTA_ZONE:
		f->zone = (uint16_t)be(a, 2);
		return true;
	default:
		return false;
	}
}

static int read_timestamp(const struct nlattr *a, void *arg)
{
	struct ct_flow *f = arg;
	if (mnl_attr_get_type(a) == CTA_TIMESTAMP_START)
		f->start_nsec = be(a, 8);
	return MNL_CB_OK;
}

static int read_flow(const struct nlattr *a, void *arg)
{
	struct ct_flow *f = arg;
	if (read_plain(a, f))
		return MNL_CB_OK;
	switch (mnl_attr_get_type(a)) {
	case CTA_TUPLE_ORIG:
		return read_orig(a, f);
	case CTA_TUPLE_REPLY:
		return mnl_attr_parse_nested(a, read_tuple, &f->reply);
	case CTA_PROTOINFO:
		return mnl_attr_parse_nested(a, read_protoinfo, f);
	case CTA_TIMESTAMP:
		return mnl_attr_parse_nested(a, read_timestamp, f);
	case CTA_COUNTERS_ORIG:
	case CTA_COUNTERS_REPLY:
		read_counters(a, f);
		return MNL_CB_OK;
	default:
		return MNL_CB_OK;
	}
}

struct reading {
	ct_fn cb;
	void *arg;
	bool stopped;
};

static int on_flow(const struct nlmsghdr *h, void *arg)
{
	struct reading *r = arg;
	struct ct_flow f = {0};
	if (r->stopped)
		return MNL_CB_OK;
	if (mnl_attr_parse(h, sizeof(struct nfgenmsg), read_flow, &f) < 0) {
		errno = EBADMSG;
		return MNL_CB_ERROR;
	}
	r->stopped = !r->cb(r->arg, &f);
	return MNL_CB_OK;
}

static struct nlmsghdr *put_request(void *bytes, uint8_t type, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof *g);
	g->nfgen_family = family;
	g->version = NFNETLINK_V0;
	return h;
}

static int talk(struct nl *nl, struct nlmsghdr *h, mnl_cb_t cb, void *arg, struct err *e)
{
	struct nl own = {.fd = -1};
	int r = nl ? 0 : nl_open(&own, NETLINK_NETFILTER, e);
	if (r == 0)
		r = nl_talk(nl ? nl : &own, h, cb, arg, e);
	nl_close(&own);
	return r;
}

static int read_stats(const struct nlattr *a, void *arg)
{
	uint64_t *entries = arg;
	if (mnl_attr_get_type(a) == CTA_STATS_GLOBAL_ENTRIES)
		*entries = be(a, 4);
	return MNL_CB_OK;
}

static int on_stats(const struct nlmsghdr *h, void *arg)
{
	return mnl_attr_parse(h, sizeof(struct nfgenmsg), read_stats, arg);
}

/* How many this network namespace tracks, those included that are not in the table yet. A dump
 * goes through the whole machine's table, 262,144 slots and more, to find none. */
static bool none_tracked(struct nl *nl)
{
	char bytes[128] = {0};
	struct nlmsghdr *h = put_request(bytes, IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC);
	uint64_t entries = UINT64_MAX;
	return talk(nl, h, on_stats, &entries, NULL) == 0 && entries == 0;
}

int ct_list(struct nl *nl, ct_fn cb, void *arg, struct err *e)
{
	char bytes[128] = {0};
	struct nlmsghdr *h = put_request(bytes, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC);
	struct reading r = {.cb = cb, .arg = arg};
	struct err why = {0};
	if (none_tracked(nl))
		return 0;
	int code = talk(nl, h, on_flow, &r, &why);
	if (code == -EINVAL || code == -EOPNOTSUPP)
		return err_set(e, -EOPNOTSUPP, "this kernel does not list tracked connections");
	return code < 0 ? err_set(e, code, "listing tracked connections: %s", why.text) : 0;
}

int ct_ended_open(struct nl *nl, struct err *e)
{
	int r = nl_open(nl, NETLINK_NETFILTER, e);
	if (r == 0 && (r = nl_join(nl, NFNLGRP_CONNTRACK_DESTROY, e)) < 0)
		nl_close(nl);
	return r;
}

static int on_ended(const struct nlmsghdr *h, void *arg)
{
	bool ended = h->nlmsg_type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE) &&
	             h->nlmsg_len >= mnl_nlmsg_size(sizeof(struct nfgenmsg));
	return ended ? on_flow(h, arg) : MNL_CB_OK;
}

int ct_ended_read(struct nl *nl, ct_fn cb, void *arg, uint64_t *lost, struct err *e)
{
	struct reading r = {.cb = cb, .arg = arg};
	return nl_heard(nl, on_ended, &r, lost, e);
}

int ct_delete(struct nl *nl, const struct ct_flow *f, struct err *e)
{
	char bytes[512] = {0};
	if (f->raw_len == 0)
		return err_set(e, -EINVAL, "a tracked connection without its tuple");
	uint8_t family = f->orig.src.addr.family == ADDR_V4 ? AF_INET : AF_INET6;
	struct nlmsghdr *h = put_request(bytes, IPCTNL_MSG_CT_DELETE, 0, family);
	/* The type's flag bit says that it is nested; mnl_attr_put knows no other way. */
	mnl_attr_put(h, CTA_TUPLE_ORIG | NLA_F_NESTED, f->raw_len, f->raw_orig);
	if (f->zone)
		mnl_attr_put_u16(h, CTA_ZONE, htons(f->zone));
	if (f->id)
		mnl_attr_put_u32(h, CTA_ID, htonl(f->id));
	return talk(nl, h, NULL, NULL, e);
}
