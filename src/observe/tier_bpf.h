/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tier "bpf": flows with their exact owners from programs at the cgroup root. No packet is
 * captured and no byte of one is parsed here: all of it happens in the kernel, in every network
 * namespace at once.
 *
 * Invariants
 *  1. A flow is a conversation of one socket of this host: a conversation between two network
 *     namespaces of this host is two flows, one for each end and with its owner. On loopback it is
 *     one, the opener's.
 *  2. Equal addresses and ports with different owners are different flows, except for a TCP
 *     connection that is handed on: it goes to who took it over.
 *  3. Bytes are frame lengths as the interface that the flow uses counts them: each segment and
 *     fragment with its headers on a physical device, packets as they are handed over on a virtual
 *     one; 14 bytes of Ethernet for each. Loopback and other virtual devices count alike.
 *  4. A flow leaves (final) some time after it was closed, or when it is idle, sooner when the
 * table is nearly full. What came while it was full is told: `evicted` counts those packets,
 * `bytes` and `unowned` have their bytes.
 *
 * Not seen: what has no socket here (forwarded traffic, packets to closed ports, ARP, echo requests
 * that the kernel answers, the inside of tunnels that the kernel ends before it finds a socket).
 * tier_bpf_blind says so.
 */
#ifndef STANCH_OBSERVE_TIER_BPF_H
#define STANCH_OBSERVE_TIER_BPF_H

#include "kern/watchprog.h"
#include "observe/tier.h"

#define TIER_BPF_NAME "bpf"

struct tier_bpf;

/* Of job: live must be set; where names interfaces of this network namespace, n 0 means all but
 * loopback, in all network namespaces; max_flows is bounded by WATCH_FLOWS_MAX; `flow` is not used.
 * `resume` comes with the next tick; `app` and `dns` never: no packet's content is seen. job must
 * stay until close. -EPERM, -EOPNOTSUPP: not possible here, with the reason: go one tier down. */
int tier_bpf_open(const struct observe_job *job, owned_flow_fn flow, struct tier_bpf **ret,
                  struct err *e);
/* Hands out the flows that changed since the last tick and those that left, then calls job->tick.
 */
int tier_bpf_tick(struct tier_bpf *t, struct err *e);
/* Hands out all flows as final; nothing is left in the table. */
int tier_bpf_flush(struct tier_bpf *t, struct err *e);
void tier_bpf_stats(const struct tier_bpf *t, struct source_stats *ret); /* as of the last tick */
void tier_bpf_close(struct tier_bpf *t);                                 /* takes NULL */
/* The blind spots of this tier, here, as one sentence. Valid until close. */
const char *tier_bpf_blind(const struct tier_bpf *t);

/* All of it: open, a tick every job->tick_ms until *job->stop or job->run, flush, close. limits
 * gets tier_bpf_blind. An error before the first tick is one of open. */
int observe_bpf_run(const struct observe_job *job, owned_flow_fn flow, struct source_stats *ret,
                    char limits[static 256], struct err *e);

/* What flow the kernel's counters are; whole_frames: the device counts packets as they are handed
 * over. add_nsec: from the kernel's clock to wall time. Pure. */
void tier_bpf_flow(const struct watch_key *k, const struct watch_flow *f, bool whole_frames,
                   uint64_t add_nsec, struct flow *ret);
/* Pure. */
void tier_bpf_owner(const struct watch_who *who, const struct watch_owner *o, struct owner *ret);

#endif
