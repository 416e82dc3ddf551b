/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Connections that end between two lists tell their last counts by an event of ctnetlink; where
 * events are lost (told as dropped) or not made for one, it has ended when it is listed no more.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "kern/conntrack.h"
#include "kern/nl.h"
#include "observe/ledger.h"

#define ACCOUNTING  "/proc/sys/net/netfilter/nf_conntrack_acct"
#define LINK_HEADER 14u

struct tier {
	struct ledger *ledger;
	struct nl list, ended;
	uint64_t lost;      /* events */
	uint64_t uncounted; /* entries that began before accounting was on, at the last list */
	char blind[256];
};

/* Off, or no connection tracking at all: both mean that there is nothing to read. */
static int is_accounting(struct err *e)
{
	_cleanup_close_ int fd = sys->open(ACCOUNTING, O_RDONLY | O_CLOEXEC, 0);
	char on = 0;

	if (fd < 0 || sys->read(fd, &on, 1) != 1)
		return err_set(e, -EOPNOTSUPP, "connections are not tracked here");
	return on == '1' ? 0
	                 : err_set(e, -EOPNOTSUPP,
	                           "tracked connections are not counted here "
	                           "(net.netfilter.nf_conntrack_acct is 0), and nothing turns that "
	                           "on by itself");
}

static void describe(struct tier *t)
{
	snprintf(t->blind, sizeof(t->blind),
	         "only what is tracked, of this network namespace and all its interfaces together; "
	         "no names; bytes without the headers that segmentation adds%s",
	         t->uncounted ? "; connections from before accounting was on" : "");
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

static bool is_local(const struct ct_flow *f)
{
	return addr_is_loopback(&f->orig.src.addr) && addr_is_loopback(&f->orig.dst.addr);
}

static bool has_types(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static void flow_of(const struct ct_flow *c, struct ledger_key *k, struct flow *f)
{
	bool types = has_types(c->orig.proto);

	*f = (struct flow){
	    .src = c->orig.src,
	    .dest = c->orig.dst,
	    .proto = c->orig.proto,
	    .start_nsec = c->start_nsec,
	    .pkts_toserver = c->packets_orig,
	    .pkts_toclient = c->packets_reply,
	    .bytes_toserver = c->bytes_orig + LINK_HEADER * c->packets_orig,
	    .bytes_toclient = c->bytes_reply + LINK_HEADER * c->packets_reply,
	};
	if (types) {
		f->src.port = c->orig.icmp_type;
		f->dest.port = c->orig.icmp_code;
	}
	memset(k, 0, sizeof(*k));
	memcpy(&k->v[0], c->orig.src.addr.bytes, 16);
	memcpy(&k->v[2], c->orig.dst.addr.bytes, 16);
	k->v[4] = (uint64_t)(types ? c->orig.icmp_id : c->orig.src.port) << 48 |
	          (uint64_t)c->orig.dst.port << 32 | c->id;
	k->v[5] = (uint64_t)c->zone << 16 | (uint64_t)c->orig.proto << 8 | c->orig.src.addr.family;
}

static bool on_listed(void *arg, const struct ct_flow *c)
{
	struct tier *t = arg;
	struct ledger_key k;
	struct flow f;

	t->uncounted += !c->has_counters;
	if (!c->has_counters || is_local(c))
		return true;
	flow_of(c, &k, &f);
	ledger_count(t->ledger, &k, &f);
	return true;
}

static bool on_ended(void *arg, const struct ct_flow *c)
{
	struct tier *t = arg;
	struct ledger_key k;
	struct flow f;

	if (!c->has_counters || is_local(c))
		return true;
	flow_of(c, &k, &f);
	ledger_over(t->ledger, &k, &f);
	return true;
}

static int tick(void *ctx, struct err *e)
{
	struct tier *t = ctx;
	int r;

	ledger_begin(t->ledger, wall_now() * 1000);
	t->uncounted = 0;
	if ((r = ct_list(&t->list, on_listed, t, e)) < 0)
		return r;
	/* After the list: one that ended meanwhile is told once, with all it had. */
	if ((r = ct_ended_read(&t->ended, on_ended, t, &t->lost, e)) < 0)
		return r;
	ledger_end(t->ledger, true);
	describe(t);
	return 0;
}

static int open_tier(const struct observe_job *job, owned_flow_fn flow, void **ret, struct err *e)
{
	struct tier *t;
	int r = is_accounting(e);

	if (r < 0)
		return r;
	if (job->n)
		return err_set(
		    e, -EOPNOTSUPP,
		    "tracked connections do not say which interface they use: name none");
	if (!(t = calloc(1, sizeof(*t))))
		return err_set(e, -ENOMEM, "out of memory for flows");
	t->list.fd = t->ended.fd = -1;
	if ((r = ledger_new(job, flow, &t->ledger, e)) < 0 ||
	    (r = nl_open(&t->list, NETLINK_NETFILTER, e)) < 0 ||
	    (r = ct_ended_open(&t->ended, e)) < 0 || (r = tick(t, e)) < 0) {
		free_tier(t);
		return r;
	}
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
	snprintf(ret->tier, sizeof(ret->tier), "%s", tier_conntrack_ops.name);
}

static const char *blind(const void *ctx)
{
	return ((const struct tier *)ctx)->blind;
}

const struct tier_ops tier_conntrack_ops = {
    .name = "conntrack",
    .open = open_tier,
    .tick = tick,
    .flush = flush,
    .stats = stats,
    .blind = blind,
    .close = free_tier,
};
