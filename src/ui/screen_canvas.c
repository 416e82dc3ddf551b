/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/screen_canvas.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/table.h"
#include "ui/out.h"

#define TEXT_BYTES  2048 /* of one field; more is cut, with the mark */
#define TEXT_GLYPHS 512

struct glyph {
	char ch[CANVAS_CELL_BYTES];
	unsigned columns;
};

struct text {
	struct glyph v[TEXT_GLYPHS];
	size_t n;
	unsigned columns;
	bool more; /* it went on */
};

int canvas_new(unsigned width, unsigned height, bool utf8, struct canvas *ret)
{
	struct canvas c = {.width = width < CANVAS_MAX_WIDTH ? width : CANVAS_MAX_WIDTH,
	                   .height = height < CANVAS_MAX_HEIGHT ? height : CANVAS_MAX_HEIGHT,
	                   .utf8 = utf8};

	c.cells = calloc((size_t)c.width * c.height + 1, sizeof(*c.cells));
	if (!c.cells)
		return -ENOMEM;
	canvas_clear(&c);
	*ret = c;
	return 0;
}

void canvas_free(struct canvas *c)
{
	if (!c)
		return;
	free(c->cells);
	*c = (struct canvas){0};
}

void canvas_clear(struct canvas *c)
{
	for (size_t i = 0; i < (size_t)c->width * c->height; i++)
		c->cells[i] = (struct canvas_cell){.ch = " "};
}

const struct glyphs *canvas_glyphs(bool utf8)
{
	static const struct glyphs wide = {"…", "→", "←", "▲", "▼", "▸", "│", "·"};
	static const struct glyphs ascii = {"~", ">", "<", "^", "v", ">", "|", "-"};

	return utf8 ? &wide : &ascii;
}

/* ---- text in columns ---- */

/* One code point of clean UTF-8; returns its bytes. */
static size_t decode(const char *s, wchar_t *ret)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t n = u[0] < 0x80 ? 1 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
	uint32_t cp = n == 1 ? u[0] : u[0] & (0x7fu >> n);

	for (size_t i = 1; i < n; i++)
		cp = cp << 6 | (u[i] & 0x3f);
	*ret = (wchar_t)cp;
	return n;
}

/* What ASCII has for a character that we put ourselves; else '?'. */
static char substitute(wchar_t cp)
{
	static const struct {
		wchar_t cp;
		char ch;
	} rows[] = {{L'→', '>'}, {L'←', '<'}, {L'…', '~'}, {L'·', '-'}, {L'–', '-'}, {L'”', '"'}};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].cp == cp)
			return rows[i].ch;
	return '?';
}

/* The character at s with the combining ones behind it, as far as they have room. */
static size_t next_glyph(const char *s, bool utf8, struct glyph *g)
{
	wchar_t cp;
	size_t n = decode(s, &cp), at;
	int columns = n == 1 ? 1 : utf8 ? wcwidth(cp) : -1;

	memset(g, 0, sizeof(*g));
	if (columns > 0)
		memcpy(g->ch, s, n);
	else
		g->ch[0] = utf8 ? '?' : substitute(cp);
	g->columns = columns > 0 ? (unsigned)columns : 1;
	for (at = n; utf8 && s[at]; at += n) {
		n = decode(s + at, &cp);
		if (n == 1 || wcwidth(cp) != 0)
			break;
		if (strlen(g->ch) + n < sizeof(g->ch))
			memcpy(g->ch + strlen(g->ch), s + at, n);
	}
	return at;
}

static void split(const char *raw, bool utf8, struct text *t)
{
	char clean[TEXT_BYTES];

	out_clean(raw, clean, sizeof(clean));
	t->n = 0;
	t->columns = 0;
	const char *s = clean;
	while (*s && t->n < TEXT_GLYPHS) {
		s += next_glyph(s, utf8, &t->v[t->n]);
		t->columns += t->v[t->n++].columns;
	}
	t->more = *s || strlen(raw) >= sizeof(clean);
}

unsigned canvas_columns(bool utf8, const char *text)
{
	struct text t;

	split(text, utf8, &t);
	return t.columns;
}

size_t canvas_fitting(bool utf8, const char *text, unsigned width)
{
	struct glyph g;
	size_t at = 0, blank = 0;
	unsigned columns = 0;

	while (text[at]) {
		size_t n = next_glyph(text + at, utf8, &g);
		columns += g.columns;
		if (columns > width)
			return blank ? blank : at ? at : n;
		if (text[at] == ' ')
			blank = at;
		at += n;
	}
	return at;
}

/* Writes glyphs [from, to) at x; returns the column behind. */
static unsigned put_glyphs(struct canvas *c, unsigned y, unsigned x, enum ink ink,
                           const struct text *t, size_t from, size_t to)
{
	for (size_t i = from; i < to && x + t->v[i].columns <= c->width; i++) {
		struct canvas_cell *cell = &c->cells[(size_t)y * c->width + x];
		memcpy(cell->ch, t->v[i].ch, sizeof(cell->ch));
		cell->ink = (uint8_t)ink;
		if (t->v[i].columns == 2)
			cell[1] = (struct canvas_cell){.ch = "", .ink = (uint8_t)ink};
		x += t->v[i].columns;
	}
	return x;
}

static unsigned put_plain(struct canvas *c, unsigned y, unsigned x, enum ink ink, const char *s)
{
	struct text t;

	split(s, c->utf8, &t);
	return put_glyphs(c, y, x, ink, &t, 0, t.n);
}

