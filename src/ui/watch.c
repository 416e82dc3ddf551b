/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `stanch watch`: who sends what to whom, live or from a capture file.
 *
 * A sandboxed child reads packets (observe/role.h); here flows get their owner, are summed by pair
 * of addresses, scored and shown. Flows that live are kept here with their owner, so that who was
 * seen once stays known; sums of flows that ended are kept in `done`.
 */
#include <errno.h>
#include <inttypes.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/sys.h"
#include "kern/link.h"
#include "observe/owner.h"
#include "observe/role.h"
#include "observe/upload.h"
#include "ui/args.h"
#include "ui/ctx.h"
#include "ui/stop.h"
#include "ui/verbs.h"
#include "ui/watch_show.h"

const struct opt watch_opts[] = {
    {"file", 0, OPT_TEXT, "CAPTURE", "read a capture (pcap, pcapng; - for standard input)"},
    {"run", 0, OPT_DURATION, "DUR", "stop after that long (default: at Ctrl-C)"},
    {"top", 0, OPT_COUNT, "N", "rows of each table (default 10)"},
    {"tier", 0, OPT_TEXT, "T", "insist on this way of looking: tpacket_v3, or file"},
    {0},
};

#define TOP_DEFAULT    10
#define TOP_MAX        1000
#define FILE_FLOWS     (1u << 19)
#define LIVE_FLOWS     (1u << 17)
#define PAIRS_MAX      (1u << 19)
#define TICK_MSEC      200
#define TICKS_A_SCREEN 5
#define OWNER_TRIES    10 /* ticks in which a flow changed and its owner was looked for in vain */
#define FOUND_MAX      256
#define OUT_BUFFER     (1u << 18)

struct flow_key {
	struct endpoint src, dest;
	uint8_t proto;
	uint16_t vlan;
};

struct live_flow {
	struct flow_key key;
	struct flow flow;
	const struct owner *owner; /* kept by owners; NULL: not looked for yet */
	unsigned tries;
	struct live_flow *next_open; /* list of those whose owner is still looked for */
	bool open;
	UT_hash_handle hh;
};

/* A finding that has been told and, if that was possible, stored. */
struct found {
	struct addr ours, other;
	unsigned id;
};

struct watch {
	struct ctx *c;
	bool live, screen;
	size_t top;
	struct owners *owners;
	struct live_flow *flows, *open;
	struct pairs *done, *all; /* all: done and what lives, made when it is shown */
	struct found found[FOUND_MAX];
	size_t n_found, n_findings;
	bool store; /* until the journal refuses */
	unsigned ticks;
	usec_t refreshed;
};

static bool watch_is_self(void *arg, const struct addr *a)
{
	const struct watch *w = arg;
	return w->owners && owners_is_self(w->owners, a);
}

static struct flow_key key_of(const struct flow *f)
{
	struct flow_key k;

	memset(&k, 0, sizeof(k));
	k.src.addr = f->src.addr;
	k.src.port = f->src.port;
	k.dest.addr = f->dest.addr;
	k.dest.port = f->dest.port;
	k.proto = f->proto;
	k.vlan = f->vlan;
	return k;
}

static struct live_flow *live_of(struct watch *w, const struct flow *f, bool create)
{
	struct flow_key k = key_of(f);
	struct live_flow *l;

	HASH_FIND(hh, w->flows, &k, sizeof(k), l);
	if (l || !create)
		return l;
	if (HASH_COUNT(w->flows) >= LIVE_FLOWS || !(l = calloc(1, sizeof(*l))))
		return NULL;
	l->key = k;
	HASH_ADD(hh, w->flows, key, sizeof(l->key), l);
	if (!l->hh.tbl) {
		free(l);
		return NULL;
	}
	return l;
}

static void look_for_owner(struct watch *w, const struct flow *f, const struct owner **ret)
{
	struct owner o;

	owners_find(w->owners, f, &o);
	if (o.pid || !*ret || !(*ret)->pid)
		*ret = owners_keep(w->owners, &o);
}

/* Sockets are read again when a tick's flows ask for it, and for a flow that comes and ends. */
static void refresh(struct watch *w, usec_t not_older)
{
	usec_t now = boot_now();

	if (w->refreshed && now - w->refreshed < not_older)
		return;
	owners_refresh(w->owners, NULL);
	w->refreshed = boot_now();
}

static void on_changed(struct watch *w, const struct flow *f)
{
	struct live_flow *l = live_of(w, f, true);

	if (!l)
		return;
	l->flow = *f;
	if (l->open || (l->owner && l->owner->pid) || l->tries >= OWNER_TRIES)
		return;
	l->open = true;
	l->next_open = w->open;
	w->open = l;
}

static void find_owners(struct watch *w)
{
	if (w->open)
		refresh(w, 0);
	for (struct live_flow *l = w->open; l; l = l->next_open) {
		look_for_owner(w, &l->flow, &l->owner);
		l->tries++;
		l->open = false;
	}
	w->open = NULL;
}

