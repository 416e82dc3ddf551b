/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/scan.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "observe/judge.h"

#define HOURS     64
#define HOUR_NSEC (UINT64_C(3600) * 1000000000)

/* Who opens connections; where is 0 for most, else its place in `close` + 1. */
struct opener {
	struct addr addr; /* ADDR_NONE: free */
	uint32_t failed, admin, close;
};

/* What it did, in detail. */
struct deeds {
	const struct opener *who;
	struct sketch dests, ports, admin_dests, knocked; /* knocked: but not a word was said */
	unsigned pairs, ok, admin;                        /* pairs: those that failed */
	uint64_t first, last, admin_first, admin_last, bytes_out, bytes_in;
	uint64_t base_hour;
	unsigned hours[HOURS];
	uint16_t port, admin_port; /* the most common, by majority vote */
	unsigned votes, admin_votes;
	uint8_t proto;
	struct addr dest; /* of a failed one; the only one if dests count 1 */
};

struct openers {
	struct opener *v;
	size_t mask;
	struct deeds *close;
	size_t n_close;
};

static const struct addr *opener_of(const struct channel *c)
{
	return c->flags & CHANNEL_WE_OPENED ? &c->ours : &c->other;
}

static const struct addr *target_of(const struct channel *c)
{
	return c->flags & CHANNEL_WE_OPENED ? &c->other : &c->ours;
}

static bool is_admin(const struct channel *c)
{
	static const uint16_t ports[] = {22, 23, 135, 139, 445, 3389, 5900, 5985, 5986};

	if (c->proto != IPPROTO_TCP || c->conns == c->failed)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
		if (c->port == ports[i])
			return addr_is_inside(&c->other) && addr_is_inside(&c->ours);
	return false;
}

static bool is_ping(const struct channel *c)
{
	return (c->proto == IPPROTO_ICMP && c->port == 8 << 8) ||
	       (c->proto == IPPROTO_ICMPV6 && c->port == 128 << 8);
}

/* Something was tried here and nothing ever came back. */
static bool has_failed(const struct score_context *x, const struct channel *c)
{
	if (!c->conns || c->failed < c->conns)
		return false;
	if (c->proto != IPPROTO_TCP && c->proto != IPPROTO_UDP && !is_ping(c))
		return false;
	if (c->proto == IPPROTO_UDP && (c->port == 443 || (c->port >= 33434 && c->port <= 33534)))
		return false;
	return !(x->dns_seen && context_resolved(x, target_of(c)));
}

/* Marks the channels that were tried in vain; how many channels count at all. */
static size_t mark(const struct score_context *x)
{
	size_t n = 0;

	for (size_t i = 0; i < channels_count(x->channels); i++) {
		struct channel *c = channels_at(x->channels, i);
		bool failed = has_failed(x, c);
		c->flags &= (uint8_t)~CHANNEL_TRIED;
		c->flags |= failed ? CHANNEL_TRIED : 0;
		n += failed || is_admin(c);
	}
	return n;
}

static struct opener *find(const struct openers *o, const struct addr *a)
{
	size_t i = (size_t)hash_addr(a, 11) & o->mask;

	while (o->v[i].addr.family && !addr_equal(&o->v[i].addr, a))
		i = (i + 1) & o->mask;
	return &o->v[i];
}

static void count_openers(const struct score_context *x, struct openers *o)
{
	for (size_t i = 0; i < channels_count(x->channels); i++) {
		const struct channel *c = channels_at(x->channels, i);
		bool failed = c->flags & CHANNEL_TRIED, admin = is_admin(c);
		struct opener *w;
		if (!failed && !admin)
			continue;
		w = find(o, opener_of(c));
		w->addr = *opener_of(c);
		w->failed += failed;
		w->admin += admin;
	}
}

static unsigned weight(const struct opener *o)
{
	return o->failed + 4 * o->admin;
}

static void choose_close(struct openers *o)
{
	for (size_t i = 0; i <= o->mask; i++) {
		struct opener *w = &o->v[i];
		size_t at = o->n_close;
		if (w->failed <= SCAN_PAIRS_LOW && w->admin <= LATERAL_LOW)
			continue;
		if (at == SCAN_OPENERS_MAX) {
			at = 0;
			for (size_t j = 1; j < SCAN_OPENERS_MAX; j++)
				if (weight(o->close[j].who) < weight(o->close[at].who))
					at = j;
			if (weight(o->close[at].who) >= weight(w))
				continue;
		} else {
			o->n_close++;
		}
		o->close[at].who = w;
	}
	for (size_t i = 0; i < o->n_close; i++)
		find(o, &o->close[i].who->addr)->close = (uint32_t)i + 1;
}

