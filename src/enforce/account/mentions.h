/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where root's own configuration names an account: sudoers, the system's cron tables, units with
 * User=. Only what names nobody else can be set aside; the rest is told.
 */
#ifndef STANCH_ENFORCE_ACCOUNT_MENTIONS_H
#define STANCH_ENFORCE_ACCOUNT_MENTIONS_H

#include "enforce/account/find.h"

#define MENTIONS_MAX 64

enum mention_kind {
	MENTION_SUDOERS,
	MENTION_CRON,
	MENTION_UNIT,
	_MENTION_MAX,
};

struct mention {
	enum mention_kind kind;
	uint32_t line; /* the first that names it */
	bool only;     /* of sudoers.d: nothing in the file is about anybody else */
	char path[PATHS_MAX];
};

struct mentions {
	struct mention *v;            /* owned */
	size_t n, more[_MENTION_MAX]; /* more: found, but not kept */
	size_t unread;                /* files and folders that could not be read */
};

/* Does a file of this kind name the account? *ret_line: where first; *ret_only: and nobody else.
 * Pure. */
bool mentions_in(enum mention_kind k, const struct account *a, const void *bytes, size_t n,
                 uint32_t *ret_line, bool *ret_only);
/* Reads the host's files. -ENOMEM; what cannot be read is counted. Links are not followed. */
int mentions_find(int root, const struct account *a, struct mentions *ret, struct err *e);
void mentions_free(struct mentions *m);
/* A sentence on what of a kind stays (all but what is `only`) into *out; nothing if nothing does.
 */
void mentions_text(const struct mentions *m, enum mention_kind k, struct buf *out);

#endif
