/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The XDP program of a device (rtnetlink). A program that is attached this way stays until somebody
 * takes it away or the device goes; it needs nobody to hold it. One that a BPF link carries cannot
 * be replaced (-EBUSY). Everything speaks of the network namespace that the netlink socket was
 * opened in.
 *
 * nl is a socket opened on NETLINK_ROUTE that is reused, or NULL to open one for the call.
 */
#ifndef STANCH_KERN_XDP_H
#define STANCH_KERN_XDP_H

#include <stdint.h>

#include "base/err.h"

struct nl;

/* Where it runs: in the driver, behind the driver on every device alike, or in the card. */
enum xdp_mode { XDP_NATIVE, XDP_GENERIC, XDP_CARD, _XDP_MODE_MAX };
const char *xdp_mode_str(enum xdp_mode m); /* "native", "generic", "card" */

struct xdp_state {
	uint32_t prog_id[_XDP_MODE_MAX]; /* 0: none. Native and generic exclude each other */
};

int xdp_read(struct nl *nl, int ifindex, struct xdp_state *ret, struct err *e);
/* Attaches. replaces -1: only where there is none (-EEXIST, -EBUSY); else a descriptor of the
 * program that must be there and goes in the same moment. -EOPNOTSUPP and what else drivers say:
 * not in this mode. */
int xdp_attach(struct nl *nl, int ifindex, enum xdp_mode m, int prog_fd, int replaces,
               struct err *e);
/* Takes away exactly the program that prog_fd is of (-EEXIST: another one is there). */
int xdp_detach(struct nl *nl, int ifindex, enum xdp_mode m, int prog_fd, struct err *e);

/* Breaks the BPF link by which the device has this program, whoever holds it. -ENOENT: none. */
int xdp_unlink(int ifindex, uint32_t prog_id, struct err *e);

#endif
