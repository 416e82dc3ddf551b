/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the programs of the bulk tier and their loader share: the layout of their maps. Fixed-width
 * fields only, no padding.
 */
#ifndef STANCH_KERN_BPF_BULK_H
#define STANCH_KERN_BPF_BULK_H

#include <linux/types.h>

/* Of either trie. Nothing is allocated before it is put in. */
#define BULK_ENTRIES_MAX (16u << 20)
#define BULK_DEVICES_MAX 4096

struct bulk_key4 {
	__u32 len; /* bits, 0..32 */
	__u8 addr[4];
};

struct bulk_key6 {
	__u32 len; /* 0..128 */
	__u8 addr[16];
};

/* The value of either trie: CLOCK_BOOTTIME in ns from which on the entry blocks no more; 0: it
 * blocks for good. */
typedef __u64 bulk_until;

/* The qdisc that the programs hang on was made for them: what undo needs to know. */
#define BULK_FLAG_MADE_CLSACT 1u

/* Value of the map of devices, by ifindex. */
struct bulk_device_note {
	__u32 flags; /* BULK_FLAG_* */
	__u32 zero;
	__u64 dropped; /* packets, in and out */
};

#endif
