/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Isolation of a group of processes on this host: a unit, a container, an account, a process with
 * what descends from it. The rest of the host is not touched.
 *
 *   host.group          BPF programs at cgroups (kern/groupprog.h): what no permit names neither
 *                       leaves nor reaches the group's sockets               (group.c)
 *   host.group-sessions evidence first, then the group's old sockets are closed and their tracked
 *                       connections forgotten                                (group_sessions.c)
 *
 * Where the programs hang, by the kind of target:
 *   unit, container     at its cgroup, all sockets; and at the root, sockets of cgroups of the same
 *                       path: a restart gives the unit another cgroup of the same name
 *   account             at the root, sockets made by its uid in whatever cgroup
 *   process             at a leaf of our own below its cgroup, where it and its descendants are
 *                       moved (accounting of the unit goes on); and at the root, by their cookies,
 *                       the sockets that they had before: those stay with the cgroup they were made
 * in
 */
#ifndef STANCH_ENFORCE_HOST_GROUP_H
#define STANCH_ENFORCE_HOST_GROUP_H

#include "enforce/host/operator.h"
#include "enforce/host/parts.h"
#include "kern/cgtree.h"
#include "kern/groupprog.h"
#include "kern/proc.h"

#define GROUP_MEMBERS_MAX   8192 /* that are named; the rest is counted */
#define GROUP_PLACES_MAX    2
#define GROUP_LEAF_PREFIX   "stanch-"
#define GROUP_FROZEN_PREFIX "stanch-frozen-"
#define GROUP_LEAF_MAX      (sizeof GROUP_FROZEN_PREFIX + 12)

struct group_member {
	int pid;
	uint64_t start_ticks;
	char comm[PROC_COMM_MAX];
	char *cgroup; /* owned; where it was; NULL: in the group's own cgroup */
};

struct group {
	enum target_kind kind;
	char path[CGTREE_PATH_MAX]; /* of the cgroup; of an account: "/" */
	uint64_t id;                /* of that cgroup when the plan was made */
	uint32_t uid;               /* of an account */
	int pid;                    /* of a process, with its start */
	uint64_t start_ticks;
	/* The name of our cgroup where they are moved: of an isolated process below path, of what
	 * is frozen below the hierarchy's top; else "". */
	char leaf[GROUP_LEAF_MAX];
	bool follows; /* the programs at the root that know the path are taken by this kernel */
	struct group_member *members; /* owned; as the plan was made */
	size_t n_members, n_unnamed;
};

/* Is the order about a group of processes, and not about a whole host? */
bool order_is_of_group(const struct order *o);

/* Finds what the target names, and who is in it now. -ENOENT, -ENOTUNIQ, -EPERM, -EINVAL with a
 * sentence that says what would help. Changes nothing. */
int group_find(const struct target *t, struct group *ret, struct err *e);
void group_free(struct group *g); /* takes NULL */
/* Reads the members of a group anew. */
int group_read_members(struct group *g, struct err *e);
/* The uid of a name in passwd(5)'s text, or of digits. -ENOENT. Pure. */
int group_uid_of(const char *passwd, const char *name, uint32_t *ret);
/* Does a cgroup's last component name this container ("web1", "0123456789ab", "docker:0123…",
 * "pod1234-…")? Pure. */
bool group_is_container(const char *component, const char *name);

/* Did whoever gives the order log in as uid, whatever they became since (/proc/self/loginuid, set
 * once by PAM)? No login, as of daemons, is false. */
bool group_logged_in_as(uint32_t uid);
/* Is one of us, of our ancestors, or of those that serve the operator's sessions in the group, or
 * is it the account that we logged in as? Then *ret, and `why` names it. Errors as of group_find.
 */
#define GROUP_WHY_MAX 64
/* pid or the nearest of its ancestors that is a member, but for process 1; NULL: none. */
const struct group_member *group_chain_meets(const struct group *g, int pid);
int group_meets_operator(const struct target *t, const struct operator_sessions *s, bool *ret,
                         char why[static GROUP_WHY_MAX], size_t *ret_members, struct err *e);

/* ---- payloads (group_payload.c) ---- */

/* The byte that two hexadecimal digits are; -1: they are none. Pure. */
int group_hex(const char *s);

int group_to_json(const struct group *g, char **ret, struct err *e);
int group_from_json(const char *json, struct group *ret, struct err *e);

