/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sessions that a cut leaves standing: read as evidence, ended, counted.
 *
 * A socket is in scope when its peer is one of the blocked prefixes, or when no permit of the
 * isolation fits it. Loopback is never in scope: it does not leave the host. Everything speaks of
 * the network namespace that stanch runs in; sockets of containers starve on the drop instead.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "enforce/host/host.h"
#include "kern/conntrack.h"
#include "kern/diag.h"
#include "kern/proc.h"

#define EVIDENCE_ROWS_MAX 65536
/* A destroyed socket can be replaced by its program at once; what comes back is asked again. */
#define DESTROY_ROUNDS 3

static bool in_prefixes(const struct session_scope *s, const struct addr *a)
{
	for (size_t i = 0; i < s->n_prefixes; i++)
		if (prefix_has(&s->prefixes[i], a))
			return true;
	return false;
}

static bool permitted(const struct session_scope *s, const struct addr *peer, uint8_t proto,
                      uint16_t local_port, uint16_t peer_port)
{
	for (size_t i = 0; i < s->n_permits; i++)
		if (!s->permits[i].breakglass &&
		    permit_matches_flow(&s->permits[i], peer, proto, local_port, peer_port))
			return true;
	return false;
}

static bool socket_in_scope(const struct session_scope *s, const struct diag_sock *k)
{
	static const struct addr any4 = {.family = ADDR_V4}, any6 = {.family = ADDR_V6};
	if (addr_equal(&k->peer.addr, &any4) || addr_equal(&k->peer.addr, &any6) ||
	    addr_is_loopback(&k->peer.addr) || addr_equal(&k->peer.addr, &k->local.addr))
		return false;
	if (!s->permits)
		return in_prefixes(s, &k->peer.addr);
	return !permitted(s, &k->peer.addr, k->proto, k->local.port, k->peer.port);
}

/* Either end may be ours; with NAT the reply names addresses that the original does not. */
static bool flow_in_scope(const struct session_scope *s, const struct ct_flow *f)
{
	const struct ct_tuple *o = &f->orig, *r = &f->reply;
	if (addr_is_loopback(&o->src.addr) || addr_is_loopback(&o->dst.addr))
		return false;
	if (!s->permits)
		return in_prefixes(s, &o->src.addr) || in_prefixes(s, &o->dst.addr) ||
		       in_prefixes(s, &r->src.addr) || in_prefixes(s, &r->dst.addr);
	return !permitted(s, &o->dst.addr, o->proto, o->src.port, o->dst.port) &&
	       !permitted(s, &o->src.addr, o->proto, o->dst.port, o->src.port);
}

/* ---- sockets ---- */

/* What may still carry data; the closing states wait for nobody's application. */
#define LIVE_STATES                                                                                \
	(DIAG_STATE_BIT(DIAG_ESTABLISHED) | DIAG_STATE_BIT(DIAG_SYN_SENT) |                        \
	 DIAG_STATE_BIT(DIAG_SYN_RECV) | DIAG_STATE_BIT(DIAG_FIN_WAIT1) |                          \
	 DIAG_STATE_BIT(DIAG_FIN_WAIT2) | DIAG_STATE_BIT(DIAG_CLOSE_WAIT) |                        \
	 DIAG_STATE_BIT(DIAG_LAST_ACK) | DIAG_STATE_BIT(DIAG_CLOSING) |                            \
	 DIAG_STATE_BIT(DIAG_NEW_SYN_RECV))

struct list {
	const struct session_scope *scope;
	struct diag_sock *v;
	size_t n;
	bool failed;
};

static bool take_socket(void *arg, const struct diag_sock *k)
{
	struct list *l = arg;
	if (!socket_in_scope(l->scope, k))
		return true;
	if ((l->n & (l->n - 1)) == 0) {
		struct diag_sock *v = realloc(l->v, (l->n ? l->n * 2 : 1) * sizeof *v);
		if (!v) {
			l->failed = true;
			return false;
		}
		l->v = v;
	}
	l->v[l->n++] = *k;
	return true;
}

/* The sockets in scope now; l->v is malloc'd also on failure. */
static int list_sockets(const struct session_scope *s, struct list *l, struct err *e)
{
	*l = (struct list){.scope = s};
	int r = diag_inet(NULL, AF_UNSPEC, IPPROTO_TCP, LIVE_STATES, take_socket, l, e);
	if (r == 0)
		r = diag_inet(NULL, AF_UNSPEC, IPPROTO_UDP, DIAG_STATE_BIT(DIAG_ESTABLISHED),
		              take_socket, l, e);
	if (r == 0 && l->failed)
		r = err_set(e, -ENOMEM, "out of memory after %zu sockets", l->n);
	return r;
}

