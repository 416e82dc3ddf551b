/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Netlink transport over the replaceable system-call table. libmnl builds and walks messages; this
 * sends, receives, and turns kernel errors (with extended ack text) into values.
 */
#ifndef STANCH_KERN_NL_H
#define STANCH_KERN_NL_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct nl {
	int fd;
	uint32_t portid, seq;
};

/* bus: NETLINK_ROUTE, NETLINK_NETFILTER, NETLINK_SOCK_DIAG. Extended ack is asked for. */
int nl_open(struct nl *nl, int bus, struct err *e);
void nl_close(struct nl *nl);
/* Was this the port of a socket that this process opened, of the last few hundred? Another process
 * may have taken it since: a hint, no proof. */
bool nl_was_ours(uint32_t port);
/* Sends one request and hands every answer to cb (may be NULL) until the end of the dump or the
 * ack. A kernel error becomes -errno with the kernel's own words. A dump is handed out only when
 * it is whole: one that the kernel marks as interrupted is asked for again, at most 5 times
 * (-EAGAIN then). cb returns MNL_CB_OK, or MNL_CB_ERROR with errno set. */
int nl_talk(struct nl *nl, struct nlmsghdr *request, mnl_cb_t cb, void *arg, struct err *e);
/* Hears what the kernel tells everyone in a group, from now on; for a socket of its own. */
int nl_join(struct nl *nl, unsigned group, struct err *e);
/* Hands what was heard so far to cb, and does not wait. Each time that the kernel says that it had
 * no room for some, *lost grows by 1. */
int nl_heard(struct nl *nl, mnl_cb_t cb, void *arg, uint64_t *lost, struct err *e);
/* Sends n bytes of many messages (an nftables batch) in one piece, numbered here, and reads n_acks
 * acks (messages that have NLM_F_ACK): 0 only if none was refused; the first refusal's index
 * (message number in the batch, from 0) goes to *ret_at, which may be NULL. With n_acks 0 only
 * refusals are looked for. */
int nl_batch(struct nl *nl, void *bytes, size_t n, size_t n_acks, size_t *ret_at, struct err *e);

#endif
