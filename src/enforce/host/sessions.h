/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What sessions.c and evidence.c share: which sockets are walked, where, and against what scope. */
#ifndef STANCH_ENFORCE_HOST_SESSIONS_H
#define STANCH_ENFORCE_HOST_SESSIONS_H

#include "enforce/host/netns.h"
#include "enforce/host/scope.h"
#include "kern/nl.h"

/* One network namespace that is walked: ours, or one of our containers'. */
struct place {
	uint64_t netns;     /* inode; 0: our own */
	int pid;            /* a process in it; 0: our own */
	struct scope scope; /* with the addresses of this namespace */
};

typedef int (*place_fn)(void *arg, const struct place *p, struct err *e);

/* Calls cb for our own namespace first, then for those of our containers (netns.h), each time
 * from a thread that is in it. Without a visit to containers when `own_only`. */
int sessions_each_place(const struct session_scope *want, bool own_only, place_fn cb, void *arg,
                        struct netns_counts *ret, struct err *e);
/* Every socket of this namespace that the scope takes: TCP in all states but listening, connected
 * UDP, UDP-Lite and raw IP. A protocol that this kernel does not list is passed over. */
int sessions_each_socket(const struct place *p, diag_sock_fn cb, void *arg, struct err *e);
/* Every tracked connection in scope; a kernel without connection tracking has none. */
int sessions_each_flow(const struct place *p, ct_fn cb, void *arg, struct err *e);
/* Packet sockets that the scope takes; a kernel that cannot list them gives none. */
int sessions_each_packet_socket(const struct session_scope *want, diag_packet_fn cb, void *arg,
                                struct err *e);

#endif
