/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whose account it is, by the files of the host: no name service is asked, which may be the
 * attacker's. Every name of the uid is the same account: who has one name's processes has all.
 */
#ifndef STANCH_ENFORCE_ACCOUNT_FIND_H
#define STANCH_ENFORCE_ACCOUNT_FIND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "enforce/account/edit.h"
#include "enforce/account/paths.h"
#include "model/order.h"

#define ACCOUNT_NAMES_MAX 16

struct account_name {
	char name[TARGET_NAME_MAX];
	char home[PATHS_MAX]; /* "": not known, or none */
};

struct account {
	struct account_name v[ACCOUNT_NAMES_MAX]; /* the one asked for first */
	size_t n;
	bool local;     /* in /etc/passwd; else it comes from a directory */
	bool uid_known; /* of a directory's account: by its session here */
	uint32_t uid;
};

/* asked: a name or a uid. All names of its uid; of uid 0 the one name. -ENOENT: no such account;
 * -E2BIG: too many names. */
int account_find(int root, const char *asked, struct account *ret, struct err *e);
/* What has to change in passwd and shadow (their bytes) so that the local names are locked and
 * expired. Pure. Appends to *ret. */
int account_edits(const struct account *a, const struct buf *passwd, const struct buf *shadow,
                  struct edits *ret, struct err *e);

#endif
