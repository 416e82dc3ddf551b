/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Output: text for people, or one JSON object a line with --json. Colour only on a terminal and
 * without NO_COLOR. Untrusted text (names, comm) has its control bytes replaced before it is shown.
 */
#ifndef STANCH_UI_OUT_H
#define STANCH_UI_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct out {
	FILE *to;
	bool json, colour, quiet, verbose;
	int width; /* columns of the terminal, 0 when it is none */
};

enum out_style { STYLE_PLAIN, STYLE_GOOD, STYLE_WARN, STYLE_BAD, STYLE_STRONG, STYLE_FAINT };

/* Text to `to`; looks whether it is a terminal, how wide, and at NO_COLOR. */
void out_init(struct out *o, FILE *to);

/* A line for a person; nothing with --json. */
void out_line(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, but nothing with -q either: what is nice to know. */
void out_info(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One object a line with --json, else nothing; takes the reference over. Flushed. */
void out_json(struct out *o, json_t *object);
/* "stanch: …" on standard error; with --json also {"event_type":"error","message":…} on it. */
void out_error(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Escape sequences around styled text; "" without colour. */
const char *out_on(const struct out *o, enum out_style s);
const char *out_off(const struct out *o, enum out_style s);

/* dst gets src with control and non-UTF-8 bytes replaced by '?'; returns dst. Cut at a character.
 * C1 controls and bidirectional overrides count as control. */
const char *out_clean(const char *src, char *dst, size_t n);
/* "12.3 MB", "4.5 kB/s" without the unit's s; decimal units, at most 8 columns. */
const char *out_bytes(uint64_t n, char dst[static 16]);
/* Cleaned text, broken at blanks to `width` columns (0: not broken), each line after `indent`
 * blanks, the first after `first` instead. A newline in text starts a new line. */
void out_wrap(struct out *o, const char *first, int indent, int width, enum out_style s,
              const char *text);
/* Columns that a UTF-8 string takes: one a character. */
size_t out_columns(const char *s);

/* An aligned table for people: rows are collected, then printed with two blanks between columns.
 * Nothing with --json. */
#define OUT_TABLE_COLUMNS 10
struct out_table {
	size_t n_columns, n_rows, cap;
	struct {
		char *text; /* owned */
		enum out_style style;
	} (*rows)[OUT_TABLE_COLUMNS];
	unsigned right; /* bit i: column i is aligned right */
	int indent;
};
/* Adds a row of t->n_columns texts (cleaned, copied); styles may be NULL. -ENOMEM. */
int out_table_row(struct out_table *t, const char *const *cells, const enum out_style *styles);
void out_table_print(struct out *o, const struct out_table *t);
void out_table_free(struct out_table *t); /* takes NULL; leaves it empty */

#endif
