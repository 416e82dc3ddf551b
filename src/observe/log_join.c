/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/log_join.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* Buckets of WAYS slots: a key lies in its bucket or nowhere, so nothing is ever moved. */
#define WAYS    16u
#define BUCKETS (LOG_JOIN_FLOWS / WAYS)
_Static_assert((BUCKETS & (BUCKETS - 1)) == 0, "a power of two");

struct waiting {
	struct flow flow;
	uint64_t id; /* 0: of pieces */
	uint8_t part, action;
	bool used, unanswered;
};

struct log_join {
	log_emit_fn emit;
	void *arg;
	uint64_t evicted, newest;
	size_t hand; /* walks round for pieces that are over */
	struct waiting slots[LOG_JOIN_FLOWS];
};

int log_join_new(log_emit_fn emit, void *arg, struct log_join **ret)
{
	/* Zero pages: only what is used is touched. */
	struct log_join *j = calloc(1, sizeof(*j));

	if (!j)
		return -ENOMEM;
	j->emit = emit;
	j->arg = arg;
	*ret = j;
	return 0;
}

void log_join_free(struct log_join *j)
{
	free(j);
}

static bool is_piece(unsigned part)
{
	return part == FWLOG_PACKET || part == FWLOG_WINDOW;
}

static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	return h ^ h >> 31;
}

static uint64_t hash_end(const struct endpoint *e)
{
	uint64_t w[2];

	memcpy(w, e->addr.bytes, sizeof(w));
	return mix(mix(w[0] + UINT64_C(0x9e3779b97f4a7c15)) + mix(w[1]) + e->port);
}

/* The same for both directions. */
static struct waiting *bucket_of(struct log_join *j, const struct fwlog_record *r)
{
	uint64_t h = mix(hash_end(&r->src) + hash_end(&r->dest) + r->id * 3 + r->proto);
	return &j->slots[(h & (BUCKETS - 1)) * WAYS];
}

