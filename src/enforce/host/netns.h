/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The network namespaces of this host's own containers.
 *
 * Which ones: those that send through us. A namespace counts when it has a default route over a
 * device whose other end (veth) or lower device (macvlan, ipvlan) is in our own namespace. A router
 * or a host that we ourselves hang on by a veth has none such and is never entered; nor are
 * namespaces that only happen to run on the same machine, or those nested in a container.
 *
 * Bounds: NETNS_MAX namespaces, found by the processes in them; NETNS_USEC in all.
 */
#ifndef STANCH_ENFORCE_HOST_NETNS_H
#define STANCH_ENFORCE_HOST_NETNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

#define NETNS_MAX  256
#define NETNS_USEC (10 * USEC_PER_SEC)

struct netns_visit {
	uint64_t inode; /* of the namespace */
	int pid;        /* a process in it */
};

struct netns_counts {
	unsigned seen;    /* distinct namespaces besides our own */
	unsigned visited; /* of them ours by the rule above */
	unsigned denied;  /* could not be opened or entered */
	bool cut_short;   /* by one of the bounds */
};

/* Calls visit from a helper thread that is in the namespace, one after the other; the calling
 * thread never leaves its own. A failure of visit ends the walk and is returned. */
typedef int (*netns_fn)(void *arg, const struct netns_visit *v, struct err *e);
int netns_each(netns_fn visit, void *arg, struct netns_counts *ret, struct err *e);
/* The same for every namespace that a process is in but our own, ours by the rule above or not. */
int netns_every(netns_fn visit, void *arg, struct netns_counts *ret, struct err *e);

#endif
