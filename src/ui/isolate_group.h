/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STANCH_UI_ISOLATE_GROUP_H
#define STANCH_UI_ISOLATE_GROUP_H

#include "ui/ctx.h"

/* Does the command line name a group of processes, and not a host? */
bool isolate_is_group(const struct args *a);
/* Carries it out. Returns the exit code. */
int isolate_group(struct ctx *c, const struct args *a);

struct cut;
struct target;
/* Refuses, told, what holds your own session or serves it; counts who is in the target. Returns an
 * enum exit_code. */
int check_operator(struct cut *k, const struct target *t, size_t *ret_members);

#endif