/* How many glyphs from the start (or the end) take at most width columns. */
static size_t count_fitting(const struct text *t, unsigned width, bool from_end)
{
	size_t n = 0;
	unsigned columns = 0;

	while (n < t->n) {
		const struct glyph *g = &t->v[from_end ? t->n - 1 - n : n];
		if (columns + g->columns > width)
			break;
		columns += g->columns;
		n++;
	}
	return n;
}

static unsigned put_cut(struct canvas *c, const struct canvas_field *f, unsigned width,
                        const struct text *t)
{
	unsigned room = width - 1, x = f->x;
	unsigned tail = f->cut == CUT_END || t->more ? 0 : f->cut == CUT_START ? room : room / 2;
	size_t first = count_fitting(t, room - tail, false), last = count_fitting(t, tail, true);

	x = put_glyphs(c, f->y, x, f->ink, t, 0, first);
	x = put_plain(c, f->y, x, f->ink, canvas_glyphs(c->utf8)->cut);
	return put_glyphs(c, f->y, x, f->ink, t, t->n - last, t->n);
}

static unsigned blanks(struct canvas *c, const struct canvas_field *f, unsigned x, unsigned end)
{
	for (; x < end; x++)
		c->cells[(size_t)f->y * c->width + x] =
		    (struct canvas_cell){.ch = " ", .ink = (uint8_t)f->ink};
	return x;
}

void canvas_put(struct canvas *c, const struct canvas_field *f, const char *text)
{
	struct text t;
	unsigned width = f->x < c->width && f->width > c->width - f->x ? c->width - f->x : f->width;
	unsigned x = f->x;

	if (f->y >= c->height || f->x >= c->width || !width)
		return;
	split(text, c->utf8, &t);
	if (t.more || t.columns > width)
		x = put_cut(c, f, width, &t);
	else {
		if (f->align == ALIGN_RIGHT)
			x = blanks(c, f, x, x + width - t.columns);
		x = put_glyphs(c, f->y, x, f->ink, &t, 0, t.n);
	}
	blanks(c, f, x, f->x + width);
}

unsigned canvas_text(struct canvas *c, unsigned y, unsigned x, enum ink ink, const char *text)
{
	unsigned columns = canvas_columns(c->utf8, text), left = x < c->width ? c->width - x : 0;
	const struct canvas_field f = {
	    .y = y, .x = x, .width = columns < left ? columns : left, .ink = ink};

	canvas_put(c, &f, text);
	return x + f.width;
}

void canvas_row_ink(struct canvas *c, unsigned y, enum ink ink)
{
	for (unsigned x = 0; y < c->height && x < c->width; x++)
		c->cells[(size_t)y * c->width + x].ink = (uint8_t)ink;
}

const char *canvas_row(const struct canvas *c, unsigned y, char *dst, size_t n)
{
	size_t at = 0, end = 0;

	for (unsigned x = 0; x < c->width && y < c->height; x++) {
		const char *ch = c->cells[(size_t)y * c->width + x].ch;
		size_t len = strlen(ch);
		if (at + len >= n)
			break;
		memcpy(dst + at, ch, len);
		at += len;
		if (strcmp(ch, " ") != 0)
			end = at;
	}
	if (n)
		dst[end] = 0;
	return dst;
}

/* ---- numbers ---- */

const char *amount(uint64_t n, char dst[static 16])
{
	static const char units[] = "\0kMGTPE";
	uint64_t tenth = 100;
	size_t u = 1;

	if (n < 1000) {
		snprintf(dst, 16, "%3u   ", (unsigned)n);
		return dst;
	}
	for (; units[u + 1] && n / tenth >= 10000; u++)
		tenth *= 1000;
	unsigned tenths = (unsigned)(n / tenth) + (n % tenth >= tenth / 2);
	/* 999,950 would be 1000.0k. */
	if (tenths >= 10000 && units[u + 1]) {
		tenths = 10;
		u++;
	}
	snprintf(dst, 16, "%3u.%u%c", tenths / 10, tenths % 10, units[u]);
	return dst;
}

const char *amount_short(uint64_t n, char dst[static 16])
{
	char padded[16];
	const char *s = amount(n, padded) + strspn(padded, " ");

	snprintf(dst, 16, "%.*s", (int)strcspn(s, " "), s);
	return dst;
}

const char *span_short(uint64_t s, char dst[static 16])
{
	if (s < 60)
		snprintf(dst, 16, "%us", (unsigned)s);
	else if (s < 3600)
		snprintf(dst, 16, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
	else if (s < UINT64_C(86400))
		snprintf(dst, 16, "%uh%02um", (unsigned)(s / 3600), (unsigned)(s % 3600 / 60));
	else if (s < UINT64_C(86400) * 100)
		snprintf(dst, 16, "%ud%02uh", (unsigned)(s / 86400), (unsigned)(s % 86400 / 3600));
	else
		snprintf(dst, 16, "%ud", (unsigned)(s / 86400 % 100000));
	return dst;
}

void bars(const uint64_t *v, size_t n, uint64_t max, bool utf8, char *dst)
{
	static const char *const wide[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const ascii[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
	const char *const *level = utf8 ? wide : ascii;
	const unsigned top = ARRAY_SIZE(wide) - 1;
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		double part = max ? (double)v[i] / (double)max : 0;
		unsigned l = v[i] ? 1 + (unsigned)(part * (top - 1) + 0.5) : 0;
		const char *s = v[i] == UINT64_MAX ? " " : level[l < top ? l : top];
		memcpy(dst + at, s, strlen(s));
		at += strlen(s);
	}
	dst[at] = 0;
}
