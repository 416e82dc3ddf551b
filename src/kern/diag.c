/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/diag.h"

#include <linux/packet_diag.h>
#include <linux/unix_diag.h>
#include <linux/xdp_diag.h>
#include <linux/tcp.h>
#include <string.h>

#include "base/table.h"
#include "kern/nl.h"

static const char *const state_names[_DIAG_STATE_MAX] = {
    [DIAG_ESTABLISHED] = "established",
    [DIAG_SYN_SENT] = "syn_sent",
    [DIAG_SYN_RECV] = "syn_recv",
    [DIAG_FIN_WAIT1] = "fin_wait1",
    [DIAG_FIN_WAIT2] = "fin_wait2",
    [DIAG_TIME_WAIT] = "time_wait",
    [DIAG_CLOSE] = "close",
    [DIAG_CLOSE_WAIT] = "close_wait",
    [DIAG_LAST_ACK] = "last_ack",
    [DIAG_LISTEN] = "listen",
    [DIAG_CLOSING] = "closing",
    [DIAG_NEW_SYN_RECV] = "new_syn_recv",
};
STRING_TABLE_DEFINE(diag_state, unsigned, state_names)

/* One dump under way. */
struct reading {
	diag_sock_fn sock;
	diag_packet_fn packet;
	diag_unix_fn joined;
	diag_xdp_fn xdp;
	void *arg;
	int proto;
	bool stopped;
};

/* A socket of our own when the caller has none. */
struct link_up {
	struct nl own, *nl;
};

static int link_up_open(struct link_up *l, struct nl *nl, struct err *e)
{
	l->own.fd = -1;
	l->nl = nl;
	if (nl)
		return 0;
	l->nl = &l->own;
	return nl_open(&l->own, NETLINK_SOCK_DIAG, e);
}

static void link_up_close(struct link_up *l)
{
	nl_close(&l->own);
}

static struct addr address(int family, const __be32 *words)
{
	return family == AF_INET ? addr_v4(words) : addr_v6(words);
}

/* The kernel gives as much of tcp_info as it knows; what is not there stays 0. */
static void read_tcp_info(const struct nlattr *a, struct diag_sock *s)
{
	struct tcp_info t = {0};
	size_t n = mnl_attr_get_payload_len(a);
	memcpy(&t, mnl_attr_get_payload(a), n < sizeof t ? n : sizeof t);
	s->has_tcp = true;
	s->tcp = (struct diag_tcp){
	    .rtt_usec = t.tcpi_rtt,
	    .rttvar_usec = t.tcpi_rttvar,
	    .pmtu = t.tcpi_pmtu,
	    .snd_cwnd = t.tcpi_snd_cwnd,
	    .total_retrans = t.tcpi_total_retrans,
	    .last_data_sent_msec = t.tcpi_last_data_sent,
	    .last_data_recv_msec = t.tcpi_last_data_recv,
	    .last_ack_recv_msec = t.tcpi_last_ack_recv,
	    .segs_out = t.tcpi_segs_out,
	    .segs_in = t.tcpi_segs_in,
	    .data_segs_out = t.tcpi_data_segs_out,
	    .data_segs_in = t.tcpi_data_segs_in,
	    .bytes_acked = t.tcpi_bytes_acked,
	    .bytes_received = t.tcpi_bytes_received,
	    .bytes_sent = t.tcpi_bytes_sent,
	    .bytes_retrans = t.tcpi_bytes_retrans,
	};
}

