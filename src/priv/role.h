/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Roles: stanch starts itself again (fork + exec of /proc/self/exe) with another job and fewer
 * rights. A role gets its descriptors by position and talks in typed messages.
 *
 * A child is entered as argv { "stanch", ROLE_ARG, name }; main hands that to role_main before
 * anything else. Inside: no_new_privs, ids dropped to `nobody` when we are root, all capabilities
 * and the bounding set gone, Landlock with no path at all (its absence is told), seccomp
 * allow-list. Failing to drop ids or to load seccomp is fatal.
 */
#ifndef STANCH_PRIV_ROLE_H
#define STANCH_PRIV_ROLE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

#define ROLE_ARG        "@role"
#define ROLE_FD_CHANNEL 3 /* typed messages, a stream socket; see msg.h */
#define ROLE_FD_FIRST   4 /* descriptors passed at start, in order */
#define ROLE_FDS_MAX    32

#define ROLE_STAY_FDS 1000

/* A role's exit code when it could not give up its rights and so did nothing. */
#define ROLE_EXIT_SANDBOX 125

struct role {
	const char *name;
	/* Runs sandboxed; fds[0..n-1] are the passed descriptors. Its return value is the exit
	 * code. */
	int (*run)(int channel, const int *fds, size_t n_fds);
	const int
	    *syscalls; /* seccomp allow-list beyond the common one; ends with -1; may be NULL */
	/* Calls that are not made and answered with success: of a library that connects a socket
	 * which is connected. Ends with -1; may be NULL. */
	const int *answered;
	bool stays; /* it outlives its parent, and may be handed up to ROLE_STAY_FDS descriptors */
};

struct role_child {
	pid_t pid;
	int channel; /* our end */
};

/* Starts role `name`. The fds are duplicated into the child and stay the caller's. */
int role_spawn(const char *name, const int *fds, size_t n_fds, struct role_child *ret,
               struct err *e);
/* Waits (kills after timeout_ms); a death by signal or a code other than 0 is an error told in *e.
 */
int role_wait(struct role_child *c, int timeout_ms, struct err *e);
/* The child's side; roles is the registry of the composition root, ended by a row without a name.
 */
int role_main(const struct role *roles, const char *name);
/* For a process that stays root and resident: locks its memory, keeps only these capabilities (of
 * those that it has), may read and write only beneath these paths, and make only these calls beside
 * the common ones; the others fail with EPERM. Before any thread is made. Fatal when it fails, but
 * for Landlock (role_limits). Lists end with -1 and NULL. read NULL: no Landlock, which would
 * forbid looking into other processes, too. */
struct confinement {
	const int *caps;
	const char *const *read, *const *write;
	const int *syscalls;
};
int role_confine(const struct confinement *c, struct err *e);
/* What the sandbox of this process could not do on this kernel ("Landlock: not in this kernel");
 * "". */
const char *role_limits(void);

#endif
