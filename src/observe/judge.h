/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small arithmetic that all scores share. Pure. */
#ifndef STANCH_OBSERVE_JUDGE_H
#define STANCH_OBSERVE_JUDGE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

static inline double score_clamp(double v)
{
	return !(v > 0) ? 0 : v > 1 ? 1 : v;
}

/* 0 at low and below, 1 at high and above, on a log scale between; 0 < low < high. */
static inline double score_part(double v, double low, double high)
{
	if (!(v > low))
		return 0;
	return v >= high ? 1 : log(v / low) / log(high / low);
}

/* The same on a straight line; low may lie above high, then it falls. */
static inline double score_ramp(double v, double low, double high)
{
	return score_clamp((v - low) / (high - low));
}

static inline double score_round(double v)
{
	return round(score_clamp(v) * 1000) / 1000;
}

/* Both halves of a wide product. Tables that an enemy feeds give it a seed of their own. */
static inline uint64_t hash_mix(uint64_t h, uint64_t v)
{
	__extension__ unsigned __int128 p =
	    (unsigned __int128)(h ^ v ^ UINT64_C(0xa0761d6478bd642f)) *
	    UINT64_C(0xe7037ed1a0b428db);

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

/* How many different things were seen, by linear counting (Whang, Vander-Zanden, Taylor 1990):
 * within 5 % up to 700, 3,000 at most. Order does not matter and seeing a thing again changes
 * nothing. */
#define SKETCH_BITS 512

struct sketch {
	uint64_t w[SKETCH_BITS / 64];
};

static inline void sketch_add(struct sketch *s, uint64_t hash)
{
	s->w[hash / 64 % (SKETCH_BITS / 64)] |= UINT64_C(1) << hash % 64;
}

static inline double sketch_count(const struct sketch *s)
{
	int zero = SKETCH_BITS;

	for (int i = 0; i < SKETCH_BITS / 64; i++)
		zero -= __builtin_popcountll(s->w[i]);
	return zero ? round(SKETCH_BITS * log((double)SKETCH_BITS / zero)) : 3194;
}

#endif
