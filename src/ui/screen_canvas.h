/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A screen in memory: rows of cells, each with what stands in it and how. Everything is drawn here
 * first; curses only copies it out (screen.c), and tests read it as text. Pure.
 *
 * Invariants
 *  1. Text from outside is cleaned (out_clean), and counted in columns: wide characters are two,
 *     combining ones none. Nothing is ever written beyond its width.
 *  2. What does not fit is cut with a mark.
 */
#ifndef STANCH_UI_SCREEN_CANVAS_H
#define STANCH_UI_SCREEN_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ink {
	INK_PLAIN,
	INK_GOOD,
	INK_WARN,
	INK_BAD,
	INK_STRONG,
	INK_FAINT,
	INK_OUT, /* graphs */
	INK_IN,
	INK_HEAD,
	INK_SELECTED,
	_INK_MAX
};

enum align { ALIGN_LEFT, ALIGN_RIGHT };
/* Which part of a text is left out where it is too long. */
enum cut_at { CUT_END, CUT_START, CUT_MIDDLE };

#define CANVAS_MAX_WIDTH  1000u
#define CANVAS_MAX_HEIGHT 500u
#define CANVAS_CELL_BYTES 16 /* a character with its combining ones, and NUL */

struct canvas_cell {
	char ch[CANVAS_CELL_BYTES]; /* "": the second half of a wide character */
	uint8_t ink;
};

struct canvas {
	unsigned width, height;
	bool utf8; /* else only ASCII is ever put */
	struct canvas_cell *cells;
};

/* Blank. Sizes beyond the maximum are reduced to it. -ENOMEM. */
int canvas_new(unsigned width, unsigned height, bool utf8, struct canvas *ret);
void canvas_free(struct canvas *c); /* takes NULL */
void canvas_clear(struct canvas *c);

struct canvas_field {
	unsigned y, x, width;
	enum ink ink;
	enum align align;
	enum cut_at cut;
};
/* Text in exactly width columns, padded with blanks; outside of the canvas nothing is put. */
void canvas_put(struct canvas *c, const struct canvas_field *f, const char *text);
/* Text as wide as it is, or up to the edge; returns the column behind it. */
unsigned canvas_text(struct canvas *c, unsigned y, unsigned x, enum ink ink, const char *text);
/* All of a row in one ink. */
void canvas_row_ink(struct canvas *c, unsigned y, enum ink ink);
/* The row as text, blanks at its end left out; dst has room for n bytes. */
const char *canvas_row(const struct canvas *c, unsigned y, char *dst, size_t n);

/* Columns that text takes once it is cleaned. */
unsigned canvas_columns(bool utf8, const char *text);
/* Bytes of text that fit into width columns, broken at a blank where there is one. */
size_t canvas_fitting(bool utf8, const char *text, unsigned width);

/* The characters that differ between UTF-8 and ASCII. */
struct glyphs {
	const char *cut, *there, *back, *rise, *fall, *cursor, *bar, *dot;
};
const struct glyphs *canvas_glyphs(bool utf8);

/* "999  ", "12.3k", "999.9M": always AMOUNT_COLUMNS, the decimal points under each other. Powers
 * of 1000. */
#define AMOUNT_COLUMNS 6
const char *amount(uint64_t n, char dst[static 16]);
/* The same without blanks, for running text. */
const char *amount_short(uint64_t n, char dst[static 16]);
/* "5s", "12m", "3h07m", "2d04h": at most 6 columns. */
const char *span_short(uint64_t seconds, char dst[static 16]);

/* n values as n characters, each as high as its part of max; UINT64_MAX: nothing is known. dst has
 * room for 3 * n + 1 bytes. */
void bars(const uint64_t *v, size_t n, uint64_t max, bool utf8, char *dst);

#endif
