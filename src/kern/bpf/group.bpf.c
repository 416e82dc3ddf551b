/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * At a cgroup of the unified hierarchy: what no permit names neither leaves nor reaches the sockets
 * of a group of processes. Loopback goes on.
 *
 * Invariants
 *  1. A packet is judged by its own bytes; what cannot be read fits no permit. That goes for IPv4
 *     options and for IPv6 extension headers but a fragment's, too: no program needs them to be
 * kept.
 *  2. A packet without readable ports (later fragments, headers cut short) fits only permits that
 *     ask for none.
 *  3. A socket belongs to the cgroup that it was made in, wherever its process has moved since.
 *  4. The clock is the boot clock, so that a deadline passes without anyone's help.
 *  5. connect and raw sockets are refused so that programs notice at once; the packet hooks alone
 *     carry the cut.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "group.h"

#define INLINE static __attribute__((always_inline)) inline
/* Verified by the kernel by itself, once. */
#define ONCE __attribute__((noinline))

#define PASS   1
#define REFUSE 0

#define SOCK_RAW 3
#define LOOPBACK 1 /* the ifindex of lo in every network namespace */

#define NEXT_FRAGMENT    44
#define PROTO_UNREADABLE 255
#define TCP_RST          0x04

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct kernfs_node {
	__u64 id;
	const char *name;
	struct kernfs_node *parent;
};
struct kernfs_node___since_6_15 {
	struct kernfs_node *__parent;
};
struct cgroup {
	struct kernfs_node *kn;
};
struct sock_cgroup_data {
	struct cgroup *cgroup;
};
typedef struct {
	__u32 val;
} kuid_t;
struct sock {
	kuid_t sk_uid;
	struct sock_cgroup_data sk_cgrp_data;
};
struct css_set {
	struct cgroup *dfl_cgrp;
};
struct task_struct {
	struct css_set *cgroups;
};
#pragma clang attribute pop

/* enum group_match, set before loading: what this set does not ask for is not even verified. */
const volatile __u32 group_match = GROUP_ALL;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct group_config);
} group_config SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CUT_PERMITS_MAX);
	__type(key, __u32);
	__type(value, struct cut_permit);
} group_permits SEC(".maps");

/* The host's own addresses: a connect to them stays on the host. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, GROUP_OWN_MAX);
	__type(key, struct group_addr);
	__type(value, __u8);
} group_own SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, GROUP_COOKIES_MAX);
	__type(key, __u64);
	__type(value, __u8);
} group_cookies SEC(".maps");

/* Cgroups whose path has been read: an id is never used twice within a boot. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, GROUP_SEEN_MAX);
	__type(key, __u64);
	__type(value, __u8);
} group_seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, GROUP_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} group_counts SEC(".maps");

INLINE void count(__u32 which)
{
	__u64 *n = bpf_map_lookup_elem(&group_counts, &which);
	if (n)
		*n += 1;
}

/* The settings while the cut is in force; NULL: it is not. */
INLINE const struct group_config *in_force(__u64 now)
{
	__u32 zero = 0;
	const struct group_config *c = bpf_map_lookup_elem(&group_config, &zero);
	if (!c || c->version != GROUP_VERSION || (c->armed_until && now >= c->armed_until))
		return NULL;
	return c;
}

/* --- whose is it? --- */

static const struct kernfs_node *parent_of(const struct kernfs_node *kn)
{
	const struct kernfs_node___since_6_15 *new = (const void *)kn;
	if (bpf_core_field_exists(new->__parent))
		return BPF_CORE_READ(new, __parent);
	return BPF_CORE_READ(kn, parent);
}

struct climb {
	const struct kernfs_node *kn;
	__u32 depth; /* of kn; the root's is 0 */
	__u32 off;   /* a component differs */
};

static long count_depth(__u32 i, void *arg)
{
	struct climb *w = arg;
	const struct kernfs_node *kn = w->kn, *parent = parent_of(kn);
	if (!parent)
		return 1;
	w->kn = parent;
	w->depth++;
	return 0;
}

/* One component, from the bottom of the path upwards. */
static long compare_name(__u32 i, void *arg)
{
	struct climb *w = arg;
	__u32 zero = 0, level = w->depth - 1;
	__u64 name[GROUP_NAME_MAX / 8] = {0}, differs = 0;
	const struct kernfs_node *kn = w->kn;
	const struct group_config *c = bpf_map_lookup_elem(&group_config, &zero);
	if (!c || w->depth == 0)
		return 1;
	if (level < c->levels && level < GROUP_LEVELS_MAX) {
		const __u64 *want = (const __u64 *)c->path[level];
		if (bpf_probe_read_kernel_str(name, sizeof name, BPF_CORE_READ(kn, name)) < 0)
			differs = 1;
		for (int k = 0; k < GROUP_NAME_MAX / 8; k++)
			differs |= name[k] ^ want[k];
	}
	w->off |= differs != 0;
	w->kn = parent_of(kn);
	w->depth = level;
	return w->off || !w->kn;
}

