/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Secrets: passwords, keys, tokens. The configuration only says where one is to be found.
 *
 * Invariants
 *  1. A secret lives in memory of its own that is locked (not swapped), left out of dumps and of
 *     children, and wiped before it is given back. Nothing here prints one, and no error text holds
 * one.
 *  2. From the first one on the process leaves no core and cannot be attached to by its user.
 *  3. Of the environment only the variables that the configuration names are kept, and only here.
 */
#ifndef STANCH_IO_SECRET_H
#define STANCH_IO_SECRET_H

#include <stddef.h>

#include "base/err.h"

#define SECRET_MAX (64u << 10)

struct secret {
	char *text; /* NUL behind len; NULL: none */
	size_t len;
	size_t size; /* of the mapping */
};

/* The file's bytes without the newlines at its end. It must be a regular file of this user's or
 * root's that nobody else may read or write. -ENOENT, -EACCES (rights, type), -EINVAL (empty, NUL
 * bytes), -E2BIG, -ENOMEM (memory cannot be locked). */
int secret_from_file(const char *path, struct secret *ret, struct err *e);
/* What the environment had at the start, where the name was kept. -ENOENT. */
int secret_from_env(const char *name, struct secret *ret, struct err *e);
int secret_copy(const char *text, size_t n, struct secret *ret, struct err *e);
/* "" for none */
const char *secret_text(const struct secret *s);
void secret_free(struct secret *s); /* wipes; takes a zeroed struct */

/* Before the environment is cleared, in the only thread: moves it here and wipes it where it was
 * (and where /proc shows it); values in `keep`'s place are the caller's business, before. */
void secret_env_save(void);
/* Wipes all but the variables of these names. */
void secret_env_only(const char *const *names, size_t n);

#endif
