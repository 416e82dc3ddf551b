/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * BPF programs that cgroups carry at the hooks of the network, whoever put them there: sockets made
 * and closed, bound, connected, their packets, options and names. Looks, changes nothing.
 */
#ifndef STANCH_KERN_CGHOOK_H
#define STANCH_KERN_CGHOOK_H

#include <stdint.h>

#include "base/err.h"

struct cghook {
	const char *path; /* of the cgroup, from the hierarchy's root; any bytes: clean it */
	const char *hook; /* as bpftool calls it: "cgroup_inet_egress" */
	uint32_t prog_id;
	uint32_t link_id; /* of the link that attaches it; 0: attached without one */
};

/* Each program at each cgroup where it was attached itself (not where it is inherited). cb returns
 * 0, or what ends the walk and comes back. -EPERM, -ENOENT: not possible here, with the reason. */
typedef int (*cghook_fn)(void *arg, const struct cghook *h);
int cghook_each(cghook_fn cb, void *arg, struct err *e);

#endif
