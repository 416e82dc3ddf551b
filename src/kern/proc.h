/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What /proc tells about processes: who they are, whose children, and whose sockets.
 *
 * All of it is untrusted text that its process may have chosen. It comes out bounded, terminated,
 * and with control bytes and what is not UTF-8 replaced by '?'. A process may end at any time:
 * -ESRCH is an answer, not a failure.
 */
#ifndef STANCH_KERN_PROC_H
#define STANCH_KERN_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PROC_COMM_MAX   16
#define PROC_EXE_MAX    256
#define PROC_UNIT_MAX   128
#define PROC_CGROUP_MAX 512

struct proc_id {
	int pid, ppid;
	uint32_t uid;         /* real uid */
	char state;           /* R, S, D, T, …; 'Z': ended, but not waited for */
	uint64_t start_ticks; /* field 22 of stat: pid + this names a process for good */
	char comm[PROC_COMM_MAX];
	char exe[PROC_EXE_MAX];       /* "" where it cannot be read (kernel thread, no right) */
	bool exe_deleted;             /* the file it runs from has been unlinked */
	char cgroup[PROC_CGROUP_MAX]; /* path in the unified hierarchy; "" none */
	char unit[PROC_UNIT_MAX];     /* proc_unit_of(cgroup) */
};

/* -ESRCH: gone (also when the pid changed hands while we read). */
int proc_read(int pid, struct proc_id *ret);
/* Cheap: only whether pid still is the process that started at start_ticks. */
bool proc_is(int pid, uint64_t start_ticks);
/* pid itself, its parent, …, up to init; at most max rows. A parent that is younger than its child
 * ends the chain. */
int proc_chain(int pid, struct proc_id *ret, size_t max, size_t *ret_n);

/* The unit or container that a cgroup path names: the innermost "ssh.service",
 * "user@1000.service"'s inner unit, "docker:0123456789ab", "podman:…", "containerd:…",
 * "machine:NAME", "session-3.scope";
 * "" when it names none. Pure. */
const char *proc_unit_of(const char *cgroup, char dst[static PROC_UNIT_MAX]);
/* What a runtime calls its cgroup, taken apart: "docker-0123….scope" is kind "docker" and the id
 * "0123…", which is hexadecimal and whole then. len bytes of component. False: no container's.
 * Pure. */
struct proc_container {
	const char *kind;
	bool hex;
	size_t at, len; /* of the id or name within component */
};
bool proc_container_of(const char *component, size_t len, struct proc_container *ret);
/* Fields of a stat line: 0, or -EBADMSG. The comm may hold any byte, also ") ". Pure. */
int proc_parse_stat(const char *line, struct proc_id *ret);

/* Makes such text of any len bytes, up to a NUL; at most n - 1 bytes, a sequence that does not fit
 * whole is left out. n > 0. Pure. */
void proc_clean(const char *src, size_t len, char *dst, size_t n);

/* Inode of the namespace: "net", "pid", "mnt", …; -ESRCH, -EACCES. pid 0: ourselves. */
int proc_ns_inode(int pid, const char *ns, uint64_t *ret);

/* All pids now, ascending; malloc'd, the caller frees. Bounded by PROC_PIDS_MAX (-E2BIG). */
#define PROC_PIDS_MAX (1u << 22)
int proc_pids(int **ret, size_t *ret_n, struct err *e);

/* Calls cb for each socket that pid has open; cb returns false to stop. -ESRCH, -EACCES. */
int proc_sockets(int pid, bool (*cb)(void *arg, int fd, uint64_t inode), void *arg);

/* Calls cb for each BPF program or link of one that pid has open, with the program's id; cb returns
 * false to stop. -ESRCH, -EACCES. */
int proc_programs(int pid, bool (*cb)(void *arg, uint32_t prog_id), void *arg);

/* Who holds which socket: a map from socket inode to the pids that have it open. */
struct inode_map;
#define INODE_MAP_MAX (1u << 22) /* entries; what is over is counted in lost */

struct inode_map_stats {
	size_t entries, lost;
	size_t pids, pids_denied; /* fd folders that we had no right to read */
};

int inode_map_new(struct inode_map **ret);
void inode_map_free(struct inode_map *m); /* takes NULL */
/* Reads /proc/PID/fd of every process again; what was there before is forgotten. */
int inode_map_scan(struct inode_map *m, struct inode_map_stats *ret, struct err *e);
/* The lowest pid (not 1, if another has it, too: init passes sockets on) that has the socket open;
 * 0: none seen. ret_holders (may be NULL): how many have it. */
int inode_map_find(const struct inode_map *m, uint64_t inode, unsigned *ret_holders);
/* Adds one entry; for tests and for who scans by himself. */
int inode_map_add(struct inode_map *m, uint64_t inode, int pid);

#endif
