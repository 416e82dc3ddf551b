/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The exact flow table: every frame is counted in the flow it belongs to, in bounded memory.
 *
 * Invariants
 *  1. Memory is fixed at birth: one huge-page mapping, of which only what the flows need is
 *     touched. A full table puts an idle flow out through emit (of a sample that walks round the
 *     table the longest idle for each packet it had) and counts an eviction. Nothing is lost
 * silently.
 *  2. The outermost IP header decides. Fragments are joined to their first by (src, dst, id,
 *     proto), in either order; one whose first is never seen counts in a flow with ports 0 and as
 *     truncated.
 *  3. Bytes are frame lengths on the wire, of both directions.
 *  4. A TCP or SCTP conversation that was closed and is opened anew is a flow of its own: the old
 *     one leaves through emit.
 *
 * emit must not call back into the table. System calls after flowtab_new: madvise only.
 */
#ifndef STANCH_OBSERVE_FLOWTAB_H
#define STANCH_OBSERVE_FLOWTAB_H

#include "base/err.h"
#include "model/flow.h"
#include "observe/inspect.h"

struct flowtab;

/* Called for each flow that leaves the table (evicted, idle, closed and reopened, or at flush). f
 * is valid in the call. */
typedef void (*flow_emit_fn)(void *arg, const struct flow *f);
/* Called when a flow that was silent for FLOW_PAUSE_NSEC speaks again, before that is counted, if
 * before the pause both ends spoke or only one of them ever did. */
typedef void (*flow_resume_fn)(void *arg, const struct flow *f, uint64_t at_nsec);

/* At most 16,777,214 flows. Address space: 120 bytes for each of max_flows; memory: about 75 bytes
 * for each flow that was in the table at once, 32 more with IPv6. -EINVAL, -ENOMEM. */
int flowtab_new(size_t max_flows, flow_emit_fn emit, void *arg, struct flowtab **ret,
                struct err *e);
void flowtab_free(struct flowtab *t); /* takes NULL; emits nothing */
/* With the arg of flowtab_new; NULL: nobody wants to know. */
void flowtab_on_resume(struct flowtab *t, flow_resume_fn resume);
/* Payloads at the start of flows go to in, which stays the caller's; NULL: nobody looks. */
void flowtab_inspect(struct flowtab *t, struct inspect *in);
/* These fit struct packet_sink: arg is the table. With flowtab_inspect, settle is a must. */
void flowtab_frame(void *table, uint64_t nsec, unsigned linktype, const uint8_t *data,
                   uint32_t cap_len, uint32_t wire_len);
void flowtab_settle(void *table);
/* Calls cb for every flow in the table, in no order; cb returns false to stop. Fragments that wait
 * for their first are not in it yet. */
void flowtab_each(struct flowtab *t, bool (*cb)(void *arg, const struct flow *f), void *arg);
void flowtab_flush(struct flowtab *t);                            /* emits all and empties */
void flowtab_expire(struct flowtab *t, uint64_t idle_since_nsec); /* emits flows not seen since */
/* Adds its own counts (flows, evicted, truncated, undecoded, malformed) and the first and last time
 * stamps to *s. */
void flowtab_stats(struct flowtab *t, struct source_stats *s);

#endif
