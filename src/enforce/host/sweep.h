/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What on this host could step around a cut, found by looking: sockets below the layers, programs
 * of others on our devices and cgroups, devices, flow tables and routing rules that lead elsewhere.
 * Each is named with its owner, what it can still do, and what ends it. Changes nothing.
 *
 * It speaks of our own network namespace; of others only where that is the host's first one, since
 * else they are not ours.
 */
#ifndef STANCH_ENFORCE_HOST_SWEEP_H
#define STANCH_ENFORCE_HOST_SWEEP_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct sweep {
	struct buf lines; /* a sentence each; the caller frees */
	unsigned shown, more;
	unsigned holes; /* of them: what passes every layer */
};

#define SWEEP_LINES_MAX 64

/* Adds a sentence; the shares of the whole. */
void sweep_tell(struct sweep *s, bool hole, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool sweep_is_us(int pid); /* it runs this very program */
int sweep_flowtables(struct sweep *s, struct err *e);
int sweep_routing(struct sweep *s, struct err *e);
/* whole: our network namespace is the host's first; else only what touches processes in it. */
int sweep_cgroups(struct sweep *s, bool whole, struct err *e);

int sweep_host(struct sweep *ret, struct err *e);

#endif
