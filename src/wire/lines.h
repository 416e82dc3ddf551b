/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines and words of configuration files, as views into bytes that someone else owns. Nothing is
 * copied and nothing is terminated; a NUL is a byte like any other.
 */
#ifndef STANCH_WIRE_LINES_H
#define STANCH_WIRE_LINES_H

#include "base/cursor.h"

struct lines {
	const uint8_t *base; /* offsets count from here */
	struct cursor left;
	uint32_t number; /* of the line given last; the first is 1 */
};

struct lines lines_of(const void *bytes, size_t n);
/* The next line without its newline (a file may end without one); false at the end. */
bool lines_next(struct lines *l, struct cursor *ret);

/* Is c, which is no NUL, one of these? */
static inline bool byte_of(uint8_t c, const char *set)
{
	return c && strchr(set, c);
}

/* Without blanks (space, tab, CR, form feed, vertical tab) at both ends. */
struct cursor span_trim(struct cursor c);
/* The next word between blanks; false when there is none. */
bool span_word(struct cursor *c, struct cursor *ret);
/* What stands before the first `stop`, which is passed over; without one all that is left. False
 * only when nothing at all is left, not even an empty field behind a stop. */
bool span_until(struct cursor *c, char stop, struct cursor *ret);

bool span_is(struct cursor c, const char *literal);
bool span_equal(struct cursor a, struct cursor b);
bool span_starts(struct cursor c, const char *literal);
bool span_ends(struct cursor c, const char *literal);
/* Where needle first stands, or NULL. */
const uint8_t *span_find(struct cursor c, const char *needle);
bool span_has(struct cursor c, const char *needle);
/* All of it is decimal digits and at most max. */
bool span_number(struct cursor c, uint64_t max, uint64_t *ret);
/* Copies up to n - 1 bytes and terminates; bytes below 0x20 and 0x7f become '?'. Returns dst. */
const char *span_copy(struct cursor c, char *dst, size_t n);

#endif
