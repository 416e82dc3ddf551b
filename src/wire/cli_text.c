/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/cli_text.h"

#include <string.h>

enum { NONE, ESCAPE, CSI, OSC };

void cli_text_init(struct cli_text *t, size_t max)
{
	memset(t, 0, sizeof *t);
	t->lines = BUF_INIT(max);
}

void cli_text_free(struct cli_text *t)
{
	buf_free(&t->lines);
}

static void trim(struct cli_text *t)
{
	while (t->len && t->line[t->len - 1] == ' ')
		t->len--;
}

static int end_line(struct cli_text *t)
{
	trim(t);
	int r = buf_add(&t->lines, t->line, t->len);
	if (r == 0)
		r = buf_add(&t->lines, "\n", 1);
	t->len = t->column = 0;
	return r;
}

static void put(struct cli_text *t, char c)
{
	if (t->column >= CLI_LINE_MAX - 1)
		return;
	while (t->len < t->column)
		t->line[t->len++] = ' ';
	t->line[t->column++] = c;
	if (t->len < t->column)
		t->len = t->column;
}

/* True: the byte belonged to a control sequence. */
static int in_escape(struct cli_text *t, uint8_t c)
{
	switch (t->escape) {
	case NONE:
		if (c != 0x1b)
			return 0;
		t->escape = ESCAPE;
		return 1;
	case ESCAPE:
		t->escape = c == '[' ? CSI : c == ']' ? OSC : NONE;
		return 1;
	case CSI:
		if (c >= 0x40 && c <= 0x7e)
			t->escape = NONE;
		return 1;
	default:
		if (c == 0x07 || c == '\n')
			t->escape = NONE;
		else if (c == 0x1b)
			t->escape = ESCAPE;
		return 1;
	}
}

int cli_text_feed(struct cli_text *t, const uint8_t *p, size_t n)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		uint8_t c = p[i];
		if (in_escape(t, c))
			continue;
		if (c == '\n')
			r = end_line(t);
		else if (c == '\r')
			t->column = 0;
		else if (c == '\b')
			t->column -= t->column > 0;
		else if (c == '\t')
			put(t, ' ');
		else if (c >= 0x20 && c < 0x7f)
			put(t, (char)c);
	}
	return r;
}

const char *cli_text_rest(struct cli_text *t)
{
	size_t n = t->len;
	while (n && t->line[n - 1] == ' ')
		n--;
	memcpy(t->rest, t->line, n);
	t->rest[n] = 0;
	return t->rest;
}
