/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is known now: the flows that live, with owner, protocol and name; sums by pair of addresses;
 * findings. Fed by what observe_run calls (role.h), asked by whoever shows it. No output, no
 * privilege but that of the owners' look at sockets and /proc.
 *
 * Invariants
 *  1. Memory is bounded: at most WATCH_FLOWS living flows, WATCH_APPS protocols and names that wait
 *     for their flow (then the longest waiting goes), WATCH_NAMES different names. What does not
 * fit is counted in watch_losses.
 *  2. Who or what was seen once stays known for as long as the flow lives.
 *  3. A pointer handed out (owner, name) is valid until watch_free; a struct seen_flow only in the
 *     call.
 */
#ifndef STANCH_OBSERVE_WATCH_H
#define STANCH_OBSERVE_WATCH_H

#include "base/err.h"
#include "model/finding.h"
#include "model/flow.h"
#include "observe/scores.h"
#include "observe/upload.h"

#define WATCH_FLOWS (1u << 17)
#define WATCH_APPS  (1u << 17)
#define WATCH_NAMES (1u << 16)
#define WATCH_PAIRS (1u << 19) /* of a capture; live a fourth of it */

struct seen_flow {
	struct flow flow;
	const struct owner *owner; /* NULL: nobody looked; pid 0: looked for in vain */
	enum app_proto app;
	enum name_source source;
	const char *name;           /* of the end that was spoken to; NULL: unknown */
	uint64_t rate_out, rate_in; /* bytes a second to and from the server, at the last tick */
};

struct watch_losses {
	uint64_t flows, apps, names; /* told but not kept, since a table was full */
	struct scores_stats scores;
};

/* All zero but live is a capture. */
struct watch_config {
	bool live;           /* rates; flows come more than once */
	bool look_at_owners; /* by inet_diag and /proc; else a live source brings them */
	/* Not owned, must stay; each may be NULL or 0. */
	const struct baseline *baseline;
	const struct addr *resolvers; /* that this host is set to ask */
	size_t n_resolvers;
	void *arg;
	/* A flow that has ended. f is valid in the call. May be NULL. */
	void (*final)(void *arg, const struct seen_flow *f);
};

struct watch;

int watch_new(const struct watch_config *config, struct watch **ret, struct err *e);
void watch_free(struct watch *w); /* takes NULL */

/* These fit struct observe_job; w is the arg. */
void watch_flow(void *w, const struct flow *f, bool final);
void watch_app(void *w, const struct app_event *a);
void watch_dns(void *w, const struct dns_event *d);
void watch_resume(void *w, const struct resume_event *r);
/* The same as watch_flow for a source that knows the owner, which is needed in the call only. */
void watch_owned_flow(void *w, const struct flow *f, const struct owner *owner, bool final);
/* After the changed flows of a tick: looks for owners, makes rates. */
void watch_tick(struct watch *w);

/* Sums over all flows, of those that live as they are now; valid until the next call of it. */
const struct pairs *watch_pairs(struct watch *w);
/* Whether our side opened it (upload.h). */
bool watch_we_opened(const struct watch *w, const struct flow *f);
/* The living flows, in no order; cb returns false to stop. */
void watch_each(struct watch *w, bool (*cb)(void *arg, const struct seen_flow *f), void *arg);
size_t watch_count(const struct watch *w);
/* The findings as of now, best first, none below FINDING_SCORE_SAY; id is 0. -ENOMEM. */
int watch_findings(struct watch *w, void (*cb)(void *arg, const struct finding *f), void *arg,
                   struct err *e);
struct watch_losses watch_losses(const struct watch *w);
/* Live: bytes of all flows, ended and living, whose owner is not known. */
uint64_t watch_unowned(const struct watch *w);
/* Adds what was usual since the last call to b. */
void watch_learn(struct watch *w, struct baseline *b);

#endif
