/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a cut is about to destroy, as JSON for the journal: sockets with their counters and owners,
 * tracked connections, packet sockets. Bounded twice, by rows and by bytes, so that a host full of
 * sockets still fits into one journal entry; what is over is counted.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "enforce/host/sessions.h"
#include "kern/proc.h"
#include "model/field.h"

#define ROWS_MAX  65536
#define BYTES_MAX ((size_t)STEP_PAYLOAD_MAX * 3 / 4)

struct list {
	json_t *rows;
	size_t unlisted;
};

struct evidence {
	struct inode_map *owners; /* read when the first socket asks for its owner */
	bool owners_read;
	int code; /* of reading them */
	struct err why;
	struct list sockets, flows, packet_sockets;
	size_t bytes;
	uint64_t netns; /* of the place at hand; 0: our own */
};

static void put(struct evidence *v, struct list *l, json_t *row)
{
	size_t n = row ? json_dumpb(row, NULL, 0, JSON_COMPACT) : 0;
	if (n == 0 || v->bytes + n > BYTES_MAX || json_array_size(l->rows) >= ROWS_MAX) {
		json_decref(row);
		l->unlisted++;
	} else if (json_array_append_new(l->rows, row) < 0) {
		l->unlisted++;
	} else {
		v->bytes += n + 1;
	}
}

/* {pid, comm, exe, unit, …} of who holds the inode; null: nobody seen. */
static json_t *owner_json(struct evidence *v, uint64_t inode)
{
	struct proc_id p;
	unsigned holders = 0;
	if (!v->owners_read)
		v->code = inode_map_scan(v->owners, NULL, &v->why);
	v->owners_read = true;
	int pid = inode ? inode_map_find(v->owners, inode, &holders) : 0;
	if (!pid || proc_read(pid, &p) < 0)
		return json_null();
	return json_pack("{s:i, s:i, s:I, s:s, s:s, s:b, s:s, s:I}", "pid", p.pid, "ppid", p.ppid,
	                 "uid", (json_int_t)p.uid, "comm", p.comm, "exe", p.exe, "exe_deleted",
	                 (int)p.exe_deleted, "unit", p.unit, "holders", (json_int_t)holders);
}

static json_t *tcp_json(const struct diag_sock *k)
{
	const struct diag_tcp *t = &k->tcp;
	const struct {
		const char *name;
		uint64_t v;
	} fields[] = {
	    {"bytes_acked", t->bytes_acked},
	    {"bytes_received", t->bytes_received},
	    {"bytes_sent", t->bytes_sent},
	    {"bytes_retrans", t->bytes_retrans},
	    {"segs_out", t->segs_out},
	    {"segs_in", t->segs_in},
	    {"data_segs_out", t->data_segs_out},
	    {"data_segs_in", t->data_segs_in},
	    {"total_retrans", t->total_retrans},
	    {"rtt_usec", t->rtt_usec},
	    {"rttvar_usec", t->rttvar_usec},
	    {"pmtu", t->pmtu},
	    {"last_data_sent_msec", t->last_data_sent_msec},
	    {"last_data_recv_msec", t->last_data_recv_msec},
	    {"last_ack_recv_msec", t->last_ack_recv_msec},
	};
	if (!k->has_tcp)
		return json_null();
	json_t *o = json_object();
	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (json_object_set_new(o, fields[i].name, json_integer((json_int_t)fields[i].v)) <
		    0) {
			json_decref(o);
			return NULL;
		}
	return o;
}

static const char *proto_name(uint8_t proto)
{
	return proto == IPPROTO_TCP   ? "tcp"
	       : proto == IPPROTO_UDP ? "udp"
	       : proto == IPPROTO_RAW ? "raw"
	                              : "udplite";
}

static bool note_socket(void *arg, const struct diag_sock *k)
{
	struct evidence *v = arg;
	char local[ENDPOINT_STR_MAX], peer[ENDPOINT_STR_MAX];
	put(v, &v->sockets,
	    json_pack("{s:s, s:i, s:s, s:s, s:s, s:I, s:I, s:I, s:i, s:I, s:I, s:I, s:o, s:o}",
	              "proto", proto_name(k->proto), "family", k->family == AF_INET ? 4 : 6,
	              "state", diag_state_str(k->state), "local", endpoint_str(&k->local, local),
	              "peer", endpoint_str(&k->peer, peer), "uid", (json_int_t)k->uid, "inode",
	              (json_int_t)k->inode, "cgroup", (json_int_t)k->cgroup, "ifindex", k->ifindex,
	              "rqueue", (json_int_t)k->rqueue, "wqueue", (json_int_t)k->wqueue, "netns",
	              (json_int_t)v->netns, "owner", owner_json(v, k->inode), "tcp", tcp_json(k)));
	return true;
}

