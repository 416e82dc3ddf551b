/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *  1. A slot is one cache line: key, times, counters of both directions. Slots are handed out in
 *     the order of arrival, so that the flows which everyone sees lie together and are near; what
 *     goes is taken again first. Addresses of IPv6 lie in a second array at the same number; their
 *     slot has a hash of them in place of two IPv4 addresses.
 *  2. The index finds a slot: words of eight bits of the hash and the slot's number + 1, probed
 *     linearly from the top bits of the hash; at most three of four are taken, so a probe ends. An
 *     index of n words lies at n..2n of its part of the mapping, and grows upwards by being made
 *     anew from the slots.
 *  3. Frames go through a short queue in two steps, so that first the word, then the slot has come
 *     from memory when its turn is. Whoever looks at the table drains the queue first.
 */
#include "observe/flowtab.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "observe/frags.h"
#include "wire/packet.h"

#define INDEX_LEAST   8u
#define INDEX_START   16384u
#define LOOKS_GUESSED 4u  /* packets of a flow that was not seen from its start */
#define QUEUE         16u /* power of two; half of it between the two steps */
#define EVICT_SAMPLE  16u
#define HUGE_PAGE     (UINT64_C(2) << 20)
#define MIX           UINT64_C(0x9e3779b97f4a7c15)
#define LOAD_LIMIT(n) ((n) / 4 * 3)

#define W_NUMBER   UINT32_C(0xffffff) /* of a word of the index: slot + 1; 0: free */
#define W_TAG      UINT32_C(0xff000000)
#define FLOWS_MOST (W_NUMBER - 1)

/* The second word of a key, and the flags that share it. */
#define K_LO_PORT  0  /* port of the lower (address, port) */
#define K_HI_PORT  16 /* and of the higher */
#define K_PROTO    32
#define K_VLAN     40
#define K_V4       (UINT64_C(1) << 52)
#define K_V6       (UINT64_C(1) << 53)
#define K_KEY      ((UINT64_C(1) << 54) - 1)
#define K_REVERSED (UINT64_C(1) << 54) /* the higher one opened it */
#define K_GUESSED  (UINT64_C(1) << 55)
#define K_CLOSED   (UINT64_C(1) << 56)
#define K_SETTLED  (UINT64_C(1) << 59) /* its protocol is known, or not to be had */
#define K_SPOKE    57                  /* two bits: which ends have spoken since the last pause */
#define K_BOTH     (UINT64_C(3) << K_SPOKE)

struct slot {
	uint64_t k0, k1; /* k1 0: free */
	uint64_t start, end;
	uint64_t pkts[2], bytes[2]; /* [0] from the lower to the higher end; pkts has the TCP flags
	                               of that direction in its highest byte */
};

#define FLAGS_SHIFT 56
#define PKTS_MASK   ((UINT64_C(1) << FLAGS_SHIFT) - 1)

struct side {
	uint8_t lo[16], hi[16];
};

/* One frame (or several fragments) on the way to its slot. */
struct item {
	uint64_t k0, k1, hash;
	uint64_t first, last, pkts, bytes;
	const uint8_t *payload;
	uint32_t payload_len, payload_wire, seq;
	uint8_t dir, turn, flags;
	struct side side;
};

struct flowtab {
	uint32_t *index; /* of the present size */
	size_t size, mask;
	unsigned shift;     /* hash >> shift is the first word to look at */
	struct slot *slots; /* max_flows */
	struct side *sides; /* max_flows */
	size_t used;        /* slots that were ever taken */
	size_t count;       /* of them in use */
	size_t hand;        /* where eviction goes on */
	uint64_t spare;     /* list of slots that are free again: number + 1, linked by k0 */
	size_t max_flows;
	uint64_t seed[2];
	flow_emit_fn emit;
	flow_resume_fn resume;
	struct inspect *inspect;
	void *arg;
	struct frags *frags;
	size_t queued, next; /* queue is a ring: next is its oldest */
	struct item queue[QUEUE];
	uint64_t flows, evicted, truncated, undecoded, malformed, first_nsec, last_nsec;
	uint32_t *all_index;
	void *map;
	size_t map_len;
};

/* ---- memory ---- */

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

