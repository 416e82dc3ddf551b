/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * At the root of the unified cgroup hierarchy: whose socket is it, and what passes through it?
 *
 * Invariants
 *  1. Nothing is ever refused: every program returns 1.
 *  2. A socket's owner is who made it, until another process connects it, sends through it with an
 *     address, or asks for its peer (accept does). A socket that is accepted starts with the owner
 *     of its listener.
 *  3. An owner is read once for each image of a process, while that process runs: it may be gone
 *     when anybody looks.
 *  4. A packet that several sockets get a copy of (raw sockets, multicast) counts at one of them.
 *  5. A full table loses no packet silently: what has no flow is counted as rest.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "watch.h"

/* On the way of each packet, and void functions: a call that returns nothing may leave a pointer in
 * its register, which some kernels refuse. */
#define INLINE static __attribute__((always_inline)) inline

#define AF_INET     2
#define AF_INET6    10
#define SOCK_RAW    3
#define PACKET_HOST 0

#define PATH_DEPTH   40
#define EXTENSIONS   6
#define ALLOW        1
#define TCP_FIN      0x01
#define TCP_SYN      0x02
#define TCP_RST      0x04
#define TCP_ACK      0x10
#define UDP_HEADER   8
#define HAS_TSO      (1ull << 16) /* NETIF_F_… are no named type */
#define HAS_TSO6     (1ull << 20)
#define HAS_USO      (1ull << 33)
#define MTU_MIN      576
#define FRAGMENT_MIN 1280
#define FIRST_PID    1

/* The kernel's own types, as far as they are read; offsets are filled in when it is loaded. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct qstr {
	const unsigned char *name;
};
struct inode {
	unsigned long i_ino;
};
struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
};
struct vfsmount {
	struct dentry *mnt_root;
};
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};
struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};
struct file {
	struct path f_path;
};
struct mm_struct {
	struct file *exe_file;
};
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
struct css_set {
	struct cgroup *dfl_cgrp;
};
typedef struct {
	__u32 val;
} kuid_t;
struct cred {
	kuid_t uid;
};
struct ns_common {
	unsigned int inum;
};
struct net {
	struct ns_common ns;
};
struct nsproxy {
	struct net *net_ns;
};
struct task_struct {
	__u32 tgid;
	struct mm_struct *mm;
	struct task_struct *group_leader, *real_parent;
	struct nsproxy *nsproxy;
	struct css_set *cgroups;
	const struct cred *cred;
	__u64 start_boottime;
	__u64 self_exec_id;
	char comm[16];
};
typedef struct {
	struct net *net;
} possible_net_t;
struct sock_common {
	unsigned short skc_family;
	possible_net_t skc_net;
};
struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
};
struct socket {
	struct sock *sk;
};
struct net_device {
	__u64 features;
	unsigned int mtu;
};
struct sk_buff {
	struct sk_buff *next;
	struct net_device *dev;
};
struct bpf_iter_meta;
struct bpf_iter__task_file {
	union {
		struct bpf_iter_meta *meta;
	};
	union {
		struct task_struct *task;
	};
	__u32 fd;
	union {
		struct file *file;
	};
};
#pragma clang attribute pop

enum sock_flag { SOCK_IS_RAW = 1, SOCK_FROM_PASS = 2 };

struct watch_sock {
	struct watch_who who;
	__u32 netns;
	__u32 flags;  /* enum sock_flag */
	__u64 cookie; /* of a socket that was accepted: its listener's */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct watch_sock);
} watch_socks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, WATCH_OWNERS_MAX);
	__type(key, struct watch_who);
	__type(value, struct watch_owner);
} watch_owners SEC(".maps");

/* What a new owner starts as: too large for the stack. Never written. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct watch_owner);
} watch_blank SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, WATCH_FLOWS_MAX);
	__type(key, struct watch_key);
	__type(value, struct watch_flow);
} watch_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, WATCH_RING_SIZE);
} watch_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, WATCH_RESTS);
	__type(key, __u32);
	__type(value, struct watch_count);
} watch_rests SEC(".maps");

/* Nanoseconds of silence after which a flow that goes on is told; 0: never. Set before loading. */
const volatile __u64 watch_pause = 0;

