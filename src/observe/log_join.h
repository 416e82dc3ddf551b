/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From lines of firewall logs to flows: an opening waits for its close, packets and time windows
 * of one conversation become one flow.
 *
 * Invariants
 *  1. Memory is fixed at birth. Where no room is left, the flow that was written longest ago of
 *     those that could make room is emitted as it is, and counted as evicted.
 *  2. Every record is in exactly one flow that is emitted, at the latest by flush.
 *  3. Byte and packet counts are those of the log, summed. What the log has as one sum of both
 *     directions lies half in each.
 *  4. A TCP flow that was let through and answered has SYN-ACK in tcp_toclient; one that was
 * denied, or of which the log shows that nothing came back, has none.
 */
#ifndef STANCH_OBSERVE_LOG_JOIN_H
#define STANCH_OBSERVE_LOG_JOIN_H

#include "model/flow.h"
#include "wire/fwlog.h"

#ifndef LOG_JOIN_FLOWS
#define LOG_JOIN_FLOWS 131072 /* that wait at once; fewer in the fuzz target */
#endif
/* Pieces further apart than this are two flows; an AWS window is at most ten minutes. */
#define LOG_JOIN_IDLE_NSEC (UINT64_C(15) * 60 * 1000000000)

struct log_join;

/* f is valid in the call, which must not call back into the join. */
typedef void (*log_emit_fn)(void *arg, const struct flow *f, enum fwlog_action action);

/* About 20 MB. -ENOMEM. */
int log_join_new(log_emit_fn emit, void *arg, struct log_join **ret);
void log_join_free(struct log_join *j); /* takes NULL; emits nothing */
void log_join_add(struct log_join *j, const struct fwlog_record *r);
/* Emits all that is waiting. */
void log_join_flush(struct log_join *j);
uint64_t log_join_evicted(const struct log_join *j);

#endif
