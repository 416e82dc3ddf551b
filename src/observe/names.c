/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define WAYS 16u
#define MIX  UINT64_C(0x9e3779b97f4a7c15)

/* One name that one client was given one address for. An entry with first 0 is free. */
struct known {
	struct addr client, server;
	uint64_t first, last; /* answered */
	char name[NAME_MAX_LEN];
};

struct names {
	size_t sets;
	uint64_t seed, evicted;
	struct known entries[]; /* sets * WAYS; all names of a (client, server) are in one set */
};

int names_new(size_t max_bytes, struct names **ret, struct err *e)
{
	struct names *n;
	size_t sets =
	    max_bytes > sizeof *n ? (max_bytes - sizeof *n) / (WAYS * sizeof(struct known)) : 0;

	if (!sets)
		return err_set(e, -EINVAL, "%zu bytes are too few for a table of names", max_bytes);
	n = calloc(1, sizeof *n + sets * WAYS * sizeof(struct known));
	if (!n)
		return err_set(e, -ENOMEM, "no memory for a table of names (%zu KiB)",
		               max_bytes / 1024);
	n->sets = sets;
	/* Whoever chooses addresses must not choose sets. */
	if (getrandom(&n->seed, sizeof n->seed, 0) != sizeof n->seed)
		n->seed = (uint64_t)(uintptr_t)n;
	*ret = n;
	return 0;
}

void names_free(struct names *n)
{
	free(n);
}

static uint64_t mix_addr(uint64_t h, const struct addr *a)
{
	uint64_t words[2];

	memcpy(words, a->bytes, sizeof words);
	for (size_t i = 0; i < 2; i++) {
		h = (h ^ words[i]) * MIX;
		h ^= h >> 29;
	}
	return h;
}

static struct known *set_of(struct names *n, const struct addr *client, const struct addr *server)
{
	return &n->entries[mix_addr(mix_addr(n->seed, client), server) % n->sets * WAYS];
}

static bool is_pair(const struct known *k, const struct addr *client, const struct addr *server)
{
	return k->first && addr_equal(&k->client, client) && addr_equal(&k->server, server);
}

static void learn(struct names *n, const struct dns_event *e, const struct addr *server)
{
	struct known *set = set_of(n, &e->client.addr, server), *oldest = set;

	for (size_t i = 0; i < WAYS; i++) {
		struct known *k = &set[i];
		if (is_pair(k, &e->client.addr, server) && !strcmp(k->name, e->qname)) {
			k->first = e->nsec < k->first ? e->nsec : k->first;
			k->last = e->nsec > k->last ? e->nsec : k->last;
			return;
		}
		if (k->last < oldest->last)
			oldest = k;
	}
	n->evicted += oldest->first != 0;
	*oldest = (struct known){
	    .client = e->client.addr,
	    .server = *server,
	    .first = e->nsec,
	    .last = e->nsec,
	};
	memcpy(oldest->name, e->qname, sizeof oldest->name);
}

void names_answer(struct names *n, const struct dns_event *e)
{
	/* A name that begins with a dot has lost its front: wire/dns.h. */
	if (!e->response || e->rcode || !e->nsec || !e->qname[0] || e->qname[0] == '.' ||
	    addr_is_multicast(&e->client.addr))
		return;
	for (size_t i = 0; i < e->n_addrs; i++)
		learn(n, e, &e->addrs[i]);
}

/* When this name was last answered before then; 0: not before. */
static uint64_t answered(const struct known *k, uint64_t at_nsec)
{
	if (k->first > at_nsec)
		return 0;
	return k->last < at_nsec ? k->last : at_nsec;
}

unsigned names_find(struct names *n, const struct addr *client, const struct addr *server,
                    uint64_t at_nsec, const char **ret)
{
	const struct known *set = set_of(n, client, server), *best = NULL;
	uint64_t when = 0;
	unsigned count = 0;

	for (size_t i = 0; i < WAYS; i++) {
		uint64_t t = is_pair(&set[i], client, server) ? answered(&set[i], at_nsec) : 0;
		if (t > when) {
			when = t;
			best = &set[i];
		}
	}
	if (!best)
		return 0;
	for (size_t i = 0; i < WAYS; i++)
		if (is_pair(&set[i], client, server))
			count += answered(&set[i], at_nsec) &&
			         when - answered(&set[i], at_nsec) <= NAMES_WINDOW_NSEC;
	if (count == 1)
		*ret = best->name;
	return count;
}

uint64_t names_evicted(const struct names *n)
{
	return n->evicted;
}
