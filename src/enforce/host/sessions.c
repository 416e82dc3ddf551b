/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sessions that a cut leaves standing: found, ended, counted.
 *
 * A socket is in scope when its peer is in one of the blocked prefixes, or when no permit of the
 * isolation fits it (scope.h). Besides our own network namespace those of our own containers are
 * walked (netns.h); tracked connections are looked at here only, where the cut is.
 */
#include "enforce/host/sessions.h"

#include <errno.h>
#include <string.h>

#include "base/table.h"

/* A destroyed socket can be replaced by its program at once; what comes back is asked again. */
#define DESTROY_ROUNDS 3

/* ---- walking ---- */

struct tour {
	const struct session_scope *want;
	place_fn cb;
	void *arg;
};

static int stop_at(const struct tour *t, uint64_t netns, int pid, struct err *e)
{
	struct place p = {.netns = netns, .pid = pid};
	int r = scope_open(t->want, &p.scope, e);
	if (r < 0)
		return r;
	r = t->cb(t->arg, &p, e);
	scope_close(&p.scope);
	return r;
}

static int on_container(void *arg, const struct netns_visit *v, struct err *e)
{
	return stop_at(arg, v->inode, v->pid, e);
}

int sessions_each_place(const struct session_scope *want, bool own_only, place_fn cb, void *arg,
                        struct netns_counts *ret, struct err *e)
{
	struct tour t = {.want = want, .cb = cb, .arg = arg};
	struct netns_counts counts = {0};
	int r = stop_at(&t, 0, 0, e);
	if (r == 0 && !own_only)
		r = netns_each(on_container, &t, &counts, e);
	if (r == 0 && ret)
		*ret = counts;
	return r;
}

struct sieve {
	const struct scope *scope;
	diag_sock_fn sock;
	ct_fn flow;
	void *arg;
};

static bool sift_sock(void *arg, const struct diag_sock *k)
{
	const struct sieve *s = arg;
	const struct session_scope *want = s->scope->want;
	if (!scope_takes_sock(s->scope, k) ||
	    (want->only_sock && !want->only_sock(want->only_arg, k)))
		return true;
	return s->sock(s->arg, k);
}

static bool sift_flow(void *arg, const struct ct_flow *f)
{
	const struct sieve *s = arg;
	const struct session_scope *want = s->scope->want;
	if (!scope_takes_flow(s->scope, f) ||
	    (want->only_flow && !want->only_flow(want->only_arg, f)))
		return true;
	return s->flow(s->arg, f);
}

int sessions_each_socket(const struct place *p, diag_sock_fn cb, void *arg, struct err *e)
{
	static const struct {
		int proto;
		uint32_t states;
	} kinds[] = {
	    {IPPROTO_TCP, DIAG_ALL_STATES & ~DIAG_STATE_BIT(DIAG_LISTEN)},
	    {IPPROTO_UDP, DIAG_STATE_BIT(DIAG_ESTABLISHED)},
	    {IPPROTO_UDPLITE, DIAG_STATE_BIT(DIAG_ESTABLISHED)},
	    {IPPROTO_RAW, DIAG_STATE_BIT(DIAG_ESTABLISHED)},
	};
	struct sieve s = {.scope = &p->scope, .sock = cb, .arg = arg};
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct err why = {0};
		int r = diag_inet(NULL, AF_UNSPEC, kinds[i].proto, kinds[i].states, sift_sock, &s,
		                  &why);
		if (r < 0 && r != -EOPNOTSUPP)
			return err_set(e, r, "%s", why.text);
	}
	return 0;
}

int sessions_each_flow(const struct place *p, ct_fn cb, void *arg, struct err *e)
{
	struct sieve s = {.scope = &p->scope, .flow = cb, .arg = arg};
	struct err why = {0};
	int r = ct_list(p->scope.want->netfilter, sift_flow, &s, &why);
	if (r == 0 || r == -EOPNOTSUPP || r == -EPROTONOSUPPORT)
		return 0;
	return err_set(e, r, "%s", why.text);
}

struct packet_sieve {
	const struct session_scope *want;
	diag_packet_fn cb;
	void *arg;
};

static bool sift_packet(void *arg, const struct diag_packet *k)
{
	const struct packet_sieve *s = arg;
	if (s->want->only_packet && !s->want->only_packet(s->want->only_arg, k))
		return true;
	return s->cb(s->arg, k);
}

int sessions_each_packet_socket(const struct session_scope *want, diag_packet_fn cb, void *arg,
                                struct err *e)
{
	struct packet_sieve s = {want, cb, arg};
	struct err why = {0};
	int r = diag_packet(NULL, sift_packet, &s, &why);
	return r == 0 || r == -EOPNOTSUPP ? 0 : err_set(e, r, "%s", why.text);
}

