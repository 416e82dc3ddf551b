/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A process of stanch's own that keeps sockets open and does nothing else: an AF_XDP place is held
 * only as long as the socket lives. It has no rights; what it holds it was handed. It ends by
 * itself at the order's deadline, or when root tells it to.
 *
 * It is found by an abstract socket that the step's token names. Only root is listened to.
 */
#ifndef STANCH_ENFORCE_HOST_HOLDER_H
#define STANCH_ENFORCE_HOST_HOLDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "model/step.h"
#include "priv/role.h"

#define HOLDER_FDS_MAX 900 /* within the usual limit of open files */

struct holder_state {
	uint32_t n;   /* sockets that it holds */
	usec_t until; /* boot clock; 0: for good */
};

/* The child's job; a row of the composition root's registry is HOLDER_ROLE. */
int holder_role(int channel, const int *fds, size_t n);
extern const int holder_syscalls[];
#define HOLDER_ROLE                                                                                \
	{                                                                                          \
		.name = "hold", .run = holder_role, .syscalls = holder_syscalls, .stays = true     \
	}

/* Starts one, if none answers, and hands it n descriptors, which stay the caller's. */
int holder_add(const char *token, const int *fds, size_t n, usec_t until, struct err *e);
/* -ENOENT: none is there. */
int holder_ask(const char *token, struct holder_state *ret, struct err *e);
int holder_set_time(const char *token, usec_t until, struct err *e);
/* Ends it; that there is none is a success. Everything it held is closed when this returns. */
int holder_end(const char *token, struct err *e);

/* From now on it is found by another token. */
int holder_rename(const char *token, const char *to, struct err *e);
/* The tokens of those that listen in this network namespace; malloc'd. At most HOLDERS_MAX. */
#define HOLDERS_MAX 64
struct holder_name {
	char token[STEP_TOKEN_MAX];
};
int holder_list(struct holder_name **ret, size_t *ret_n, struct err *e);

#endif
