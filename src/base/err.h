/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Errors are values: a code for the program and a sentence for the person.
 *
 * Every fallible function returns 0 or a negative errno and, where a person may come to read
 * about it, takes a `struct err *` last. It may be NULL. On success it is left untouched.
 * The text says what failed, on what, why, and what to do.
 */
#ifndef STANCH_BASE_ERR_H
#define STANCH_BASE_ERR_H

#include <stdarg.h>

#define ERR_TEXT_MAX 480

struct err {
	int code;                /* -errno, 0 while nothing has failed */
	char text[ERR_TEXT_MAX]; /* one sentence, no newline, always terminated */
};

/* Fills *e (when not NULL) and returns code, so that `return err_set(e, -EINVAL, "…")` reads well.
 * The text is cut at ERR_TEXT_MAX; bytes below 0x20 become '?'. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "PREFIX: " in front of a text that is already there; returns e->code (or code for NULL). */
int err_prefix(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* An analyser looks at one file at a time and does not see err.c: what comes back is the code,
 * which is negative. */
#if defined(__clang_analyzer__) || defined(STANCH_ANALYZER)
static inline int err_code(int code)
{
	if (code >= 0)
		__builtin_unreachable();
	return code;
}
static inline int err_or_none(int r)
{
	if (r > 0)
		__builtin_unreachable();
	return r;
}
#define err_set(e, code, ...)    ((void)(err_set)(e, code, __VA_ARGS__), err_code(code))
#define err_prefix(e, code, ...) ((void)(err_prefix)(e, code, __VA_ARGS__), err_code(code))
#endif

#endif
