/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The programs that cut a group of processes (bpf/group.bpf.c): load them, attach them to a cgroup,
 * find them there again, read and move their timers, detach them.
 *
 * They are attached by BPF_PROG_ATTACH with BPF_F_ALLOW_MULTI, not by links: the cgroup itself
 * keeps programs, maps and timers alive, needs no bpffs and no pin that somebody could unlink, and
 * leads back to them. The kernel runs those of every cgroup above as well, and one "no" is enough:
 * what is attached further down cannot overrule them.
 *
 * A set of programs is found again by the token in its map; which code runs, by the programs' tags
 * (digests of their instructions).
 */
#ifndef STANCH_KERN_GROUPPROG_H
#define STANCH_KERN_GROUPPROG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "kern/bpf/group.h"

enum group_hook { GROUP_OUT, GROUP_IN, GROUP_SOCK, GROUP_CON4, GROUP_CON6, _GROUP_HOOK_MAX };
const char *group_hook_str(enum group_hook h); /* as bpftool calls it: "cgroup_inet_egress", … */

struct groupprog {
	int progs[_GROUP_HOOK_MAX]; /* file descriptors, -1: none */
	int config, permits, own, cookies, counts;
};

/* Loads a fresh set whose maps hold this; c->match chooses the code. -EPERM, -EOPNOTSUPP: not
 * possible here, with the reason. The caller closes. */
int groupprog_load(const struct group_config *c, const struct cut_permit *p, struct groupprog *ret,
                   struct err *e);
void groupprog_close(struct groupprog *g); /* takes a half-opened one */
/* Attaches every program of the set to this cgroup; on failure none is left. */
int groupprog_attach(const struct groupprog *g, int cgroup, struct err *e);

/* The set that this token names at this cgroup, its maps opened: *ret_hooks has a bit for each hook
 * where it stands, *ret_same whether all of them are the code that this binary carries (loads a set
 * once in the life of this process, to learn the tags). -ENOENT: there is none. */
int groupprog_find(int cgroup, const uint8_t token[static GROUP_TOKEN], struct groupprog *ret,
                   unsigned *ret_hooks, bool *ret_same, struct err *e);
#define GROUP_ALL_HOOKS ((1u << _GROUP_HOOK_MAX) - 1)
/* Is the program with this id one that this binary carries, by name and tag? For looking: what
 * cannot be read is not. */
bool groupprog_is_ours(uint32_t prog_id);

/* Detaches the set that this token names, and what is there of it; absent is success. */
int groupprog_detach(int cgroup, const uint8_t token[static GROUP_TOKEN], struct err *e);

/* Detaches exactly the programs that g has open. */
int groupprog_detach_set(const struct groupprog *g, int cgroup, struct err *e);

/* What each set of our name at this cgroup holds, each once. A program of our name whose map cannot
 * be read comes as all zero. cb returns false to stop. */
typedef bool (*groupprog_fn)(void *arg, const struct group_config *c);
int groupprog_each(int cgroup, groupprog_fn cb, void *arg, struct err *e);

/* permits may be NULL, else it has room for CUT_PERMITS_MAX. -EBADMSG: not our layout. */
int groupprog_read(const struct groupprog *g, struct group_config *ret, struct cut_permit *permits,
                   struct err *e);
/* Moves the timers, the rest stays. Reads back that they moved. */
int groupprog_set_timers(const struct groupprog *g, uint64_t armed_until, uint64_t narrow_until,
                         uint64_t drain_until, struct err *e);
/* What is over GROUP_OWN_MAX or GROUP_COOKIES_MAX is refused with -E2BIG. */
int groupprog_add_own(const struct groupprog *g, const struct addr *a, struct err *e);
int groupprog_add_cookie(const struct groupprog *g, uint64_t cookie, struct err *e);
/* Is this cookie in the map? */
bool groupprog_has_cookie(const struct groupprog *g, uint64_t cookie);
/* Packets and calls since it was loaded, indexed by enum group_counter. */
int groupprog_counts(const struct groupprog *g, uint64_t ret[static GROUP_COUNTERS], struct err *e);
/* Runs the hook's program (GROUP_OUT or GROUP_IN) over one frame, Ethernet header included, as if
 * at that device, without sending it. */
int groupprog_try(const struct groupprog *g, enum group_hook h, int ifindex, const void *frame,
                  size_t n, bool *ret_pass, struct err *e);

#endif