INLINE bool path_matches(const struct group_config *c, const struct cgroup *cg)
{
	const struct kernfs_node *kn = BPF_CORE_READ(cg, kn);
	struct climb w = {.kn = kn};
	__u64 id = BPF_CORE_READ(kn, id);
	const __u8 *seen = bpf_map_lookup_elem(&group_seen, &id);
	if (seen)
		return *seen;
	bpf_loop(GROUP_DEPTH_MAX, count_depth, &w, 0);
	__u8 fits = 0;
	if (w.depth >= c->levels) {
		w.kn = kn;
		bpf_loop(GROUP_DEPTH_MAX, compare_name, &w, 0);
		fits = !w.off;
	}
	bpf_map_update_elem(&group_seen, &id, &fits, BPF_ANY);
	return fits;
}

/* The address behind a pointer that may not be used as a number. */
#define address_of(p)                                                                              \
	({                                                                                         \
		const void *pointer_ = (p);                                                        \
		__u64 number_ = 0;                                                                 \
		bpf_probe_read_kernel(&number_, sizeof number_, &pointer_);                        \
		number_;                                                                           \
	})

INLINE bool is_members(struct __sk_buff *skb, const struct group_config *c)
{
	if (group_match == GROUP_ALL)
		return true;
	if (group_match == GROUP_COOKIE) {
		__u64 cookie = bpf_get_socket_cookie(skb);
		return bpf_map_lookup_elem(&group_cookies, &cookie);
	}
	struct bpf_sock *s = skb->sk;
	if (!s)
		return false;
	const struct sock *sk = (const void *)address_of(s);
	if (group_match == GROUP_UID)
		return BPF_CORE_READ(sk, sk_uid.val) == c->uid;
	return path_matches(c, BPF_CORE_READ(sk, sk_cgrp_data.cgroup));
}

/* Is the running process one of the group? */
INLINE bool is_member(const struct group_config *c)
{
	if (group_match == GROUP_ALL)
		return true;
	if (group_match == GROUP_UID)
		return (__u32)bpf_get_current_uid_gid() == c->uid;
	if (group_match == GROUP_COOKIE)
		return false;
	const struct task_struct *t = (const void *)bpf_get_current_task();
	return path_matches(c, BPF_CORE_READ(t, cgroups, dfl_cgrp));
}

/* --- does a permit name it? --- */

/* What the permits are asked about. Words are in network order, ports in host order. */
struct packet {
	__u32 peer[4];
	__u16 local_port, peer_port;
	__u8 family; /* 4, 6 */
	__u8 proto;
	__u8 has_ports, has_local; /* has_local: the local port is known, too */
	__u8 reset;                /* a TCP reset */
};

struct question {
	struct packet p;
	__u32 n;
	__u8 broken_glass; /* break-glass permits count */
	__u8 fits;
};

static __always_inline int ports_fit(const struct cut_permit *k, const struct packet *p)
{
	return p->has_ports &&
	       (!k->local_port || !p->has_local || k->local_port == p->local_port) &&
	       (!k->peer_port || k->peer_port == p->peer_port);
}

ONCE int fits(const struct cut_permit *k, const struct packet *p)
{
	if (!k || !p || k->kind != CUT_FLOW || p->family != k->family)
		return 0;
	if (((p->peer[0] ^ k->addr[0]) & k->mask[0]) | ((p->peer[1] ^ k->addr[1]) & k->mask[1]) |
	    ((p->peer[2] ^ k->addr[2]) & k->mask[2]) | ((p->peer[3] ^ k->addr[3]) & k->mask[3]))
		return 0;
	bool wants_ports = k->local_port || k->peer_port;
	if (k->proto ? k->proto != p->proto
	             : wants_ports && p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP)
		return 0;
	return !wants_ports || ports_fit(k, p);
}

static long ask(__u32 i, void *arg)
{
	struct question *q = arg;
	const struct cut_permit *k = bpf_map_lookup_elem(&group_permits, &i);
	if (!k || i >= q->n)
		return 1;
	if ((k->breakglass && !q->broken_glass) || !fits(k, &q->p))
		return 0;
	q->fits = 1;
	return 1;
}

INLINE bool is_kept(const struct group_config *c, __u64 now, struct question *q)
{
	q->n = c->n_permits;
	q->broken_glass = c->narrow_until && now >= c->narrow_until;
	bpf_loop(CUT_PERMITS_MAX, ask, q, 0);
	return q->fits;
}

INLINE bool has_ports(__u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_DCCP || proto == IPPROTO_UDPLITE;
}

INLINE void read_upper(struct __sk_buff *skb, __u32 at, bool out, struct packet *p)
{
	__u8 h[4], flags;
	if (!has_ports(p->proto) || bpf_skb_load_bytes(skb, at, h, sizeof h) < 0)
		return;
	__u16 from = h[0] << 8 | h[1], to = h[2] << 8 | h[3];
	p->local_port = out ? from : to;
	p->peer_port = out ? to : from;
	p->has_ports = p->has_local = 1;
	if (p->proto == IPPROTO_TCP && bpf_skb_load_bytes(skb, at + 13, &flags, 1) == 0)
		p->reset = !!(flags & TCP_RST);
}

