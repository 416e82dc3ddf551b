/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who is the operator, and how do they reach this host? The union of SSH_CONNECTION, the sockets of
 * ancestor processes, the logind session and tmux/screen clients: sudo strips the first, tmux
 * breaks the second. Each finding is checked against a live TCP socket in our own network namespace
 * where one can be seen.
 */
#ifndef STANCH_ENFORCE_HOST_OPERATOR_H
#define STANCH_ENFORCE_HOST_OPERATOR_H

#include "model/order.h"

#define OPERATOR_SESSIONS_MAX 16

struct operator_session {
	struct endpoint peer, local;
	char how[48]; /* "SSH_CONNECTION", "socket of ancestor sshd (pid 812)", "tmux client", … */
	bool live;    /* an ESTABLISHED socket with this pair was seen */
};

struct operator_sessions {
	struct operator_session v[OPERATOR_SESSIONS_MAX];
	size_t n;
};

/* Finding none is a success with n == 0. */
int operator_find(struct operator_sessions *ret, struct err *e);

#endif