/* ---- places ---- */

struct group_place {
	enum group_match match;
	char path[CGTREE_PATH_MAX];
};

/* "stanch-" and the token's first 12 digits. Pure. */
void group_leaf_name(const char *token, char dst[static GROUP_LEAF_MAX]);
bool group_is_leaf(const char *name);
/* "stanch-frozen-" and the same digits. Pure. */
void group_frozen_name(const char *token, char dst[static GROUP_LEAF_MAX]);
bool group_is_frozen_name(const char *name);
/* Where the leaf is. -ENAMETOOLONG. Pure. */
int group_leaf_path(const struct group *g, char dst[static CGTREE_PATH_MAX]);
/* Pure. */
size_t group_places(const struct group *g, struct group_place ret[static GROUP_PLACES_MAX]);
/* What the programs at a place are to hold. Room for CUT_PERMITS_MAX. Pure. */
int group_config_of(const struct group *g, const struct order *o, const char *token,
                    enum group_match match, struct group_config *ret,
                    struct cut_permit *ret_permits, struct err *e);
/* Inode of our own network namespace; 0: it cannot be told. */
uint32_t group_netns(void);
/* The topmost cgroup that can be seen, of a container's own hierarchy, too. -ENOENT: none. */
int group_top(int *ret_fd, struct err *e);
/* The whole system's root; -EOPNOTSUPP with the reason where it cannot be had. */
int group_root(int *ret_fd, struct err *e);
/* Makes the leaf; one that is there already is success. */
int group_make_leaf(int root, const struct group *g, struct err *e);
/* Moves every member into the leaf, again and again, until none is new. trail (group_fresh) gets
 * whom it moved, each with the cgroup that he was in, *ret_members how many there are then; both
 * may be NULL. -EAGAIN: they start others faster than that; -ESRCH: the process is
 * gone. */
int group_move_all(int root, const struct group *g, struct group *trail, size_t *ret_members,
                   struct err *e);
/* A copy without members, to be filled; freed by group_drop. NULL: out of memory. */
struct group *group_fresh(const struct group *g);
void group_drop(struct group *g); /* takes NULL */
/* Moves everyone in the leaf back where he came from, and removes it. Absent is success. */
int group_take_leaf(int root, const struct group *g, struct err *e);
/* Moves the timers wherever the step's programs stand. -ENOENT: nowhere, or their time is over. */
int group_set_timers(const struct group *g, const char *token, const struct hold_time *t,
                     struct err *e);

/* ---- sockets (group_sessions.c) ---- */

/* What belongs to a group among all sockets: made in one of these cgroups, held by a member, or
 * made by the account. */
struct group_socks {
	uint64_t *cgroups, *inodes; /* owned, sorted */
	size_t n_cgroups, n_inodes;
	uint64_t *shared; /* owned, sorted; of a process: who is not in the group has them, too */
	size_t n_shared;
	bool by_uid;
	uint32_t uid;
};
int group_socks_read(const struct group *g, struct group_socks *ret, struct err *e);
void group_socks_free(struct group_socks *s);
bool group_has_sock(const struct group_socks *s, const struct diag_sock *k);
struct group_socket_counts {
	unsigned connected, listening, other, packet;
	unsigned shared; /* of a process: without a peer, and also others': not cut */
};
int group_count_socks(const struct group *g, struct group_socket_counts *ret, struct err *e);
/* The cookies of the sockets of the internet protocols that belong to the group, but for those that
 * have no peer and that others have open, too; malloc'd. */
int group_cookies_of(const struct group *g, uint64_t **ret, size_t *ret_n, struct err *e);

/* Can a member make packet sockets, or has it one? That is so of every process whose capabilities,
 * or those that a setuid program would give it, have CAP_NET_RAW; of an account always. */
bool group_can_raw(const struct group *g);
bool group_status_can_raw(const char *status); /* of proc_pid_status(5)'s text; pure */

extern const struct step_kind kind_group, kind_group_sessions;

/* Are the programs taken by this kernel, with these rights? */
int group_probe(enum group_match match, struct err *e);
int plan_group(struct host *h, const struct order *o, const struct holds *others, struct plan *p,
               struct err *e);
int group_strays(const struct holds *claims, bool remove, struct buf *out, struct err *e);

#endif
