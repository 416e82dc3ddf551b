/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Ways of counting that need no packets: the kernel keeps the counters, and we read them with each
 * tick. Rungs of the ladder beside the packets of the sandboxed child (role.h).
 */
#ifndef STANCH_OBSERVE_TIER_H
#define STANCH_OBSERVE_TIER_H

#include "observe/role.h"

/* owner is valid in the call; NULL: this tier does not know owners; pid 0 and why_unknown where it
 * is not known. */
typedef void (*owned_flow_fn)(void *arg, const struct flow *f, const struct owner *owner,
                              bool final);

struct tier_ops {
	const char *name;
	bool knows_owners;
	/* Of job: where names interfaces of this network namespace, n 0 means all but loopback;
	 * `flow` is not used, `resume` comes with a tick. job must stay until close. -EPERM,
	 * -EOPNOTSUPP: not possible here, with the reason: go one rung down. */
	int (*open)(const struct observe_job *job, owned_flow_fn flow, void **ret, struct err *e);
	/* Hands out the flows that changed and those that ended since the last tick. */
	int (*tick)(void *ctx, struct err *e);
	/* The same, and all that is left as final. */
	int (*flush)(void *ctx, struct err *e);
	void (*stats)(const void *ctx, struct source_stats *ret); /* as of the last tick */
	const char *(*blind)(const void *ctx); /* blind spots, one sentence, valid until close */
	void (*close)(void *ctx);              /* takes NULL */
};

/* Programs at the cgroup root (tier_bpf.h). */
extern const struct tier_ops tier_bpf_ops;
/* Tracked connections of this network namespace, where accounting is on already; it is never turned
 * on. Bytes are those of IP packets and 14 of Ethernet for each. */
extern const struct tier_ops tier_conntrack_ops;
/* TCP sockets of this network namespace. Bytes are those of the streams, without headers. */
extern const struct tier_ops tier_diag_ops;

#endif
