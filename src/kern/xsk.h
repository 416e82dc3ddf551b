/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A place for an AF_XDP socket: one queue of one device takes one. What such a socket sends goes to
 * the driver past every hook of netfilter and tc, so that whoever has the places decides.
 */
#ifndef STANCH_KERN_XSK_H
#define STANCH_KERN_XSK_H

#include <stdint.h>

#include "base/err.h"

#define XSK_QUEUES_MAX 1024 /* of one device */

/* Takes the place: *ret is bound there, in copy mode, sends and receives nothing, and keeps the
 * place until it is closed. -EBUSY: somebody has it; -ENXIO: the device has no such queue; -ENODEV;
 * -EAFNOSUPPORT: this kernel has no such sockets. */
int xsk_hold(int ifindex, uint32_t queue, int *ret, struct err *e);

#endif
