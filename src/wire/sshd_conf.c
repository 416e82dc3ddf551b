/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/sshd_conf.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

struct sshd_reader sshd_reader_of(const void *bytes, size_t n)
{
	return (struct sshd_reader){.lines = lines_of(bytes, n)};
}

static bool ends_keyword(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '=' || c == '"';
}

/* "Keyword value", "Keyword=value", "Keyword = value". */
static struct cursor keyword_of(struct cursor *line)
{
	struct cursor k = {line->p, line->p};
	while (k.end < line->end && !ends_keyword(*k.end))
		k.end++;
	line->p = k.end;
	*line = span_trim(*line);
	if (line->p < line->end && *line->p == '=')
		line->p++;
	return k;
}

bool sshd_is(const struct sshd_line *l, const char *keyword)
{
	size_t n = strlen(keyword);
	return cursor_left(&l->keyword) == n &&
	       !strncasecmp((const char *)l->keyword.p, keyword, n);
}

bool sshd_next(struct sshd_reader *r, struct sshd_line *ret)
{
	for (struct cursor text; lines_next(&r->lines, &text);) {
		text = span_trim(text);
		if (text.p == text.end || *text.p == '#')
			continue;
		struct sshd_line l = {.number = r->lines.number};
		l.keyword = keyword_of(&text);
		l.rest = text;
		r->in_match = r->in_match || sshd_is(&l, "Match");
		l.in_match = r->in_match;
		*ret = l;
		return true;
	}
	return false;
}

/* The byte that a backslash at c->p stands for, if it escapes one here. */
static bool escaped(const struct cursor *c, uint8_t quote, uint8_t *ret)
{
	if (*c->p != '\\' || c->p + 1 == c->end)
		return false;
	*ret = c->p[1];
	return *ret == '\'' || *ret == '"' || *ret == '\\' || (!quote && *ret == ' ');
}

bool sshd_arg(struct sshd_line *l, char *dst, size_t n)
{
	struct cursor *c = &l->rest;
	size_t len = 0;
	uint8_t quote = 0, byte;
	*c = span_trim(*c);
	if (c->p == c->end || *c->p == '#')
		return false;
	for (; c->p < c->end; c->p++) {
		byte = *c->p;
		if (!quote && (byte == ' ' || byte == '\t'))
			break;
		if (escaped(c, quote, &byte)) {
			c->p++;
		} else if (quote ? byte == quote : byte == '"' || byte == '\'') {
			quote = quote ? 0 : byte;
			continue;
		}
		if (len + 1 >= n)
			return false;
		dst[len++] = (char)byte;
	}
	dst[len] = '\0';
	return true;
}

int sshd_pattern(const char *name, char dst[static SSHD_PATTERN_MAX], bool *ret_exact)
{
	static const char plain[] = "_-.+$:/%";
	size_t n = strlen(name);
	bool exact = true;
	if (n == 0 || n >= SSHD_PATTERN_MAX)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];
		bool keep = c < 0x80 && (isalnum(c) || strchr(plain, c));
		dst[i] = keep ? (char)c : '?';
		exact &= keep;
	}
	dst[n] = '\0';
	*ret_exact = exact;
	return 0;
}