static void destroy_listed(const struct list *l, struct session_counts *c, struct err *why)
{
	for (size_t i = 0; i < l->n; i++) {
		int r = diag_destroy(NULL, &l->v[i], why);
		if (r == 0)
			c->sockets_destroyed++;
		else if (r != -ENOENT)
			c->sockets_failed++;
	}
}

int sessions_destroy_sockets(const struct session_scope *s, struct session_counts *ret,
                             struct err *e)
{
	struct session_counts c = {0};
	struct err why = {0};
	int r = 0;
	for (unsigned round = 0; round < DESTROY_ROUNDS; round++) {
		struct list l;
		c.sockets_failed = 0;
		r = list_sockets(s, &l, e);
		if (r == 0)
			destroy_listed(&l, &c, &why);
		c.sockets_seen += (unsigned)l.n;
		bool done = r < 0 || l.n == 0;
		free(l.v);
		if (done)
			break;
	}
	if (r < 0)
		return r;
	ret->sockets_seen = c.sockets_seen;
	ret->sockets_destroyed = c.sockets_destroyed;
	ret->sockets_failed = c.sockets_failed;
	if (c.sockets_failed && !c.sockets_destroyed)
		return err_set(e, why.code, "no socket could be closed: %s", why.text);
	return 0;
}

/* ---- tracked connections ---- */

struct deletion {
	const struct session_scope *scope;
	struct session_counts *counts;
	bool remove;
};

static bool take_flow(void *arg, const struct ct_flow *f)
{
	struct deletion *d = arg;
	if (!flow_in_scope(d->scope, f))
		return true;
	d->counts->flows_seen++;
	if (!d->remove)
		return true;
	int r = ct_delete(NULL, f, NULL);
	if (r == 0)
		d->counts->flows_deleted++;
	else if (r != -ENOENT)
		d->counts->flows_failed++;
	return true;
}

/* A kernel without connection tracking has nothing to forget. */
static int each_flow(struct deletion *d, struct err *e)
{
	int r = ct_list(NULL, take_flow, d, e);
	return r == -EOPNOTSUPP || r == -EPROTONOSUPPORT ? 0 : r;
}

int sessions_delete_flows(const struct session_scope *s, struct session_counts *ret, struct err *e)
{
	struct session_counts c = {0};
	struct deletion d = {.scope = s, .counts = &c, .remove = true};
	int r = each_flow(&d, e);
	if (r < 0)
		return r;
	ret->flows_seen = c.flows_seen;
	ret->flows_deleted = c.flows_deleted;
	ret->flows_failed = c.flows_failed;
	return 0;
}

/* ---- counting ---- */

static bool count_packet_socket(void *arg, const struct diag_packet *p)
{
	struct session_counts *c = arg;
	if (p->protocol)
		c->packet_sockets++;
	return true;
}

int sessions_count(const struct session_scope *s, struct session_counts *ret, struct err *e)
{
	struct session_counts c = {0};
	struct list l;
	int r = list_sockets(s, &l, e);
	for (size_t i = 0; i < l.n; i++)
		c.sockets_seen += l.v[i].state == DIAG_ESTABLISHED;
	free(l.v);
	struct deletion d = {.scope = s, .counts = &c};
	if (r == 0)
		r = each_flow(&d, e);
	if (r == 0) {
		r = diag_packet(NULL, count_packet_socket, &c, e);
		r = r == -EOPNOTSUPP ? 0 : r;
	}
	if (r == 0)
		*ret = c;
	return r;
}

/* ---- evidence ---- */

struct evidence {
	const struct session_scope *scope;
	struct inode_map *owners;
	json_t *sockets, *flows, *packet_sockets;
	size_t unlisted; /* over the bound, or out of memory */
};

static void put(struct evidence *v, json_t *array, json_t *row)
{
	if (!row || json_array_size(array) >= EVIDENCE_ROWS_MAX) {
		json_decref(row);
		v->unlisted++;
	} else if (json_array_append_new(array, row) < 0) {
		v->unlisted++;
	}
}

/* {pid, comm, exe, unit} of who holds the inode; null: nobody seen. */
static json_t *owner_json(const struct evidence *v, uint64_t inode)
{
	struct proc_id p;
	int pid = inode ? inode_map_find(v->owners, inode, NULL) : 0;
	if (!pid || proc_read(pid, &p) < 0)
		return json_null();
	return json_pack("{s:i, s:s, s:s, s:s}", "pid", p.pid, "comm", p.comm, "exe", p.exe, "unit",
	                 p.unit);
}

