/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All processes at once: one pass over /proc, kept for every area that asks. A process may end
 * while it is read; its row then tells what was read before. Each is read through a descriptor of
 * its folder, so that a row is never a mixture of two processes of one number.
 */
#ifndef STANCH_TRIAGE_PROCS_H
#define STANCH_TRIAGE_PROCS_H

#include "base/addr.h"
#include "triage/triage.h"
#include "wire/procfs.h"

#define PROCS_MAX        (1u << 17)
#define PROCS_FDS_MAX    (1u << 21)
#define PROCS_EXE        256
#define PROCS_CMDLINE    1024 /* of more, the beginning */
#define PROCS_NAMESPACES 256

struct proc_fd {
	int fd;
	uint32_t row; /* of its process */
	enum procfs_fd kind;
	bool writes; /* PROCFS_FD_PIPE: it is the end that is written to */
	uint64_t id;
};

struct proc_row {
	struct procfs_stat stat;
	struct procfs_status status;
	char exe[PROCS_EXE]; /* raw; "" none (kernel thread) or not to be read */
	bool exe_deleted, exe_memfd, exe_denied;
	char *cmdline; /* owned; arguments end with NUL; never NULL */
	size_t cmdline_len;
	char preload[128];        /* LD_PRELOAD or LD_AUDIT as it was started with; "" */
	uint64_t net, mnt;        /* inodes of its namespaces; 0 not to be read */
	uint64_t exe_ino;         /* of its file; 0 not known */
	uint32_t first_fd, n_fds; /* in procs.fds: by number */
};

enum sock_kind { ON_TCP, ON_UDP, ON_RAW, ON_PACKET, ON_XDP };

struct sock_row {
	uint64_t inode, net;
	enum sock_kind kind;
	struct procfs_inet inet;     /* not of ON_PACKET */
	struct procfs_packet packet; /* of ON_PACKET */
};

struct unix_peer {
	uint64_t inode, peer;
};

struct procs {
	struct proc_row *rows; /* by pid */
	size_t n;
	struct proc_fd *fds; /* in the order of rows */
	size_t n_fds;
	uint32_t *by_id; /* indices of fds, by kind and id; what has no id is left out */
	size_t n_by_id;
	struct sock_row *socks; /* by inode */
	size_t n_socks;
	struct unix_peer *peers; /* by inode; those of connected unix sockets */
	size_t n_peers;
	usec_t boot;     /* wall time of boot */
	unsigned denied; /* processes whose descriptors we may not see */
	bool cut;        /* there are more processes or descriptors */
};

/* The snapshot of this run; made by the first call. NULL with -errno in *e. */
struct procs *procs_get(struct triage *t, struct err *e);
void procs_free(struct procs *p); /* takes NULL */

/* By pid; NULL: none. */
const struct proc_row *procs_find(const struct procs *p, int pid);
const struct proc_row *procs_parent(const struct procs *p, const struct proc_row *r);
/* The descriptor of that number; NULL: none. */
const struct proc_fd *procs_fd(const struct procs *p, const struct proc_row *r, int fd);
/* The first in by_id that has kind and id, and how many follow; 0: none. */
size_t procs_holders(const struct procs *p, enum procfs_fd kind, uint64_t id, size_t *ret_first);
/* NULL: no such socket of these kinds. */
const struct sock_row *procs_sock(const struct procs *p, uint64_t inode);
/* The other end of a unix socket; 0: not known. */
uint64_t procs_peer(const struct procs *p, uint64_t inode);
/* The i-th argument; NULL: it has fewer. */
const char *procs_arg(const struct proc_row *r, size_t i);
/* Wall time at which it was started. */
usec_t procs_started(const struct procs *p, const struct proc_row *r);
/* Its unit, by its cgroup; "" none. Reads /proc. */
const char *procs_unit(const struct triage *t, const struct proc_row *r, char *dst, size_t n);

/* A finding about it: subject "name (pid 12, uid 0)", evidence of its program and arguments, the
 * selector, and the orders for its score. */
void procs_begin(const struct triage *t, const struct procs *p, const char *rule,
                 const struct proc_row *r, struct finding *f);
/* Proposes to end it (from FINDING_SCORE_ACT) or to freeze it, then hands it out. */
void procs_found(struct triage *t, const struct proc_row *r, struct finding *f);

/* Fills socks of every network namespace, and peers. */
void procs_read_sockets(struct triage *t, struct procs *p);

#endif
