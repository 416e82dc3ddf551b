// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * tc ingress and egress: no packet from or to a listed address passes this device.
 *
 * Invariants
 *  1. The bytes of the frame decide, never the skb's own idea of its protocol.
 *  2. Entries of a trie never cover each other: the longest match is the only one.
 *  3. What is no IP packet, or cut short before its addresses, is none of ours and passes.
 *  4. The clock is the boot clock, so that a deadline passes without anyone's help.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bulk.h"

#define VLAN_TAGS_MAX 3

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, BULK_ENTRIES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct bulk_key4);
	__type(value, bulk_until);
} stanch_bulk4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, BULK_ENTRIES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct bulk_key6);
	__type(value, bulk_until);
} stanch_bulk6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BULK_DEVICES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct bulk_device_note);
} stanch_devices SEC(".maps");

static bool in_force(const bulk_until *until)
{
	return until && (!*until || bpf_ktime_get_boot_ns() < *until);
}

static bool listed4(const struct __sk_buff *skb, __u32 at)
{
	struct bulk_key4 src, dst;
	__u8 h[20];
	if (bpf_skb_load_bytes(skb, at, h, sizeof h) < 0 || h[0] >> 4 != 4)
		return false;
	src.len = dst.len = 32;
	__builtin_memcpy(src.addr, h + 12, sizeof src.addr);
	__builtin_memcpy(dst.addr, h + 16, sizeof dst.addr);
	return in_force(bpf_map_lookup_elem(&stanch_bulk4, &src)) ||
	       in_force(bpf_map_lookup_elem(&stanch_bulk4, &dst));
}

static bool listed6(const struct __sk_buff *skb, __u32 at)
{
	struct bulk_key6 src, dst;
	__u8 first;
	src.len = dst.len = 128;
	if (bpf_skb_load_bytes(skb, at, &first, 1) < 0 || first >> 4 != 6 ||
	    bpf_skb_load_bytes(skb, at + 8, src.addr, sizeof src.addr) < 0 ||
	    bpf_skb_load_bytes(skb, at + 24, dst.addr, sizeof dst.addr) < 0)
		return false;
	return in_force(bpf_map_lookup_elem(&stanch_bulk6, &src)) ||
	       in_force(bpf_map_lookup_elem(&stanch_bulk6, &dst));
}

/* Ethernet's type behind up to VLAN_TAGS_MAX tags; *at moves behind them. */
static __u16 ether_type(const struct __sk_buff *skb, __u32 *at)
{
	__u8 h[2];
	__u16 type = 0;
	*at = ETH_HLEN - 2;
	for (int i = 0; i <= VLAN_TAGS_MAX; i++) {
		if (bpf_skb_load_bytes(skb, *at, h, sizeof h) < 0)
			return 0;
		type = h[0] << 8 | h[1];
		*at += 2;
		if (type != ETH_P_8021Q && type != ETH_P_8021AD && type != ETH_P_QINQ1)
			break;
		*at += 2;
	}
	return type;
}

static int verdict(const struct __sk_buff *skb, bool drop)
{
	/* UNSPEC: whatever else is attached here still has its say. */
	if (!drop)
		return TC_ACT_UNSPEC;
	__u32 ifindex = skb->ifindex;
	struct bulk_device_note *note = bpf_map_lookup_elem(&stanch_devices, &ifindex);
	if (note)
		__sync_fetch_and_add(&note->dropped, 1);
	return TC_ACT_SHOT;
}

/* Devices whose frames begin with an Ethernet header. */
SEC("tc")
int stanch_bulk(struct __sk_buff *skb)
{
	__u32 at;
	__u16 type = ether_type(skb, &at);
	bool drop = type == ETH_P_IP     ? listed4(skb, at)
	            : type == ETH_P_IPV6 ? listed6(skb, at)
	                                 : false;
	return verdict(skb, drop);
}

/* Devices whose frames begin with the IP header (tun, WireGuard, PPP). */
SEC("tc")
int stanch_bulk_ip(struct __sk_buff *skb)
{
	__u8 first;
	if (bpf_skb_load_bytes(skb, 0, &first, 1) < 0)
		return TC_ACT_UNSPEC;
	return verdict(skb, first >> 4 == 6 ? listed6(skb, 0) : listed4(skb, 0));
}

char bulk_license[] SEC("license") = "Dual BSD/GPL";