/* The time of the last packet on this CPU. */
struct moment {
	__u64 jiffies, nsec;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct moment);
} watch_moment SEC(".maps");

/* The address behind a pointer that may not be used as a number. */
#define address_of(p)                                                                              \
	({                                                                                         \
		const void *pointer_ = (p);                                                        \
		__u64 number_ = 0;                                                                 \
		bpf_probe_read_kernel(&number_, sizeof number_, &pointer_);                        \
		number_;                                                                           \
	})

INLINE __u32 netns_of(__u64 sock)
{
	const struct sock *sk = (const void *)sock;
	return BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
}

/* --- Owners --- */

struct path_walk {
	struct watch_owner *o;
	const struct dentry *dentry;
	const struct vfsmount *mnt;
	__u32 at, whole;
};

static long dentry_step(__u32 i, void *arg)
{
	struct path_walk *w = arg;
	const struct dentry *d = w->dentry, *parent = BPF_CORE_READ(d, d_parent);
	const struct vfsmount *mnt = w->mnt;
	__u32 at = w->at;
	if (d == BPF_CORE_READ(mnt, mnt_root)) {
		const struct mount *m =
		    (const void *)mnt - bpf_core_field_offset(struct mount, mnt);
		const struct mount *above = BPF_CORE_READ(m, mnt_parent);
		if (above == m) {
			w->whole = 1;
			return 1;
		}
		w->dentry = BPF_CORE_READ(m, mnt_mountpoint);
		w->mnt = (const void *)above + bpf_core_field_offset(struct mount, mnt);
		return 0;
	}
	if (at > WATCH_PATH_MAX - WATCH_NAME_MAX)
		return 1;
	long n = bpf_probe_read_kernel_str(w->o->exe + at, WATCH_NAME_MAX,
	                                   BPF_CORE_READ(d, d_name.name));
	if (n <= 0)
		return 1;
	w->at = at + n;
	w->dentry = parent;
	w->whole = d == parent; /* belongs to no tree: memfd */
	return w->whole;
}

INLINE void read_exe(struct watch_owner *o, const struct task_struct *t)
{
	const struct file *exe = BPF_CORE_READ(t, mm, exe_file);
	struct path_walk w = {.o = o};
	if (!exe)
		return;
	w.dentry = BPF_CORE_READ(exe, f_path.dentry);
	w.mnt = BPF_CORE_READ(exe, f_path.mnt);
	bpf_loop(PATH_DEPTH, dentry_step, &w, 0);
	if (w.whole)
		o->exe_len = w.at;
}

struct cgroup_walk {
	struct watch_owner *o;
	const struct kernfs_node *kn;
	__u32 at, whole;
};

static const struct kernfs_node *kernfs_parent(const struct kernfs_node *kn)
{
	const struct kernfs_node___since_6_15 *new = (const void *)kn;
	if (bpf_core_field_exists(new->__parent))
		return BPF_CORE_READ(new, __parent);
	return BPF_CORE_READ(kn, parent);
}

static long cgroup_step(__u32 i, void *arg)
{
	struct cgroup_walk *w = arg;
	const struct kernfs_node *kn = w->kn, *parent = kernfs_parent(kn);
	__u32 at = w->at;
	if (!parent) {
		w->whole = 1;
		return 1;
	}
	if (at > WATCH_PATH_MAX - WATCH_NAME_MAX)
		return 1;
	long n = bpf_probe_read_kernel_str(w->o->cgroup_path + at, WATCH_NAME_MAX,
	                                   BPF_CORE_READ(kn, name));
	if (n <= 0)
		return 1;
	w->at = at + n;
	w->kn = parent;
	return 0;
}

