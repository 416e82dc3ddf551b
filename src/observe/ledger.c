/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct entry {
	struct ledger_key key;
	struct flow base; /* its counts when we came: not ours to tell */
	struct flow now;  /* cumulative, but for base */
	uint32_t round;   /* in which it was listed last */
	bool told;        /* it had traffic since we look */
	UT_hash_handle hh;
};

struct ledger {
	const struct observe_job *job;
	owned_flow_fn flow;
	struct entry *entries;
	size_t max;
	uint32_t round;
	uint64_t nsec;
	bool partial; /* not all that was there when we came is known */
	struct source_stats done;
};

int ledger_new(const struct observe_job *job, owned_flow_fn flow, struct ledger **ret,
               struct err *e)
{
	struct ledger *l = calloc(1, sizeof(*l));

	if (!l)
		return err_set(e, -ENOMEM, "out of memory for flows");
	l->job = job;
	l->flow = flow;
	l->max = job->max_flows && job->max_flows < LEDGER_FLOWS ? job->max_flows : LEDGER_FLOWS;
	*ret = l;
	return 0;
}

static void drop(struct ledger *l, struct entry *x)
{
	/* It holds x, and the head is never the one that was freed.
	 * NOLINTNEXTLINE(clang-analyzer-core.NullDereference,clang-analyzer-unix.Malloc) */
	HASH_DEL(l->entries, x);
	free(x);
}

void ledger_free(struct ledger *l)
{
	struct entry *x, *x2;

	if (!l)
		return;
	HASH_ITER(hh, l->entries, x, x2)
	{
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		HASH_DEL(l->entries, x);
		free(x);
	}
	free(l);
}

void ledger_begin(struct ledger *l, uint64_t nsec)
{
	l->round++;
	l->nsec = nsec;
}

static uint64_t packets_of(const struct flow *f)
{
	return f->pkts_toserver + f->pkts_toclient;
}

static uint64_t bytes_of(const struct flow *f)
{
	return f->bytes_toserver + f->bytes_toclient;
}

static void take_away(struct flow *f, const struct flow *base)
{
	f->pkts_toserver -= base->pkts_toserver;
	f->pkts_toclient -= base->pkts_toclient;
	f->bytes_toserver -= base->bytes_toserver;
	f->bytes_toclient -= base->bytes_toclient;
}

static struct entry *make(struct ledger *l, const struct ledger_key *k, const struct flow *f)
{
	struct entry *x;

	if (HASH_COUNT(l->entries) >= l->max || !(x = calloc(1, sizeof(*x)))) {
		l->done.evicted++;
		l->partial |= l->round == 1;
		return NULL;
	}
	x->key = *k;
	x->now = *f;
	x->now.start_nsec = f->start_nsec ? f->start_nsec : l->nsec;
	x->now.end_nsec = l->nsec;
	if (l->round == 1) {
		x->base = *f;
		take_away(&x->now, &x->base);
	}
	HASH_ADD(hh, l->entries, key, sizeof(x->key), x);
	if (x->hh.tbl)
		return x;
	free(x);
	l->done.evicted++;
	return NULL;
}

/* A pause of more than a second is over. */
static void resume(struct ledger *l, const struct entry *x)
{
	const struct resume_event r = {.flow = x->now, .at_nsec = l->nsec};

	if (l->job->resume && x->told && l->nsec > x->now.end_nsec + FLOW_PAUSE_NSEC)
		l->job->resume(l->job->arg, &r);
}

/* Takes the new counts over; true: there are more than before. */
static bool update(struct ledger *l, struct entry *x, const struct flow *f)
{
	struct flow now = *f;

	take_away(&now, &x->base);
	if (packets_of(&now) == packets_of(&x->now) && bytes_of(&now) == bytes_of(&x->now))
		return false;
	resume(l, x);
	now.start_nsec = x->now.start_nsec;
	now.end_nsec = l->nsec;
	x->now = now;
	return true;
}

void ledger_count(struct ledger *l, const struct ledger_key *k, const struct flow *f)
{
	struct entry *x;
	bool more;

	HASH_FIND(hh, l->entries, k, sizeof(*k), x);
	if (x) {
		more = update(l, x, f);
	} else {
		if (!(x = make(l, k, f)))
			return;
		more = packets_of(&x->now) || bytes_of(&x->now);
	}
	x->round = l->round;
	x->told |= more;
	if (more)
		l->flow(l->job->arg, &x->now, NULL, false);
}

/* What had no traffic since we look is no flow of ours. */
static void tell_final(struct ledger *l, const struct flow *f)
{
	struct source_stats *s = &l->done;

	if (!packets_of(f) && !bytes_of(f))
		return;
	s->packets += packets_of(f);
	s->bytes += bytes_of(f);
	s->flows++;
	if (!s->first_nsec || f->start_nsec < s->first_nsec)
		s->first_nsec = f->start_nsec;
	if (f->end_nsec > s->last_nsec)
		s->last_nsec = f->end_nsec;
	l->flow(l->job->arg, f, NULL, true);
}

void ledger_over(struct ledger *l, const struct ledger_key *k, const struct flow *f)
{
	struct flow last = *f;
	struct entry *x;

	HASH_FIND(hh, l->entries, k, sizeof(*k), x);
	if (x) {
		update(l, x, f);
		tell_final(l, &x->now);
		drop(l, x);
		return;
	}
	/* Of one that was there when we came and is not known we cannot tell our part. */
	if (l->partial || l->round <= 1) {
		l->done.evicted += l->partial;
		return;
	}
	last.end_nsec = l->nsec;
	if (!last.start_nsec)
		last.start_nsec = l->nsec;
	tell_final(l, &last);
}

void ledger_end(struct ledger *l, bool whole)
{
	struct entry *next;

	for (struct entry *x = whole ? l->entries : NULL; x && l->entries; x = next) {
		next = x->hh.next;
		if (x->round == l->round)
			continue;
		tell_final(l, &x->now);
		drop(l, x);
	}
}

void ledger_flush(struct ledger *l)
{
	l->round++;
	ledger_end(l, true);
}

void ledger_stats(const struct ledger *l, struct source_stats *ret)
{
	*ret = l->done;
	for (const struct entry *x = l->entries; x; x = x->hh.next) {
		if (!x->told)
			continue;
		ret->packets += packets_of(&x->now);
		ret->bytes += bytes_of(&x->now);
		ret->flows++;
		if (!ret->first_nsec || x->now.start_nsec < ret->first_nsec)
			ret->first_nsec = x->now.start_nsec;
		if (x->now.end_nsec > ret->last_nsec)
			ret->last_nsec = x->now.end_nsec;
	}
}
