/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the programs at the cgroup root and their reader share: the layout of their maps.
 * Fixed-width fields only, no hidden padding. Times are CLOCK_MONOTONIC, nanoseconds.
 */
#ifndef STANCH_KERN_BPF_WATCH_H
#define STANCH_KERN_BPF_WATCH_H

#include <linux/types.h>

#define WATCH_FLOWS_MAX  262144 /* as compiled; the reader may choose less */
#define WATCH_OWNERS_MAX 16384
#define WATCH_RING_SIZE  (1u << 20)
#define WATCH_PATH_MAX   512
#define WATCH_NAME_MAX   256 /* of one path component, with NUL */
#define WATCH_PARENTS    4

/* Names one process image for good. pid 0: not known. */
struct watch_who {
	__u32 pid, uid; /* thread group; real uid */
	__u64 start;    /* boot time, ns: when the process started */
	__u64 exec;     /* how often it called execve */
};

struct watch_parent {
	__u32 pid; /* 0: no more */
	char comm[16];
};

struct watch_owner {
	__u64 cgroup; /* id of its directory in the unified hierarchy */
	__u32 netns;  /* inode */
	__u32 ready;  /* 0: still being filled in */
	char comm[16];
	struct watch_parent parents[WATCH_PARENTS]; /* nearest first */
	/* Path components, each ending with NUL, from the leaf to the root. */
	__u32 exe_len, cgroup_len;
	char exe[WATCH_PATH_MAX];
	char cgroup_path[WATCH_PATH_MAX];
};

/* Local is the end whose socket the packet came from or went to. */
struct watch_key {
	__u32 netns;                 /* inode */
	__u32 sock;                  /* TCP: 0; else low bits of the socket's cookie */
	__u32 local[4], peer[4];     /* network order; v4 in the first word */
	__u16 local_port, peer_port; /* host order; ICMP: type of the request, its code */
	__u8 family, proto;          /* 4, 6; IPPROTO_* */
	__u16 zero;
};

struct watch_count {
	__u64 packets, bytes; /* as they are handed to or by the device, from the IP header on */
	__u64 more_packets;   /* those that segmentation offload makes of them on the wire */
	__u64 more_bytes;     /* the IP and TCP or UDP headers that those repeat */
};

enum watch_way { WATCH_OUT, WATCH_IN, WATCH_WAYS };

enum watch_opener { WATCH_OPENER_UNSEEN, WATCH_OPENER_LOCAL, WATCH_OPENER_PEER };

struct watch_flow {
	struct watch_count count[WATCH_WAYS];
	__u64 first, last;
	__u64 cookie; /* of the socket that the first packet was for */
	struct watch_who who;
	__u32 ifindex;        /* of the last packet, in the network namespace of the key */
	__u8 tcp[WATCH_WAYS]; /* flags, or-ed */
	__u8 first_way;       /* of the first packet */
	__u8 opener;          /* enum watch_opener */
};

enum watch_event_kind {
	WATCH_ENDED,  /* its place was taken by another flow of the same addresses and ports */
	WATCH_RESUMED /* it was silent for longer than `watch_pause` and goes on at `at` */
};

/* In the ring. */
struct watch_event {
	__u32 kind, zero;
	__u64 at;
	struct watch_key key;
	struct watch_flow flow; /* as it was before */
};

/* Index into the per-CPU rest: what is in no flow. */
enum watch_rest {
	WATCH_REST_FULL,   /* the table of flows was full */
	WATCH_REST_UNREAD, /* headers that contradict themselves or cannot be read */
	WATCH_REST_RING,   /* events that were lost because the ring was full */
	WATCH_RESTS
};

#endif