ONCE int read_v4(struct __sk_buff *skb, __u32 out, struct packet *p)
{
	__u8 h[20];
	if (!p || bpf_skb_load_bytes(skb, 0, h, sizeof h) < 0 || h[0] != 0x45)
		return 0;
	__builtin_memcpy(&p->peer[0], out ? h + 16 : h + 12, 4);
	p->family = 4;
	p->proto = h[9];
	if (!((h[6] & 0x1f) | h[7]))
		read_upper(skb, 20, out, p);
	return 1;
}

ONCE int read_v6(struct __sk_buff *skb, __u32 out, struct packet *p)
{
	__u8 h[8], f[8];
	__u32 at = 40;
	if (!p || bpf_skb_load_bytes(skb, 0, h, sizeof h) < 0 ||
	    bpf_skb_load_bytes(skb, out ? 24 : 8, p->peer, sizeof p->peer) < 0)
		return 0;
	p->family = 6;
	p->proto = h[6];
	if (h[6] == NEXT_FRAGMENT) {
		if (bpf_skb_load_bytes(skb, at, f, sizeof f) < 0)
			return 0;
		p->proto = f[0];
		at += sizeof f;
		if (f[2] | (f[3] & 0xf8))
			return 1;
	}
	/* Another extension header: it says where the packet goes, or hides what it carries. */
	if (p->proto == 0 || p->proto == 43 || p->proto == 44 || p->proto == 51 || p->proto == 60)
		return 0;
	read_upper(skb, at, out, p);
	return 1;
}

INLINE int judge(struct __sk_buff *skb, bool out)
{
	__u64 now = bpf_ktime_get_boot_ns();
	const struct group_config *c = in_force(now);
	struct question q = {0};
	if (!c || skb->ifindex == LOOPBACK || !is_members(skb, c))
		return PASS;
	int readable = skb->protocol == bpf_htons(ETH_P_IP)     ? read_v4(skb, out, &q.p)
	               : skb->protocol == bpf_htons(ETH_P_IPV6) ? read_v6(skb, out, &q.p)
	                                                        : 0;
	bool pass = readable && ((q.p.reset && now < c->drain_until) || is_kept(c, now, &q));
	count(pass ? GROUP_PASSED : GROUP_DROPPED);
	return pass;
}

SEC("cgroup_skb/egress")
int stanch_g_out(struct __sk_buff *skb)
{
	return judge(skb, true);
}

SEC("cgroup_skb/ingress")
int stanch_g_in(struct __sk_buff *skb)
{
	return judge(skb, false);
}

/* --- so that programs notice --- */

SEC("cgroup/sock_create")
int stanch_g_sock(struct bpf_sock *ctx)
{
	const struct group_config *c = in_force(bpf_ktime_get_boot_ns());
	if (!c || ctx->type != SOCK_RAW || !is_member(c))
		return PASS;
	count(GROUP_REFUSED);
	return REFUSE;
}

INLINE bool is_loopback(const struct packet *p)
{
	if (p->family == 4)
		return (bpf_ntohl(p->peer[0]) >> 24) == 127 || !p->peer[0];
	return !(p->peer[0] | p->peer[1] | p->peer[2]) && bpf_ntohl(p->peer[3]) <= 1;
}

INLINE int judge_connect(struct bpf_sock_addr *ctx, struct question *q)
{
	__u64 now = bpf_ktime_get_boot_ns();
	const struct group_config *c = in_force(now);
	struct group_addr a = {{q->p.peer[0], q->p.peer[1], q->p.peer[2], q->p.peer[3]}};
	if (!c || !is_member(c) || is_loopback(&q->p) || bpf_map_lookup_elem(&group_own, &a))
		return PASS;
	q->p.proto = ctx->protocol;
	q->p.peer_port = bpf_ntohs(ctx->user_port);
	q->p.has_ports = 1; /* the local one is not chosen yet */
	if (is_kept(c, now, q))
		return PASS;
	count(GROUP_REFUSED);
	return REFUSE;
}

SEC("cgroup/connect4")
int stanch_g_con4(struct bpf_sock_addr *ctx)
{
	struct question q = {.p = {.family = 4, .peer = {ctx->user_ip4}}};
	return judge_connect(ctx, &q);
}

SEC("cgroup/connect6")
int stanch_g_con6(struct bpf_sock_addr *ctx)
{
	struct question q = {.p = {.family = 6}};
	q.p.peer[0] = ctx->user_ip6[0];
	q.p.peer[1] = ctx->user_ip6[1];
	q.p.peer[2] = ctx->user_ip6[2];
	q.p.peer[3] = ctx->user_ip6[3];
	if (!(q.p.peer[0] | q.p.peer[1]) && q.p.peer[2] == bpf_htonl(0xffff)) {
		q.p.family = 4; /* v4 on a v6 socket */
		q.p.peer[0] = q.p.peer[3];
		q.p.peer[2] = q.p.peer[3] = 0;
	}
	return judge_connect(ctx, &q);
}

char group_license[] SEC("license") = "Dual BSD/GPL";