INLINE void read_cgroup(struct watch_owner *o, const struct task_struct *t)
{
	const struct kernfs_node *kn = BPF_CORE_READ(t, cgroups, dfl_cgrp, kn);
	struct cgroup_walk w = {.o = o, .kn = kn};
	if (!kn)
		return;
	o->cgroup = BPF_CORE_READ(kn, id);
	bpf_loop(PATH_DEPTH, cgroup_step, &w, 0);
	if (w.whole)
		o->cgroup_len = w.at;
}

INLINE void read_parents(struct watch_owner *o, const struct task_struct *t)
{
	for (int i = 0; i < WATCH_PARENTS; i++) {
		t = BPF_CORE_READ(t, real_parent, group_leader);
		__u32 pid = t ? BPF_CORE_READ(t, tgid) : 0;
		if (!pid)
			return;
		o->parents[i].pid = pid;
		BPF_CORE_READ_STR_INTO(&o->parents[i].comm, t, comm);
		if (pid == FIRST_PID)
			return;
	}
}

INLINE void who_is(const struct task_struct *t, struct watch_who *ret)
{
	const struct task_struct *leader = BPF_CORE_READ(t, group_leader);
	ret->pid = BPF_CORE_READ(t, tgid);
	ret->uid = BPF_CORE_READ(t, cred, uid.val);
	ret->start = BPF_CORE_READ(leader, start_boottime);
	ret->exec = BPF_CORE_READ(t, self_exec_id);
}

/* Filled in its place: two threads of one process would write the same. */
static void learn_owner(const struct task_struct *t, const struct watch_who *who)
{
	__u32 zero = 0;
	struct watch_owner *o = bpf_map_lookup_elem(&watch_owners, who);
	if (o)
		return;
	const struct watch_owner *blank = bpf_map_lookup_elem(&watch_blank, &zero);
	if (!blank)
		return;
	bpf_map_update_elem(&watch_owners, who, blank, BPF_NOEXIST);
	o = bpf_map_lookup_elem(&watch_owners, who);
	if (!o)
		return;
	const struct task_struct *leader = BPF_CORE_READ(t, group_leader);
	BPF_CORE_READ_STR_INTO(&o->comm, leader, comm);
	o->netns = BPF_CORE_READ(t, nsproxy, net_ns, ns.inum);
	read_parents(o, t);
	read_exe(o, t);
	read_cgroup(o, t);
	o->ready = 1;
}

INLINE bool same_who(const struct watch_who *a, const struct watch_who *b)
{
	return a->pid == b->pid && a->uid == b->uid && a->start == b->start && a->exec == b->exec;
}

/* The current process acts on this socket. */
INLINE void claim(struct watch_sock *s)
{
	const struct task_struct *t = bpf_get_current_task_btf();
	/* The usual case, and the only one that comes often. */
	if (s->who.pid == t->tgid && s->who.uid == t->cred->uid.val &&
	    s->who.exec == t->self_exec_id)
		return;
	struct watch_who who = {0};
	who_is(t, &who);
	learn_owner(t, &who);
	s->who = who;
	s->flags &= ~SOCK_FROM_PASS;
}

SEC("cgroup/sock_create")
int watch_create(struct bpf_sock *ctx)
{
	struct watch_sock *s =
	    bpf_sk_storage_get(&watch_socks, ctx, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s)
		return ALLOW;
	s->netns = netns_of(address_of(ctx));
	s->flags = ctx->type == SOCK_RAW ? SOCK_IS_RAW : 0;
	s->cookie = bpf_get_socket_cookie(ctx);
	claim(s);
	return ALLOW;
}

static int claim_addr(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	if (!sk)
		return ALLOW;
	struct watch_sock *s = bpf_sk_storage_get(&watch_socks, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s)
		return ALLOW;
	if (!s->netns) {
		s->netns = netns_of(address_of(sk));
		s->flags = ctx->type == SOCK_RAW ? SOCK_IS_RAW : 0;
		s->cookie = bpf_get_socket_cookie(ctx);
	}
	claim(s);
	return ALLOW;
}

#define CLAIM_AT(hook, name)                                                                       \
	SEC("cgroup/" hook) int name(struct bpf_sock_addr *ctx)                                    \
	{                                                                                          \
		return claim_addr(ctx);                                                            \
	}

