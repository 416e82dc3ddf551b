/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/tier_bpf.h"

#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/sys.h"
#include "base/table.h"
#include "kern/proc.h"

#define LINK_HEADER 14 /* Ethernet */
#define LOOPBACK    1  /* its index in every network namespace */
#define NSEC        UINT64_C(1000000000)

/* How long a flow may be silent before it leaves. */
#define CLOSED_NSEC (1 * NSEC)
#define IDLE_NSEC   (60 * NSEC)
#define OPEN_NSEC   (900 * NSEC) /* TCP that was not closed */

/* How many times sooner that is where so many of 8 parts of the table are taken. */
static const unsigned hurry_at[8] = {[4] = 32, [5] = 64, [6] = 128, [7] = 256};

#define GONE_MAX    65536u /* leave in one tick */
#define OWNERS_MAX  65536u
#define DEVICES_MAX 4096u
#define CLOCK_SLIP  NSEC

/* A pass over all open files costs: rest that many times as long, at least so long. */
#define PASS_TIMES 50
#define PASS_NSEC  (2 * NSEC)

struct cached {
	struct watch_who who;
	struct owner owner;
	UT_hash_handle hh;
};

/* Of our own network namespace. */
struct device {
	unsigned index;
	bool whole_frames;
	UT_hash_handle hh;
};

struct tier_bpf {
	const struct observe_job *job;
	owned_flow_fn flow;
	uint32_t max_flows;
	struct watchprog *prog;
	struct cached *owners;
	struct device *devices;
	uint64_t netns; /* ours */
	unsigned wanted[OBSERVE_SOURCES_MAX];
	size_t n_wanted;
	uint64_t add_nsec;       /* monotonic to wall */
	uint64_t now, last_tick; /* monotonic */
	uint64_t next_pass;
	size_t held; /* flows in the kernel */
	unsigned hurry;
	bool want_pass;
	struct watch_key *gone;
	size_t n_gone;
	/* Sums of the flows that left and of those that are held. */
	struct source_stats done, live;
	uint64_t evicted, rest_bytes, rest_packets, malformed;
	char blind[256];
};

static uint64_t clock_nsec(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NSEC + (uint64_t)t.tv_nsec;
}

/* --- What the kernel says, as values --- */

static struct addr addr_of(uint8_t family, const uint32_t *words)
{
	struct addr a = {.family = ADDR_V6};

	if (family == 4)
		return addr_v4(words);
	memcpy(a.bytes, words, sizeof(a.bytes));
	return a;
}

static uint64_t packets_of(const struct watch_count *c, bool whole)
{
	return c->packets + (whole ? 0 : c->more_packets);
}

static uint64_t bytes_of(const struct watch_count *c, bool whole)
{
	return c->bytes + (whole ? 0 : c->more_bytes) + LINK_HEADER * packets_of(c, whole);
}

/* Is the local end the one that opened? Mid-stream the lower port is the server's. */
static bool local_opened(const struct watch_key *k, const struct watch_flow *f)
{
	if (f->opener != WATCH_OPENER_UNSEEN)
		return f->opener == WATCH_OPENER_LOCAL;
	if (k->proto == IPPROTO_TCP)
		return k->local_port >= k->peer_port;
	return f->first_way == WATCH_OUT;
}

