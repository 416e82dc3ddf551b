/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The areas, each in a file of its own; rows in areas.c. */
#ifndef STANCH_TRIAGE_AREAS_H
#define STANCH_TRIAGE_AREAS_H

#include "triage/triage.h"

extern const struct triage_rule process_rules[], socket_rules[], kernel_rules[];
extern const struct triage_rule account_rules[], login_rules[], persistence_rules[];
int area_processes(struct triage *t, struct err *e);
int area_sockets(struct triage *t, struct err *e);
int area_kernel(struct triage *t, struct err *e);
int area_accounts(struct triage *t, struct err *e);
int area_logins(struct triage *t, struct err *e);
int area_persistence(struct triage *t, struct err *e);

#endif