CLAIM_AT("connect4", watch_connect4)
CLAIM_AT("connect6", watch_connect6)
CLAIM_AT("sendmsg4", watch_sendmsg4)
CLAIM_AT("sendmsg6", watch_sendmsg6)
CLAIM_AT("getpeername4", watch_peer4)
CLAIM_AT("getpeername6", watch_peer6)

/* Sockets that were open before: called for each open file of each process. The holder with the
 * lowest pid counts as owner, but the first process only where it is the only one. */
SEC("iter/task_file")
int watch_pass(struct bpf_iter__task_file *ctx)
{
	struct task_struct *t = ctx->task;
	struct file *file = ctx->file;
	if (!t || !file)
		return 0;
	struct socket *sock = bpf_sock_from_file(file);
	if (!sock)
		return 0;
	struct sock *sk = sock->sk;
	if (!sk)
		return 0;
	__u16 family = sk->__sk_common.skc_family;
	if (family != AF_INET && family != AF_INET6)
		return 0;
	struct watch_sock *s = bpf_sk_storage_get(&watch_socks, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!s)
		return 0;
	if (s->who.pid && !(s->flags & SOCK_FROM_PASS && s->who.pid == FIRST_PID))
		return 0;
	struct watch_who who = {0};
	who_is(t, &who);
	learn_owner(t, &who);
	s->netns = netns_of(address_of(sk));
	s->flags = SOCK_FROM_PASS | (sk->sk_type == SOCK_RAW ? SOCK_IS_RAW : 0);
	s->cookie = bpf_get_socket_cookie(sk);
	s->who = who;
	return 0;
}

/* --- Packets --- */

struct packet {
	__u32 at;   /* offset of the upper layer */
	__u8 tcp;   /* flags */
	__u8 later; /* a fragment without ports */
	__u8 upper; /* bytes of a TCP or UDP header */
	__u8 reply; /* of ICMP */
};

/* Reading the clock costs as much as finding the flow: under load once in a jiffy is enough. */
INLINE __u64 now(void)
{
	__u32 zero = 0;
	__u64 jiffies = bpf_jiffies64();
	struct moment *m = bpf_map_lookup_elem(&watch_moment, &zero);
	if (!m)
		return 0;
	if (m->jiffies != jiffies) {
		m->nsec = bpf_ktime_get_ns();
		m->jiffies = jiffies;
	}
	return m->nsec;
}

/* n bytes at an offset, by the short way if they lie in the packet's first part. */
#define FETCH(skb, offset, to)                                                                     \
	({                                                                                         \
		const void *data_ = (const void *)(long)(skb)->data + (offset);                    \
		bool good_ = data_ + sizeof *(to) <= (const void *)(long)(skb)->data_end;          \
		if (good_)                                                                         \
			*(to) = *(const typeof(*(to)) *)data_;                                     \
		else                                                                               \
			good_ = bpf_skb_load_bytes(skb, offset, to, sizeof *(to)) == 0;            \
		good_;                                                                             \
	})

INLINE void add_rest(enum watch_rest which, const struct __sk_buff *skb)
{
	__u32 at = which;
	struct watch_count *c = bpf_map_lookup_elem(&watch_rests, &at);
	if (!c)
		return;
	__sync_fetch_and_add(&c->packets, 1);
	__sync_fetch_and_add(&c->bytes, skb->len);
}

INLINE bool is_extension(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
	       next == IPPROTO_AH || next == IPPROTO_DSTOPTS;
}

INLINE void walk_extensions(struct __sk_buff *skb, struct watch_key *k, struct packet *p)
{
	for (int i = 0; i < EXTENSIONS; i++) {
		__u8 h[8];
		if (!is_extension(k->proto) || bpf_skb_load_bytes(skb, p->at, h, sizeof h) < 0)
			return;
		bool fragment = k->proto == IPPROTO_FRAGMENT;
		p->at += fragment ? 8 : k->proto == IPPROTO_AH ? (h[1] + 2) * 4u : (h[1] + 1) * 8u;
		k->proto = h[0];
		if (fragment && (h[2] | (h[3] & 0xf8))) {
			p->later = 1;
			return;
		}
	}
}

