/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/channel.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "observe/judge.h"

#define TCP_SYN     0x02
#define TCP_RST     0x04
#define TCP_ACK     0x10
#define EVICT_LOOK  16
#define EVICT_RINGS 64
/* An open flow without an answer is not remembered below this: a flood opens millions. */
#define OPEN_UNANSWERED 65536
#define RING_FIRST      8
#define BEAT_IDLE       (UINT64_C(600) * 1000000000)
#define NSEC_PER_SEC    UINT64_C(1000000000)

/* An index word: the hash's upper half tells most strangers apart without a look at the channel. */
struct word {
	uint32_t at; /* 0: free; else position + 1 */
	uint32_t hash;
};

/* What of an open flow has been counted. */
struct open_flow {
	uint64_t hash; /* 0: free */
	uint64_t out, in;
	uint32_t pkts_out, pkts_in;
	bool connection; /* counted as one */
};

struct channels {
	struct channels_config c;
	struct channel *v;
	size_t n, hand, ring_hand;
	struct word *index;
	size_t index_mask;
	struct open_flow *open;
	size_t open_n, open_mask;
	size_t samples;
	uint64_t first_nsec, last_nsec;
	struct channels_stats stats;
};

static size_t power_of_two(size_t at_least)
{
	size_t n = 16;

	while (n < at_least)
		n *= 2;
	return n;
}

