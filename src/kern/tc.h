/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The clsact qdisc of a device and the filters on its egress hook, as far as a BPF program there is
 * concerned (rtnetlink). Everything speaks of the network namespace that the netlink socket was
 * opened in.
 *
 * nl is a socket opened on NETLINK_ROUTE that is reused, or NULL to open one for the call.
 */
#ifndef STANCH_KERN_TC_H
#define STANCH_KERN_TC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct nl;

#define TC_NAME_MAX    64
#define TC_KIND_MAX    16
#define TC_FILTERS_MAX 1024 /* on one hook; more are -E2BIG */

enum tc_hook { TC_HOOK_INGRESS, TC_HOOK_EGRESS };

struct tc_filter {
	uint16_t prio;     /* lower runs first; 1 is the first */
	uint16_t protocol; /* ETH_P_*, host order; ETH_P_ALL for ours */
	uint32_t chain;    /* 0: the one that runs first */
	uint32_t handle;
	char kind[TC_KIND_MAX]; /* "bpf", "flower", … */
	/* kind bpf only */
	char name[TC_NAME_MAX]; /* as whoever attached it called it */
	bool direct;            /* its verdict is final by itself */
	uint32_t prog_id;       /* 0: classic BPF or not told */
};

/* Is there a clsact qdisc on the device? */
int tc_clsact_present(struct nl *nl, int ifindex, bool *ret, struct err *e);
/* -EEXIST: there is one, or an ingress qdisc in its place (which has no egress hook). */
int tc_clsact_add(struct nl *nl, int ifindex, struct err *e);
/* Takes every filter on both of its hooks with it. -ENOENT: there is none. */
int tc_clsact_delete(struct nl *nl, int ifindex, struct err *e);

/* In the order the kernel runs them; malloc'd in *ret (free() it; NULL when none). No clsact: none.
 */
int tc_filters(struct nl *nl, int ifindex, enum tc_hook hook, struct tc_filter **ret, size_t *ret_n,
               struct err *e);
/* Attaches a loaded SCHED_CLS program, direct action, every protocol, at this prio. A prio that
 * another BPF filter for every protocol has already is shared: the newest runs first there.
 * -EEXIST, -EINVAL: the prio is taken by something else. */
int tc_bpf_add(struct nl *nl, int ifindex, enum tc_hook hook, uint16_t prio, int prog_fd,
               const char *name, struct err *e);
/* Removes exactly this filter (prio, protocol, chain, handle, kind). -ENOENT: there is none. */
int tc_filter_delete(struct nl *nl, int ifindex, enum tc_hook hook, const struct tc_filter *f,
                     struct err *e);

#endif
