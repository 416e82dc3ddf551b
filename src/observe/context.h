/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a score may ask about besides the channel at hand, and what findings of channels share. */
#ifndef STANCH_OBSERVE_CONTEXT_H
#define STANCH_OBSERVE_CONTEXT_H

#include "model/finding.h"
#include "observe/baseline.h"
#include "observe/channel.h"
#include "observe/strpool.h"

/* Which addresses DNS answers have named, and under which registered domain: a Bloom filter, two
 * bits a thing; at 50,000 things one stranger in 120 is taken for named. */
#define RESOLVED_BITS (1u << 20)

/* Hosts that talk to one port of one address. */
struct popularity {
	uint64_t key; /* 0: free */
	uint32_t hosts;
};

struct score_context {
	const struct channels *channels;
	const struct strpool *names;
	const struct baseline *baseline; /* may be NULL */
	const struct addr *resolvers;    /* that this host is set to ask */
	size_t n_resolvers;
	uint64_t first_nsec, last_nsec; /* of all that was seen */
	bool dns_seen, apps_seen;       /* answers; payload that was recognised */
	const uint64_t *resolved;
	const struct popularity *popular; /* of those that context_asks_popularity named */
	size_t popular_mask;
	double hosts;       /* of ours, about */
	uint64_t bytes_out; /* of all ours to all others outside */
};

/* One kind of finding from one channel; false: nothing to say (score < FINDING_SCORE_SAY). */
typedef bool (*channel_score_fn)(const struct score_context *x, const struct channel *c,
                                 struct finding *ret);

bool context_outside(const struct score_context *x, const struct addr *a);
bool context_is_resolver(const struct score_context *x, const struct addr *a);
bool context_resolved(const struct score_context *x, const struct addr *a);
/* Whether a DNS answer gave this address for a name of that name's domain. */
bool context_name_true(const struct score_context *x, const struct addr *a, const char *name);
uint64_t context_popularity_key(const struct channel *c);                          /* never 0 */
unsigned context_hosts_of(const struct score_context *x, const struct channel *c); /* 1 at least */

/* What the far end is called for certain: a name that its own DNS answer backs, or where no DNS was
 * seen, what TLS, QUIC or HTTP said. "" none. */
const char *context_name(const struct score_context *x, const struct channel *c);

/* How usual this destination is for this program: 1 never seen … 0.5 on seven days and more. Adds
 * its reason. The score is multiplied by it. */
double context_novelty(const struct score_context *x, const struct channel *c, struct finding *f);

/* Ends, sums, times, domain, selector and the order to block the far end. */
void finding_of_channel(const struct score_context *x, const struct channel *c,
                        enum finding_kind kind, struct finding *ret);

/* "evil.example" of "a.b.evil.example": the last two labels, three where the last has two letters
 * and the one before it is a usual second level ("co.uk"). Points into name. */
const char *domain_registered(const char *name);

uint64_t resolved_hash(const struct addr *a, const char *domain); /* domain may be NULL */
void resolved_add(uint64_t *bits, uint64_t hash);
bool resolved_has(const uint64_t *bits, uint64_t hash);

#endif
