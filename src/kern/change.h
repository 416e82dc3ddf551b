/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What changes in this network namespace's packet paths, as the kernel tells it: nf_tables
 * transactions, links, addresses, tc, routes and rules. A sum and not a list: however much happens,
 * it takes the same memory, and what was left out is counted.
 *
 * The kernel does not tell of everything: a BPF program that is attached through a link of its own
 * (TCX, XDP, cgroup) raises no event here. Who needs to know looks by himself now and then.
 */
#ifndef STANCH_KERN_CHANGE_H
#define STANCH_KERN_CHANGE_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/table.h"
#include "kern/nl.h"
#include "kern/proc.h"

enum change_kind {
	CHANGE_RULES, /* nf_tables: a table whose name begins with "stanch" */
	CHANGE_OTHER, /* nf_tables: any other table */
	CHANGE_LINK_NEW,
	CHANGE_LINK_GONE,
	CHANGE_LINK_AWAY, /* moved to another namespace */
	CHANGE_LINK,      /* up, down, renamed, XDP program, address of the card, … */
	CHANGE_ADDRESS,
	CHANGE_TC, /* qdiscs and filters */
	CHANGE_ROUTE,
	CHANGE_RULE, /* policy routing */
	CHANGE_LOST, /* the kernel had more to tell than there was room for */
	_CHANGE_MAX,
	_CHANGE_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(change_kind, enum change_kind);

#define CHANGE_CULPRITS_MAX 8
#define CHANGE_LINKS_MAX    8

/* Who did it, as far as the kernel says: nf_tables names the process, rtnetlink only the port of
 * the socket that asked. */
struct culprit {
	enum change_kind kind;
	uint32_t port; /* of the netlink socket; 0: the kernel by itself, or not told */
	int pid;       /* 0: not told */
	char comm[PROC_COMM_MAX];
};

struct changes {
	unsigned n[_CHANGE_MAX];
	unsigned
	    ours[_CHANGE_MAX]; /* of them: by this process, as it seems, or by the kernel itself */
	struct culprit who[CHANGE_CULPRITS_MAX]; /* distinct; not this process */
	size_t n_who;
	unsigned who_more;
	unsigned
	    open; /* since the last end of an nf_tables transaction: messages about our tables */
	char links[CHANGE_LINKS_MAX][IFNAMSIZ]; /* that were moved away, cleaned for people */
	size_t n_links;
};

struct change_feed {
	int netfilter, route; /* to poll for reading; -1: not open */
};

int change_open(struct change_feed *ret, struct err *e);
void change_close(struct change_feed *f);
/* Adds what waits to *sum, at most CHANGE_BURST messages a socket: 1 when there may be more. */
#define CHANGE_BURST 4096
int change_read(struct change_feed *f, struct changes *sum, struct err *e);
/* Adds one message. bus: NETLINK_NETFILTER, NETLINK_ROUTE. Pure but for the own process's id. */
void change_add(struct changes *sum, int bus, const struct nlmsghdr *h);
/* Adds one sum to another, as if its messages had come behind. */
void change_merge(struct changes *sum, const struct changes *more);
/* The process that has the netlink socket with this port open on this bus, 0: it has gone or cannot
 * be seen. Reads /proc of the one process that the port names as a rule, else of all. */
int change_port_owner(int bus, uint32_t port);

#endif
