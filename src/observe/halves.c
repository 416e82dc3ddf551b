/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/halves.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define WAYS 8u
#define MIX  UINT64_C(0x9e3779b97f4a7c15)

_Static_assert(sizeof(struct half_key) == 40, "no padding in what is compared as bytes");

struct halves {
	size_t sets;
	uint64_t clock, evicted, seed;
	struct half entries[]; /* sets * WAYS */
};

struct half_key half_key_of(const struct flow *f, enum half_kind kind, bool to_server)
{
	struct half_key k = {
	    .src_port = f->src.port,
	    .dest_port = f->dest.port,
	    .proto = f->proto,
	    .family = f->src.addr.family,
	    .kind = (uint8_t)kind,
	    .to_server = to_server,
	};
	memcpy(k.src, f->src.addr.bytes, sizeof k.src);
	memcpy(k.dest, f->dest.addr.bytes, sizeof k.dest);
	return k;
}

struct halves *halves_new(size_t max_bytes)
{
	struct halves *h;
	size_t sets =
	    max_bytes > sizeof *h ? (max_bytes - sizeof *h) / (WAYS * sizeof(struct half)) : 0;

	/* From calloc: what is never used is never touched. */
	h = sets ? calloc(1, sizeof *h + sets * WAYS * sizeof(struct half)) : NULL;
	if (!h)
		return NULL;
	h->sets = sets;
	if (getrandom(&h->seed, sizeof h->seed, 0) != sizeof h->seed)
		h->seed = (uint64_t)(uintptr_t)h;
	return h;
}

void halves_free(struct halves *h)
{
	free(h);
}

static struct half *set_of(struct halves *h, const struct half_key *key)
{
	uint64_t words[sizeof *key / 8], v = h->seed;

	memcpy(words, key, sizeof words);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		v = (v ^ words[i]) * MIX;
		v ^= v >> 29;
	}
	return &h->entries[v % h->sets * WAYS];
}

struct half *halves_find(struct halves *h, const struct half_key *key)
{
	struct half *set = set_of(h, key);

	for (size_t i = 0; i < WAYS; i++) {
		if (memcmp(&set[i].key, key, sizeof *key) != 0)
			continue;
		set[i].used = ++h->clock;
		return &set[i];
	}
	return NULL;
}

struct half *halves_make(struct halves *h, const struct half_key *key)
{
	struct half *set = set_of(h, key), *one = set;

	for (size_t i = 0; i < WAYS; i++)
		if (set[i].used < one->used)
			one = &set[i];
	h->evicted += one->key.kind != HALF_FREE && !pieces_empty(&one->pieces);
	one->key = *key;
	one->used = ++h->clock;
	pieces_clear(&one->pieces);
	return one;
}

void halves_drop(struct half *one)
{
	if (!one)
		return;
	one->key.kind = HALF_FREE;
	one->used = 0;
}

uint64_t halves_evicted(const struct halves *h)
{
	return h->evicted;
}
