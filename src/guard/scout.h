/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The scout: a process of its own that looks into /proc for the guard. It may look into other
 * processes and nothing else (no network, no BPF, no writing); the guard may change the network and
 * not look (Landlock forbids that to it). What a process calls itself is untrusted text: it is
 * read, bounded and cleaned there.
 */
#ifndef STANCH_GUARD_SCOUT_H
#define STANCH_GUARD_SCOUT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "kern/change.h"

#define SCOUT_CACHE     64
#define SCOUT_WAIT_MSEC 2000

/* A process as it was when it was first asked about; pid 0: it had gone, or cannot be told. */
struct suspect {
	int pid;
	char comm[PROC_COMM_MAX], exe[PROC_EXE_MAX], unit[PROC_UNIT_MAX];
};

struct scout {
	int fd; /* -1: none */
	pid_t pid;
};

/* Before rights are dropped and threads are made. */
int scout_start(struct scout *ret, struct err *e);
void scout_stop(struct scout *s);
/* Look at once, for later; never waits. */
void scout_point(const struct scout *s, const struct culprit *c);
/* What is known of him; from one thread only. False: the scout does not answer. */
bool scout_ask(const struct scout *s, const struct culprit *c, struct suspect *ret);

/* "by process 812 (nft, /usr/sbin/nft, cron.service)"; c NULL: nobody was told of. */
#define SUSPECT_TEXT_MAX 360
void suspect_text(const struct culprit *c, const struct suspect *s,
                  char dst[static SUSPECT_TEXT_MAX]);

#endif
