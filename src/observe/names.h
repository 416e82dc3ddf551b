/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which name a client meant by an address: what it was answered when it asked DNS. Kept by the
 * parent, from records that have been checked. Pure.
 *
 * The rule: of the names that a client was given an address for, the one answered last before the
 * flow began is meant, unless another was answered within NAMES_WINDOW_NSEC of it: two names on one
 * address (a content network) asked for at the same time cannot be told apart, and then neither is
 * named. TTLs are not looked at: programs keep addresses longer. Nobody's answer names another's
 * flow.
 *
 * Memory is fixed at birth. A full set gives up what was answered longest ago, and counts it.
 *
 * Behind a stub resolver on loopback the answers of this host's programs have the client 127.0.0.1:
 * when there is none for the flow's own address, ask again with that one.
 */
#ifndef STANCH_OBSERVE_NAMES_H
#define STANCH_OBSERVE_NAMES_H

#include "base/err.h"
#include "model/flow.h"

#define NAMES_WINDOW_NSEC (UINT64_C(60) * 1000000000)
#define NAMES_MEMORY      (UINT64_C(8) * 1024 * 1024) /* about 25,000 names */

struct names;

int names_new(size_t max_bytes, struct names **ret, struct err *e); /* -EINVAL, -ENOMEM */
void names_free(struct names *n);                                   /* takes NULL */

/* Learns from a response with rcode 0 that has addresses; passes over anything else, and over what
 * was sent to a multicast address: that answers nobody's question. Events may come in any order. */
void names_answer(struct names *n, const struct dns_event *e);

/* How many names may be meant by a flow from client to server that began at at_nsec: 0: none is
 * known; 1: *ret is it (valid until the next names_answer); more: any of so many, *ret untouched.
 */
unsigned names_find(struct names *n, const struct addr *client, const struct addr *server,
                    uint64_t at_nsec, const char **ret);

uint64_t names_evicted(const struct names *n);

#endif
