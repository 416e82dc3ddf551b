/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/out.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/table.h"

#define LINE_MAX_BYTES 4096

void out_init(struct out *o, FILE *to)
{
	*o = (struct out){.to = to};
	if (!isatty(fileno(to)))
		return;
	struct winsize w = {0};
	o->width = ioctl(fileno(to), TIOCGWINSZ, &w) == 0 && w.ws_col ? w.ws_col : 80;
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
	o->colour = !(no && *no) && term && strcmp(term, "dumb") != 0;
}

static void line(struct out *o, const char *fmt, va_list ap)
{
	vfprintf(o->to, fmt, ap);
	fputc('\n', o->to);
}

void out_line(struct out *o, const char *fmt, ...)
{
	if (o->json)
		return;
	va_list ap;
	va_start(ap, fmt);
	line(o, fmt, ap);
	va_end(ap);
}

void out_info(struct out *o, const char *fmt, ...)
{
	if (o->json || o->quiet)
		return;
	va_list ap;
	va_start(ap, fmt);
	line(o, fmt, ap);
	va_end(ap);
}

void out_json(struct out *o, json_t *object)
{
	if (o->json && object) {
		json_dumpf(object, o->to, JSON_COMPACT | JSON_ENSURE_ASCII);
		fputc('\n', o->to);
		fflush(o->to);
	}
	json_decref(object);
}

void out_error(struct out *o, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES], clean[LINE_MAX_BYTES];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	out_clean(text, clean, sizeof clean);
	fflush(o->to);
	if (!o->json) {
		fprintf(stderr, "stanch: %s\n", clean);
		return;
	}
	json_t *j = json_pack("{s:s, s:s}", "event_type", "error", "message", clean);
	if (j)
		json_dumpf(j, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(j);
}

static const char *const styles[] = {
    [STYLE_GOOD] = "\033[32m",  [STYLE_WARN] = "\033[33m", [STYLE_BAD] = "\033[1;31m",
    [STYLE_STRONG] = "\033[1m", [STYLE_FAINT] = "\033[2m",
};

const char *out_on(const struct out *o, enum out_style s)
{
	return o->colour && s != STYLE_PLAIN ? styles[s] : "";
}

const char *out_off(const struct out *o, enum out_style s)
{
	return o->colour && s != STYLE_PLAIN ? "\033[0m" : "";
}

/* Length of the well-formed UTF-8 sequence at s, its code point in *ret; 0: none. */
static size_t utf8_at(const unsigned char *s, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80             ? 1
	           : (s[0] & 0xe0) == 0xc0 ? 2
	           : (s[0] & 0xf0) == 0xe0 ? 3
	           : (s[0] & 0xf8) == 0xf0 ? 4
	                                   : 0;
	uint32_t c = n == 1 ? s[0] : n ? s[0] & (0x7fU >> n) : 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (n && (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)))
		return 0;
	*ret = c;
	return n;
}

/* C0, DEL, C1, and what reorders or hides text on a terminal. */
static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

const char *out_clean(const char *src, char *dst, size_t n)
{
	const unsigned char *s = (const unsigned char *)src;
	size_t at = 0;
	if (n == 0)
		return dst;
	while (*s) {
		uint32_t c = 0;
		size_t len = utf8_at(s, &c), put = len && !is_control(c) ? len : 1;
		if (at + put >= n)
			break;
		if (len && !is_control(c))
			memcpy(dst + at, s, len);
		else
			dst[at] = '?';
		at += put;
		s += len ? len : 1;
	}
	dst[at] = 0;
	return dst;
}

const char *out_bytes(uint64_t n, char dst[static 16])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	uint64_t tenth;
	size_t u;
	if (n < 1000) {
		snprintf(dst, 16, "%u B", (unsigned)n);
		return dst;
	}
	for (u = 1, tenth = 100; u + 1 < ARRAY_SIZE(units) && n / tenth >= 10000; u++)
		tenth *= 1000;
	unsigned tenths = (unsigned)(n / tenth) + (n % tenth >= tenth / 2);
	/* 999,950 would print as 1000.0 kB. */
	if (tenths >= 10000 && u + 1 < ARRAY_SIZE(units)) {
		tenths = 10;
		u++;
	}
	snprintf(dst, 16, "%u.%u %s", tenths / 10, tenths % 10, units[u]);
	return dst;
}