static void drop_live(struct watch *w, struct live_flow *l)
{
	/* Messages of one tick come in order: what ends here may still be on the list. */
	if (l->open)
		for (struct live_flow **p = &w->open; *p; p = &(*p)->next_open)
			if (*p == l) {
				*p = l->next_open;
				break;
			}
	HASH_DEL(w->flows, l);
	free(l);
}

static void on_final(struct watch *w, const struct flow *f)
{
	struct live_flow *l = w->live ? live_of(w, f, false) : NULL;
	const struct owner *owner = l ? l->owner : NULL;

	if (w->live && (!owner || !owner->pid) && (!l || l->tries < OWNER_TRIES)) {
		refresh(w, TICK_MSEC * USEC_PER_MSEC);
		look_for_owner(w, f, &owner);
	}
	pairs_add(w->done, f, owner);
	if (w->c->out.json)
		show_flow_json(w->c->out.to, f, owner);
	if (l)
		drop_live(w, l);
}

static void on_flow(void *arg, const struct flow *f, bool final)
{
	if (final)
		on_final(arg, f);
	else
		on_changed(arg, f);
}

static void sum_all(struct watch *w)
{
	struct live_flow *l, *l2;

	if (pairs_copy(w->all, w->done) < 0)
		return;
	HASH_ITER(hh, w->flows, l, l2)
	pairs_add(w->all, &l->flow, l->owner);
}

static int store(struct watch *w, struct finding *f, struct err *e)
{
	char incident[INCIDENT_ID_MAX];
	struct journal *j = NULL;
	int r = journal_open(w->c->state_dir, JOURNAL_WRITE, &j, e);

	if (r < 0)
		return r;
	if ((r = journal_begin(j, e)) == 0 &&
	    ((r = journal_incident(j, w->c->incident, incident, e)) < 0 ||
	     (r = journal_put_finding(j, f, e)) < 0))
		journal_rollback(j);
	if (!r)
		r = journal_commit(j, e);
	journal_close(j);
	return r;
}

static struct found *found_of(struct watch *w, const struct pair *p)
{
	for (size_t i = 0; i < w->n_found; i++)
		if (addr_equal(&w->found[i].ours, &p->ours) &&
		    addr_equal(&w->found[i].other, &p->other))
			return &w->found[i];
	return NULL;
}

/* Told when it is first seen, stored once; the numbers at the end are told again. */
static void report(struct watch *w, const struct pair *p, struct finding *f, bool final)
{
	struct found *known = found_of(w, p);
	struct err e = {0};

	if (!known && f->score >= UPLOAD_STORE && w->n_found < FOUND_MAX) {
		if (w->store && store(w, f, &e) < 0) {
			w->store = false;
			f->id = 0;
			if (!w->screen)
				out_error(&w->c->out, "findings are shown but not stored: %s",
				          e.text);
		}
		w->found[w->n_found] = (struct found){p->ours, p->other, f->id};
		known = &w->found[w->n_found++];
		if (!final && w->c->out.json)
			show_finding(&w->c->out, f, false);
	}
	f->id = known ? known->id : 0;
	if (final || w->screen)
		show_finding(&w->c->out, f, final);
	w->n_findings += final && f->score >= UPLOAD_STORE;
}

static void report_all(struct watch *w, bool final)
{
	struct finding f;

	for (size_t i = 0; i < pairs_count(w->all); i++) {
		const struct pair *p = pairs_at(w->all, i);
		if (p->bytes_out >= UPLOAD_MIN_BYTES && upload_score(w->all, p, &f))
			report(w, p, &f, final);
	}
}

static void on_tick(void *arg, const struct source_stats *s)
{
	struct watch *w = arg;

	find_owners(w);
	if (++w->ticks % TICKS_A_SCREEN)
		return;
	sum_all(w);
	if (w->screen) {
		fputs("\x1b[H\x1b[J", w->c->out.to);
		show_tops(&w->c->out, w->all, w->top, true);
		show_stats(&w->c->out, s, pairs_rest(w->all));
	}
	report_all(w, false);
	fflush(w->c->out.to);
}

static int by_traffic(const void *a, const void *b)
{
	const struct link *x = a, *y = b;
	uint64_t m = x->counters.rx_bytes + x->counters.tx_bytes;
	uint64_t n = y->counters.rx_bytes + y->counters.tx_bytes;

	return (m < n) - (m > n);
}

