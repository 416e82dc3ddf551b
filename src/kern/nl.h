/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Netlink transport over the replaceable system-call table. libmnl builds and walks messages; this
 * sends, receives, and turns kernel errors (with extended ack text) into values.
 */
#ifndef STANCH_KERN_NL_H
#define STANCH_KERN_NL_H

#include <libmnl/libmnl.h>
#include <stdint.h>

#include "base/err.h"

struct nl {
	int fd;
	uint32_t portid, seq;
};

/* bus: NETLINK_ROUTE, NETLINK_NETFILTER, NETLINK_SOCK_DIAG. Extended ack is asked for. */
int nl_open(struct nl *nl, int bus, struct err *e);
void nl_close(struct nl *nl);
/* Sends one request and hands every answer to cb (may be NULL) until the end of the dump or the
 * ack. A kernel error becomes -errno with the kernel's own words. A dump that the kernel marks as
 * interrupted is asked for again, at most 5 times. cb returns MNL_CB_OK or MNL_CB_ERROR. */
int nl_talk(struct nl *nl, struct nlmsghdr *request, mnl_cb_t cb, void *arg, struct err *e);
/* Sends a buffer of many messages (an nftables batch) in one piece and reads the acks: 0 only if
 * none failed; the first error's index (message number in the batch, from 0) goes to *ret_at. */
int nl_batch(struct nl *nl, const void *bytes, size_t n, size_t n_acks, size_t *ret_at,
             struct err *e);

#endif