static bool has_types(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

void tier_bpf_flow(const struct watch_key *k, const struct watch_flow *f, bool whole_frames,
                   uint64_t add_nsec, struct flow *ret)
{
	const struct endpoint local = {addr_of(k->family, k->local), k->local_port};
	const struct endpoint peer = {addr_of(k->family, k->peer), k->peer_port};
	bool ours = local_opened(k, f);
	enum watch_way up = ours ? WATCH_OUT : WATCH_IN, down = ours ? WATCH_IN : WATCH_OUT;

	*ret = (struct flow){
	    .src = ours ? local : peer,
	    .dest = ours ? peer : local,
	    .proto = k->proto,
	    .src_guessed = k->proto == IPPROTO_TCP && f->opener == WATCH_OPENER_UNSEEN,
	    .pkts_toserver = packets_of(&f->count[up], whole_frames),
	    .pkts_toclient = packets_of(&f->count[down], whole_frames),
	    .bytes_toserver = bytes_of(&f->count[up], whole_frames),
	    .bytes_toclient = bytes_of(&f->count[down], whole_frames),
	    .start_nsec = f->first + add_nsec,
	    .end_nsec = (f->last > f->first ? f->last : f->first) + add_nsec,
	    .tcp_toserver = f->tcp[up],
	    .tcp_toclient = f->tcp[down],
	};
	if (has_types(k->proto)) { /* type and code belong to no end */
		ret->src.port = k->local_port;
		ret->dest.port = k->peer_port;
	}
}

static void chain_of(const struct watch_owner *o, char *dst, size_t n)
{
	size_t at = 0;

	dst[0] = '\0';
	for (size_t i = 0; i < WATCH_PARENTS && o->parents[i].pid; i++) {
		char comm[PROC_COMM_MAX];
		proc_clean(o->parents[i].comm, sizeof(o->parents[i].comm), comm, sizeof(comm));
		int k =
		    snprintf(dst + at, n - at, "%s%s(%u)", i ? " < " : "", comm, o->parents[i].pid);
		if (k < 0 || (size_t)k >= n - at) {
			dst[at] = '\0';
			return;
		}
		at += (size_t)k;
	}
}

void tier_bpf_owner(const struct watch_who *who, const struct watch_owner *o, struct owner *ret)
{
	char path[WATCH_PATH_MAX];

	memset(ret, 0, sizeof(*ret));
	ret->pid = (int)who->pid;
	ret->uid = who->uid;
	ret->cgroup = o->cgroup;
	ret->netns = o->netns;
	proc_clean(o->comm, sizeof(o->comm), ret->comm, sizeof(ret->comm));
	watchprog_path(o->exe, o->exe_len, ret->exe, sizeof(ret->exe));
	watchprog_path(o->cgroup_path, o->cgroup_len, path, sizeof(path));
	proc_unit_of(path, ret->unit);
	chain_of(o, ret->chain, sizeof(ret->chain));
}

/* --- Owners --- */

/* The kernel's record was put out by newer ones; the process may still be there. */
static bool owner_from_proc(const struct watch_who *who, struct owner *ret)
{
	uint64_t tick = NSEC / (uint64_t)sysconf(_SC_CLK_TCK);
	struct proc_id p;

	if (proc_read((int)who->pid, &p) < 0 || p.start_ticks != who->start / tick)
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->pid = p.pid;
	ret->uid = who->uid;
	memcpy(ret->comm, p.comm, sizeof(ret->comm));
	memcpy(ret->exe, p.exe, sizeof(ret->exe));
	memcpy(ret->unit, p.unit, sizeof(ret->unit));
	return true;
}

static bool read_owner(struct tier_bpf *t, const struct watch_who *who, struct owner *ret)
{
	struct watch_owner o;
	int r = watchprog_owner(t->prog, who, &o);

	if (r == 0)
		tier_bpf_owner(who, &o, ret);
	else if (r == -EAGAIN || !owner_from_proc(who, ret))
		return false;
	return true;
}

static void forget_owners(struct tier_bpf *t)
{
	struct cached *c, *c2;

	HASH_ITER(hh, t->owners, c, c2)
	{
		HASH_DEL(t->owners, c);
		free(c);
	}
}

/* By what the kernel calls its image; NULL: only its pid and uid are known. */
static const struct owner *owner_of(struct tier_bpf *t, const struct watch_who *who)
{
	struct cached *c;

	HASH_FIND(hh, t->owners, who, sizeof(*who), c);
	if (c)
		return &c->owner;
	/* What is forgotten is read again, if the kernel or /proc still has it. */
	if (HASH_COUNT(t->owners) >= OWNERS_MAX)
		forget_owners(t);
	if (!(c = calloc(1, sizeof(*c))))
		return NULL;
	c->who = *who;
	if (!read_owner(t, who, &c->owner)) {
		free(c);
		return NULL;
	}
	HASH_ADD(hh, t->owners, who, sizeof(c->who), c);
	if (!c->hh.tbl) {
		free(c);
		return NULL;
	}
	return &c->owner;
}

static void set_owner(struct tier_bpf *t, const struct watch_key *k, const struct watch_flow *f,
                      struct owner *ret)
{
	const struct owner *known = f->who.pid ? owner_of(t, &f->who) : NULL;

	if (known) {
		*ret = *known;
	} else {
		memset(ret, 0, sizeof(*ret));
		ret->pid = (int)f->who.pid;
		ret->uid = f->who.uid;
		snprintf(ret->why_unknown, sizeof(ret->why_unknown), "%s",
		         f->who.pid ? "its name was put out by newer processes"
		                    : "the kernel itself, or a socket that no process holds");
	}
	ret->netns = k->netns;
}

/* --- Devices --- */

/* Drivers of devices that look physical but count what is handed over. */
static bool is_paravirtual(const char *driver)
{
	static const char *const names[] = {"virtio_net", "vif", "xen_netfront",
	                                    "hv_netvsc",  "ena", "gve"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(driver, names[i]))
			return true;
	return false;
}

static bool counts_whole_frames(unsigned index)
{
	char name[IF_NAMESIZE], path[64 + IF_NAMESIZE], driver[PATH_MAX];
	ssize_t n;

	if (!if_indextoname(index, name))
		return true;
	snprintf(path, sizeof(path), "/sys/class/net/%s/device/driver", name);
	n = readlink(path, driver, sizeof(driver) - 1);
	if (n <= 0)
		return true;
	driver[n] = '\0';
	return is_paravirtual(strrchr(driver, '/') ? strrchr(driver, '/') + 1 : driver);
}

/* In other network namespaces there are virtual devices, as good as always. */
static bool whole_frames(struct tier_bpf *t, const struct watch_key *k, unsigned index)
{
	struct device *d;

	if (k->netns != t->netns)
		return true;
	HASH_FIND(hh, t->devices, &index, sizeof(index), d);
	if (d)
		return d->whole_frames;
	if (HASH_COUNT(t->devices) >= DEVICES_MAX || !(d = calloc(1, sizeof(*d))))
		return true;
	d->index = index;
	d->whole_frames = counts_whole_frames(index);
	bool whole = d->whole_frames;
	HASH_ADD(hh, t->devices, index, sizeof(d->index), d);
	if (!d->hh.tbl)
		free(d);
	return whole;
}

/* --- Ticks --- */

/* Each packet on loopback comes out of one socket and into another: the opener's end counts. */
static bool is_wanted(const struct tier_bpf *t, const struct watch_key *k,
                      const struct watch_flow *f)
{
	if (f->ifindex == LOOPBACK && !local_opened(k, f))
		return false;
	if (!t->n_wanted)
		return f->ifindex != LOOPBACK;
	for (size_t i = 0; i < t->n_wanted; i++)
		if (k->netns == t->netns && f->ifindex == t->wanted[i])
			return true;
	return false;
}

static void sum(struct source_stats *s, const struct flow *f, bool owned)
{
	uint64_t bytes = f->bytes_toserver + f->bytes_toclient;

	s->packets += f->pkts_toserver + f->pkts_toclient;
	s->bytes += bytes;
	s->unowned += owned ? 0 : bytes;
	s->flows++;
	if (!s->first_nsec || f->start_nsec < s->first_nsec)
		s->first_nsec = f->start_nsec;
	if (f->end_nsec > s->last_nsec)
		s->last_nsec = f->end_nsec;
}

static void hand_out(struct tier_bpf *t, const struct watch_key *k, const struct watch_flow *f,
                     bool final)
{
	struct owner owner;
	struct flow flow;

	tier_bpf_flow(k, f, whole_frames(t, k, f->ifindex), t->add_nsec, &flow);
	sum(final ? &t->done : &t->live, &flow, f->who.pid != 0);
	if (!final && f->last < t->last_tick)
		return;
	t->want_pass |= !f->who.pid;
	set_owner(t, k, f, &owner);
	t->flow(t->job->arg, &flow, &owner, final);
}

static bool is_over(const struct watch_key *k, const struct watch_flow *f)
{
	uint8_t both = f->tcp[WATCH_OUT] & f->tcp[WATCH_IN],
	        any = f->tcp[WATCH_OUT] | f->tcp[WATCH_IN];

	return k->proto == IPPROTO_TCP && (any & TH_RST || both & TH_FIN);
}

/* TCP whose opener has not answered the answer. */
static bool is_half_open(const struct watch_flow *f)
{
	enum watch_way up = f->opener == WATCH_OPENER_LOCAL ? WATCH_OUT : WATCH_IN;

	return f->opener != WATCH_OPENER_UNSEEN && !(f->tcp[up] & TH_ACK);
}

static bool leaves(const struct tier_bpf *t, const struct watch_key *k, const struct watch_flow *f)
{
	bool open = k->proto == IPPROTO_TCP && !is_half_open(f);
	uint64_t may = is_over(k, f) ? CLOSED_NSEC : open ? OPEN_NSEC : IDLE_NSEC;

	return t->now > f->last + may / t->hurry;
}

static void on_flow(void *arg, const struct watch_key *k, const struct watch_flow *f)
{
	struct tier_bpf *t = arg;

	t->held++;
	if (leaves(t, k, f) && t->n_gone < GONE_MAX)
		t->gone[t->n_gone++] = *k;
	else if (is_wanted(t, k, f))
		hand_out(t, k, f, false);
}

static void on_last(void *arg, const struct watch_key *k, const struct watch_flow *f)
{
	if (is_wanted(arg, k, f))
		hand_out(arg, k, f, true);
}

static void on_event(void *arg, const struct watch_event *v)
{
	struct tier_bpf *t = arg;
	struct resume_event resumed = {.at_nsec = v->at + t->add_nsec};

	if (!is_wanted(t, &v->key, &v->flow))
		return;
	if (v->kind == WATCH_ENDED) {
		hand_out(t, &v->key, &v->flow, true);
	} else if (t->job->resume) {
		tier_bpf_flow(&v->key, &v->flow, whole_frames(t, &v->key, v->flow.ifindex),
		              t->add_nsec, &resumed.flow);
		t->job->resume(t->job->arg, &resumed);
	}
}

static void take_gone(struct tier_bpf *t)
{
	struct watch_flow f;

	for (size_t i = 0; i < t->n_gone; i++)
		if (watchprog_take(t->prog, &t->gone[i], &f) == 0 && is_wanted(t, &t->gone[i], &f))
			hand_out(t, &t->gone[i], &f, true);
}

static int read_rests(struct tier_bpf *t, struct err *e)
{
	struct watch_count rest[WATCH_RESTS];
	int r = watchprog_rests(t->prog, rest, e);

	if (r < 0)
		return r;
	t->evicted = rest[WATCH_REST_FULL].packets + rest[WATCH_REST_RING].packets;
	t->malformed = rest[WATCH_REST_UNREAD].packets;
	t->rest_packets = rest[WATCH_REST_FULL].packets + rest[WATCH_REST_UNREAD].packets;
	t->rest_bytes = rest[WATCH_REST_FULL].bytes + rest[WATCH_REST_UNREAD].bytes +
	                LINK_HEADER * t->rest_packets;
	return 0;
}

/* A socket that was in a listener's queue before we looked may have a holder now. */
static void pass_again(struct tier_bpf *t)
{
	uint64_t rest;

	if (!t->want_pass || t->now < t->next_pass)
		return;
	watchprog_pass(t->prog, NULL);
	rest = (clock_nsec(CLOCK_MONOTONIC) - t->now) * PASS_TIMES;
	t->next_pass = t->now + (rest > PASS_NSEC ? rest : PASS_NSEC);
	t->want_pass = false;
}

static void set_clock(struct tier_bpf *t)
{
	uint64_t add;

	t->now = clock_nsec(CLOCK_MONOTONIC);
	add = clock_nsec(CLOCK_REALTIME) - t->now;
	/* Small steps would move the beginnings of flows. */
	if (add - t->add_nsec > CLOCK_SLIP && t->add_nsec - add > CLOCK_SLIP)
		t->add_nsec = add;
}

static void set_hurry(struct tier_bpf *t, size_t held)
{
	size_t part = held * ARRAY_SIZE(hurry_at) / t->max_flows;
	unsigned hurry = hurry_at[part < ARRAY_SIZE(hurry_at) ? part : ARRAY_SIZE(hurry_at) - 1];

	t->hurry = hurry ? hurry : 1;
}

static int read_all(struct tier_bpf *t, struct err *e)
{
	uint64_t begin;
	int r;

	set_clock(t);
	begin = t->now;
	memset(&t->live, 0, sizeof(t->live));
	t->held = t->n_gone = 0;
	if ((r = watchprog_events(t->prog, on_event, t, e)) < 0 ||
	    (r = watchprog_each(t->prog, on_flow, t, e)) < 0)
		return r;
	take_gone(t);
	set_hurry(t, t->held - t->n_gone);
	t->last_tick = begin;
	return read_rests(t, e);
}

int tier_bpf_tick(struct tier_bpf *t, struct err *e)
{
	struct source_stats s;
	int r = read_all(t, e);

	if (r < 0)
		return r;
	pass_again(t);
	tier_bpf_stats(t, &s);
	if (t->job->tick)
		t->job->tick(t->job->arg, &s);
	return 0;
}

int tier_bpf_flush(struct tier_bpf *t, struct err *e)
{
	int r;

	set_clock(t);
	memset(&t->live, 0, sizeof(t->live));
	if ((r = watchprog_events(t->prog, on_event, t, e)) < 0 ||
	    (r = watchprog_take_all(t->prog, on_last, t, e)) < 0)
		return r;
	return read_rests(t, e);
}

void tier_bpf_stats(const struct tier_bpf *t, struct source_stats *ret)
{
	const struct source_stats *a = &t->done, *b = &t->live;

	*ret = (struct source_stats){
	    .packets = a->packets + b->packets + t->rest_packets,
	    .bytes = a->bytes + b->bytes + t->rest_bytes,
	    .malformed = t->malformed,
	    .evicted = t->evicted,
	    .flows = a->flows + b->flows,
	    .unowned = a->unowned + b->unowned + t->rest_bytes,
	    .first_nsec = !a->first_nsec || (b->first_nsec && b->first_nsec < a->first_nsec)
	                      ? b->first_nsec
	                      : a->first_nsec,
	    .last_nsec = a->last_nsec > b->last_nsec ? a->last_nsec : b->last_nsec,
	    .tier = TIER_BPF_NAME,
	};
}

static int find_devices(struct tier_bpf *t, struct err *e)
{
	if (t->job->n > ARRAY_SIZE(t->wanted))
		return err_set(e, -E2BIG, "at most %zu interfaces can be watched at once",
		               ARRAY_SIZE(t->wanted));
	for (; t->n_wanted < t->job->n; t->n_wanted++) {
		const char *name = t->job->where[t->n_wanted];
		if (!(t->wanted[t->n_wanted] = if_nametoindex(name)))
			return err_set(e, -ENODEV, "there is no interface %.32s here", name);
	}
	return 0;
}

static void describe(struct tier_bpf *t)
{
	snprintf(t->blind, sizeof(t->blind),
	         "forwarded traffic and packets that no socket takes are not seen%s%s",
	         watchprog_sees_all(t->prog) ? "" : "; only processes below this cgroup namespace",
	         watchprog_has_pass(t->prog) ? "" : "; sockets opened before have no owner");
}

int tier_bpf_open(const struct observe_job *job, owned_flow_fn flow, struct tier_bpf **ret,
                  struct err *e)
{
	struct tier_bpf *t = calloc(1, sizeof(*t));
	int r;

	if (!t || !(t->gone = calloc(GONE_MAX, sizeof(*t->gone)))) {
		free(t);
		return err_set(e, -ENOMEM, "out of memory for the flows of tier bpf");
	}
	t->job = job;
	t->flow = flow;
	t->hurry = 1;
	t->max_flows = WATCH_FLOWS_MAX;
	if (job->max_flows && job->max_flows < WATCH_FLOWS_MAX)
		t->max_flows = (uint32_t)job->max_flows;
	if ((r = proc_ns_inode(0, "net", &t->netns)) < 0)
		err_set(e, r, "our own network namespace cannot be told: %s", strerror(-r));
	if (r == 0)
		r = find_devices(t, e);
	if (r == 0)
		r = watchprog_open(t->max_flows, job->resume ? FLOW_PAUSE_NSEC : 0, &t->prog, e);
	if (r < 0) {
		tier_bpf_close(t);
		return r;
	}
	set_clock(t);
	describe(t);
	*ret = t;
	return 0;
}

void tier_bpf_close(struct tier_bpf *t)
{
	struct device *d, *d2;

	if (!t)
		return;
	watchprog_close(t->prog);
	forget_owners(t);
	HASH_ITER(hh, t->devices, d, d2)
	{
		HASH_DEL(t->devices, d);
		free(d);
	}
	free(t->gone);
	free(t);
}

const char *tier_bpf_blind(const struct tier_bpf *t)
{
	return t->blind;
}

static bool is_stopped(const struct observe_job *job, usec_t until)
{
	return (job->stop && *job->stop) || (until && boot_now() >= until);
}

int observe_bpf_run(const struct observe_job *job, owned_flow_fn flow, struct source_stats *ret,
                    char limits[static 256], struct err *e)
{
	usec_t until = job->run ? boot_now() + job->run : 0;
	struct tier_bpf *t = NULL;
	int r = tier_bpf_open(job, flow, &t, e);

	if (r < 0)
		return r;
	snprintf(limits, 256, "%s", tier_bpf_blind(t));
	while (r == 0 && !is_stopped(job, until)) {
		usec_t begin = boot_now();
		r = tier_bpf_tick(t, e);
		/* Never more than half of the time for reading, whatever the flood. */
		usec_t took = boot_now() - begin, tick = job->tick_ms * USEC_PER_MSEC;
		usec_t wait = took < tick / 2 ? tick - took : took;
		if (until && begin + took + wait > until)
			wait = until > begin + took ? until - begin - took : 0;
		sys->poll(NULL, 0, (int)(wait / USEC_PER_MSEC) + 1);
	}
	if (r == 0)
		r = tier_bpf_flush(t, e);
	tier_bpf_stats(t, ret);
	tier_bpf_close(t);
	return r;
}

static int ops_open(const struct observe_job *job, owned_flow_fn flow, void **ret, struct err *e)
{
	struct tier_bpf *t;
	int r = tier_bpf_open(job, flow, &t, e);

	if (r == 0)
		*ret = t;
	return r;
}

static int ops_tick(void *ctx, struct err *e)
{
	return tier_bpf_tick(ctx, e);
}

static int ops_flush(void *ctx, struct err *e)
{
	return tier_bpf_flush(ctx, e);
}

static void ops_stats(const void *ctx, struct source_stats *ret)
{
	tier_bpf_stats(ctx, ret);
}

static const char *ops_blind(const void *ctx)
{
	return tier_bpf_blind(ctx);
}

static void ops_close(void *ctx)
{
	tier_bpf_close(ctx);
}

const struct tier_ops tier_bpf_ops = {
    .name = TIER_BPF_NAME,
    .knows_owners = true,
    .open = ops_open,
    .tick = ops_tick,
    .flush = ops_flush,
    .stats = ops_stats,
    .blind = ops_blind,
    .close = ops_close,
};
