/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changes of single fields in passwd and shadow, by compare-and-swap: each says what stood there
 * and what is to stand there. Every other byte stays as it is. Pure.
 */
#ifndef STANCH_ENFORCE_ACCOUNT_EDIT_H
#define STANCH_ENFORCE_ACCOUNT_EDIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/passwd.h"

#define EDIT_VALUE_MAX 2048
#define EDITS_MAX      128
#define EDIT_LINE      (-1) /* as column: the whole line; was or now "": no such line */

struct edit {
	enum passwd_file file;
	int column;
	char *name, *was, *now; /* owned; no newline in them, no colon unless column is EDIT_LINE */
};

struct edits {
	struct edit v[EDITS_MAX];
	size_t n;
};

void edits_free(struct edits *s);
/* -E2BIG, -EINVAL (a value that no such field can hold), -ENOMEM. */
int edits_add(struct edits *s, enum passwd_file file, int column, const char *name, const char *was,
              const char *now, struct err *e);

enum edit_state {
	EDIT_DONE,   /* it reads as `now` */
	EDIT_UNDONE, /* it reads as `was` */
	EDIT_OTHER,  /* neither: somebody else has changed it */
	EDIT_GONE,   /* the account's line is not there */
};
/* How bytes of the edit's file read. */
enum edit_state edit_look(const struct edit *x, const void *bytes, size_t n);

/* Brings every edit of `file` about (back: takes it back) where the bytes read as the other side,
 * and writes all into *out. What reads as neither is left alone and named in *told, a sentence a
 * line. *ret_changed: fields that were changed. -EMSGSIZE, -ENOMEM. */
int edits_write(const struct edits *s, enum passwd_file file, bool back, const void *bytes,
                size_t n, struct buf *out, struct buf *told, size_t *ret_changed);

/* What a field stands for: "password", "expiry date", … */
const char *edit_what(const struct edit *x);

#endif
