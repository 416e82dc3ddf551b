/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Orders about processes, services and accounts of this host: freeze, kill, disable. */
#ifndef STANCH_UI_ACT_H
#define STANCH_UI_ACT_H

#include "ui/ctx.h"

/* Has it processes? A service that has none can still be disabled. */
bool act_runs(const struct target *t);

/* "PID…", "service UNIT" or "account NAME" of the command line: guards, plan, question, apply.
 * *ret_id (may be NULL): the order's, 0 when none was made. Returns an enum exit_code. */
int act(struct ctx *c, const struct args *a, enum verb verb, unsigned *ret_id);

#endif
