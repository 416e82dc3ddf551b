/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The driver `process`: what runs of a process, a unit or an account is frozen, and ended.
 *
 *   process.freeze   every member goes into a cgroup of ours below the hierarchy's top that was
 *                    frozen before the first came in, again and again until none is new; undone by
 *                    moving each back to where it was
 *   process.kill     what the freeze holds is captured into the journal, then ended at once by
 *                    cgroup.kill; nothing takes that back
 *
 * Who waits in a frozen cgroup of ours is out of reach of systemd's stop and thaw, of SIGCONT, and
 * of a partner that would start it anew.
 */
#ifndef STANCH_ENFORCE_PROCESS_H
#define STANCH_ENFORCE_PROCESS_H

#include "enforce/host/group.h"
#include "model/driver_ops.h"

extern const struct driver_ops process_driver;

/* A daemon that the host cannot do without (bus, journal, devices, storage, the way in by SSH) is
 * among what the target names: *ret, and `why` names it. Errors as of group_find. */
int process_protected(const struct target *t, bool *ret, char why[static GROUP_WHY_MAX],
                      struct err *e);

/* Everything that can be read of a process without its help, as JSON for the journal, of each in
 * pids; bounded, what is over is counted. *ret is malloc'd. */
int process_capture(const int *pids, size_t n, char **ret, struct err *e);

#endif
