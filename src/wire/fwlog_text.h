/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading text with cursors: what the decoders of log lines share. As in base/cursor.h each reader
 * takes exactly what it names and returns true, or takes nothing and returns false. A cursor that
 * is handed back points into the same bytes.
 */
#ifndef STANCH_WIRE_FWLOG_TEXT_H
#define STANCH_WIRE_FWLOG_TEXT_H

#include "base/addr.h"
#include "base/cursor.h"

bool text_lit(struct cursor *c, const char *literal);
void text_spaces(struct cursor *c); /* passes over any, none too */
/* Decimal digits, at most max. */
bool text_u64(struct cursor *c, uint64_t max, uint64_t *ret);
/* Everything before the first `stop`, which is passed over, too; false without one. */
bool text_until(struct cursor *c, char stop, struct cursor *ret);
/* Spaces, then what stands before the next space or the end; false at the end. */
bool text_word(struct cursor *c, struct cursor *ret);
/* Moves to the first occurrence of needle. */
bool text_find(struct cursor *c, const char *needle);

/* About all of a cursor's bytes. */
bool text_is(struct cursor w, const char *literal);
bool text_number(struct cursor w, uint64_t max, uint64_t *ret);
/* Dotted quad or any IPv6 form (logs write IPv6 in full). */
bool text_addr(struct cursor w, struct addr *ret);
/* The bytes before and behind the last `at`; false without one. */
bool text_split_last(struct cursor w, char at, struct cursor *ret_before, struct cursor *ret_after);
/* A number, or the name of a protocol as logs write it, in either case. */
bool text_proto(struct cursor w, uint8_t *ret);

#endif