/* ---- ending ---- */

struct ending {
	struct session_counts counts;
	struct nl nl, *netfilter;
	unsigned round_seen;
	int code; /* of the last failure */
	struct err why;
};

static bool end_socket(void *arg, const struct diag_sock *k)
{
	struct ending *x = arg;
	x->round_seen++;
	int r = diag_destroy(&x->nl, k, &x->why);
	if (r == 0) {
		x->counts.sockets_destroyed++;
	} else if (r != -ENOENT) {
		x->counts.sockets_failed++;
		x->code = r;
	}
	return true;
}

static int end_sockets(void *arg, const struct place *p, struct err *e)
{
	struct ending *x = arg;
	unsigned failed_before = x->counts.sockets_failed;
	int r = nl_open(&x->nl, NETLINK_SOCK_DIAG, e);
	if (r < 0)
		return r;
	for (unsigned round = 0; round < DESTROY_ROUNDS; round++) {
		x->round_seen = 0;
		x->counts.sockets_failed = failed_before; /* asked again: told once */
		r = sessions_each_socket(p, end_socket, x, e);
		x->counts.sockets_seen += x->round_seen;
		if (r < 0 || x->round_seen == 0)
			break;
	}
	nl_close(&x->nl);
	return r;
}

int sessions_destroy_sockets(const struct session_scope *s, struct session_counts *ret,
                             struct err *e)
{
	struct ending x = {.nl = {.fd = -1}};
	struct netns_counts places = {0};
	int r = sessions_each_place(s, false, end_sockets, &x, &places, e);
	ret->sockets_seen = x.counts.sockets_seen;
	ret->sockets_destroyed = x.counts.sockets_destroyed;
	ret->sockets_failed = x.counts.sockets_failed;
	if (r < 0)
		return r;
	if (x.counts.sockets_failed && !x.counts.sockets_destroyed)
		return err_set(e, x.code, "no socket could be closed: %s", x.why.text);
	if (places.cut_short)
		return err_set(e, -E2BIG,
		               "this host has more network namespaces than are looked through; "
		               "sockets of the rest were not closed");
	return 0;
}

static bool end_flow(void *arg, const struct ct_flow *f)
{
	struct ending *x = arg;
	x->counts.flows_seen++;
	int r = ct_delete(x->netfilter, f, &x->why);
	if (r == 0) {
		x->counts.flows_deleted++;
	} else if (r != -ENOENT) {
		x->counts.flows_failed++;
		x->code = r;
	}
	return true;
}

static int end_flows(void *arg, const struct place *p, struct err *e)
{
	return sessions_each_flow(p, end_flow, arg, e);
}

int sessions_delete_flows(const struct session_scope *s, struct session_counts *ret, struct err *e)
{
	struct ending x = {.netfilter = s->netfilter};
	int r = sessions_each_place(s, true, end_flows, &x, NULL, e);
	ret->flows_seen = x.counts.flows_seen;
	ret->flows_deleted = x.counts.flows_deleted;
	ret->flows_failed = x.counts.flows_failed;
	if (r == 0 && x.counts.flows_failed)
		r = err_set(e, x.code, "%u tracked connections could not be deleted: %s",
		            x.counts.flows_failed, x.why.text);
	return r;
}

/* ---- counting ---- */

static bool count_socket(void *arg, const struct diag_sock *k)
{
	struct session_counts *c = arg;
	c->sockets_seen += k->state == DIAG_ESTABLISHED;
	return true;
}

static int count_sockets(void *arg, const struct place *p, struct err *e)
{
	return sessions_each_socket(p, count_socket, arg, e);
}

static bool count_flow(void *arg, const struct ct_flow *f)
{
	struct session_counts *c = arg;
	c->flows_seen++;
	return true;
}

static int count_flows(void *arg, const struct place *p, struct err *e)
{
	return sessions_each_flow(p, count_flow, arg, e);
}

static bool count_packet_socket(void *arg, const struct diag_packet *k)
{
	struct session_counts *c = arg;
	c->packet_sockets += k->protocol != 0;
	return true;
}

int sessions_count(const struct session_scope *s, struct session_counts *ret, struct err *e)
{
	struct session_counts c = {0};
	int r = sessions_each_place(s, false, count_sockets, &c, NULL, e);
	if (r == 0)
		r = sessions_each_place(s, true, count_flows, &c, NULL, e);
	/* A packet socket has no peer: it is nothing that a block of addresses could mean. */
	if (r == 0 && s->permits)
		r = sessions_each_packet_socket(s, count_packet_socket, &c, e);
	if (r == 0)
		*ret = c;
	return r;
}
