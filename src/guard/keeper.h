/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keeps the deadlines of orders at points elsewhere: for the machine of who responds, never for a
 * host that may be contained. It changes nothing of this host and needs no rights of the kernel;
 * points are connected to only when something is due.
 */
#ifndef STANCH_GUARD_KEEPER_H
#define STANCH_GUARD_KEEPER_H

#include "guard/guard.h"

/* s->points: those elsewhere; orders that have a step at another point are left alone. Looks into
 * the journal every s->every; what is due, or was left half done by a command that died, is ended
 * as the next command would (engine_recover). Runs until SIGTERM or SIGINT: 0. -errno: it could
 * not begin. A point that does not answer is tried again, at last once a minute. */
int keeper_run(const struct guard_setup *s, struct err *e);

#endif
