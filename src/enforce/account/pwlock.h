/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The locks of /etc/passwd, shadow and group, as every tool that edits them takes them: the fcntl
 * lock on .pwd.lock (lckpwdf(3)), then FILE.lock, made by linking a file that holds a pid (shadow's
 * commonio). A FILE.lock whose process is dead is taken away, as these tools do. Who is in the way
 * is named.
 */
#ifndef STANCH_ENFORCE_ACCOUNT_PWLOCK_H
#define STANCH_ENFORCE_ACCOUNT_PWLOCK_H

#include "base/clock.h"
#include "base/err.h"

#define PWLOCK_FILES_MAX 4
#define PWLOCK_PATIENCE  (5 * USEC_PER_SEC)

struct pwlock {
	int etc, pwd; /* etc is the caller's */
	const char *files[PWLOCK_FILES_MAX];
	unsigned n;
};

/* files: at most PWLOCK_FILES_MAX static names, ended by NULL. Waits for at most `patience`. -EBUSY
 * with who holds it; -EROFS, -EPERM, -ENOSPC, …. */
int pwlock_take(int etc, const char *const *files, usec_t patience, struct pwlock *ret,
                struct err *e);
void pwlock_drop(struct pwlock *l);
/* Could they be taken? Waits like pwlock_take, and changes nothing. */
int pwlock_look(int etc, const char *const *files, usec_t patience, struct err *e);

#endif