/* Boyer and Moore: what more than half agree on wins. */
static void vote(uint16_t port, uint16_t *winner, unsigned *votes)
{
	if (!*votes)
		*winner = port;
	*votes += *winner == port ? 1 : -1u;
}

static void widen(uint64_t *first, uint64_t *last, uint64_t at)
{
	*first = !*first || at < *first ? at : *first;
	*last = at > *last ? at : *last;
}

static void add_failed(struct deeds *d, const struct channel *c)
{
	uint64_t hour = c->first_nsec / HOUR_NSEC;

	hour = hour > d->base_hour ? hour - d->base_hour : 0;
	d->hours[hour < HOURS ? hour : HOURS - 1]++;
	d->pairs++;
	d->dest = *target_of(c);
	d->proto = c->proto;
	sketch_add(&d->dests, hash_addr(&d->dest, 13));
	sketch_add(&d->ports, hash_mix(c->port, c->proto));
	vote(c->port, &d->port, &d->votes);
	widen(&d->first, &d->last, c->first_nsec);
	d->last = c->last_nsec > d->last ? c->last_nsec : d->last;
	d->bytes_out += c->flags & CHANNEL_WE_OPENED ? c->bytes_out : c->bytes_in;
}

/* A login says something; who only opens and closes looks whether the port is open. A source that
 * counts no packets (a log) cannot tell. */
static bool has_spoken(const struct channel *c)
{
	uint64_t frame = c->ours.family == ADDR_V6 ? 86 : 66;
	uint64_t pkts = (uint64_t)c->pkts_out + c->pkts_in, bytes = c->bytes_out + c->bytes_in;

	return !pkts || bytes >= frame * pkts + (uint64_t)LATERAL_SAID * (c->conns - c->failed);
}

static void add_admin(struct deeds *d, const struct channel *c)
{
	d->admin++;
	sketch_add(has_spoken(c) ? &d->admin_dests : &d->knocked, hash_addr(target_of(c), 13));
	vote(c->port, &d->admin_port, &d->admin_votes);
	widen(&d->admin_first, &d->admin_last, c->first_nsec);
	d->bytes_in += c->bytes_in;
}

static void look_closely(const struct score_context *x, struct openers *o)
{
	for (size_t i = 0; i < channels_count(x->channels); i++) {
		const struct channel *c = channels_at(x->channels, i);
		const struct opener *w = find(o, opener_of(c));
		struct deeds *d;
		if (!w->addr.family || !w->close)
			continue;
		d = &o->close[w->close - 1];
		d->base_hour = x->first_nsec / HOUR_NSEC;
		if (c->flags & CHANNEL_TRIED)
			add_failed(d, c);
		else if (c->conns > c->failed)
			d->ok++;
		if (is_admin(c))
			add_admin(d, c);
	}
}

static void propose(const struct score_context *x, const struct deeds *d, struct finding *f)
{
	char text[ADDR_STR_MAX];

	addr_str(&d->who->addr, text);
	snprintf(f->selector, sizeof(f->selector), "%s", text);
	if (channels_nearness(x->channels, &d->who->addr) == 2)
		finding_order(f, "isolate self");
	else
		finding_order(f, "block %s", text);
}

static double in_an_hour(const struct deeds *d)
{
	unsigned most = 0;

	for (size_t i = 0; i < HOURS; i++)
		most = d->hours[i] > most ? d->hours[i] : most;
	return most + (d->pairs - most) / 4.0;
}

