/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/crontab.h"

struct crontab_reader crontab_reader_of(bool system, const void *bytes, size_t n)
{
	return (struct crontab_reader){lines_of(bytes, n), system};
}

static struct cursor unquote(struct cursor c)
{
	if (cursor_left(&c) >= 2 && (*c.p == '"' || *c.p == '\'') && c.end[-1] == *c.p)
		return (struct cursor){c.p + 1, c.end - 1};
	return c;
}

/* NAME = value: a name without blanks, or quoted, before the first '='. */
static bool environment(struct cursor c, struct crontab_line *l)
{
	struct cursor name, unused;
	const uint8_t *eq = memchr(c.p, '=', cursor_left(&c));
	if (!eq)
		return false;
	l->name = unquote(span_trim((struct cursor){c.p, eq}));
	name = l->name;
	if (!span_word(&name, &unused) || span_word(&name, &unused))
		return false;
	l->value = unquote(span_trim((struct cursor){eq + 1, c.end}));
	return true;
}

static bool schedule(struct cursor *c, struct cursor *ret)
{
	struct cursor word;
	const uint8_t *from = c->p;
	int fields = *from == '@' ? 1 : 5;
	for (int i = 0; i < fields; i++) {
		if (!span_word(c, &word))
			return false;
		if (fields == 5 && !byte_of(*word.p, "0123456789*") && i < 3)
			return false;
	}
	*ret = (struct cursor){from, c->p};
	return true;
}

static bool entry(bool system, struct cursor c, struct crontab_line *l)
{
	if (*c.p == '-')
		c.p++;
	if (c.p == c.end || !schedule(&c, &l->when))
		return false;
	if (system && !span_word(&c, &l->user))
		return false;
	l->command = span_trim(c);
	return l->command.p != l->command.end;
}

bool crontab_next(struct crontab_reader *r, struct crontab_line *ret)
{
	struct cursor c;
	while (lines_next(&r->lines, &c)) {
		c = span_trim(c);
		if (c.p == c.end || *c.p == '#')
			continue;
		struct crontab_line l = {.kind = CRONTAB_ENTRY, .number = r->lines.number};
		if (!entry(r->system, c, &l)) {
			l = (struct crontab_line){.kind = CRONTAB_ENV, .number = r->lines.number};
			if (!environment(c, &l))
				l = (struct crontab_line){
				    .kind = CRONTAB_BAD, .number = r->lines.number, .command = c};
		}
		*ret = l;
		return true;
	}
	return false;
}