static json_t *tcp_json(const struct diag_sock *k)
{
	const struct diag_tcp *t = &k->tcp;
	if (!k->has_tcp)
		return json_null();
	return json_pack(
	    "{s:I, s:I, s:i, s:i, s:i, s:i, s:i}", "bytes_acked", (json_int_t)t->bytes_acked,
	    "bytes_received", (json_int_t)t->bytes_received, "segs_out", (int)t->segs_out,
	    "segs_in", (int)t->segs_in, "rtt_usec", (int)t->rtt_usec, "last_data_sent_msec",
	    (int)t->last_data_sent_msec, "last_data_recv_msec", (int)t->last_data_recv_msec);
}

static bool note_socket(void *arg, const struct diag_sock *k)
{
	struct evidence *v = arg;
	char local[ENDPOINT_STR_MAX], peer[ENDPOINT_STR_MAX];
	if (!socket_in_scope(v->scope, k))
		return true;
	put(v, v->sockets,
	    json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:o, s:o}", "proto",
	              k->proto == IPPROTO_TCP ? "tcp" : "udp", "state", diag_state_str(k->state),
	              "local", endpoint_str(&k->local, local), "peer", endpoint_str(&k->peer, peer),
	              "uid", (json_int_t)k->uid, "inode", (json_int_t)k->inode, "owner",
	              owner_json(v, k->inode), "tcp", tcp_json(k)));
	return true;
}

static json_t *tuple_json(const struct ct_tuple *t)
{
	char src[ENDPOINT_STR_MAX], dst[ENDPOINT_STR_MAX];
	return json_pack("{s:s, s:s, s:i}", "src", endpoint_str(&t->src, src), "dst",
	                 endpoint_str(&t->dst, dst), "proto", (int)t->proto);
}

static bool note_flow(void *arg, const struct ct_flow *f)
{
	struct evidence *v = arg;
	if (!flow_in_scope(v->scope, f))
		return true;
	put(v, v->flows,
	    json_pack("{s:o, s:o, s:s, s:I, s:I, s:b, s:I, s:I}", "orig", tuple_json(&f->orig),
	              "reply", tuple_json(&f->reply), "tcp_state", ct_tcp_state_str(f->tcp_state),
	              "mark", (json_int_t)f->mark, "status", (json_int_t)f->status, "counted",
	              (int)f->has_counters, "bytes_orig", (json_int_t)f->bytes_orig, "bytes_reply",
	              (json_int_t)f->bytes_reply));
	return true;
}

static bool note_packet_socket(void *arg, const struct diag_packet *p)
{
	struct evidence *v = arg;
	put(v, v->packet_sockets,
	    json_pack("{s:i, s:i, s:I, s:I, s:o}", "protocol", (int)p->protocol, "ifindex",
	              p->ifindex, "uid", (json_int_t)p->uid, "inode", (json_int_t)p->inode, "owner",
	              owner_json(v, p->inode)));
	return true;
}

static int gather(struct evidence *v, struct err *e)
{
	struct inode_map_stats seen;
	int r = inode_map_scan(v->owners, &seen, e);
	if (r == 0)
		r = diag_inet(NULL, AF_UNSPEC, IPPROTO_TCP, LIVE_STATES, note_socket, v, e);
	if (r == 0)
		r = diag_inet(NULL, AF_UNSPEC, IPPROTO_UDP, DIAG_STATE_BIT(DIAG_ESTABLISHED),
		              note_socket, v, e);
	if (r == 0) {
		r = ct_list(NULL, note_flow, v, e);
		r = r == -EOPNOTSUPP || r == -EPROTONOSUPPORT ? 0 : r;
	}
	if (r == 0) {
		r = diag_packet(NULL, note_packet_socket, v, e);
		r = r == -EOPNOTSUPP ? 0 : r;
	}
	return r;
}

int sessions_evidence(const struct session_scope *s, char **ret_json, struct err *e)
{
	struct evidence v = {.scope = s,
	                     .sockets = json_array(),
	                     .flows = json_array(),
	                     .packet_sockets = json_array()};
	int r = inode_map_new(&v.owners);
	if (r < 0 || !v.sockets || !v.flows || !v.packet_sockets)
		r = err_set(e, -ENOMEM, "out of memory for the evidence of sessions");
	else
		r = gather(&v, e);
	inode_map_free(v.owners);
	json_t *root =
	    json_pack("{s:o, s:o, s:o, s:I}", "sockets", v.sockets, "flows", v.flows,
	              "packet_sockets", v.packet_sockets, "unlisted", (json_int_t)v.unlisted);
	char *text = r == 0 && root ? json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(root);
	if (r < 0)
		return r;
	if (!text)
		return err_set(e, -ENOMEM, "out of memory for the evidence of sessions");
	*ret_json = text;
	return 0;
}