static bool same_end(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

static bool same_key(const struct waiting *w, const struct fwlog_record *r, bool turned)
{
	const struct endpoint *src = turned ? &r->dest : &r->src;
	const struct endpoint *dest = turned ? &r->src : &r->dest;

	return w->used && w->id == r->id && w->flow.proto == r->proto &&
	       (r->id || w->action == r->action) && same_end(&w->flow.src, src) &&
	       same_end(&w->flow.dest, dest);
}

/* *ret_turned: the record has its ends the other way round. */
static struct waiting *find(struct log_join *j, const struct fwlog_record *r, bool *ret_turned)
{
	struct waiting *w = bucket_of(j, r);

	for (size_t i = 0; i < WAYS; i++)
		for (int turned = 0; turned < 2; turned++)
			if (same_key(&w[i], r, turned)) {
				*ret_turned = turned;
				return &w[i];
			}
	return NULL;
}

/* Nothing but SYNs went out, by their size: no answer can have come. */
static bool only_syns(const struct flow *f)
{
	uint64_t syn = f->src.addr.family == ADDR_V6 ? 80 : 60;
	return !f->pkts_toclient && f->pkts_toserver && f->bytes_toserver <= f->pkts_toserver * syn;
}

static bool answered(const struct waiting *w)
{
	const struct flow *f = &w->flow;

	if (w->action == FWLOG_DENIED || w->unanswered)
		return false;
	/* What a firewall let through counts as answered, though a rule may log only the first
	 * packet. Where nobody says that it did, an answer must have been seen. */
	if (w->action == FWLOG_NOT_TOLD)
		return f->pkts_toclient || (f->tcp_toserver & FWLOG_SYN_ACK) == FWLOG_ACK;
	return w->part != FWLOG_WINDOW || !only_syns(f);
}

static void emit(struct log_join *j, struct waiting *w)
{
	struct flow *f = &w->flow;

	if (f->proto == IPPROTO_TCP) {
		bool yes = answered(w);
		if (yes)
			f->tcp_toserver |= FWLOG_SYN_ACK;
		else if (!f->tcp_toserver)
			f->tcp_toserver = FWLOG_SYN;
		if (yes)
			f->tcp_toclient |= FWLOG_SYN_ACK;
		else
			f->tcp_toclient &= (uint8_t)~FWLOG_SYN_ACK;
	}
	j->emit(j->arg, f, w->action);
	w->used = false;
}

static void put(struct waiting *w, const struct fwlog_record *r)
{
	*w = (struct waiting){
	    .flow = {.src = r->src,
	             .dest = r->dest,
	             .proto = r->proto,
	             .src_guessed = r->src_guessed,
	             .pkts_toserver = r->pkts_toserver,
	             .pkts_toclient = r->pkts_toclient,
	             .bytes_toserver = r->bytes_toserver,
	             .bytes_toclient = r->bytes_toclient,
	             .start_nsec = r->start_nsec,
	             .end_nsec = r->end_nsec,
	             .tcp_toserver = r->tcp_toserver,
	             .tcp_toclient = r->tcp_toclient},
	    .id = r->id,
	    .part = (uint8_t)r->part,
	    .action = (uint8_t)r->action,
	    .used = true,
	    .unanswered = r->unanswered,
	};
}

/* A free slot of the record's bucket; the one written longest ago is emitted where none is. */
static struct waiting *room(struct log_join *j, const struct fwlog_record *r)
{
	struct waiting *w = bucket_of(j, r), *oldest = w;

	for (size_t i = 0; i < WAYS; i++) {
		if (!w[i].used)
			return &w[i];
		if (w[i].flow.end_nsec < oldest->flow.end_nsec)
			oldest = &w[i];
	}
	emit(j, oldest);
	j->evicted++;
	return oldest;
}

/* The opening knows who opened and when; the close knows the rest. */
static void close_opened(struct log_join *j, struct waiting *w, const struct fwlog_record *r)
{
	struct flow opening = w->flow;

	put(w, r);
	w->flow.src_guessed = opening.src_guessed;
	/* A session that went on by its opening's clock began then, to the second of a log. */
	if (opening.start_nsec < w->flow.start_nsec)
		w->flow.start_nsec = opening.start_nsec;
	emit(j, w);
}

static void add_piece(struct waiting *w, const struct fwlog_record *r)
{
	struct flow *f = &w->flow;

	if (__builtin_add_overflow(f->bytes_toserver, r->bytes_toserver, &f->bytes_toserver))
		f->bytes_toserver = UINT64_MAX;
	if (__builtin_add_overflow(f->bytes_toclient, r->bytes_toclient, &f->bytes_toclient))
		f->bytes_toclient = UINT64_MAX;
	f->pkts_toserver += r->pkts_toserver;
	f->pkts_toclient += r->pkts_toclient;
	f->tcp_toserver |= r->tcp_toserver;
	f->tcp_toclient |= r->tcp_toclient;
	f->src_guessed &= r->src_guessed;
	if (r->start_nsec < f->start_nsec)
		f->start_nsec = r->start_nsec;
	if (r->end_nsec > f->end_nsec)
		f->end_nsec = r->end_nsec;
}

static bool apart(const struct flow *f, const struct fwlog_record *r)
{
	/* Logs of several devices lie behind each other in one file: the gap may be on either side.
	 */
	return (r->start_nsec > f->end_nsec && r->start_nsec - f->end_nsec > LOG_JOIN_IDLE_NSEC) ||
	       (f->start_nsec > r->end_nsec && f->start_nsec - r->end_nsec > LOG_JOIN_IDLE_NSEC);
}

/* Turns what waits, where the new piece knows better who opened. */
static void turn_waiting(struct flow *f)
{
	struct flow old = *f;

	f->src = old.dest;
	f->dest = old.src;
	f->pkts_toserver = old.pkts_toclient;
	f->pkts_toclient = old.pkts_toserver;
	f->bytes_toserver = old.bytes_toclient;
	f->bytes_toclient = old.bytes_toserver;
	f->tcp_toserver = old.tcp_toclient;
	f->tcp_toclient = old.tcp_toserver;
}

static void join(struct log_join *j, struct waiting *w, const struct fwlog_record *r, bool turned)
{
	struct fwlog_record piece = *r;

	if (r->part == FWLOG_CLOSED) {
		if (turned)
			fwlog_turn(&piece);
		close_opened(j, w, &piece);
		return;
	}
	if (r->part == FWLOG_OPENED || apart(&w->flow, r)) {
		emit(j, w);
		put(w, r);
		return;
	}
	if (turned && !r->src_guessed && w->flow.src_guessed)
		turn_waiting(&w->flow);
	else if (turned)
		fwlog_turn(&piece);
	add_piece(w, &piece);
}

/* Pieces have no end of their own: a few slots are looked at with each record. */
static void expire(struct log_join *j)
{
	for (unsigned i = 0; i < 4; i++) {
		struct waiting *w = &j->slots[j->hand];
		j->hand = (j->hand + 1) % LOG_JOIN_FLOWS;
		if (w->used && is_piece(w->part) &&
		    w->flow.end_nsec + LOG_JOIN_IDLE_NSEC < j->newest)
			emit(j, w);
	}
}

void log_join_add(struct log_join *j, const struct fwlog_record *r)
{
	struct waiting *w = NULL, alone;
	bool turned = false;

	if (r->part != FWLOG_WHOLE)
		w = find(j, r, &turned);
	if (w) {
		join(j, w, r, turned);
	} else if (r->part == FWLOG_OPENED || is_piece(r->part)) {
		put(room(j, r), r);
	} else {
		put(&alone, r);
		emit(j, &alone);
	}
	if (r->end_nsec > j->newest)
		j->newest = r->end_nsec;
	expire(j);
}

void log_join_flush(struct log_join *j)
{
	for (size_t i = 0; i < LOG_JOIN_FLOWS; i++)
		if (j->slots[i].used)
			emit(j, &j->slots[i]);
}

uint64_t log_join_evicted(const struct log_join *j)
{
	return j->evicted;
}