static int read_sock_attr(const struct nlattr *a, void *arg)
{
	struct diag_sock *s = arg;
	switch (mnl_attr_get_type(a)) {
	case INET_DIAG_INFO:
		if (s->proto == IPPROTO_TCP)
			read_tcp_info(a, s);
		break;
	case INET_DIAG_CGROUP_ID:
		if (mnl_attr_get_payload_len(a) >= sizeof(uint64_t))
			s->cgroup = mnl_attr_get_u64(a);
		break;
	case INET_DIAG_SKV6ONLY:
		s->v6only = mnl_attr_get_payload_len(a) && mnl_attr_get_u8(a);
		break;
	case INET_DIAG_PROTOCOL:
		if (s->proto == IPPROTO_RAW && mnl_attr_get_payload_len(a))
			s->raw_proto = mnl_attr_get_u8(a);
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int on_sock(const struct nlmsghdr *h, void *arg)
{
	struct reading *r = arg;
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(h);
	if (r->stopped)
		return MNL_CB_OK;
	if (h->nlmsg_len < mnl_nlmsg_size(sizeof *m)) {
		errno = EBADMSG;
		return MNL_CB_ERROR;
	}
	struct diag_sock s = {
	    .family = m->idiag_family,
	    .proto = (uint8_t)r->proto,
	    .state = m->idiag_state,
	    .local = {address(m->idiag_family, m->id.idiag_src), ntohs(m->id.idiag_sport)},
	    .peer = {address(m->idiag_family, m->id.idiag_dst), ntohs(m->id.idiag_dport)},
	    .ifindex = (int)m->id.idiag_if,
	    .inode = m->idiag_inode,
	    .uid = m->idiag_uid,
	    .rqueue = m->idiag_rqueue,
	    .wqueue = m->idiag_wqueue,
	    .id = m->id,
	};
	mnl_attr_parse(h, sizeof *m, read_sock_attr, &s);
	r->stopped = !r->sock(r->arg, &s);
	return MNL_CB_OK;
}

/* The kernel says ENOENT for a protocol that it has no listing for. */
static int refused(int code, const char *what, struct err *e)
{
	if (code == -ENOENT || code == -EINVAL || code == -EOPNOTSUPP)
		return err_set(e, -EOPNOTSUPP, "this kernel does not list %s sockets", what);
	return err_prefix(e, code, "listing %s sockets", what);
}

static const char *proto_name(int proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return "TCP";
	case IPPROTO_UDP:
		return "UDP";
	case IPPROTO_UDPLITE:
		return "UDP-Lite";
	default:
		return "raw";
	}
}

static int dump(struct nl *nl, struct nlmsghdr *h, struct reading *r, struct err *e)
{
	struct err why = {0};
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	int code = nl_talk(nl, h, on_sock, r, &why);
	if (code == 0)
		return 0;
	err_set(e, code, "%s", why.text);
	return refused(code, proto_name(r->proto), e);
}

static int dump_family(struct nl *nl, int family, uint32_t states, struct reading *r, struct err *e)
{
	char bytes[128] = {0};
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	struct inet_diag_req_v2 *q = mnl_nlmsg_put_extra_header(h, sizeof *q);
	q->sdiag_family = (uint8_t)family;
	q->sdiag_protocol = (uint8_t)r->proto;
	q->idiag_ext = 1 << (INET_DIAG_INFO - 1);
	q->idiag_states = states;
	return dump(nl, h, r, e);
}

/* The older question is about TCP of every family: the kernel goes through its table, which has a
 * slot for every 128 KiB of the machine's memory, once and not twice. */
static int dump_tcp(struct nl *nl, uint32_t states, struct reading *r, struct err *e)
{
	char bytes[128] = {0};
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	h->nlmsg_type = TCPDIAG_GETSOCK;
	struct inet_diag_req *q = mnl_nlmsg_put_extra_header(h, sizeof *q);
	q->idiag_ext = 1 << (INET_DIAG_INFO - 1);
	q->idiag_states = states;
	return dump(nl, h, r, e);
}

int diag_inet(struct nl *nl, int family, int proto, uint32_t states, diag_sock_fn cb, void *arg,
              struct err *e)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct reading r = {.sock = cb, .arg = arg, .proto = proto};
	struct link_up l;
	int code = link_up_open(&l, nl, e);
	bool all_at_once = family == AF_UNSPEC && proto == IPPROTO_TCP;
	if (code == 0 && all_at_once)
		code = dump_tcp(l.nl, states, &r, e);
	for (size_t i = 0; code == 0 && !all_at_once && i < ARRAY_SIZE(families) && !r.stopped; i++)
		if (family == AF_UNSPEC || family == families[i])
			code = dump_family(l.nl, families[i], states, &r, e);
	link_up_close(&l);
	return code;
}

int diag_ended_open(struct nl *nl, struct err *e)
{
	int r = nl_open(nl, NETLINK_SOCK_DIAG, e);
	if (r == 0 && ((r = nl_join(nl, SKNLGRP_INET_TCP_DESTROY, e)) < 0 ||
	               (r = nl_join(nl, SKNLGRP_INET6_TCP_DESTROY, e)) < 0))
		nl_close(nl);
	return r;
}

int diag_ended_read(struct nl *nl, diag_sock_fn cb, void *arg, uint64_t *lost, struct err *e)
{
	struct reading r = {.sock = cb, .arg = arg, .proto = IPPROTO_TCP};
	return nl_heard(nl, on_sock, &r, lost, e);
}

int diag_destroy(struct nl *nl, const struct diag_sock *s, struct err *e)
{
	char bytes[128] = {0};
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	h->nlmsg_type = SOCK_DESTROY;
	h->nlmsg_flags = NLM_F_REQUEST;
	struct inet_diag_req_v2 *q = mnl_nlmsg_put_extra_header(h, sizeof *q);
	q->sdiag_family = s->family;
	q->sdiag_protocol = s->proto;
	q->pad = s->raw_proto; /* struct inet_diag_req_raw */
	q->idiag_states = DIAG_STATE_BIT(s->state);
	q->id = s->id;
	struct link_up l;
	int code = link_up_open(&l, nl, e);
	if (code == 0)
		code = nl_talk(l.nl, h, NULL, NULL, e);
	link_up_close(&l);
	if (code == -EOPNOTSUPP)
		return err_set(e, code, "this kernel cannot destroy %s sockets",
		               proto_name(s->proto));
	return code;
}

