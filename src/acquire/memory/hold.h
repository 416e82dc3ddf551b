/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A process held still while it is read: every thread is seized and stopped by ptrace, without a
 * signal that the process or its parent would see. Whoever looks at TracerPid or at the time sees
 * it. Let go, or with this process's end, the threads run on.
 */
#ifndef STANCH_ACQUIRE_MEMORY_HOLD_H
#define STANCH_ACQUIRE_MEMORY_HOLD_H

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define HOLD_THREADS_MAX 65536

struct hold {
	pid_t *tids; /* owned */
	size_t n, cap;
};

/* dir: the process's folder in /proc. -EPERM: traced by another one, or no right; -ETIMEDOUT: a
 * thread does not stop (it waits for a device); nothing is held then. Calls of one hold are all
 * made by the same thread. */
int hold_begin(int dir, struct hold *ret, struct err *e);
void hold_end(struct hold *h);
/* The threads of a process as they are now; *ret is malloc'd (NULL when there is none). How many.
 */
size_t hold_threads(int dir, pid_t **ret);
/* The i-th thread's register set (NT_PRSTATUS, NT_PRFPREG); the bytes, or -errno. */
ssize_t hold_registers(const struct hold *h, size_t i, int set, void *dst, size_t n);

#endif
