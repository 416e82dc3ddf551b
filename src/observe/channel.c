/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/channel.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "observe/judge.h"

#define TCP_SYN     0x02
#define TCP_RST     0x04
#define TCP_ACK     0x10
#define QUEUE       16u /* a power of two */
#define HUGE_PAGE   (UINT64_C(2) * 1024 * 1024)
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

enum what { FLOW_OPEN, FLOW_FINAL, RESUME, APP };

/* An input that waits. */
struct pending {
	struct flow flow;
	uint64_t at_nsec; /* RESUME */
	uint64_t hash;    /* of its channel */
	uint32_t handle;  /* of exe or name */
	uint32_t guess;   /* position + 1 of what is probably its channel */
	uint8_t what, app;
	bool ours; /* src is our side */
};

struct channels {
	struct channels_config c;
	struct pending queue[QUEUE];
	unsigned pushed, done;
	uint64_t seed; /* so that nobody can choose addresses that collide */
	void *map;
	size_t map_len;
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

/* Channels, index, open flows, in one piece of huge pages where the kernel has them: most of what a
 * flow costs is the look-up of pages. */
static int map_tables(struct channels *t, size_t index, size_t open)
{
	size_t v = t->c.max * sizeof(*t->v), i = index * sizeof(*t->index),
	       o = open * sizeof(*t->open);
	uint8_t *aligned;

	t->map_len = v + i + o + HUGE_PAGE;
	t->map = mmap(NULL, t->map_len, PROT_READ | PROT_WRITE,
	              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->map == MAP_FAILED) {
		t->map = NULL;
		return -ENOMEM;
	}
	aligned = (uint8_t *)t->map + (-(uintptr_t)t->map & (HUGE_PAGE - 1));
	(void)madvise(aligned, v + i, MADV_HUGEPAGE);
	t->v = (void *)aligned;
	t->index = (void *)(aligned + v);
	t->open = (void *)(aligned + v + i);
	return 0;
}

int channels_new(const struct channels_config *c, struct channels **ret)
{
	struct channels *t = calloc(1, sizeof(*t));
	size_t index, open;
	int r = 0;

	if (!t)
		return -ENOMEM;
	t->c = *c;
	t->c.max = c->max ? c->max : CHANNELS_MAX;
	t->c.max_open = c->max_open ? c->max_open : CHANNELS_OPEN_MAX;
	t->c.max_samples = c->max_samples ? c->max_samples : CHANNELS_SAMPLES;
	if (t->c.max > UINT32_C(1) << 26 || t->c.max_open > UINT32_C(1) << 26)
		r = -EINVAL;
	index = power_of_two(t->c.max * 2);
	open = power_of_two(t->c.max_open * 2);
	t->index_mask = index - 1;
	t->open_mask = open - 1;
	if (!r && getrandom(&t->seed, sizeof(t->seed), 0) != sizeof(t->seed))
		r = -EIO;
	if (!r)
		r = map_tables(t, index, open);
	if (r < 0) {
		channels_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void channels_free(struct channels *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++) {
		beats_free(t->v[i].starts);
		beats_free(t->v[i].resumes);
	}
	if (t->map)
		munmap(t->map, t->map_len);
	free(t);
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

void beats_free(struct beats *b)
{
	if (b)
		free(b->parts);
	free(b);
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
	beats_free(*b);
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
	worst->flags &= (uint8_t)~CHANNEL_BEATS;
	return true;
}

static void keep_beat(struct channels *t, struct channel *c, struct beats **b, const struct beat *x)
{
	if (!beats_add(b, x, &t->samples, t->c.max_samples) &&
	    (!evict_samples(t) || !beats_add(b, x, &t->samples, t->c.max_samples)))
		t->stats.not_sampled++;
	if (*b && (*b)->n >= BEATS_MIN)
		c->flags |= CHANNEL_BEATS;
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

static uint16_t port_of(const struct flow *f)
{
	return is_icmp(f->proto) ? (uint16_t)(f->src.port << 8 | (f->dest.port & 0xff))
	                         : f->dest.port;
}

static uint64_t hash_channel(const struct channels *t, const struct flow *f, bool ours)
{
	uint64_t h = hash_addr(&f->dest.addr, hash_addr(&f->src.addr, t->seed));

	return hash_mix(h, (uint64_t)port_of(f) << 16 | f->proto << 1 | ours);
}

static struct key key_of(const struct pending *p)
{
	const struct flow *f = &p->flow;

	return (struct key){.ours = p->ours ? &f->src.addr : &f->dest.addr,
	                    .other = p->ours ? &f->dest.addr : &f->src.addr,
	                    .port = port_of(f),
	                    .proto = f->proto,
	                    .we_opened = p->ours,
	                    .hash = p->hash};
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

/* What is lost with it: what repeats, or carries much. */
static uint64_t worth(const struct channel *c)
{
	return c->conns + (c->bytes_out >> 16);
}

static size_t evict(struct channels *t)
{
	size_t worst = t->hand % t->n;

	for (size_t i = 0; i < EVICT_LOOK; i++) {
		size_t at = t->hand++ % t->n;
		const struct channel *c = &t->v[at], *w = &t->v[worst];
		if (worth(c) < worth(w) || (worth(c) == worth(w) && c->last_nsec < w->last_nsec))
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

/* ---- open flows ---- */

static uint64_t hash_flow(const struct channels *t, const struct flow *f)
{
	uint64_t h = hash_addr(&f->dest.addr, hash_addr(&f->src.addr, t->seed));

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
	/* A log that does not say who opened a connection may still know when. */
	bool start_known = f->proto != IPPROTO_TCP || !f->src_guessed ||
	                   !(f->tcp_toserver | f->tcp_toclient) || f->tcp_toserver & TCP_SYN;

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
		keep_beat(t, c, &c->starts, &first);
	if (c->conns && has_sample(f, alive))
		keep_beat(t, c, &c->starts, &x);
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
static void count(struct channels *t, struct channel *c, const struct flow *f, bool final,
                  struct open_flow *was)
{
	bool alive = answered(f), fresh = !was->connection;
	struct beat x;

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
}

/* A flow that begins anew under the same ends while its end was never told. */
static void check_restart(struct open_flow *o, const struct flow *f)
{
	if (f->bytes_toserver < o->out || f->bytes_toclient < o->in)
		*o = (struct open_flow){.hash = o->hash};
}

static void count_open(struct channels *t, const struct pending *p)
{
	const struct flow *f = &p->flow;
	struct key k = key_of(p);
	struct open_flow *o;
	struct channel *c;

	if ((!answered(f) && f->bytes_toserver < OPEN_UNANSWERED) ||
	    !(o = open_of(t, hash_flow(t, f), true)))
		return;
	check_restart(o, f);
	c = get(t, &k, f->start_nsec);
	count(t, c, f, false, o);
	c->exe = p->handle ? p->handle : c->exe;
}

static void count_final(struct channels *t, const struct pending *p)
{
	const struct flow *f = &p->flow;
	struct key k = key_of(p);
	struct channel *c = get(t, &k, f->start_nsec);
	struct open_flow none = {0}, *o = NULL;

	if (t->open_n && (o = open_of(t, hash_flow(t, f), false)))
		check_restart(o, f);
	count(t, c, f, true, o ? o : &none);
	if (o)
		open_forget(t, o);
	if (c->flags & CHANNEL_PAUSES && c->resumes &&
	    c->resumes->flow == (uint32_t)hash_flow(t, f))
		c->flags &= (uint8_t)~CHANNEL_PAUSES;
	c->exe = p->handle ? p->handle : c->exe;
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

static void count_resume(struct channels *t, const struct pending *p)
{
	const struct flow *f = &p->flow;
	uint32_t flow = (uint32_t)hash_flow(t, f);
	struct key k = key_of(p);
	struct channel *c = get(t, &k, f->start_nsec);
	struct beat x;

	/* A SYN that is tried again beats by the clock, too, and is no conversation. */
	if ((f->proto == IPPROTO_TCP && !answered(f)) || !may_pause(c, flow, p->at_nsec))
		return;
	x = burst_of(c, f, flow);
	keep_beat(t, c, &c->resumes, &x);
	if (!c->resumes)
		return;
	x = sample_of(f, c->flags & CHANNEL_WE_OPENED);
	c->resumes->flow = flow;
	c->resumes->out = x.out;
	c->resumes->in = x.in;
	c->resumes->at_nsec = p->at_nsec;
	c->flags |= CHANNEL_PAUSES;
	if (p->at_nsec > t->last_nsec)
		t->last_nsec = p->at_nsec;
}

static void note_app(struct channels *t, const struct pending *p)
{
	struct key k = key_of(p);
	struct channel *c = get(t, &k, p->flow.start_nsec);

	c->apps |= (uint16_t)(1u << p->app);
	if (!c->name)
		c->name = p->handle;
}

/* ---- the queue ---- */

/*
 * Nearly all of what an input costs is waiting for memory: the word of the index, the channel, the
 * list. They are fetched one after the other while the inputs before it are worked off.
 */
static void fetch_channel(const struct channels *t, struct pending *p)
{
	uint32_t hash = (uint32_t)(p->hash >> 32);
	size_t i = (size_t)p->hash & t->index_mask;

	while (t->index[i].at && t->index[i].hash != hash)
		i = (i + 1) & t->index_mask;
	p->guess = t->index[i].at;
	if (!p->guess)
		return;
	__builtin_prefetch(&t->v[p->guess - 1], 1);
	__builtin_prefetch((const char *)&t->v[p->guess - 1] + 64, 1);
}

static const struct beats *list_of(const struct channels *t, const struct pending *p)
{
	const struct channel *c = p->guess ? &t->v[p->guess - 1] : NULL;

	return !c ? NULL : p->what == RESUME ? c->resumes : c->starts;
}

static void fetch_list(const struct channels *t, const struct pending *p)
{
	__builtin_prefetch(list_of(t, p), 1);
}

static void fetch_sample(const struct channels *t, const struct pending *p)
{
	const struct beats *b = list_of(t, p);

	if (b)
		__builtin_prefetch(&b->v[b->n < b->cap ? b->n : b->head], 1);
}

static void work_off(struct channels *t)
{
	static void (*const does[])(struct channels * t, const struct pending *p) = {
	    [FLOW_OPEN] = count_open,
	    [FLOW_FINAL] = count_final,
	    [RESUME] = count_resume,
	    [APP] = note_app,
	};
	const struct pending *p = &t->queue[t->done % QUEUE];

	does[p->what](t, p);
	t->done++;
}

void channels_settle(struct channels *t)
{
	while (t->done != t->pushed)
		work_off(t);
}

static struct pending *before(struct channels *t, unsigned n)
{
	return t->pushed - t->done > n ? &t->queue[(t->pushed - 1 - n) % QUEUE] : NULL;
}

/* The place of the next input; NULL: it goes to many. push() puts it in. */
static struct pending *place(struct channels *t, enum what what, const struct endpoint *dest,
                             uint8_t proto)
{
	struct pending *p = &t->queue[t->pushed % QUEUE];

	if (to_many(&dest->addr, proto))
		return NULL;
	if (t->pushed - t->done == QUEUE)
		work_off(t);
	p->what = (uint8_t)what;
	return p;
}

static void push(struct channels *t, struct pending *p)
{
	p->ours = src_is_ours(t, &p->flow.src.addr, &p->flow.dest.addr);
	p->hash = hash_channel(t, &p->flow, p->ours);
	p->guess = 0;
	__builtin_prefetch(&t->index[p->hash & t->index_mask]);
	t->pushed++;
	if ((p = before(t, 4)))
		fetch_channel(t, p);
	if ((p = before(t, 8)))
		fetch_list(t, p);
	if ((p = before(t, 12)))
		fetch_sample(t, p);
}

void channels_flow(struct channels *t, const struct flow *f, uint32_t exe, bool final)
{
	struct pending *p = place(t, final ? FLOW_FINAL : FLOW_OPEN, &f->dest, f->proto);

	if (!p)
		return;
	p->flow = *f;
	p->handle = exe;
	push(t, p);
}

void channels_resume(struct channels *t, const struct resume_event *r)
{
	struct pending *p = place(t, RESUME, &r->flow.dest, r->flow.proto);

	if (!p)
		return;
	p->flow = r->flow;
	p->at_nsec = r->at_nsec;
	push(t, p);
}

void channels_app(struct channels *t, const struct app_event *a, uint32_t name)
{
	struct pending *p = place(t, APP, &a->dest, a->proto);

	if (!p)
		return;
	p->flow =
	    (struct flow){.src = a->src, .dest = a->dest, .proto = a->proto, .start_nsec = a->nsec};
	p->handle = name;
	p->app = (uint8_t)a->app;
	push(t, p);
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
