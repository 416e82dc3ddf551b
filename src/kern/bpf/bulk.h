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

/* Value of the map of devices, by ifindex. Not for the programs: what undo needs to know. */
#define BULK_FLAG_MADE_CLSACT 1u

enum bulk_counter { BULK_PASSED, BULK_DROPPED, BULK_COUNTERS };

#endif