/* All that are up but lo; the busiest where there are more than one child can take. */
static int pick_links(struct watch *w, struct link **ret, size_t *ret_n, struct err *e)
{
	size_t n = 0, up = 0;
	int r = link_list(NULL, ret, &n, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if ((*ret)[i].flags & IFF_UP && (*ret)[i].type != ARPHRD_LOOPBACK)
			(*ret)[up++] = (*ret)[i];
	if (!up)
		return err_set(e, -ENODEV,
		               "no interface but loopback is up here; name one (`stanch "
		               "watch lo`), or read a capture with --file");
	if (up > OBSERVE_SOURCES_MAX) {
		qsort(*ret, up, sizeof(**ret), by_traffic);
		out_error(&w->c->out,
		          "watching the %d busiest of %zu interfaces; name others to "
		          "watch them",
		          OBSERVE_SOURCES_MAX, up);
		up = OBSERVE_SOURCES_MAX;
	}
	*ret_n = up;
	return 0;
}

static int setup(struct watch *w, struct err *e)
{
	int r;

	if (w->live && (r = owners_new(&w->owners, e)) < 0)
		return r;
	if (w->live && (r = owners_refresh(w->owners, e)) < 0)
		return r;
	if ((r = pairs_new(PAIRS_MAX, watch_is_self, w, &w->done)) < 0 ||
	    (r = pairs_new(PAIRS_MAX, watch_is_self, w, &w->all)) < 0)
		return err_set(e, r, "out of memory");
	return 0;
}

static void cleanup(struct watch *w)
{
	struct live_flow *l, *l2;

	HASH_ITER(hh, w->flows, l, l2)
	{
		HASH_DEL(w->flows, l);
		free(l);
	}
	pairs_free(w->done);
	pairs_free(w->all);
	owners_free(w->owners);
}

/* What was read before an error counts and is shown; the error is told after it. */
static int conclude(struct watch *w, int r, const struct source_stats *s, const char *limits,
                    const struct err *e)
{
	struct out *o = &w->c->out;

	if (w->screen)
		fputs("\x1b[H\x1b[J", o->to);
	if (!r || s->packets) {
		w->screen = false;
		sum_all(w);
		if (!o->json)
			show_tops(o, w->all, w->top, w->live);
		report_all(w, true);
		show_stats(o, s, pairs_rest(w->all));
	}
	if (limits[0])
		out_info(o, "sandbox of the reading child: %s", limits);
	fflush(o->to);
	if (r < 0)
		return ctx_fail(w->c, ctx_exit_of(r), e);
	return w->n_findings ? EXIT_FOUND : EXIT_DONE;
}

static int run(struct watch *w, const char *const *where, size_t n, usec_t run_for)
{
	const struct observe_job job = {
	    .live = w->live,
	    .where = where,
	    .n = n,
	    .run = run_for,
	    .tick_ms = TICK_MSEC,
	    .max_flows = w->live ? LIVE_FLOWS : FILE_FLOWS,
	    .stop = &stop_asked,
	    .arg = w,
	    .flow = on_flow,
	    .tick = on_tick,
	};
	struct source_stats s = {0};
	char limits[128] = "";
	struct err e = {0};
	int r = setup(w, &e);

	stop_catch();
	if (!r)
		r = observe_run(&job, &s, limits, &e);
	return conclude(w, r, &s, limits, &e);
}

static int check_tier(const char *tier, bool live, struct err *e)
{
	static const char *const later[] = {"bpf", "conntrack", "inet_diag"};
	const char *have = live ? "tpacket_v3" : "file";

	if (!tier || !strcmp(tier, have))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(later); i++)
		if (!strcmp(tier, later[i]))
			return err_set(e, -EOPNOTSUPP,
			               "this build has no tier %s; %s is what it has here", tier,
			               have);
	return err_set(e, -EOPNOTSUPP, "there is no tier %.32s for %s; the one there is: %s", tier,
	               live ? "an interface" : "a capture", have);
}

/* Interfaces as named, or all of them. */
static int run_live(struct watch *w, const struct args *a, usec_t run_for)
{
	const char *names[OBSERVE_SOURCES_MAX];
	_cleanup_free_ struct link *links = NULL;
	struct err e = {0};
	size_t n = a->n_pos;
	int r;

	if (n)
		return run(w, a->pos, n, run_for);
	if ((r = pick_links(w, &links, &n, &e)) < 0)
		return ctx_fail(w->c, ctx_exit_of(r), &e);
	for (size_t i = 0; i < n; i++)
		names[i] = links[i].name;
	return run(w, names, n, run_for);
}

int verb_watch(struct ctx *c, const struct args *a)
{
	const char *file = args_text(a, "file", NULL);
	uint64_t top = args_count(a, "top", TOP_DEFAULT);
	usec_t run_for = args_duration(a, "run", 0);
	struct watch w = {.c = c, .live = !file, .store = !file, .top = top};
	struct err e = {0};
	int r;

	if (file && a->n_pos) {
		err_set(&e, -EINVAL, "a capture and an interface at once: give --file or IFACE");
		return ctx_fail(c, EXIT_USAGE, &e);
	}
	if (top > TOP_MAX) {
		err_set(&e, -EINVAL, "--top %" PRIu64 " is too many, at most %d", top, TOP_MAX);
		return ctx_fail(c, EXIT_USAGE, &e);
	}
	if (check_tier(args_text(a, "tier", NULL), w.live, &e) < 0)
		return ctx_fail(c, EXIT_REFUSED, &e);
	w.screen = w.live && !c->out.json && c->out.width > 0;
	setvbuf(c->out.to, NULL, _IOFBF, OUT_BUFFER);
	r = w.live ? run_live(&w, a, run_for) : run(&w, &file, 1, run_for);
	cleanup(&w);
	return r;
}