/* Fills addresses so that local is the sender; turned round for the way in. */
INLINE bool read_v4(struct __sk_buff *skb, enum watch_way way, struct watch_key *k,
                    struct packet *p)
{
	struct iphdr h;
	if (!FETCH(skb, 0, &h))
		return false;
	k->family = 4;
	k->proto = h.protocol;
	k->local[0] = way == WATCH_OUT ? h.saddr : h.daddr;
	k->peer[0] = way == WATCH_OUT ? h.daddr : h.saddr;
	p->at = h.ihl * 4u;
	p->later = (h.frag_off & bpf_htons(0x1fff)) != 0;
	return p->at >= sizeof h;
}

INLINE bool read_v6(struct __sk_buff *skb, enum watch_way way, struct watch_key *k,
                    struct packet *p)
{
	__u32 *from = way == WATCH_OUT ? k->local : k->peer;
	__u32 *to = way == WATCH_OUT ? k->peer : k->local;
	struct ipv6hdr h;
	if (!FETCH(skb, 0, &h))
		return false;
	k->family = 6;
	k->proto = h.nexthdr;
	__builtin_memcpy(from, &h.saddr, sizeof h.saddr);
	__builtin_memcpy(to, &h.daddr, sizeof h.daddr);
	p->at = sizeof h;
	if (is_extension(k->proto))
		walk_extensions(skb, k, p);
	return true;
}

INLINE bool read_ip(struct __sk_buff *skb, enum watch_way way, struct watch_key *k,
                    struct packet *p)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return read_v4(skb, way, k, p);
	return skb->protocol == bpf_htons(ETH_P_IPV6) && read_v6(skb, way, k, p);
}

/* Request and reply are one flow: type and code of the request. */
INLINE void read_icmp(struct __sk_buff *skb, struct watch_key *k, struct packet *p)
{
	__u8 h[2];
	if (bpf_skb_load_bytes(skb, p->at, h, sizeof h) < 0)
		return;
	__u8 request = k->family == 6 ? (h[0] == 129 ? 128 : h[0])
	               : h[0] == 0    ? 8
	               : h[0] == 14   ? 13
	                              : h[0];
	p->reply = request != h[0];
	k->local_port = request;
	k->peer_port = h[1];
}

struct ports {
	__be16 from, to;
};

/* The first 16 bytes of a TCP header. */
struct tcp_head {
	struct ports ports;
	__be32 seq, ack_seq;
	__u8 words, flags; /* header length in the upper four bits */
	__be16 window;
};

INLINE void set_ports(enum watch_way way, const struct ports *ports, struct watch_key *k)
{
	k->local_port = bpf_ntohs(way == WATCH_OUT ? ports->from : ports->to);
	k->peer_port = bpf_ntohs(way == WATCH_OUT ? ports->to : ports->from);
}

INLINE void read_upper(struct __sk_buff *skb, enum watch_way way, struct watch_key *k,
                       struct packet *p)
{
	struct tcp_head tcp;
	struct ports ports;
	if (p->later)
		return;
	switch (k->proto) {
	case IPPROTO_TCP:
		if (!FETCH(skb, p->at, &tcp))
			return;
		set_ports(way, &tcp.ports, k);
		p->upper = (tcp.words >> 4) * 4;
		p->tcp = tcp.flags;
		return;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		if (!FETCH(skb, p->at, &ports))
			return;
		set_ports(way, &ports, k);
		p->upper = UDP_HEADER;
		return;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		read_icmp(skb, k, p);
	}
}

/* How many pieces a packet without segmentation offload leaves or came in. */
INLINE __u32 fragments(struct __sk_buff *skb, const struct packet *p)
{
	const struct sk_buff *kernel_skb = (const void *)address_of(skb);
	__u32 mtu = BPF_CORE_READ(kernel_skb, dev, mtu);
	if (mtu < MTU_MIN || skb->len <= mtu)
		return 1;
	__u32 room = (mtu - p->at) & ~7u;
	return room ? (skb->len - p->at + room - 1) / room : 1;
}

