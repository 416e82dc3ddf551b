/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/frags.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SETS 512u
#define WAYS 8u

struct frags {
	struct frag entries[SETS][WAYS];
};

int frags_new(struct frags **ret, struct err *e)
{
	struct frags *f = calloc(1, sizeof *f);
	if (!f)
		return err_set(e, -ENOMEM, "no memory for the table of fragments");
	*ret = f;
	return 0;
}

void frags_free(struct frags *f)
{
	free(f);
}

static struct frag key_of(const struct packet *p)
{
	struct frag k = {.id = p->frag_id, .family = p->family};
	size_t n = p->family == 4 ? 4 : 16;
	memcpy(k.src, p->src, n);
	memcpy(k.dst, p->dst, n);
	k.match = p->family == 4 ? p->proto : 0;
	k.proto = p->proto;
	k.vlan = p->vlan;
	return k;
}

static bool same(const struct frag *a, const struct frag *b)
{
	return a->id == b->id && a->family == b->family && a->match == b->match &&
	       !memcmp(a->src, b->src, sizeof a->src) && !memcmp(a->dst, b->dst, sizeof a->dst);
}

/* An enemy who fills one set hurts only fragments that wait in it: no secret is needed here. */
static size_t set_of(const struct frag *k)
{
	uint64_t h = k->id * UINT64_C(0x9e3779b97f4a7c15);
	for (size_t i = 0; i < sizeof k->src; i += 4) {
		uint32_t s, d;
		memcpy(&s, k->src + i, 4);
		memcpy(&d, k->dst + i, 4);
		h = (h ^ s ^ (uint64_t)d << 32) * UINT64_C(0xff51afd7ed558ccd);
		h ^= h >> 32;
	}
	return (size_t)(h % SETS);
}

static bool stale(const struct frag *f, uint64_t nsec)
{
	return nsec > f->seen_nsec && nsec - f->seen_nsec > FRAGS_LIFE_NSEC;
}

struct frag *frags_entry(struct frags *f, const struct packet *p, uint64_t nsec,
                         struct frag *ret_lost)
{
	struct frag key = key_of(p);
	struct frag *set = f->entries[set_of(&key)], *oldest = set;

	ret_lost->pkts = 0;
	for (size_t i = 0; i < WAYS; i++) {
		if (same(&set[i], &key) && !stale(&set[i], nsec)) {
			set[i].seen_nsec = nsec;
			return &set[i];
		}
	}
	for (size_t i = 0; i < WAYS && oldest->family; i++)
		if (!set[i].family || set[i].seen_nsec < oldest->seen_nsec)
			oldest = &set[i];
	*ret_lost = *oldest;
	*oldest = key;
	oldest->seen_nsec = nsec;
	return oldest;
}

void frags_drain(struct frags *f, uint64_t before, void (*cb)(void *arg, const struct frag *lost),
                 void *arg)
{
	for (size_t i = 0; i < SETS * WAYS; i++) {
		struct frag *one = &f->entries[i / WAYS][i % WAYS];
		if (!one->family || one->seen_nsec >= before)
			continue;
		if (one->pkts)
			cb(arg, one);
		*one = (struct frag){0};
	}
}
