/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Does a socket or a tracked connection go with a cut? Pure but for scope_open(), which reads our
 * own addresses: what stays between them never leaves the host and is never touched.
 */
#ifndef STANCH_ENFORCE_HOST_SCOPE_H
#define STANCH_ENFORCE_HOST_SCOPE_H

#include "enforce/host/host.h"
#include "kern/conntrack.h"
#include "kern/diag.h"

struct scope {
	const struct session_scope *want; /* the caller's */
	struct addr *own;                 /* owned; addresses of this network namespace */
	size_t n_own;
};

int scope_open(const struct session_scope *want, struct scope *ret, struct err *e);
void scope_close(struct scope *s);

bool scope_takes_sock(const struct scope *s, const struct diag_sock *k);
/* An entry that neither begins nor ends at one of our own addresses is forwarded traffic: no permit
 * keeps that. */
bool scope_takes_flow(const struct scope *s, const struct ct_flow *f);

#endif
