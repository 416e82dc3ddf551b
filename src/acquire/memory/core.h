/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The memory of one process as an ELF core that debuggers read: notes of its threads, its mapped
 * files and its auxiliary vector, and its memory. Read by /proc/PID/mem, which takes the pages that
 * the process itself may not read, too, and no device's. Anonymous memory that was never touched is
 * left out by looking at its page table, so that reading does not make it.
 */
#ifndef STANCH_ACQUIRE_MEMORY_CORE_H
#define STANCH_ACQUIRE_MEMORY_CORE_H

#include "model/capture_ops.h"

/* pid's core and the files beside it, below "process-PID/". hold: stop its threads meanwhile. The
 * report is filled. -ESRCH, -EPERM, -EACCES. */
int core_run(int pid, bool hold, struct capture_sink *s, struct capture_report *ret, struct err *e);
/* What would be read: bytes of its mappings that are there. */
int core_preflight(int pid, json_t **ret, struct err *e);

#endif