size_t out_columns(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

/* Bytes of s that fit into width columns, broken at a blank where there is one. */
static size_t fitting(const char *s, size_t width)
{
	size_t columns = 0, at = 0, blank = 0;
	for (; s[at] && s[at] != '\n'; at++) {
		if (((unsigned char)s[at] & 0xc0) != 0x80 && columns++ == width)
			return blank ? blank : at;
		if (s[at] == ' ')
			blank = at;
	}
	return at;
}

static void print_line(struct out *o, enum out_style s, const char *text, size_t n)
{
	char raw[LINE_MAX_BYTES], clean[LINE_MAX_BYTES];
	snprintf(raw, sizeof raw, "%.*s", (int)(n < sizeof raw ? n : sizeof raw - 1), text);
	fprintf(o->to, "%s%s%s\n", out_on(o, s), out_clean(raw, clean, sizeof clean),
	        out_off(o, s));
}

void out_wrap(struct out *o, const char *first, int indent, int width, enum out_style s,
              const char *text)
{
	size_t room = width - indent >= 30 ? (size_t)(width - indent) : LINE_MAX_BYTES;
	if (o->json)
		return;
	fputs(first, o->to);
	do {
		size_t n = fitting(text, room);
		print_line(o, s, text, n);
		text += n;
		while (*text == ' ')
			text++;
		if (*text == '\n')
			text++;
		if (*text && *text != '\n')
			fprintf(o->to, "%*s", indent, "");
	} while (*text);
}

static int table_grow(struct out_table *t)
{
	if (t->n_rows < t->cap)
		return 0;
	size_t cap = t->cap ? t->cap * 2 : 16;
	void *rows = realloc(t->rows, cap * sizeof *t->rows);
	if (!rows)
		return -ENOMEM;
	t->rows = rows;
	t->cap = cap;
	return 0;
}

int out_table_row(struct out_table *t, const char *const *cells, const enum out_style *cell_styles)
{
	if (table_grow(t) < 0)
		return -ENOMEM;
	memset(t->rows[t->n_rows], 0, sizeof t->rows[0]);
	size_t row = t->n_rows++;
	for (size_t i = 0; i < t->n_columns; i++) {
		const char *src = cells[i] ? cells[i] : "";
		size_t n = strlen(src) + 1;
		char *text = malloc(n);
		if (!text)
			return -ENOMEM;
		out_clean(src, text, n);
		t->rows[row][i].text = text;
		t->rows[row][i].style = cell_styles ? cell_styles[i] : STYLE_PLAIN;
	}
	return 0;
}

/* Nothing is printed behind the last cell that has text. */
static size_t last_cell(const struct out_table *t, size_t row)
{
	size_t n = t->n_columns;
	while (n && !(t->rows[row][n - 1].text && t->rows[row][n - 1].text[0]))
		n--;
	return n;
}

static void print_cell(struct out *o, const struct out_table *t, size_t row, size_t i, size_t width)
{
	const char *text = t->rows[row][i].text ? t->rows[row][i].text : "";
	enum out_style s = t->rows[row][i].style;
	int pad = (int)(width - out_columns(text));
	bool right = t->right & 1U << i, at_end = i + 1 >= last_cell(t, row);
	fprintf(o->to, "%*s%s%s%s%*s", i ? 2 : 0, "", right ? "" : out_on(o, s), right ? "" : text,
	        right ? "" : out_off(o, s),
	        right    ? pad
	        : at_end ? 0
	                 : pad,
	        "");
	if (right)
		fprintf(o->to, "%s%s%s", out_on(o, s), text, out_off(o, s));
}

void out_table_print(struct out *o, const struct out_table *t)
{
	size_t width[OUT_TABLE_COLUMNS] = {0};
	if (o->json)
		return;
	for (size_t r = 0; r < t->n_rows; r++)
		for (size_t i = 0; i < t->n_columns; i++) {
			size_t w = t->rows[r][i].text ? out_columns(t->rows[r][i].text) : 0;
			width[i] = w > width[i] ? w : width[i];
		}
	for (size_t r = 0; r < t->n_rows; r++) {
		fprintf(o->to, "%*s", t->indent, "");
		for (size_t i = 0; i < last_cell(t, r); i++)
			print_cell(o, t, r, i, width[i]);
		fputc('\n', o->to);
	}
}

void out_table_free(struct out_table *t)
{
	if (!t)
		return;
	for (size_t r = 0; r < t->n_rows; r++)
		for (size_t i = 0; i < t->n_columns; i++)
			free(t->rows[r][i].text);
	free(t->rows);
	t->rows = NULL;
	t->n_rows = t->cap = 0;
}
