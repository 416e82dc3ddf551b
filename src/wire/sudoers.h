/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sudoers, roughly: who may run what, whether a password is asked for, what else is read. Aliases
 * are given as they stand, not resolved; what cannot be told apart is told as more rights rather
 * than as fewer. Source: sudoers(5).
 */
#ifndef STANCH_WIRE_SUDOERS_H
#define STANCH_WIRE_SUDOERS_H

#include "base/buf.h"
#include "wire/lines.h"

enum sudoers_kind {
	SUDOERS_GRANT,
	SUDOERS_INCLUDE,     /* @include, #include: what holds the path */
	SUDOERS_INCLUDE_DIR, /* @includedir, #includedir */
	SUDOERS_DEFAULTS,    /* what: all of the line */
	SUDOERS_ALIAS,
	SUDOERS_ODD, /* not understood */
};

struct sudoers_line {
	enum sudoers_kind kind;
	uint32_t number;
	struct cursor who;  /* GRANT: users, %groups, aliases, separated by commas */
	struct cursor what; /* GRANT: all behind the '=' */
	bool no_password;   /* NOPASSWD: somewhere in it */
	bool all;           /* any command: ALL, or something that amounts to it (a shell) */
};

struct sudoers_reader {
	struct lines lines;
	struct buf joined;
};

void sudoers_init(struct sudoers_reader *r, const void *bytes, size_t n);
void sudoers_free(struct sudoers_reader *r);
/* Views are valid until the next call. */
bool sudoers_next(struct sudoers_reader *r, struct sudoers_line *ret);

#endif
