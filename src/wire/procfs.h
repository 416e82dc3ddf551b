/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Texts of /proc about processes, their descriptors, sockets and mounts. A process chooses many of
 * these bytes: its name may hold any of them, also ") ", newlines and what is not UTF-8. Nothing is
 * cleaned here (see proc_clean in kern/proc.h); strings come out bounded and terminated.
 *
 * Source: Linux, fs/proc/array.c, fs/proc_namespace.c, net/ipv4/tcp_ipv4.c, net/packet/af_packet.c.
 */
#ifndef STANCH_WIRE_PROCFS_H
#define STANCH_WIRE_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define PROCFS_COMM_MAX  64 /* a kernel thread's may be longer than 15 */
#define PROCFS_POINT_MAX 256

#define PROCFS_PF_KTHREAD UINT32_C(0x00200000) /* in flags: include/linux/sched.h */

struct procfs_stat {
	int pid, ppid, session, tty; /* tty: device number, 0 none */
	char state;                  /* 'R', 'S', 'Z', … */
	uint32_t flags;
	uint64_t start; /* ticks after boot */
	char comm[PROCFS_COMM_MAX];
};
/* /proc/PID/stat, n bytes. */
bool procfs_stat(const char *text, size_t n, struct procfs_stat *ret);

struct procfs_status {
	uint32_t uid, euid;
	int tracer; /* 0: none */
};
/* /proc/PID/status. */
bool procfs_status(const char *text, size_t n, struct procfs_status *ret);

enum procfs_fd {
	PROCFS_FD_OTHER,  /* id 0 */
	PROCFS_FD_SOCKET, /* id: inode */
	PROCFS_FD_PIPE,   /* id: inode */
	PROCFS_FD_PTS,    /* id: number of the terminal */
	PROCFS_FD_PTMX,   /* the other end; its number stands in fdinfo */
	PROCFS_FD_BPF,    /* a program, map or link */
};
/* What a link of /proc/PID/fd says: n bytes. */
enum procfs_fd procfs_fd(const char *link, size_t n, uint64_t *ret_id);
/* "tty-index:" of a /proc/PID/fdinfo file. */
bool procfs_tty_index(const char *text, size_t n, uint64_t *ret);

struct procfs_inet {
	struct endpoint local, peer;
	uint8_t state; /* as the kernel numbers those of TCP: 1 established, 10 listens */
	uint32_t uid;
	uint64_t inode; /* 0: none */
};
/* A line of /proc/net/tcp, tcp6, udp, udp6, raw, raw6 (not their first). v4-mapped addresses come
 * out as v4. The numbers of addresses are in the byte order of this machine. */
bool procfs_inet(const char *line, size_t n, struct procfs_inet *ret);

struct procfs_packet {
	unsigned type;     /* SOCK_RAW, SOCK_DGRAM */
	unsigned protocol; /* ETH_P_*; 0 receives nothing */
	int ifindex;       /* 0: all */
	uint64_t inode;
};
/* A line of /proc/net/packet (not its first). */
bool procfs_packet(const char *line, size_t n, struct procfs_packet *ret);

/* The mount point of a line of /proc/PID/mountinfo, its octal escapes taken out. False: no such
 * line, or it is longer than that. */
bool procfs_mount_point(const char *line, size_t n, char ret[static PROCFS_POINT_MAX]);
/* Is the file system of such a line of that type? False also where it tells none. */
bool procfs_mount_is(const char *line, size_t n, const char *type);

/* Takes the next line off text: false at the end. Without its newline. */
bool procfs_line(const char **text, size_t *left, const char **ret, size_t *ret_n);

#endif
