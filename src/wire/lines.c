/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/lines.h"

static bool blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r' && c != '\n');
}

struct lines lines_of(const void *bytes, size_t n)
{
	return (struct lines){.base = bytes, .left = cursor_of(bytes, n)};
}

bool lines_next(struct lines *l, struct cursor *ret)
{
	size_t n = cursor_left(&l->left);
	if (!n)
		return false;
	const uint8_t *end = memchr(l->left.p, '\n', n);
	*ret = (struct cursor){l->left.p, end ? end : l->left.end};
	l->left.p = end ? end + 1 : l->left.end;
	l->number++;
	return true;
}

struct cursor span_trim(struct cursor c)
{
	while (c.p < c.end && blank(*c.p))
		c.p++;
	while (c.p < c.end && blank(c.end[-1]))
		c.end--;
	return c;
}

bool span_word(struct cursor *c, struct cursor *ret)
{
	struct cursor w = *c;
	while (w.p < w.end && blank(*w.p))
		w.p++;
	if (w.p == w.end)
		return false;
	const uint8_t *p = w.p;
	while (p < w.end && !blank(*p))
		p++;
	*ret = (struct cursor){w.p, p};
	c->p = p;
	return true;
}

bool span_until(struct cursor *c, char stop, struct cursor *ret)
{
	if (!c->p)
		return false;
	const uint8_t *at = cursor_left(c) ? memchr(c->p, stop, cursor_left(c)) : NULL;
	*ret = (struct cursor){c->p, at ? at : c->end};
	c->p = at ? at + 1 : NULL;
	if (!at)
		c->end = NULL;
	return true;
}

bool span_is(struct cursor c, const char *literal)
{
	size_t n = strlen(literal);
	return cursor_left(&c) == n && (!n || !memcmp(c.p, literal, n));
}

bool span_equal(struct cursor a, struct cursor b)
{
	size_t n = cursor_left(&a);
	return n == cursor_left(&b) && (!n || !memcmp(a.p, b.p, n));
}

bool span_starts(struct cursor c, const char *literal)
{
	size_t n = strlen(literal);
	return cursor_left(&c) >= n && (!n || !memcmp(c.p, literal, n));
}

bool span_ends(struct cursor c, const char *literal)
{
	size_t n = strlen(literal);
	return cursor_left(&c) >= n && (!n || !memcmp(c.end - n, literal, n));
}

const uint8_t *span_find(struct cursor c, const char *needle)
{
	return cursor_left(&c) ? memmem(c.p, cursor_left(&c), needle, strlen(needle)) : NULL;
}

bool span_has(struct cursor c, const char *needle)
{
	return span_find(c, needle) != NULL;
}

bool span_number(struct cursor c, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	if (c.p == c.end)
		return false;
	for (; c.p < c.end; c.p++) {
		uint8_t digit = (uint8_t)(*c.p - '0');
		if (digit > 9 || v > (max - digit) / 10 || digit > max)
			return false;
		v = v * 10 + digit;
	}
	*ret = v;
	return true;
}

const char *span_copy(struct cursor c, char *dst, size_t n)
{
	size_t len = cursor_left(&c) < n - 1 ? cursor_left(&c) : n - 1;
	for (size_t i = 0; i < len; i++)
		dst[i] = c.p[i] < 0x20 || c.p[i] == 0x7f ? '?' : (char)c.p[i];
	dst[len] = 0;
	return dst;
}
