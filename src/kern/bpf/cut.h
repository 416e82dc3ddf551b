/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the programs of a cut (tc egress, XDP) and their loader share: the layout of their maps.
 * Fixed-width fields only, no padding; the reading side checks `version` first.
 */
#ifndef STANCH_KERN_BPF_CUT_H
#define STANCH_KERN_BPF_CUT_H

#include <linux/types.h>

#define CUT_VERSION     1
#define CUT_PERMITS_MAX 64

/* The kinds of permits, numbered as they lie in the map: part of the format. */
enum cut_kind {
	CUT_FLOW = 0,
	CUT_ARP = 1,
	CUT_ND = 2,
	CUT_RA = 3,
	CUT_DHCP4 = 4,
	CUT_DHCP6 = 5,
	CUT_TOOBIG = 6 /* lets nothing out */
};

/* Not for the program: its maker also made the clsact qdisc that it hangs on. */
#define CUT_FLAG_MADE_CLSACT 1u
/* The kernel turned this off on the device when the program came. */
#define CUT_FLAG_HAD_LRO 2u

struct cut_permit {
	__u8 kind;   /* enum cut_kind */
	__u8 family; /* of the peer: 4, 6; 0: none */
	__u8 proto;  /* IPPROTO_*; 0: every protocol if no port is given, else TCP and UDP */
	__u8 breakglass;
	__u16 local_port, peer_port; /* host order; 0: any */
	__u32 addr[4], mask[4];      /* network order; v4 in the first word */
};

struct cut_config {
	__u32 version;
	__u32 link_header;  /* bytes of the link layer's header: 14 (Ethernet) or 0 (bare IP) */
	__u64 armed_until;  /* CLOCK_BOOTTIME, ns; from then on everything passes; 0: never */
	__u64 narrow_until; /* from then on break-glass permits count; 0: they never do */
	__u64 drain_until;  /* TCP resets pass until then; 0: they do not */
	__u32 n_permits;
	__u32 flags; /* CUT_FLAG_* */
};

/* Index into the counters' map. */
enum cut_counter { CUT_PASSED, CUT_DROPPED, CUT_COUNTERS };

#endif
