/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Channels: all flows from one of ours to one port of another (or from it to a port of ours),
 * summed. What the scores are made from.
 *
 * Invariants
 *  1. Memory is bounded at birth, and of what is mapped only what is needed is touched: max
 * channels, max samples of time and size. A full table puts out the least telling of a sample that
 * walks round the table (fewest connections, then longest silent) and counts it.
 *  2. A flow may come many times while it is open, with cumulative numbers, and once when it ends;
 *     what is counted is the difference. An open flow of which nothing is remembered (the table of
 *     open ones is full, or nothing has answered it yet) counts when it ends.
 *  3. Sums, and samples up to BEATS_MAX a channel, do not depend on the order of flows that ended.
 */
#ifndef STANCH_OBSERVE_CHANNEL_H
#define STANCH_OBSERVE_CHANNEL_H

#include <string.h>

#include "base/err.h"
#include "model/flow.h"
#include "observe/judge.h"

#define BEATS_MAX 512
#define BEATS_MIN 10 /* fewer are not looked at */

struct beat {
	uint64_t at_nsec;
	uint32_t out, in; /* bytes; clamped */
};

/* What an analysis of beats found; observe/beacon.h. */
struct beat_parts {
	double timing, size, coverage, regular; /* 0..1 each */
	double gate;                            /* 0..1: how far the intervals are from chance */
	double period, mad, skew;       /* seconds; MAD and Bowley's skew of the intervals */
	double bytes, bytes_mad;        /* out, a beat: median and MAD */
	double total;                   /* both ways, a beat: median */
	double occupied;                /* of the bins between the first and the last */
	unsigned n;                     /* beats, those of one burst counted once */
	double span;                    /* seconds */
	uint64_t first_nsec, last_nsec; /* first: also of those that the ring lost */
};

/* The latest BEATS_MAX of them, in a ring. */
struct beats {
	uint16_t n, cap, head;    /* head: the oldest once n == BEATS_MAX */
	bool dirty;               /* parts are older than v */
	uint64_t first_nsec;      /* of all that were ever added */
	uint32_t flow;            /* of pauses: hash of the flow that pauses; */
	uint32_t out, in;         /* what it had sent at the last pause, mod 2^32; */
	uint64_t at_nsec;         /* when it went on */
	struct beat_parts *parts; /* NULL until it was analysed */
	struct beat v[];
};

enum {
	CHANNEL_WE_OPENED = 1,
	CHANNEL_VARIES = 2,    /* frames of different sizes (seen in ICMP only) */
	CHANNEL_MIDSTREAM = 4, /* a flow whose start was not seen */
	CHANNEL_TRIED = 32,    /* in vain; as scan_findings last saw it */
	CHANNEL_BEATS = 16,    /* starts or resumes hold BEATS_MIN and more */
	CHANNEL_PAUSES = 8,    /* the flow whose pauses are kept has not ended */
};

struct channel {
	struct addr ours, other;
	uint8_t proto;
	uint8_t flags;
	uint16_t port; /* that was spoken to; ICMP: the type of the request << 8 | its code */
	uint16_t apps; /* bit 1 << enum app_proto for each that was recognised */
	uint32_t hash;
	uint32_t conns, failed; /* failed: of them, nobody answered */
	uint64_t bytes_out, bytes_in, first_nsec, last_nsec;
	uint32_t pkts_out, pkts_in; /* clamped */
	uint32_t longest_sec;       /* of one flow that was answered */
	uint32_t learned_kb;        /* of bytes_out, what a baseline was told */
	uint32_t name, exe;         /* handles of the string pool; 0 unknown */
	/* Starts of connections (NULL while there is one only), and of bursts within one; may be
	 * NULL. */
	struct beats *starts, *resumes;
};

struct channels;

/* 0 for a bound: its default. is_self may be NULL. */
struct channels_config {
	bool (*is_self)(void *arg, const struct addr *a);
	void *arg;
	size_t max, max_open, max_samples;
};
#define CHANNELS_MAX      (1u << 18)
#define CHANNELS_OPEN_MAX (1u << 17)
#define CHANNELS_SAMPLES  (1u << 20) /* of 16 bytes */

struct channels_stats {
	size_t channels, open, samples;
	uint64_t evicted;      /* channels put out early */
	uint64_t not_sampled;  /* connections whose time and size are not kept: no room */
	uint64_t not_followed; /* times an open flow came and there was no room to remember it */
};

int channels_new(const struct channels_config *c, struct channels **ret); /* -ENOMEM, -EINVAL */
void channels_free(struct channels *t);                                   /* takes NULL */
/* Each of these waits in a short queue while what it needs is fetched from memory; all have their
 * effect in order, at the latest in channels_settle. What goes to many (multicast, broadcast) is
 * passed over. exe, name: handles, 0 unknown. */
void channels_flow(struct channels *t, const struct flow *f, uint32_t exe, bool final);
void channels_resume(struct channels *t, const struct resume_event *r);
void channels_app(struct channels *t, const struct app_event *a, uint32_t name);
/* Before any of the following. */
void channels_settle(struct channels *t);
size_t channels_count(const struct channels *t);
struct channel *channels_at(const struct channels *t, size_t i); /* i < count */
void channels_stats(const struct channels *t, struct channels_stats *ret);
/* The first and last time stamp of all flows; 0 before any. */
void channels_span(const struct channels *t, uint64_t *ret_first, uint64_t *ret_last);
/* 2: this host, 1: inside, 0: outside. */
int channels_nearness(const struct channels *t, const struct addr *a);

static inline uint64_t hash_addr(const struct addr *a, uint64_t seed)
{
	uint64_t w[2];

	memcpy(w, a->bytes, sizeof(w));
	seed = hash_mix(seed + a->family, w[0]);
	return a->family == ADDR_V6 ? hash_mix(seed, w[1]) : seed;
}
/* Adds to a list of its own (DNS queries of one domain). *used is the samples held by all lists of
 * the owner, at most max. false: no room, the sample is lost. */
bool beats_add(struct beats **b, const struct beat *x, size_t *used, size_t max);
void beats_free(struct beats *b); /* takes NULL */

#endif
