/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What on this host could step around a cut, found by looking: sockets below the layers, programs
 * of others on our devices, devices that lead elsewhere. Each is named with its owner, what it can
 * still do, and what ends it. Changes nothing.
 *
 * It speaks of our own network namespace; of others only where that is the host's first one, since
 * else they are not ours.
 */
#ifndef STANCH_ENFORCE_HOST_SWEEP_H
#define STANCH_ENFORCE_HOST_SWEEP_H

#include "base/buf.h"
#include "base/err.h"

struct sweep {
	struct buf lines; /* a sentence each; the caller frees */
	unsigned shown, more;
	unsigned holes; /* of them: what passes every layer */
};

#define SWEEP_LINES_MAX 64

int sweep_host(struct sweep *ret, struct err *e);

#endif