static void use_size(struct flowtab *t, size_t size)
{
	t->size = size;
	t->mask = size - 1;
	t->shift = 64 - (unsigned)__builtin_ctzll(size);
	t->index = t->all_index + size;
}

static int map_table(struct flowtab *t, size_t index_most, struct err *e)
{
	size_t slots = round_up(t->max_flows * sizeof(struct slot), HUGE_PAGE);
	size_t sides = round_up(t->max_flows * sizeof(struct side), HUGE_PAGE);
	size_t index = round_up(2 * index_most * sizeof(uint32_t), HUGE_PAGE);
	t->map_len = slots + sides + index + HUGE_PAGE;
	t->map = mmap(NULL, t->map_len, PROT_READ | PROT_WRITE,
	              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->map == MAP_FAILED) {
		t->map = NULL;
		return err_set(e, -ENOMEM, "no address space for a table of %zu flows (%zu MiB)",
		               t->max_flows, t->map_len >> 20);
	}
	uint8_t *aligned = (uint8_t *)round_up((size_t)t->map, HUGE_PAGE);
	/* Without huge pages it is slower, not wrong. */
	(void)madvise(aligned, slots + sides + index, MADV_HUGEPAGE);
	t->slots = (struct slot *)(void *)aligned;
	t->sides = (struct side *)(void *)(aligned + slots);
	t->all_index = (uint32_t *)(void *)(aligned + slots + sides);
	return 0;
}

int flowtab_new(size_t max_flows, flow_emit_fn emit, void *arg, struct flowtab **ret, struct err *e)
{
	if (max_flows == 0 || max_flows > FLOWS_MOST)
		return err_set(e, -EINVAL, "a flow table holds 1 to %zu flows, not %zu",
		               (size_t)FLOWS_MOST, max_flows);
	struct flowtab *t = aligned_alloc(64, round_up(sizeof *t, 64));
	if (!t)
		return err_set(e, -ENOMEM, "no memory for a flow table");
	memset(t, 0, sizeof *t);
	t->emit = emit;
	t->arg = arg;
	t->max_flows = max_flows;
	size_t most = INDEX_LEAST;
	while (LOAD_LIMIT(most) < max_flows)
		most *= 2;
	if (getrandom(t->seed, sizeof t->seed, 0) != sizeof t->seed)
		t->seed[0] = (uint64_t)(uintptr_t)t;
	int r = frags_new(&t->frags, e);
	if (r == 0)
		r = map_table(t, most, e);
	if (r < 0) {
		flowtab_free(t);
		return r;
	}
	use_size(t, most < INDEX_START ? most : INDEX_START);
	*ret = t;
	return 0;
}

void flowtab_free(struct flowtab *t)
{
	if (!t)
		return;
	frags_free(t->frags);
	if (t->map)
		munmap(t->map, t->map_len);
	free(t);
}

void flowtab_on_resume(struct flowtab *t, flow_resume_fn resume)
{
	t->resume = resume;
}

void flowtab_inspect(struct flowtab *t, struct inspect *in)
{
	t->inspect = in;
}

/* ---- keys ---- */