INLINE __u32 segments(struct __sk_buff *skb, const struct packet *p)
{
	__u32 n = skb->gso_segs, head = p->at + p->upper;
	if (!n && skb->len > head)
		n = (skb->len - head + skb->gso_size - 1) / skb->gso_size;
	return n ? n : 1;
}

/* Does the device take it as it is, or is it cut into segments before? */
INLINE bool is_offloaded(struct __sk_buff *skb, enum watch_way way, const struct packet *p)
{
	const struct sk_buff *kernel_skb = (const void *)address_of(skb);
	__u64 needed = p->upper == UDP_HEADER                   ? HAS_USO
	               : skb->protocol == bpf_htons(ETH_P_IPV6) ? HAS_TSO6
	                                                        : HAS_TSO;
	return way == WATCH_IN || BPF_CORE_READ(kernel_skb, dev, features) & needed;
}

/* Of a segmented datagram that crossed the device as one packet, and is taken apart only for its
 * socket: not the last part. Those have nothing but headers in front, and are still in a row. */
INLINE bool is_part(struct __sk_buff *skb, enum watch_way way, const struct packet *p)
{
	__u32 head = p->at + UDP_HEADER;
	if (way != WATCH_IN || p->upper != UDP_HEADER || skb->len <= head ||
	    (__u32)(skb->data_end - skb->data) != head)
		return false;
	const struct sk_buff *kernel_skb = (const void *)address_of(skb);
	return BPF_CORE_READ(kernel_skb, next) != NULL;
}

INLINE void add_size(struct __sk_buff *skb, enum watch_way way, const struct packet *p,
                     struct watch_count *c)
{
	__u32 head = p->at + p->upper, more = 0;
	__u64 packets = 1, bytes = skb->len;
	if (skb->gso_size) {
		more = segments(skb, p) - 1;
		if (!is_offloaded(skb, way, p)) {
			packets += more;
			bytes += more * head;
			more = 0;
		}
	} else if (is_part(skb, way, p)) {
		packets = 0;
		bytes -= head;
		more = 1;
	} else if (bytes > FRAGMENT_MIN) {
		packets = fragments(skb, p);
		bytes += (packets - 1) * p->at;
	}
	__sync_fetch_and_add(&c->packets, packets);
	__sync_fetch_and_add(&c->bytes, bytes);
	if (!more)
		return;
	__sync_fetch_and_add(&c->more_packets, more);
	__sync_fetch_and_add(&c->more_bytes, (__u64)more * head);
}

INLINE void add(struct __sk_buff *skb, enum watch_way way, const struct packet *p,
                struct watch_flow *f, __u64 at)
{
	add_size(skb, way, p, &f->count[way]);
	f->last = at;
	if ((f->tcp[way] & p->tcp) != p->tcp)
		f->tcp[way] |= p->tcp;
	if (f->ifindex != skb->ifindex)
		f->ifindex = skb->ifindex;
}

