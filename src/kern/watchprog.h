/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The programs at the cgroup root (bpf/watch.bpf.c): load and attach them, read their maps. Nothing
 * is pinned: closing, or the end of this process, detaches them; those of others stay as they are.
 */
#ifndef STANCH_KERN_WATCHPROG_H
#define STANCH_KERN_WATCHPROG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "kern/bpf/watch.h"

struct watchprog;

/* Attaches, then reads which processes hold the sockets that are open already. max_flows bounds the
 * flows held in the kernel (at most WATCH_FLOWS_MAX). Needs CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and
 * the kernel's types (BTF). pause_nsec: WATCH_RESUMED is told after that much silence; 0: never.
 * -EPERM, -EOPNOTSUPP: not possible here, with the reason. */
int watchprog_open(uint32_t max_flows, uint64_t pause_nsec, struct watchprog **ret, struct err *e);
void watchprog_close(struct watchprog *w); /* takes NULL */

/* The hooks see every process of the system, and not only those below a cgroup. */
bool watchprog_sees_all(const struct watchprog *w);
/* Could sockets that were open before be read? */
bool watchprog_has_pass(const struct watchprog *w);
/* Reads the holders of sockets without owner once more; about 0.3 µs for each open file. */
int watchprog_pass(struct watchprog *w, struct err *e);

typedef void (*watchprog_flow_fn)(void *arg, const struct watch_key *k, const struct watch_flow *f);
/* Each flow that is in the table from begin to end comes once; others may come. cb must not change
 * the table. */
int watchprog_each(struct watchprog *w, watchprog_flow_fn cb, void *arg, struct err *e);
typedef void (*watchprog_event_fn)(void *arg, const struct watch_event *event);
/* What the ring holds since the last call. */
int watchprog_events(struct watchprog *w, watchprog_event_fn cb, void *arg, struct err *e);
/* Takes all of them out of the table; those that begin meanwhile may stay. */
int watchprog_take_all(struct watchprog *w, watchprog_flow_fn cb, void *arg, struct err *e);
/* Takes a flow out of the table; what comes later counts in a new one. -ENOENT: it is not there. */
int watchprog_take(struct watchprog *w, const struct watch_key *k, struct watch_flow *ret);
/* -ENOENT: not known, or put out by newer ones. -EAGAIN: being filled in. */
int watchprog_owner(struct watchprog *w, const struct watch_who *who, struct watch_owner *ret);
/* What is in no flow, since the beginning; indexed by enum watch_rest. */
int watchprog_rests(struct watchprog *w, struct watch_count ret[static WATCH_RESTS], struct err *e);

/* Joins path components as watch_owner has them (leaf first, each with its NUL, len bytes of them)
 * to
 * "/a/b"; "" for len 0. Text that is not clean becomes '?' (proc_clean). Pure. */
void watchprog_path(const char *parts, size_t len, char *dst, size_t n);

#endif
