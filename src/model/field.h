/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Checked reading of JSON objects that we or an enemy wrote: every field named, none left over. */
#ifndef STANCH_MODEL_FIELD_H
#define STANCH_MODEL_FIELD_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

/* Parses text of at most max bytes; duplicate keys and trailing text are errors. *ret is the
 * caller's reference. -EBADMSG with the place. */
int field_load(const char *text, size_t max, const char *what, json_t **ret, struct err *e);
/* json_unpack_ex with its message turned into a sentence about `what`. End fmt's object with '!' so
 * that unknown keys are refused. -EBADMSG. */
int field_unpack(json_t *object, const char *what, struct err *e, const char *fmt, ...);
/* The value as compact text with sorted keys, malloc'd; NULL: out of memory. Not json_dumps, which
 * with sorted keys does not look whether a key could be put (jansson 2.14) and would leave a hole
 * where memory ran out. */
char *field_dump(const json_t *v);
/* Copies a string that must fit; -EBADMSG else. */
int field_copy(char *dst, size_t n, const char *src, const char *what, struct err *e);

#if defined(__clang_analyzer__) || defined(STANCH_ANALYZER)
#define field_load(...)   err_or_none(field_load(__VA_ARGS__))
#define field_unpack(...) err_or_none(field_unpack(__VA_ARGS__))
#endif

#endif
