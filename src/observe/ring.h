/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Live frames of one interface by TPACKET_V3: a ring that the kernel fills and we read without a
 * call a packet. Frames are cut by the kernel: large ones to RING_SNAP_HEAD bytes, but for those
 * whose payload begins as one does that names its flow (a handshake, a request, a banner); none is
 * longer than RING_SNAP. A VLAN tag that the device took off is put back, drops are asked of the
 * kernel. On loopback each frame passes twice; only the way in is counted.
 */
#ifndef STANCH_OBSERVE_RING_H
#define STANCH_OBSERVE_RING_H

#include "model/source_ops.h"

#define RING_SNAP      2048 /* a ClientHello with post-quantum keys fits */
#define RING_SNAP_HEAD 256
#define RING_SMALL     1024 /* up to here a frame is taken whole: it costs less than to ask */
#define RING_WHOLE     ((1u << 16) + 256) /* the largest that is handed over by offloading */
#define RING_BLOCK     (1u << 18)
#define RING_BLOCKS    32u

/* open: `where` is an interface name; needs CAP_NET_RAW. Tier "tpacket_v3". */
extern const struct source_ops ring_source;
/* The same, and no frame is cut. Attached by either. */
extern const struct source_ops ring_whole_source;
/* What attach needs of system calls, for the role's allow-list. */
#define RING_SYSCALLS SYS_getsockopt

#endif
