/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The signs of the area processes that have a file of their own. */
#ifndef STANCH_TRIAGE_RULES_H
#define STANCH_TRIAGE_RULES_H

#include "triage/procs.h"

/* shells.c: reverse_shell, bind_shell, shell_socket. */
void look_shell(struct triage *t, const struct procs *p, const struct proc_row *r);
/* gone.c: deleted_program, memory_program. */
void look_gone(struct triage *t, const struct procs *p);
/* hidden.c: hidden_process, proc_mount. */
void look_hidden(struct triage *t, const struct procs *p);
void look_mounts(struct triage *t, const struct procs *p);

/* gone.c: the file at its place is newer than the process and belongs to a package that was
 * installed anew since, or dpkg is at work right now. */
bool gone_by_upgrade(struct triage *t, const struct procs *p, const struct proc_row *r);

#endif