int channels_new(const struct channels_config *c, struct channels **ret)
{
	struct channels *t = calloc(1, sizeof(*t));
	size_t index, open;

	if (!t)
		return -ENOMEM;
	t->c = *c;
	t->c.max = c->max ? c->max : CHANNELS_MAX;
	t->c.max_open = c->max_open ? c->max_open : CHANNELS_OPEN_MAX;
	t->c.max_samples = c->max_samples ? c->max_samples : CHANNELS_SAMPLES;
	if (t->c.max > UINT32_C(1) << 26 || t->c.max_open > UINT32_C(1) << 26) {
		free(t);
		return -EINVAL;
	}
	/* Pages are touched as they are needed. */
	index = power_of_two(t->c.max * 2);
	open = power_of_two(t->c.max_open * 2);
	t->index_mask = index - 1;
	t->open_mask = open - 1;
	t->v = calloc(t->c.max, sizeof(*t->v));
	t->index = calloc(index, sizeof(*t->index));
	t->open = calloc(open, sizeof(*t->open));
	if (!t->v || !t->index || !t->open) {
		channels_free(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

void channels_free(struct channels *t)
{
	if (!t)
		return;
	for (size_t i = 0; t->v && i < t->n; i++) {
		free(t->v[i].starts);
		free(t->v[i].resumes);
	}
	free(t->v);
	free(t->index);
	free(t->open);
	free(t);
}

uint64_t hash_addr(const struct addr *a, uint64_t seed)
{
	uint64_t w[2];

	memcpy(w, a->bytes, sizeof(w));
	return hash_mix(hash_mix(seed ^ a->family, w[0]), w[1]);
}

int channels_nearness(const struct channels *t, const struct addr *a)
{
	if (t->c.is_self && t->c.is_self(t->c.arg, a))
		return 2;
	return addr_is_inside(a);
}

/* Whether src is our side. Without a notion of self one look mostly decides. */
static bool src_is_ours(const struct channels *t, const struct addr *src, const struct addr *dest)
{
	if (t->c.is_self)
		return channels_nearness(t, src) >= channels_nearness(t, dest);
	return addr_is_inside(src) || !addr_is_inside(dest);
}

/* ---- beats ---- */

bool beats_add(struct beats **b, const struct beat *x, size_t *used, size_t max)
{
	struct beats *r = *b;
	unsigned cap = r ? r->cap : 0;

	if (!r || (r->n == cap && cap < BEATS_MAX)) {
		unsigned more = cap ? cap * 2 : RING_FIRST;
		if (*used + (more - cap) > max)
			return false;
		if (!(r = realloc(r, sizeof(*r) + more * sizeof(r->v[0]))))
			return false;
		if (!*b)
			memset(r, 0, sizeof(*r));
		*used += more - cap;
		r->cap = (uint16_t)more;
		*b = r;
	}
	r->dirty = true;
	if (!r->first_nsec || x->at_nsec < r->first_nsec)
		r->first_nsec = x->at_nsec;
	if (r->n < r->cap) {
		r->v[r->n++] = *x;
		return true;
	}
	r->v[r->head] = *x;
	r->head = (uint16_t)((r->head + 1) % BEATS_MAX);
	return true;
}

/* The size that a connection came to, when its start was kept while it was open. */
static void beats_resize(struct beats *b, const struct beat *x)
{
	for (unsigned i = 0; b && i < b->n; i++) {
		unsigned at = (b->head + b->n - 1u - i) % b->n;
		if (b->v[at].at_nsec != x->at_nsec)
			continue;
		b->v[at] = *x;
		b->dirty = true;
		return;
	}
}

static void beats_drop(struct channels *t, struct beats **b)
{
	if (*b)
		t->samples -= (*b)->cap;
	free(*b);
	*b = NULL;
}

static uint32_t clamp32(uint64_t v)
{
	return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

/* No room for samples: those of the channel that has the fewest, of some, make some. */
static bool evict_samples(struct channels *t)
{
	struct channel *worst = NULL;

	for (size_t i = 0; t->n && i < EVICT_RINGS; i++) {
		struct channel *c = &t->v[t->ring_hand++ % t->n];
		if ((c->starts || c->resumes) &&
		    (!worst || c->conns < worst->conns ||
		     (c->conns == worst->conns && c->last_nsec < worst->last_nsec)))
			worst = c;
	}
	if (!worst)
		return false;
	beats_drop(t, &worst->starts);
	beats_drop(t, &worst->resumes);
	return true;
}

static void keep_beat(struct channels *t, struct beats **b, const struct beat *x)
{
	if (beats_add(b, x, &t->samples, t->c.max_samples))
		return;
	if (!evict_samples(t) || !beats_add(b, x, &t->samples, t->c.max_samples))
		t->stats.not_sampled++;
}

/* ---- the table ---- */

struct key {
	const struct addr *ours, *other;
	uint16_t port;
	uint8_t proto;
	bool we_opened;
	uint64_t hash;
};

static bool is_icmp(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static struct key key_of(const struct channels *t, const struct endpoint *src,
                         const struct endpoint *dest, uint8_t proto)
{
	bool ours = src_is_ours(t, &src->addr, &dest->addr);
	struct key k = {.ours = ours ? &src->addr : &dest->addr,
	                .other = ours ? &dest->addr : &src->addr,
	                .port = dest->port,
	                .proto = proto,
	                .we_opened = ours};

	if (is_icmp(proto))
		k.port = (uint16_t)(src->port << 8 | (dest->port & 0xff));
	k.hash = hash_addr(k.other, hash_addr(k.ours, 0));
	k.hash = hash_mix(k.hash, (uint64_t)k.port << 16 | k.proto << 1 | k.we_opened);
	return k;
}

static bool is_of(const struct channel *c, const struct key *k)
{
	return c->port == k->port && c->proto == k->proto &&
	       !!(c->flags & CHANNEL_WE_OPENED) == k->we_opened &&
	       addr_equal(&c->other, k->other) && addr_equal(&c->ours, k->ours);
}

static struct word *find(const struct channels *t, const struct key *k)
{
	uint32_t hash = (uint32_t)(k->hash >> 32);
	size_t i = (size_t)k->hash & t->index_mask;

	for (;; i = (i + 1) & t->index_mask) {
		struct word *w = &t->index[i];
		if (!w->at || (w->hash == hash && is_of(&t->v[w->at - 1], k)))
			return w;
	}
}

static size_t home_of(const struct channel *c, const struct channels *t)
{
	return c->hash & t->index_mask;
}

/* Takes position `at` out of the index; those behind it move up (no tombstones). */
static void unindex(struct channels *t, size_t at)
{
	size_t i = home_of(&t->v[at], t), j;

	while (t->index[i].at != at + 1)
		i = (i + 1) & t->index_mask;
	for (j = (i + 1) & t->index_mask; t->index[j].at; j = (j + 1) & t->index_mask) {
		size_t home = home_of(&t->v[t->index[j].at - 1], t);
		if (((j - home) & t->index_mask) < ((j - i) & t->index_mask))
			continue;
		t->index[i] = t->index[j];
		i = j;
	}
	t->index[i] = (struct word){0};
}

static size_t evict(struct channels *t)
{
	size_t worst = t->hand % t->n;

	for (size_t i = 0; i < EVICT_LOOK; i++) {
		size_t at = t->hand++ % t->n;
		const struct channel *c = &t->v[at], *w = &t->v[worst];
		if (c->conns < w->conns || (c->conns == w->conns && c->last_nsec < w->last_nsec))
			worst = at;
	}
	unindex(t, worst);
	beats_drop(t, &t->v[worst].starts);
	beats_drop(t, &t->v[worst].resumes);
	t->stats.evicted++;
	return worst;
}

static struct channel *get(struct channels *t, const struct key *k, uint64_t nsec)
{
	struct word *w = find(t, k);
	size_t at;

	if (w->at)
		return &t->v[w->at - 1];
	at = t->n < t->c.max ? t->n++ : evict(t);
	t->v[at] = (struct channel){.ours = *k->ours,
	                            .other = *k->other,
	                            .proto = k->proto,
	                            .port = k->port,
	                            .flags = k->we_opened ? CHANNEL_WE_OPENED : 0,
	                            .hash = (uint32_t)k->hash,
	                            .first_nsec = nsec,
	                            .last_nsec = nsec};
	w = find(t, k); /* eviction moves words */
	*w = (struct word){(uint32_t)at + 1, (uint32_t)(k->hash >> 32)};
	return &t->v[at];
}

/* A datagram to all of a subnet looks like one host's: .255 inside is taken for it. */
static bool to_many(const struct addr *a, uint8_t proto)
{
	if (proto == IPPROTO_TCP)
		return false;
	return addr_is_multicast(a) ||
	       (a->family == ADDR_V4 && a->bytes[3] == 255 && addr_is_inside(a));
}

struct channel *channels_of(struct channels *t, const struct endpoint *src,
                            const struct endpoint *dest, uint8_t proto, uint64_t nsec)
{
	struct key k;

	if (to_many(&dest->addr, proto))
		return NULL;
	k = key_of(t, src, dest, proto);
	return get(t, &k, nsec);
}

/* ---- open flows ---- */

static uint64_t hash_flow(const struct flow *f)
{
	uint64_t h = hash_addr(&f->dest.addr, hash_addr(&f->src.addr, 0));

	h = hash_mix(h, (uint64_t)f->src.port << 32 | (uint64_t)f->dest.port << 16 | f->proto);
	return hash_mix(h, f->vlan) | 1;
}

static struct open_flow *open_slot(const struct channels *t, uint64_t hash)
{
	size_t i = (size_t)(hash >> 8) & t->open_mask;

	while (t->open[i].hash && t->open[i].hash != hash)
		i = (i + 1) & t->open_mask;
	return &t->open[i];
}

static void open_forget(struct channels *t, struct open_flow *o)
{
	size_t i = (size_t)(o - t->open), j;

	for (j = (i + 1) & t->open_mask; t->open[j].hash; j = (j + 1) & t->open_mask) {
		size_t home = (size_t)(t->open[j].hash >> 8) & t->open_mask;
		if (((j - home) & t->open_mask) < ((j - i) & t->open_mask))
			continue;
		t->open[i] = t->open[j];
		i = j;
	}
	t->open[i] = (struct open_flow){0};
	t->open_n--;
}

/* What has been counted of f; *counted is zero for a new one. NULL: an open one that cannot be
 * remembered. */
static struct open_flow *open_of(struct channels *t, uint64_t hash, bool create)
{
	struct open_flow *o = open_slot(t, hash);

	if (o->hash)
		return o;
	if (!create)
		return NULL;
	if (t->open_n >= t->c.max_open) {
		t->stats.not_followed++;
		return NULL;
	}
	o->hash = hash;
	t->open_n++;
	return o;
}

/* ---- counting ---- */

/* Whether the far end took part. A capture of one direction shows it in what the opener sends:
 * nobody acknowledges what did not come. Sources without flags (logs) tell by packets back. */
static bool answered(const struct flow *f)
{
	if (f->proto != IPPROTO_TCP)
		return f->pkts_toclient > 0;
	if (!(f->tcp_toserver | f->tcp_toclient))
		return f->pkts_toclient > 0 || f->bytes_toclient > 0 || f->pkts_toserver > 3;
	if ((f->tcp_toclient & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK) || f->src_guessed)
		return true;
	/* Without a SYN back: a refusal if all that came is a reset. */
	return f->tcp_toserver & TCP_ACK && !(f->tcp_toclient & TCP_RST);
}

/* Pings of one size make a sum that their number divides, and what comes back mirrors it. */
static bool sizes_vary(const struct flow *f)
{
	uint64_t n = f->pkts_toserver, m = f->pkts_toclient;

	if ((n && f->bytes_toserver % n) || (m && f->bytes_toclient % m))
		return true;
	return n && m && f->bytes_toserver / n != f->bytes_toclient / m;
}

static bool has_sample(const struct flow *f, bool alive)
{
	bool start_known =
	    f->proto != IPPROTO_TCP || !f->src_guessed || !(f->tcp_toserver | f->tcp_toclient);

	return start_known && ((f->proto == IPPROTO_TCP && alive) || f->proto == IPPROTO_UDP);
}

static struct beat sample_of(const struct flow *f, bool we_opened)
{
	return (struct beat){f->start_nsec,
	                     clamp32(we_opened ? f->bytes_toserver : f->bytes_toclient),
	                     clamp32(we_opened ? f->bytes_toclient : f->bytes_toserver)};
}

/* Most channels have one connection, which the channel itself tells; a list is made for the second.
 * Called before anything of f is added. */
static void count_connection(struct channels *t, struct channel *c, const struct flow *f,
                             bool alive)
{
	struct beat x = sample_of(f, c->flags & CHANNEL_WE_OPENED);
	struct beat first = {c->first_nsec, clamp32(c->bytes_out), clamp32(c->bytes_in)};

	if (c->conns == 1 && !c->starts && !(c->flags & CHANNEL_MIDSTREAM) &&
	    (c->proto == IPPROTO_UDP || (c->proto == IPPROTO_TCP && !c->failed)))
		keep_beat(t, &c->starts, &first);
	if (c->conns && has_sample(f, alive))
		keep_beat(t, &c->starts, &x);
	c->conns++;
	c->failed += !alive;
}

static void note_flow(struct channels *t, struct channel *c, const struct flow *f, bool alive)
{
	uint64_t sec = (f->end_nsec - f->start_nsec) / NSEC_PER_SEC;

	if (f->start_nsec < c->first_nsec)
		c->first_nsec = f->start_nsec;
	if (f->end_nsec > c->last_nsec)
		c->last_nsec = f->end_nsec;
	if (!t->first_nsec || f->start_nsec < t->first_nsec)
		t->first_nsec = f->start_nsec;
	if (f->end_nsec > t->last_nsec)
		t->last_nsec = f->end_nsec;
	if (alive && f->end_nsec > f->start_nsec && sec > c->longest_sec)
		c->longest_sec = clamp32(sec);
	if (f->src_guessed && f->proto == IPPROTO_TCP)
		c->flags |= CHANNEL_MIDSTREAM;
	if (is_icmp(f->proto) && sizes_vary(f))
		c->flags |= CHANNEL_VARIES;
}

static void add_sums(struct channel *c, const struct flow *f, const struct open_flow *was)
{
	bool out = c->flags & CHANNEL_WE_OPENED;
	uint64_t toserver = f->bytes_toserver - was->out, toclient = f->bytes_toclient - was->in;
	uint64_t pkts_toserver = f->pkts_toserver - was->pkts_out,
	         pkts_toclient = f->pkts_toclient - was->pkts_in;

	c->bytes_out += out ? toserver : toclient;
	c->bytes_in += out ? toclient : toserver;
	c->pkts_out = clamp32(c->pkts_out + (out ? pkts_toserver : pkts_toclient));
	c->pkts_in = clamp32(c->pkts_in + (out ? pkts_toclient : pkts_toserver));
}

/* Counts what of f is more than `was`, and makes *was what has been counted then. */
static struct channel *count(struct channels *t, const struct flow *f, bool final,
                             struct open_flow *was)
{
	bool alive = answered(f), fresh = !was->connection;
	struct channel *c = channels_of(t, &f->src, &f->dest, f->proto, f->start_nsec);
	struct beat x;

	if (!c)
		return NULL;
	if (fresh && (alive || final))
		count_connection(t, c, f, alive);
	add_sums(c, f, was);
	note_flow(t, c, f, alive);
	if (final && !fresh) {
		x = sample_of(f, c->flags & CHANNEL_WE_OPENED);
		beats_resize(c->starts, &x);
	}
	was->out = f->bytes_toserver;
	was->in = f->bytes_toclient;
	was->pkts_out = clamp32(f->pkts_toserver);
	was->pkts_in = clamp32(f->pkts_toclient);
	was->connection |= alive;
	return c;
}

/* A flow that begins anew under the same ends while its end was never told. */
static void check_restart(struct open_flow *o, const struct flow *f)
{
	if (f->bytes_toserver < o->out || f->bytes_toclient < o->in)
		*o = (struct open_flow){.hash = o->hash};
}

static struct channel *count_open(struct channels *t, const struct flow *f)
{
	struct open_flow *o;

	if ((!answered(f) && f->bytes_toserver < OPEN_UNANSWERED) ||
	    to_many(&f->dest.addr, f->proto) || !(o = open_of(t, hash_flow(f), true)))
		return NULL;
	check_restart(o, f);
	return count(t, f, false, o);
}

static struct channel *count_final(struct channels *t, const struct flow *f)
{
	struct open_flow none = {0}, *o = NULL;
	struct channel *c;
	uint64_t hash = 0;

	if (t->open_n && (o = open_of(t, hash = hash_flow(f), false)))
		check_restart(o, f);
	c = count(t, f, true, o ? o : &none);
	if (o)
		open_forget(t, o);
	if (c && c->resumes && c->flags & CHANNEL_PAUSES &&
	    c->resumes->flow == (uint32_t)(hash ? hash : hash_flow(f)))
		c->flags &= (uint8_t)~CHANNEL_PAUSES;
	return c;
}

struct channel *channels_flow(struct channels *t, const struct flow *f, uint32_t exe, bool final)
{
	struct channel *c = final ? count_final(t, f) : count_open(t, f);

	if (c && exe)
		c->exe = exe;
	return c;
}

/* The pauses of one flow at a time are kept: those of several would mix their beats. */
static bool may_pause(const struct channel *c, uint32_t flow, uint64_t nsec)
{
	const struct beats *b = c->resumes;

	if (!b || b->flow == flow || !(c->flags & CHANNEL_PAUSES))
		return true;
	return b->n && nsec > b->v[(b->head + b->n - 1u) % b->n].at_nsec + BEAT_IDLE;
}

/* The burst that a pause ended: from the pause before it, or from the flow's start. */
static struct beat burst_of(const struct channel *c, const struct flow *f, uint32_t flow)
{
	struct beat x = sample_of(f, c->flags & CHANNEL_WE_OPENED);
	const struct beats *b = c->resumes;

	if (!b || b->flow != flow || x.out < b->out || x.in < b->in)
		return x;
	return (struct beat){b->at_nsec, x.out - b->out, x.in - b->in};
}

struct channel *channels_resume(struct channels *t, const struct resume_event *r)
{
	const struct flow *f = &r->flow;
	uint32_t flow = (uint32_t)hash_flow(f);
	struct channel *c = channels_of(t, &f->src, &f->dest, f->proto, f->start_nsec);
	struct beat x;

	if (!c || !may_pause(c, flow, r->at_nsec))
		return c;
	x = burst_of(c, f, flow);
	keep_beat(t, &c->resumes, &x);
	if (!c->resumes)
		return c;
	x = sample_of(f, c->flags & CHANNEL_WE_OPENED);
	c->resumes->flow = flow;
	c->resumes->out = x.out;
	c->resumes->in = x.in;
	c->resumes->at_nsec = r->at_nsec;
	c->flags |= CHANNEL_PAUSES;
	if (r->at_nsec > t->last_nsec)
		t->last_nsec = r->at_nsec;
	return c;
}

size_t channels_count(const struct channels *t)
{
	return t->n;
}

struct channel *channels_at(const struct channels *t, size_t i)
{
	return &t->v[i];
}

void channels_stats(const struct channels *t, struct channels_stats *ret)
{
	*ret = t->stats;
	ret->channels = t->n;
	ret->open = t->open_n;
	ret->samples = t->samples;
}

void channels_span(const struct channels *t, uint64_t *ret_first, uint64_t *ret_last)
{
	*ret_first = t->first_nsec;
	*ret_last = t->last_nsec;
}