static int note_sockets(void *arg, const struct place *p, struct err *e)
{
	struct evidence *v = arg;
	v->netns = p->netns;
	return sessions_each_socket(p, note_socket, v, e);
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
	put(v, &v->flows,
	    json_pack("{s:o, s:o, s:s, s:I, s:I, s:I, s:i, s:b, s:I, s:I, s:I, s:I}", "orig",
	              tuple_json(&f->orig), "reply", tuple_json(&f->reply), "tcp_state",
	              ct_tcp_state_str(f->tcp_state), "mark", (json_int_t)f->mark, "status",
	              (json_int_t)f->status, "timeout_sec", (json_int_t)f->timeout_sec, "zone",
	              (int)f->zone, "counted", (int)f->has_counters, "packets_orig",
	              (json_int_t)f->packets_orig, "bytes_orig", (json_int_t)f->bytes_orig,
	              "packets_reply", (json_int_t)f->packets_reply, "bytes_reply",
	              (json_int_t)f->bytes_reply));
	return true;
}

static int note_flows(void *arg, const struct place *p, struct err *e)
{
	return sessions_each_flow(p, note_flow, arg, e);
}

static bool note_packet_socket(void *arg, const struct diag_packet *p)
{
	struct evidence *v = arg;
	put(v, &v->packet_sockets,
	    json_pack("{s:i, s:s, s:i, s:I, s:I, s:b, s:b, s:o}", "protocol", (int)p->protocol,
	              "type", p->type == SOCK_RAW ? "raw" : "dgram", "ifindex", p->ifindex, "uid",
	              (json_int_t)p->uid, "inode", (json_int_t)p->inode, "rx_ring", (int)p->rx_ring,
	              "tx_ring", (int)p->tx_ring, "owner", owner_json(v, p->inode)));
	return true;
}

static int gather(const struct session_scope *s, struct evidence *v, struct netns_counts *places,
                  struct err *e)
{
	int r = sessions_each_place(s, false, note_sockets, v, places, e);
	if (r == 0)
		r = sessions_each_place(s, true, note_flows, v, NULL, e);
	if (r == 0)
		r = sessions_each_packet_socket(s, note_packet_socket, v, e);
	return r == 0 && v->code < 0 ? err_set(e, v->code, "%s", v->why.text) : r;
}

static char *to_text(const struct evidence *v, const struct netns_counts *n)
{
	char when[TIME_STR_MAX];
	json_t *root = json_pack("{s:s, s:O, s:O, s:O, s:{s:I, s:I, s:I}, s:{s:I, s:I, s:I, s:b}}",
	                         "read_at", time_str(wall_now(), when), "sockets", v->sockets.rows,
	                         "flows", v->flows.rows, "packet_sockets", v->packet_sockets.rows,
	                         "unlisted", "sockets", (json_int_t)v->sockets.unlisted, "flows",
	                         (json_int_t)v->flows.unlisted, "packet_sockets",
	                         (json_int_t)v->packet_sockets.unlisted, "namespaces", "others",
	                         (json_int_t)n->seen, "containers", (json_int_t)n->visited,
	                         "denied", (json_int_t)n->denied, "cut_short", (int)n->cut_short);
	char *text = root ? field_dump(root) : NULL;
	json_decref(root);
	return text;
}

int sessions_evidence(const struct session_scope *s, char **ret_json, struct err *e)
{
	struct evidence v = {.sockets.rows = json_array(),
	                     .flows.rows = json_array(),
	                     .packet_sockets.rows = json_array()};
	struct netns_counts places = {0};
	char *text = NULL;
	int r = inode_map_new(&v.owners);
	if (r == 0 && v.sockets.rows && v.flows.rows && v.packet_sockets.rows)
		r = gather(s, &v, &places, e);
	else
		r = err_set(e, -ENOMEM, "out of memory for the evidence of sessions");
	if (r == 0 && !(text = to_text(&v, &places)))
		r = err_set(e, -ENOMEM, "out of memory for the evidence of sessions");
	inode_map_free(v.owners);
	json_decref(v.sockets.rows);
	json_decref(v.flows.rows);
	json_decref(v.packet_sockets.rows);
	if (r == 0)
		*ret_json = text;
	return r;
}
