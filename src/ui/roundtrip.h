/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Does the operator's way in still work? Answered by real packets only. */
#ifndef STANCH_UI_ROUNDTRIP_H
#define STANCH_UI_ROUNDTRIP_H

#include "enforce/host/operator.h"
#include "model/order.h"
#include "ui/ctx.h"

#define ROUNDTRIP_PATHS_MAX 16
#define ROUNDTRIP_WAIT_MSEC 5000
#define ROUNDTRIP_LOOK_MSEC 1000

struct roundtrip {
	struct ctx *c;
	const struct operator_sessions *sessions;
	struct endpoint paths[ROUNDTRIP_PATHS_MAX]; /* address and port to connect to */
	bool answered[ROUNDTRIP_PATHS_MAX];         /* before the cut */
	size_t n_paths;
	unsigned possible, passed; /* filled by the check */
	char how[128];             /* what proved it */
};

/* Paths that an allow-list keeps and that a TCP connect can try. */
void roundtrip_paths(struct roundtrip *t, const struct order *o, const struct config *keeps);
/* Tries the paths before the cut: one that is silent now proves nothing later. */
void roundtrip_before(struct roundtrip *t);
/* management_check_fn; arg is the struct roundtrip. */
int roundtrip_check(void *arg, const struct order *o, struct err *e);

/* TCP connects to all of n at once; ret_up[i]: connected or refused, both came from there. */
void roundtrip_connect(const struct endpoint *v, size_t n, int timeout_ms, bool *ret_up);
/* Is one of the sessions carried by a process that started after `since_boot`? Then how[] says
 * which. */
bool roundtrip_new_session(const struct operator_sessions *s, usec_t since_boot, char how[128]);

#endif
