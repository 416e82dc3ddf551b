/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Faults for tests: a system-call table that fails or dies at a chosen call, a chosen mark or a
 * chosen allocation. Linked into test programs and into `stanch-faulty`, never into stanch.
 *
 *   STANCH_FAULT="fail:N"        the Nth call fails once, by the errno of its kind
 *                "full:N"        from the Nth call on every call that needs the disk fails (ENOSPC)
 *                "die:N"         killed by SIGKILL before the Nth call
 *                "mark:NAME:K"   killed at the Kth mark of that name ("*": of any)
 *                "malloc:N"      the Nth allocation fails once, whichever library asks
 *   STANCH_FAULT_COUNT=FILE      at exit: {"calls":…,"marks":…,"mallocs":…,"hit":…}
 */
#ifndef STANCH_TESTS_FAULTS_H
#define STANCH_TESTS_FAULTS_H

#include <stdbool.h>

struct fault_counts {
	unsigned calls, marks, mallocs;
	bool hit; /* the fault happened */
};

extern struct fault_counts fault_counts;

/* Installs the table, counts from zero. spec NULL: only counts. false: not a fault. */
bool fault_arm(const char *spec);
void fault_disarm(void);
/* Asked by the allocators (wrap.c). */
bool fault_malloc(void);

#endif
