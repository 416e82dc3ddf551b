/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whose flow is it? Sockets of this network namespace by inet_diag, their holders by /proc/PID/fd.
 *
 * A socket is only seen while it is open: who lived and died between two refreshes is unknown, and
 * owners_find says so rather than guess. The caller keeps an owner for as long as its flow lives,
 * so what was seen once stays known.
 */
#ifndef STANCH_OBSERVE_OWNER_H
#define STANCH_OBSERVE_OWNER_H

#include "base/err.h"
#include "model/flow.h"

struct owners;

int owners_new(struct owners **ret, struct err *e);
void owners_free(struct owners *o); /* takes NULL */

/* Reads sockets and our addresses again (2 µs a socket). */
int owners_refresh(struct owners *o, struct err *e);
/* Fills *ret; pid 0 and why_unknown where it is not known. Scans /proc when a socket's holder is
 * not known yet, but spends at most a fifth of the time on that. Both directions of the flow are
 * tried: connected sockets first, then unconnected UDP, then listeners (for what nobody has
 * accepted yet). True: known. */
bool owners_find(struct owners *o, const struct flow *f, struct owner *ret);
/* The same owner at an address that stays until owners_free; equal ones share it. NULL: out of
 * memory, or more than OWNERS_KEPT_MAX different ones. */
#define OWNERS_KEPT_MAX 65536u
const struct owner *owners_keep(struct owners *o, const struct owner *owner);
/* Is this one of our addresses (as of the last refresh)? */
bool owners_is_self(const struct owners *o, const struct addr *a);

/* For tests: a socket as inet_diag would tell it. peer.addr.family ADDR_NONE: not connected. */
struct owner_socket {
	uint8_t proto;
	struct endpoint local, peer;
	bool v6only;
	uint64_t inode;
	uint32_t uid;
	bool waiting; /* connected, but not accepted yet: no file, its listener owns it */
};
int owners_add(struct owners *o, const struct owner_socket *s);
int owners_add_self(struct owners *o, const struct addr *a);
/* The socket that carries f; NULL. Pure. */
const struct owner_socket *owners_match(const struct owners *o, const struct flow *f);

#endif