INLINE bool opens(const struct packet *p)
{
	return (p->tcp & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

INLINE bool is_over(const struct watch_flow *f)
{
	__u8 all = f->tcp[WATCH_OUT] | f->tcp[WATCH_IN],
	     both = f->tcp[WATCH_OUT] & f->tcp[WATCH_IN];
	return all & TCP_RST || both & TCP_FIN;
}

INLINE void tell(struct __sk_buff *skb, enum watch_event_kind kind, const struct watch_key *k,
                 const struct watch_flow *f, __u64 at)
{
	struct watch_event *e = bpf_ringbuf_reserve(&watch_events, sizeof *e, 0);
	if (!e) {
		add_rest(WATCH_REST_RING, skb);
		return;
	}
	e->kind = kind;
	e->zero = 0;
	e->at = at;
	e->key = *k;
	e->flow = *f;
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
}

INLINE void start_flow(struct __sk_buff *skb, enum watch_way way, const struct watch_key *k,
                       const struct packet *p, const struct watch_sock *s)
{
	struct watch_flow f = {.first_way = way, .ifindex = skb->ifindex};
	f.first = now();
	f.cookie = bpf_get_socket_cookie(skb);
	if (s)
		f.who = s->who;
	if (opens(p) || p->reply)
		f.opener = (way == WATCH_OUT) == !p->reply ? WATCH_OPENER_LOCAL : WATCH_OPENER_PEER;
	add(skb, way, p, &f, f.first);
	if (bpf_map_update_elem(&watch_flows, k, &f, BPF_NOEXIST) == 0)
		return;
	/* Another CPU was first, or the table is full. */
	struct watch_flow *there = bpf_map_lookup_elem(&watch_flows, k);
	if (there)
		add(skb, way, p, there, f.first);
	else
		add_rest(WATCH_REST_FULL, skb);
}

/* One of several copies: only one socket's count. */
INLINE bool is_copy(struct __sk_buff *skb, enum watch_way way, const struct watch_sock *s,
                    const struct watch_flow *f)
{
	bool shared = skb->pkt_type != PACKET_HOST || (s && s->flags & SOCK_IS_RAW);
	return way == WATCH_IN && shared && f->cookie != bpf_get_socket_cookie(skb);
}

/* Fills the key. False: this packet is not counted in a flow (what cannot be read is in the rest, a
 * raw socket's copy of what belongs to another kind of socket nowhere). */
INLINE bool find_key(struct __sk_buff *skb, enum watch_way way, struct bpf_sock *sk,
                     const struct watch_sock *s, struct watch_key *k, struct packet *p)
{
	if (!read_ip(skb, way, k, p)) {
		add_rest(WATCH_REST_UNREAD, skb);
		return false;
	}
	read_upper(skb, way, k, p);
	if (s && s->flags & SOCK_IS_RAW && way == WATCH_IN &&
	    (k->proto == IPPROTO_TCP || k->proto == IPPROTO_UDP))
		return false;
	k->netns = s ? s->netns : netns_of(address_of(sk));
	if (k->proto == IPPROTO_UDP && s && skb->pkt_type == PACKET_HOST)
		k->sock = s->cookie;
	return true;
}

/* A packet of a flow that is there. */
INLINE void go_on(struct __sk_buff *skb, enum watch_way way, const struct watch_key *k,
                  const struct packet *p, const struct watch_sock *s, struct watch_flow *f)
{
	if (is_copy(skb, way, s, f))
		return;
	if (s && s->who.pid && !same_who(&s->who, &f->who))
		f->who = s->who;
	__u64 at = now();
	if (watch_pause && at > f->last && at - f->last > watch_pause)
		tell(skb, WATCH_RESUMED, k, f, at);
	add(skb, way, p, f, at);
}

INLINE void count(struct __sk_buff *skb, enum watch_way way)
{
	struct watch_key k = {0};
	struct packet p = {0};
	struct bpf_sock *sk = skb->sk;
	if (!sk)
		return;
	const struct watch_sock *s = bpf_sk_storage_get(&watch_socks, sk, 0, 0);
	if (!find_key(skb, way, sk, s, &k, &p))
		return;
	struct watch_flow *f = bpf_map_lookup_elem(&watch_flows, &k);
	if (f && opens(&p) && is_over(f)) {
		tell(skb, WATCH_ENDED, &k, f, now());
		bpf_map_delete_elem(&watch_flows, &k);
		f = 0;
	}
	if (f)
		go_on(skb, way, &k, &p, s, f);
	else
		start_flow(skb, way, &k, &p, s);
}

SEC("cgroup_skb/egress")
int watch_egress(struct __sk_buff *skb)
{
	count(skb, WATCH_OUT);
	return ALLOW;
}

SEC("cgroup_skb/ingress")
int watch_ingress(struct __sk_buff *skb)
{
	count(skb, WATCH_IN);
	return ALLOW;
}

char watch_license[] SEC("license") = "Dual BSD/GPL";