static int read_packet_attr(const struct nlattr *a, void *arg)
{
	struct diag_packet *p = arg;
	size_t n = mnl_attr_get_payload_len(a);
	const struct packet_diag_info *info = mnl_attr_get_payload(a);
	switch (mnl_attr_get_type(a)) {
	case PACKET_DIAG_INFO:
		if (n < sizeof *info)
			break;
		p->ifindex = (int)info->pdi_index;
		p->running = info->pdi_flags & PDI_RUNNING;
		break;
	case PACKET_DIAG_UID:
		if (n >= sizeof(uint32_t))
			p->uid = mnl_attr_get_u32(a);
		break;
	case PACKET_DIAG_RX_RING:
		p->rx_ring = true;
		break;
	case PACKET_DIAG_TX_RING:
		p->tx_ring = true;
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int on_packet(const struct nlmsghdr *h, void *arg)
{
	struct reading *r = arg;
	const struct packet_diag_msg *m = mnl_nlmsg_get_payload(h);
	if (r->stopped)
		return MNL_CB_OK;
	if (h->nlmsg_len < mnl_nlmsg_size(sizeof *m)) {
		errno = EBADMSG;
		return MNL_CB_ERROR;
	}
	struct diag_packet p = {
	    .type = m->pdiag_type, .protocol = m->pdiag_num, .inode = m->pdiag_ino};
	mnl_attr_parse(h, sizeof *m, read_packet_attr, &p);
	r->stopped = !r->packet(r->arg, &p);
	return MNL_CB_OK;
}

static int on_xdp(const struct nlmsghdr *h, void *arg)
{
	struct reading *r = arg;
	const struct xdp_diag_msg *m = mnl_nlmsg_get_payload(h);

	if (h->nlmsg_len < mnl_nlmsg_size(sizeof *m)) {
		errno = EBADMSG;
		return MNL_CB_ERROR;
	}
	if (!r->stopped)
		r->stopped = !r->xdp(r->arg, m->xdiag_ino);
	return MNL_CB_OK;
}

int diag_xdp(struct nl *nl, diag_xdp_fn cb, void *arg, struct err *e)
{
	char bytes[128] = {0};
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	struct xdp_diag_req *q = mnl_nlmsg_put_extra_header(h, sizeof *q);
	q->sdiag_family = AF_XDP;
	struct reading r = {.xdp = cb, .arg = arg};
	struct link_up l;
	struct err why = {0};
	int code = link_up_open(&l, nl, &why);
	if (code == 0)
		code = nl_talk(l.nl, h, on_xdp, &r, &why);
	link_up_close(&l);
	if (code == 0)
		return 0;
	err_set(e, code, "%s", why.text);
	return refused(code, "AF_XDP", e);
}

static int read_unix_attr(const struct nlattr *a, void *arg)
{
	uint64_t *peer = arg;

	if (mnl_attr_get_type(a) == UNIX_DIAG_PEER &&
	    mnl_attr_get_payload_len(a) >= sizeof(uint32_t))
		*peer = mnl_attr_get_u32(a);
	return MNL_CB_OK;
}

static int on_unix(const struct nlmsghdr *h, void *arg)
{
	struct reading *r = arg;
	const struct unix_diag_msg *m = mnl_nlmsg_get_payload(h);
	uint64_t peer = 0;

	if (h->nlmsg_len < mnl_nlmsg_size(sizeof *m)) {
		errno = EBADMSG;
		return MNL_CB_ERROR;
	}
	mnl_attr_parse(h, sizeof *m, read_unix_attr, &peer);
	if (!r->stopped && peer)
		r->stopped = !r->joined(r->arg, m->udiag_ino, peer);
	return MNL_CB_OK;
}

int diag_unix(struct nl *nl, diag_unix_fn cb, void *arg, struct err *e)
{
	char bytes[128] = {0};
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	struct unix_diag_req *q = mnl_nlmsg_put_extra_header(h, sizeof *q);
	q->sdiag_family = AF_UNIX;
	q->udiag_states = UINT32_MAX;
	q->udiag_show = UDIAG_SHOW_PEER;
	struct reading r = {.joined = cb, .arg = arg};
	struct link_up l;
	struct err why = {0};
	int code = link_up_open(&l, nl, &why);
	if (code == 0)
		code = nl_talk(l.nl, h, on_unix, &r, &why);
	link_up_close(&l);
	if (code == 0)
		return 0;
	err_set(e, code, "%s", why.text);
	return refused(code, "unix", e);
}

int diag_packet(struct nl *nl, diag_packet_fn cb, void *arg, struct err *e)
{
	char bytes[128] = {0};
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	h->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	struct packet_diag_req *q = mnl_nlmsg_put_extra_header(h, sizeof *q);
	q->sdiag_family = AF_PACKET;
	q->pdiag_show = PACKET_SHOW_INFO | PACKET_SHOW_RING_CFG;
	struct reading r = {.packet = cb, .arg = arg};
	struct link_up l;
	struct err why = {0};
	int code = link_up_open(&l, nl, &why);
	if (code == 0)
		code = nl_talk(l.nl, h, on_packet, &r, &why);
	link_up_close(&l);
	if (code == 0)
		return 0;
	err_set(e, code, "%s", why.text);
	return refused(code, "packet", e);
}