static inline uint64_t mix(uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 u128;
	u128 m = (u128)a * b;
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t hash_of(const struct flowtab *t, uint64_t k0, uint64_t k1)
{
	return mix(k0 ^ t->seed[0], (k1 & K_KEY) ^ t->seed[1] ^ MIX) * MIX;
}

static inline uint64_t load64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

static inline uint32_t load_addr4(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return ntohl(v);
}

static bool has_types(uint8_t proto)
{
	return proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static void set_addrs6(const struct flowtab *t, const struct packet *p, struct item *i)
{
	int c = memcmp(p->src, p->dst, 16);
	i->dir = c > 0 || (c == 0 && p->sport > p->dport && !has_types(p->proto));
	memcpy(i->side.lo, i->dir ? p->dst : p->src, 16);
	memcpy(i->side.hi, i->dir ? p->src : p->dst, 16);
	i->k0 = mix(load64(i->side.lo) ^ t->seed[0], load64(i->side.lo + 8) ^ t->seed[1]) +
	        mix(load64(i->side.hi) ^ t->seed[1], load64(i->side.hi + 8) ^ MIX);
}

/* Fills key and direction. Types of ICMP stand where the ports do, but belong to no end. Which way
 * a packet goes is chance: no branch may depend on it. */
static inline __attribute__((always_inline)) void set_key(const struct flowtab *t,
                                                          const struct packet *p, struct item *i)
{
	bool types = has_types(p->proto);
	uint64_t sport = p->sport, dport = p->dport, family = K_V6;

	if (p->family == 4) {
		uint64_t s = load_addr4(p->src), d = load_addr4(p->dst);
		uint64_t from = s << 16 | (types ? 0 : sport), to = d << 16 | (types ? 0 : dport);
		i->dir = from > to;
		i->k0 = (s < d ? s : d) << 32 | (s < d ? d : s);
		family = K_V4;
	} else {
		set_addrs6(t, p, i);
	}
	uint64_t swap = (sport ^ dport) & (types ? 0 : -(uint64_t)i->dir);
	i->k1 = (sport ^ swap) << K_LO_PORT | (dport ^ swap) << K_HI_PORT |
	        (uint64_t)p->proto << K_PROTO | (uint64_t)p->vlan << K_VLAN | family;
	i->hash = hash_of(t, i->k0, i->k1);
}

static inline struct addr addr_of4(uint64_t v)
{
	uint32_t be = htonl((uint32_t)v);
	struct addr a = {.family = ADDR_V4};
	memcpy(a.bytes, &be, sizeof be);
	return a;
}

static inline struct addr addr_of6(const uint8_t *p)
{
	/* As it was on the wire: a mapped address in an IPv6 header is no IPv4 packet. */
	struct addr a = {.family = ADDR_V6};
	memcpy(a.bytes, p, sizeof a.bytes);
	return a;
}

/* Who talks to whom: src, dest and proto of a flow. */
static inline void ends_of(const struct flowtab *t, size_t at, struct flow *ret)
{
	const struct slot *s = &t->slots[at];
	struct endpoint *lo = s->k1 & K_REVERSED ? &ret->dest : &ret->src;
	struct endpoint *hi = s->k1 & K_REVERSED ? &ret->src : &ret->dest;

	lo->port = (uint16_t)(s->k1 >> K_LO_PORT);
	hi->port = (uint16_t)(s->k1 >> K_HI_PORT);
	if (s->k1 & K_V6) {
		lo->addr = addr_of6(t->sides[at].lo);
		hi->addr = addr_of6(t->sides[at].hi);
	} else {
		lo->addr = addr_of4(s->k0 >> 32);
		hi->addr = addr_of4(s->k0);
	}
	ret->proto = (uint8_t)(s->k1 >> K_PROTO);
	/* Type and code of ICMP belong to no end. */
	if (has_types(ret->proto)) {
		ret->src.port = (uint16_t)(s->k1 >> K_LO_PORT);
		ret->dest.port = (uint16_t)(s->k1 >> K_HI_PORT);
	}
}

static void flow_of(const struct flowtab *t, size_t at, struct flow *ret)
{
	const struct slot *s = &t->slots[at];
	bool rev = s->k1 & K_REVERSED;

	*ret = (struct flow){
	    .vlan = (uint16_t)(s->k1 >> K_VLAN & 0xfff),
	    .src_guessed = s->k1 & K_GUESSED,
	    .pkts_toserver = s->pkts[rev] & PKTS_MASK,
	    .pkts_toclient = s->pkts[!rev] & PKTS_MASK,
	    .tcp_toserver = (uint8_t)(s->pkts[rev] >> FLAGS_SHIFT),
	    .tcp_toclient = (uint8_t)(s->pkts[!rev] >> FLAGS_SHIFT),
	    .bytes_toserver = s->bytes[rev],
	    .bytes_toclient = s->bytes[!rev],
	    .start_nsec = s->start,
	    .end_nsec = s->end,
	};
	ends_of(t, at, ret);
}

static void put_out(struct flowtab *t, size_t at)
{
	struct flow f;
	flow_of(t, at, &f);
	if (t->emit)
		t->emit(t->arg, &f);
}

/* ---- slots and index ---- */

static inline size_t home(const struct flowtab *t, uint64_t hash)
{
	return (size_t)(hash >> t->shift);
}

static inline uint32_t tag_of(uint64_t hash)
{
	return (uint32_t)hash & W_TAG;
}

static inline size_t number_of(uint32_t word)
{
	return (word & W_NUMBER) - 1;
}

static inline bool matches(const struct flowtab *t, size_t number, const struct item *i)
{
	const struct slot *s = &t->slots[number];
	return s->k0 == i->k0 && (s->k1 & K_KEY) == i->k1 &&
	       (!(i->k1 & K_V6) || !memcmp(&t->sides[number], &i->side, sizeof i->side));
}

/* Where in the index this key stands, or the free word where it belongs. */
static inline size_t probe(const struct flowtab *t, const struct item *i)
{
	uint32_t tag = tag_of(i->hash);
	for (size_t at = home(t, i->hash);; at = (at + 1) & t->mask) {
		uint32_t word = t->index[at];
		if (!word || ((word & W_TAG) == tag && matches(t, number_of(word), i)))
			return at;
	}
}

static uint64_t hash_at(const struct flowtab *t, size_t number)
{
	return hash_of(t, t->slots[number].k0, t->slots[number].k1);
}

/* Frees a word and closes the gap, so that every probe still finds what lies behind it. */
static void unindex(struct flowtab *t, size_t gap)
{
	for (size_t i = (gap + 1) & t->mask; t->index[i]; i = (i + 1) & t->mask) {
		size_t wanted = home(t, hash_at(t, number_of(t->index[i])));
		if (((i - wanted) & t->mask) >= ((i - gap) & t->mask)) {
			t->index[gap] = t->index[i];
			gap = i;
		}
	}
	t->index[gap] = 0;
}

static void take_out(struct flowtab *t, size_t number)
{
	size_t at = home(t, hash_at(t, number));
	while (number_of(t->index[at]) != number)
		at = (at + 1) & t->mask;
	unindex(t, at);
	t->slots[number] = (struct slot){.k0 = t->spare};
	t->spare = number + 1;
	t->count--;
}

/* There is one: fewer than max_flows are in use. */
static size_t take_slot(struct flowtab *t)
{
	size_t number = t->used;
	if (t->spare) {
		number = (size_t)t->spare - 1;
		t->spare = t->slots[number].k0;
	} else {
		t->used++;
	}
	t->count++;
	return number;
}

static void grow(struct flowtab *t)
{
	uint32_t *old = t->index;
	size_t n = t->size;

	use_size(t, 2 * n);
	for (size_t i = 0; i < t->used; i++) {
		if (!t->slots[i].k1)
			continue;
		uint64_t hash = hash_at(t, i);
		size_t at = home(t, hash);
		while (t->index[at])
			at = (at + 1) & t->mask;
		t->index[at] = tag_of(hash) | (uint32_t)(i + 1);
	}
	/* Parts of pages below stay; what matters is given back. */
	(void)madvise(old, n * sizeof *old, MADV_DONTNEED);
}

/* Whether a goes before b: it was idle longer for each packet it had. So a flood of single packets
 * puts out its own and not who talks, and who fell silent goes in the end, however much it said. */
static bool goes_first(const struct flowtab *t, const struct slot *a, const struct slot *b)
{
	uint64_t pa = (a->pkts[0] & PKTS_MASK) + (a->pkts[1] & PKTS_MASK);
	uint64_t pb = (b->pkts[0] & PKTS_MASK) + (b->pkts[1] & PKTS_MASK);
	uint64_t ia = t->last_nsec > a->end ? t->last_nsec - a->end : 0;
	uint64_t ib = t->last_nsec > b->end ? t->last_nsec - b->end : 0;

	return (double)ia * (double)pb > (double)ib * (double)pa;
}

static void evict(struct flowtab *t)
{
	size_t oldest = t->used;
	for (unsigned seen = 0; seen < EVICT_SAMPLE && seen < t->count;) {
		size_t at = t->hand < t->used ? t->hand : 0;
		t->hand = at + 1;
		if (!t->slots[at].k1)
			continue;
		seen++;
		if (oldest == t->used || goes_first(t, &t->slots[at], &t->slots[oldest]))
			oldest = at;
	}
	put_out(t, oldest);
	take_out(t, oldest);
	t->evicted++;
}

/* ---- counting ---- */

/* Who opened it, from what the first packet of the flow says. */
static uint64_t opener(const struct item *i)
{
	bool from_hi = i->dir;
	uint16_t lo = (uint16_t)(i->k1 >> K_LO_PORT), hi = (uint16_t)(i->k1 >> K_HI_PORT);

	if (i->turn & TURN_OPENS)
		return from_hi ? K_REVERSED : 0;
	if (i->turn & TURN_ANSWERS)
		return from_hi ? 0 : K_REVERSED;
	/* In mid-stream the lower port is the likelier server. */
	if ((uint8_t)(i->k1 >> K_PROTO) == IPPROTO_TCP && lo != hi)
		from_hi = hi > lo;
	return K_GUESSED | (from_hi ? K_REVERSED : 0);
}

static void begin(struct flowtab *t, size_t at, const struct item *i)
{
	struct slot *s = &t->slots[at];
	*s = (struct slot){.k0 = i->k0, .k1 = i->k1 | opener(i), .start = i->first, .end = i->last};
	if (i->k1 & K_V6)
		t->sides[at] = i->side;
	t->flows++;
}

static size_t insert(struct flowtab *t, size_t at, const struct item *i)
{
	if (t->count >= t->max_flows) {
		evict(t);
		at = probe(t, i);
	} else if (t->count >= LOAD_LIMIT(t->size)) {
		grow(t);
		at = probe(t, i);
	}
	size_t number = take_slot(t);
	t->index[at] = tag_of(i->hash) | (uint32_t)(number + 1);
	begin(t, number, i);
	return number;
}

/* What a SYN, an answer or an end changes in a flow that was there. */
static void take_turn(struct flowtab *t, size_t at, const struct item *i)
{
	struct slot *s = &t->slots[at];
	if ((i->turn & TURN_OPENS) && (s->k1 & K_CLOSED)) {
		put_out(t, at);
		begin(t, at, i);
	} else if ((i->turn & (TURN_OPENS | TURN_ANSWERS)) && (s->k1 & K_GUESSED)) {
		s->k1 = (s->k1 & ~(K_GUESSED | K_REVERSED)) | opener(i);
	}
	if (i->turn & TURN_CLOSES)
		s->k1 |= K_CLOSED;
}

/* The first packet after a pause. A talk in which one end was silent, though it can speak, is no
 * exchange and not worth telling. */
static __attribute__((noinline)) void resumed(struct flowtab *t, size_t at, uint64_t nsec)
{
	struct slot *s = &t->slots[at];
	bool one_way = !(s->pkts[0] & PKTS_MASK) || !(s->pkts[1] & PKTS_MASK);
	struct flow f;

	if (t->resume && (one_way || (s->k1 & K_BOTH) == K_BOTH)) {
		flow_of(t, at, &f);
		t->resume(t->arg, &f, nsec);
	}
	s->k1 &= ~K_BOTH;
}

static __attribute__((noinline)) void look_into(struct flowtab *t, size_t at, const struct item *i)
{
	const struct packet p = {.payload = i->payload,
	                         .payload_len = i->payload_len,
	                         .payload_wire = i->payload_wire,
	                         .seq = i->seq,
	                         .tcp_flags = i->flags};
	struct slot *s = &t->slots[at];
	bool to_server = i->dir == !!(s->k1 & K_REVERSED);
	struct flow f;

	ends_of(t, at, &f);
	if (inspect_packet(t->inspect, &f, i->first, to_server, s->k1 & K_SETTLED, &p))
		s->k1 |= K_SETTLED;
}

static inline bool wants_look(const struct slot *s)
{
	uint64_t packets = (s->pkts[0] + s->pkts[1]) & PKTS_MASK;
	/* What was not seen from its start hardly starts now. */
	uint64_t most = s->k1 & K_GUESSED ? LOOKS_GUESSED : INSPECT_PACKETS;
	return inspect_wants((uint8_t)(s->k1 >> K_PROTO), (uint16_t)(s->k1 >> K_LO_PORT),
	                     (uint16_t)(s->k1 >> K_HI_PORT), packets,
	                     (s->k1 & K_SETTLED) || packets > most);
}

static inline void count(struct flowtab *t, const struct item *i)
{
	size_t found = probe(t, i);
	size_t at = t->index[found] ? number_of(t->index[found]) : insert(t, found, i);
	if (i->turn)
		take_turn(t, at, i);
	struct slot *s = &t->slots[at];
	if (i->first > s->end + FLOW_PAUSE_NSEC)
		resumed(t, at, i->first);
	s->k1 |= UINT64_C(1) << (K_SPOKE + i->dir);
	s->pkts[i->dir] = (s->pkts[i->dir] + i->pkts) | (uint64_t)i->flags << FLAGS_SHIFT;
	s->bytes[i->dir] += i->bytes;
	if (i->last > s->end)
		s->end = i->last;
	if (i->first < s->start)
		s->start = i->first;
	if (i->payload_len && t->inspect && wants_look(s))
		look_into(t, at, i);
}

static void drain(struct flowtab *t)
{
	for (; t->queued; t->queued--, t->next = (t->next + 1) % QUEUE)
		count(t, &t->queue[t->next]);
}

/* The second step: the word is here, its slot is asked for. The first one with the tag is it but
 * for one time in 256. */
static inline void ask_for_slot(const struct flowtab *t, const struct item *i)
{
	uint32_t tag = tag_of(i->hash), word;
	size_t at = home(t, i->hash);
	while ((word = t->index[at]) && (word & W_TAG) != tag)
		at = (at + 1) & t->mask;
	if (!word)
		return;
	__builtin_prefetch(&t->slots[number_of(word)], 1);
	if (i->k1 & K_V6)
		__builtin_prefetch(&t->sides[number_of(word)]);
}

/* A place at the end of the queue; makes room by counting the oldest. */
static inline struct item *enqueue(struct flowtab *t)
{
	size_t at = (t->next + t->queued) % QUEUE;
	if (t->queued == QUEUE) {
		count(t, &t->queue[t->next]);
		t->next = (t->next + 1) % QUEUE;
		ask_for_slot(t, &t->queue[(t->next + QUEUE / 2) % QUEUE]);
	} else {
		t->queued++;
	}
	return &t->queue[at];
}

static inline __attribute__((always_inline)) void add(struct flowtab *t, const struct packet *p,
                                                      uint64_t nsec, uint32_t len)
{
	struct item *i = enqueue(t);
	set_key(t, p, i);
	i->first = i->last = nsec;
	i->pkts = 1;
	i->bytes = len;
	i->turn = p->turn;
	i->flags = p->tcp_flags;
	i->payload = p->payload;
	i->payload_len = p->payload_len;
	i->payload_wire = p->payload_wire;
	i->seq = p->seq;
	__builtin_prefetch(&t->index[home(t, i->hash)]);
}

/* ---- fragments ---- */

/* Counts what waited in an entry, with what is known about its datagram. */
static void add_waiting(struct flowtab *t, const struct frag *f)
{
	const struct packet p = {.src = f->src,
	                         .dst = f->dst,
	                         .family = f->family,
	                         .proto = f->proto,
	                         .vlan = f->vlan,
	                         .sport = f->sport,
	                         .dport = f->dport};
	struct item *i = enqueue(t);
	set_key(t, &p, i);
	i->first = f->first_nsec;
	i->last = f->last_nsec;
	i->pkts = f->pkts;
	i->bytes = f->bytes;
	i->turn = i->flags = 0;
	i->payload_len = 0;
	if (!f->known)
		t->truncated += f->pkts;
}

static void add_lost(void *arg, const struct frag *f)
{
	add_waiting(arg, f);
}

/* The first fragment is counted before those that waited for it: it says who opened the flow. */
static void add_first(struct flowtab *t, struct frag *f, const struct packet *p, uint64_t nsec,
                      uint32_t len)
{
	f->known = true;
	f->proto = p->proto;
	f->vlan = p->vlan;
	f->sport = p->sport;
	f->dport = p->dport;
	add(t, p, nsec, len);
	if (f->pkts)
		add_waiting(t, f);
	f->pkts = f->bytes = 0;
}

static void add_fragment(struct flowtab *t, const struct packet *p, uint64_t nsec, uint32_t len)
{
	struct frag lost, *f = frags_entry(t->frags, p, nsec, &lost);
	if (lost.pkts)
		add_waiting(t, &lost);
	if (p->first) {
		add_first(t, f, p, nsec, len);
	} else if (f->known) {
		struct packet q = *p;
		q.proto = f->proto;
		q.vlan = f->vlan;
		q.sport = f->sport;
		q.dport = f->dport;
		add(t, &q, nsec, len);
	} else {
		if (!f->pkts || nsec < f->first_nsec)
			f->first_nsec = nsec;
		if (!f->pkts || nsec > f->last_nsec)
			f->last_nsec = nsec;
		f->pkts++;
		f->bytes += len;
	}
}

/* ---- what others call ---- */

static void not_counted(struct flowtab *t, enum packet_kind kind)
{
	t->undecoded += kind == PACKET_OTHER;
	t->truncated += kind == PACKET_SHORT;
	t->malformed += kind == PACKET_BAD;
}

/* Kept apart, so that the frame of the short way stays in registers. */
static __attribute__((noinline)) void long_way(struct flowtab *t, uint64_t nsec, unsigned linktype,
                                               const uint8_t *data, uint32_t cap_len,
                                               uint32_t wire_len)
{
	struct packet p;
	enum packet_kind kind = packet_decode_long(linktype, data, cap_len, wire_len, &p);

	if (kind != PACKET_IP) {
		not_counted(t, kind);
		return;
	}
	t->truncated += p.notes & NOTE_CUT ? 1 : 0;
	t->malformed += p.notes & NOTE_CONTRADICTS ? 1 : 0;
	if (p.fragment)
		add_fragment(t, &p, nsec, wire_len);
	else
		add(t, &p, nsec, wire_len);
}

void flowtab_frame(void *table, uint64_t nsec, unsigned linktype, const uint8_t *data,
                   uint32_t cap_len, uint32_t wire_len)
{
	struct flowtab *t = table;
	struct packet p;

	if (nsec > t->last_nsec)
		t->last_nsec = nsec;
	if (nsec < t->first_nsec || !t->first_nsec)
		t->first_nsec = nsec;
	if (linktype == LINK_ETHERNET && packet_plain(data, cap_len, wire_len, &p))
		add(t, &p, nsec, wire_len);
	else
		long_way(t, nsec, linktype, data, cap_len, wire_len);
}

void flowtab_settle(void *table)
{
	drain(table);
}

void flowtab_each(struct flowtab *t, bool (*cb)(void *arg, const struct flow *f), void *arg)
{
	drain(t);
	for (size_t i = 0; i < t->used; i++) {
		struct flow f;
		if (!t->slots[i].k1)
			continue;
		flow_of(t, i, &f);
		if (!cb(arg, &f))
			return;
	}
}

void flowtab_flush(struct flowtab *t)
{
	frags_drain(t->frags, UINT64_MAX, add_lost, t);
	drain(t);
	for (size_t i = 0; i < t->used; i++)
		if (t->slots[i].k1)
			put_out(t, i);
	memset(t->slots, 0, t->used * sizeof *t->slots);
	memset(t->index, 0, t->size * sizeof *t->index);
	t->used = t->count = t->spare = t->hand = 0;
}

void flowtab_expire(struct flowtab *t, uint64_t idle_since_nsec)
{
	frags_drain(t->frags, idle_since_nsec, add_lost, t);
	drain(t);
	for (size_t i = 0; i < t->used; i++) {
		if (t->slots[i].k1 && t->slots[i].end < idle_since_nsec) {
			put_out(t, i);
			take_out(t, i);
		}
	}
}

void flowtab_stats(struct flowtab *t, struct source_stats *s)
{
	drain(t);
	s->flows += t->flows;
	s->evicted += t->evicted;
	s->truncated += t->truncated;
	s->undecoded += t->undecoded;
	s->malformed += t->malformed;
	if (t->first_nsec && (!s->first_nsec || t->first_nsec < s->first_nsec))
		s->first_nsec = t->first_nsec;
	if (t->last_nsec > s->last_nsec)
		s->last_nsec = t->last_nsec;
}
