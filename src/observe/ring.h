/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Live frames of one interface by TPACKET_V3: a ring that the kernel fills and we read without a
 * call a packet. Frames are cut to RING_SNAP bytes, a VLAN tag that the device took off is put
 * back, drops are asked of the kernel. On loopback each frame passes twice; only the way in is
 * counted.
 */
#ifndef STANCH_OBSERVE_RING_H
#define STANCH_OBSERVE_RING_H

#include "model/source_ops.h"

#define RING_SNAP   256
#define RING_BLOCK  (1u << 18)
#define RING_BLOCKS 32u

/* open: `where` is an interface name; needs CAP_NET_RAW. Tier "tpacket_v3". */
extern const struct source_ops ring_source;
/* What attach needs of system calls, for the role's allow-list. */
#define RING_SYSCALLS SYS_getsockopt

#endif
