/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the programs that cut a group of processes (bpf/group.bpf.c) and their loader share: the
 * layout of their maps. Fixed-width fields only, no padding; the reading side checks `version`
 * first. Permits lie in their map as those of bpf/cut.h; only those of kind CUT_FLOW count.
 */
#ifndef STANCH_KERN_BPF_GROUP_H
#define STANCH_KERN_BPF_GROUP_H

#include <linux/types.h>

#include "cut.h"

#define GROUP_VERSION     1
#define GROUP_TOKEN       16
#define GROUP_COOKIES_MAX 65536
#define GROUP_OWN_MAX     4096
#define GROUP_SEEN_MAX    8192
#define GROUP_LEVELS_MAX  8   /* of a path that is matched by its names */
#define GROUP_NAME_MAX    128 /* of one component, with its NUL */
#define GROUP_DEPTH_MAX   32  /* of the cgroup that a socket belongs to */

/* Which sockets a set of programs is about, of all those that pass the place it is attached at. */
enum group_match {
	GROUP_ALL = 0,    /* every one: the cgroup is the group */
	GROUP_UID = 1,    /* made by this user (in the first user namespace) */
	GROUP_COOKIE = 2, /* one of these sockets */
	GROUP_PATH = 3,   /* made in a cgroup of this path or below: outlives the cgroup itself */
};

struct group_config {
	__u32 version;
	__u32 match;             /* enum group_match; the programs' own constant decides */
	__u64 armed_until;       /* CLOCK_BOOTTIME, ns; from then on everything passes; 0: never */
	__u64 narrow_until;      /* from then on break-glass permits count; 0: they never do */
	__u64 drain_until;       /* TCP resets pass until then; 0: they do not */
	__u8 token[GROUP_TOKEN]; /* of the step that this belongs to */
	__u32 n_permits;
	__u32 uid;    /* GROUP_UID */
	__u32 levels; /* GROUP_PATH: components of the path */
	__u32 netns;  /* not for the programs: inode of the maker's network namespace */
	__u8 path[GROUP_LEVELS_MAX][GROUP_NAME_MAX]; /* GROUP_PATH: padded by NULs, topmost first */
};

/* Index into the counters' map. */
enum group_counter { GROUP_PASSED, GROUP_DROPPED, GROUP_REFUSED, GROUP_COUNTERS };

struct group_addr {
	__u32 addr[4]; /* network order; v4 in the first word, the rest zero */
};

#endif