static bool scan(const struct score_context *x, const struct deeds *d, struct finding *f)
{
	double dests = sketch_count(&d->dests), ports = sketch_count(&d->ports);
	double pairs = in_an_hour(d), ratio = (double)d->pairs / (d->pairs + d->ok);
	double focus = 1 - (fmin(dests, ports) - 1) / fmax(d->pairs, 1);
	double many = score_part(pairs, SCAN_PAIRS_LOW, SCAN_PAIRS_HIGH);
	bool inside = !context_outside(x, &d->who->addr);

	if (many <= 0 || ratio <= SCAN_FAILED_LOW)
		return false;
	*f = (struct finding){.kind = FINDING_SCAN,
	                      .src.addr = d->who->addr,
	                      .proto = d->proto,
	                      .bytes_out = d->bytes_out,
	                      .first = d->first / 1000,
	                      .last = d->last / 1000};
	if (dests <= 1)
		f->dest.addr = d->dest;
	else if (ports <= 1 && d->proto != IPPROTO_ICMP && d->proto != IPPROTO_ICMPV6)
		f->dest.port = d->port;
	f->score = (0.6 * many + 0.4 * score_ramp(ratio, SCAN_FAILED_LOW, SCAN_FAILED_HIGH)) *
	           score_ramp(focus, SCAN_FOCUS_LOW, SCAN_FOCUS_HIGH);
	f->score = score_round(f->score * (inside ? 1 : SCAN_INBOUND));
	finding_reason(f,
	               "%u destinations and ports did not answer (about %.0f addresses, %.0f "
	               "ports); counts from %.0f an hour, fully at %.0f",
	               d->pairs, dests, ports, SCAN_PAIRS_LOW, SCAN_PAIRS_HIGH);
	finding_reason(f, "%.0f %% of all it tried; counts from %.0f %%, fully at %.0f %%",
	               ratio * 100, SCAN_FAILED_LOW * 100, SCAN_FAILED_HIGH * 100);
	finding_reason(f, "concentration %.2f on few ports or addresses; whole from %.2f", focus,
	               SCAN_FOCUS_HIGH);
	if (!inside)
		finding_reason(f, "it comes from outside: counts %.0f %%", SCAN_INBOUND * 100);
	snprintf(f->benign, sizeof(f->benign),
	         "an inventory or monitoring scanner, or a program whose servers are down, looks "
	         "the same: ask who runs it");
	propose(x, d, f);
	return f->score >= FINDING_SCORE_SAY;
}

static bool lateral(const struct score_context *x, const struct deeds *d, struct finding *f)
{
	double spoken = sketch_count(&d->admin_dests), knocked = sketch_count(&d->knocked);
	double hosts = spoken + LATERAL_KNOCK * knocked;
	double seconds = (double)(d->admin_last - d->admin_first) / 1e9;
	bool fast = seconds <= LATERAL_FAST;

	if (hosts <= LATERAL_LOW)
		return false;
	*f = (struct finding){.kind = FINDING_LATERAL,
	                      .src.addr = d->who->addr,
	                      .dest.port = d->admin_port,
	                      .proto = IPPROTO_TCP,
	                      .first = d->admin_first / 1000,
	                      .last = d->admin_last / 1000};
	f->score = 0.8 * score_part(hosts, LATERAL_LOW, LATERAL_HIGH) + (fast ? 0.2 : 0);
	f->score = score_round(f->score * (spoken > LATERAL_LOW ? 1 : LATERAL_MUTE));
	finding_reason(f,
	               "it spoke to about %.0f inside hosts on ports of remote administration, "
	               "most on %u; counts from %.0f, fully at %.0f",
	               spoken, d->admin_port, LATERAL_LOW, LATERAL_HIGH);
	if (knocked > 0)
		finding_reason(
		    f, "about %.0f more answered, and nothing was said: each counts %.0f %%",
		    knocked, LATERAL_KNOCK * 100);
	if (spoken <= LATERAL_LOW)
		finding_reason(f, "hardly any was spoken to: counts %.0f %%", LATERAL_MUTE * 100);
	finding_reason(f, "met within %.0f s; within %.0f raises by 0.20", seconds, LATERAL_FAST);
	snprintf(f->benign, sizeof(f->benign),
	         "an administrator, a deployment tool or a backup server does the same: ask "
	         "whether this host is one");
	propose(x, d, f);
	return f->score >= FINDING_SCORE_SAY;
}

int scan_findings(const struct score_context *x, void (*cb)(void *arg, const struct finding *f),
                  void *arg)
{
	struct openers o = {.mask = 15};
	struct finding f;

	size_t n = mark(x);
	while (o.mask < n * 2)
		o.mask = o.mask * 2 + 1;
	o.v = calloc(o.mask + 1, sizeof(*o.v));
	o.close = calloc(SCAN_OPENERS_MAX, sizeof(*o.close));
	if (o.v && o.close) {
		count_openers(x, &o);
		choose_close(&o);
		if (o.n_close)
			look_closely(x, &o);
		for (size_t i = 0; i < o.n_close; i++) {
			if (scan(x, &o.close[i], &f))
				cb(arg, &f);
			if (lateral(x, &o.close[i], &f))
				cb(arg, &f);
		}
	}
	int r = o.v && o.close ? 0 : -ENOMEM;
	free(o.v);
	free(o.close);
	return r;
}
