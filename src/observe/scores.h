/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From flows, names and pauses to findings: the same for live traffic, captures and firewall logs.
 *
 * What a score means: 0.70 and above act, 0.40 to 0.70 look, below 0.30 nothing is said. Each kind
 * is a file of its own (beacon, upload, dns_tunnel, icmp_tunnel, session, scan, mismatch) that says
 * in its head how it scores; a row in scores.c joins them.
 *
 * Pure: no clock, no files; system calls in scores_new and scores_free only. Memory is bounded at
 * birth; what is put out or refused for it is in scores_stats. Findings depend on what was fed, not
 * on the order of it, up to the bounds (channels put out, more than BEATS_MAX samples of one
 * channel).
 */
#ifndef STANCH_OBSERVE_SCORES_H
#define STANCH_OBSERVE_SCORES_H

#include "base/err.h"
#include "model/finding.h"
#include "model/flow.h"
#include "observe/baseline.h"
#include "observe/channel.h"

#define SCORES_RESOLVERS_MAX 8
#define SCORES_FINDINGS_MAX  256 /* the best of one call */
#define SCORES_DOMAINS_MAX   (1u << 14)
#define SCORES_NAMES_BYTES   (1u << 22)
#define SCORES_NAMES_MAX     (1u << 16)

/* All zero: a capture, with no host that is ours but inside addresses, and the default bounds. */
struct scores_config {
	bool (*is_self)(void *arg, const struct addr *a); /* this host's; NULL: none is */
	void *arg;
	struct addr resolvers[SCORES_RESOLVERS_MAX]; /* that this host is set to ask */
	size_t n_resolvers;
	const struct baseline
	    *baseline; /* what was usual before; NULL: nothing is known. Not owned */
	/* Bounds; 0: the default. */
	size_t max_channels; /* CHANNELS_MAX: 128 bytes each, touched as needed, and 16 of index */
	size_t max_open;     /* CHANNELS_OPEN_MAX: 48 bytes each; live only */
	size_t
	    max_samples; /* CHANNELS_SAMPLES: 16 bytes each, in lists of 8 to 512 with 190 more */
	size_t max_domains; /* SCORES_DOMAINS_MAX: 264 bytes each, and a list of up to 8 KB */
};

struct scores_stats {
	struct channels_stats channels;
	size_t domains;
	uint64_t domains_evicted; /* domains of DNS queries put out early */
	uint64_t names_refused;   /* names and programs for which there was no room */
	uint64_t left_out;        /* findings below the best SCORES_FINDINGS_MAX of the last call */
};

struct scores;

int scores_new(const struct scores_config *c, struct scores **ret, struct err *e); /* -ENOMEM */
void scores_free(struct scores *s);                                                /* takes NULL */

/* An open flow may come at every tick with its cumulative numbers (final false) and comes once when
 * it ends (final true); nothing is counted twice. owner may be NULL, and is needed in the call
 * only. */
void scores_flow(struct scores *s, const struct flow *f, const struct owner *owner, bool final);
/* The flow itself still comes through scores_flow. */
void scores_resume(struct scores *s, const struct resume_event *r);
void scores_dns(struct scores *s, const struct dns_event *d);
void scores_app(struct scores *s, const struct app_event *a);

/* Calls cb for each present finding, best first (equal ones in a fixed order); id is 0.
 * finding_same tells whether two calls speak of one thing. Costs a walk over all channels: once a
 * second is right. f is valid in the call. -ENOMEM. */
int scores_findings(struct scores *s, void (*cb)(void *arg, const struct finding *f), void *arg,
                    struct err *e);
void scores_stats(struct scores *s, struct scores_stats *ret);
/* Adds to b who sent how much where since the last call, so that it is known next time. Frozen
 * baselines stay as they are. */
void scores_learn(struct scores *s, struct baseline *b);

#endif
