/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sockets that close between two lists tell their last counts by an event (Linux 4.5), which needs
 * CAP_NET_ADMIN; without it they are told by what was listed last, and those that were never listed
 * not at all.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kern/diag.h"
#include "kern/nl.h"
#include "observe/ledger.h"

#define PORTS 65536u
#define LISTED                                                                                     \
	(DIAG_ALL_STATES & ~DIAG_STATE_BIT(DIAG_TIME_WAIT) & ~DIAG_STATE_BIT(DIAG_NEW_SYN_RECV))

struct tier {
	struct ledger *ledger;
	struct nl list, ended; /* ended.fd -1: no right to hear of it */
	uint64_t lost;
	uint8_t listens[PORTS / 8]; /* bits: a socket listens there, or did */
	char blind[256];
};

static void describe(struct tier *t)
{
	snprintf(t->blind, sizeof(t->blind),
	         "TCP only, no UDP, ICMP or forwarded traffic; of this network namespace and all "
	         "its interfaces together; bytes are the streams', without headers; no names%s",
	         t->ended.fd < 0 ? "; connections of less than a tick (no CAP_NET_ADMIN)" : "");
}

static void free_tier(void *ctx)
{
	struct tier *t = ctx;

	if (!t)
		return;
	ledger_free(t->ledger);
	nl_close(&t->list);
	nl_close(&t->ended);
	free(t);
}

static bool listens(const struct tier *t, uint16_t port)
{
	return t->listens[port / 8] >> port % 8 & 1;
}

/* Who listens on its port was called. */
static void flow_of(const struct tier *t, const struct diag_sock *s, struct ledger_key *k,
                    struct flow *f)
{
	bool called = listens(t, s->local.port);
	/* What was sent, with repeats, since that is what left the host. */
	uint64_t out = s->tcp.bytes_sent ? s->tcp.bytes_sent : s->tcp.bytes_acked;

	*f = (struct flow){
	    .src = called ? s->peer : s->local,
	    .dest = called ? s->local : s->peer,
	    .proto = IPPROTO_TCP,
	    .pkts_toserver = called ? s->tcp.segs_in : s->tcp.segs_out,
	    .pkts_toclient = called ? s->tcp.segs_out : s->tcp.segs_in,
	    .bytes_toserver = called ? s->tcp.bytes_received : out,
	    .bytes_toclient = called ? out : s->tcp.bytes_received,
	    .src_guessed = true,
	};
	memset(k, 0, sizeof(*k));
	memcpy(&k->v[0], s->local.addr.bytes, 16);
	memcpy(&k->v[2], s->peer.addr.bytes, 16);
	k->v[4] = (uint64_t)s->local.port << 16 | s->peer.port;
	k->v[5] = (uint64_t)s->id.idiag_cookie[1] << 32 | s->id.idiag_cookie[0];
}

static bool is_counted(const struct diag_sock *s)
{
	return s->has_tcp && s->peer.port && s->state != DIAG_LISTEN &&
	       !(addr_is_loopback(&s->local.addr) && addr_is_loopback(&s->peer.addr));
}

static bool on_listed(void *arg, const struct diag_sock *s)
{
	struct tier *t = arg;
	struct ledger_key k;
	struct flow f;

	if (!is_counted(s))
		return true;
	flow_of(t, s, &k, &f);
	ledger_count(t->ledger, &k, &f);
	return true;
}

static bool on_listening(void *arg, const struct diag_sock *s)
{
	struct tier *t = arg;

	t->listens[s->local.port / 8] |= (uint8_t)(1u << s->local.port % 8);
	return true;
}

static bool on_ended(void *arg, const struct diag_sock *s)
{
	struct tier *t = arg;
	struct ledger_key k;
	struct flow f;

	if (!is_counted(s))
		return true;
	flow_of(t, s, &k, &f);
	ledger_over(t->ledger, &k, &f);
	return true;
}

static int tick(void *ctx, struct err *e)
{
	struct tier *t = ctx;
	int r;

	ledger_begin(t->ledger, wall_now() * 1000);
	if ((r = diag_inet(&t->list, AF_UNSPEC, IPPROTO_TCP, DIAG_STATE_BIT(DIAG_LISTEN),
	                   on_listening, t, e)) < 0 ||
	    (r = diag_inet(&t->list, AF_UNSPEC, IPPROTO_TCP, LISTED & ~DIAG_STATE_BIT(DIAG_LISTEN),
	                   on_listed, t, e)) < 0)
		return r;
	if (t->ended.fd >= 0 && (r = diag_ended_read(&t->ended, on_ended, t, &t->lost, e)) < 0)
		return r;
	ledger_end(t->ledger, true);
	return 0;
}

static int open_tier(const struct observe_job *job, owned_flow_fn flow, void **ret, struct err *e)
{
	struct tier *t;
	int r;

	if (job->n)
		return err_set(e, -EOPNOTSUPP,
		               "sockets do not say which interface they use: name none");
	if (!(t = calloc(1, sizeof(*t))))
		return err_set(e, -ENOMEM, "out of memory for flows");
	t->list.fd = t->ended.fd = -1;
	(void)diag_ended_open(&t->ended, NULL); /* its lack is told as a blind spot */
	if ((r = ledger_new(job, flow, &t->ledger, e)) < 0 ||
	    (r = nl_open(&t->list, NETLINK_SOCK_DIAG, e)) < 0 || (r = tick(t, e)) < 0) {
		free_tier(t);
		return r;
	}
	describe(t);
	*ret = t;
	return 0;
}

static int flush(void *ctx, struct err *e)
{
	struct tier *t = ctx;
	int r = tick(t, e);

	if (r == 0)
		ledger_flush(t->ledger);
	return r;
}

static void stats(const void *ctx, struct source_stats *ret)
{
	const struct tier *t = ctx;

	ledger_stats(t->ledger, ret);
	ret->dropped = t->lost;
	snprintf(ret->tier, sizeof(ret->tier), "%s", tier_diag_ops.name);
}

static const char *blind(const void *ctx)
{
	return ((const struct tier *)ctx)->blind;
}

const struct tier_ops tier_diag_ops = {
    .name = "inet_diag",
    .open = open_tier,
    .tick = tick,
    .flush = flush,
    .stats = stats,
    .blind = blind,
    .close = free_tier,
};
