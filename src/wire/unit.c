/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/unit.h"

void unit_init(struct unit_reader *r, const void *bytes, size_t n)
{
	*r = (struct unit_reader){.lines = lines_of(bytes, n), .joined = BUF_INIT(UNIT_VALUE_MAX)};
}

void unit_free(struct unit_reader *r)
{
	buf_free(&r->joined);
}

static bool comment(struct cursor c)
{
	return c.p < c.end && (*c.p == '#' || *c.p == ';');
}

/* A logical line: c is its first physical one and gets the whole. Comments within are left out. */
static void join(struct unit_reader *r, struct cursor *c)
{
	struct cursor more = *c;
	if (!span_ends(*c, "\\"))
		return;
	buf_reset(&r->joined);
	while (span_ends(more, "\\")) {
		struct cursor next;
		buf_add(&r->joined, more.p, cursor_left(&more) - 1);
		buf_add(&r->joined, " ", 1);
		do {
			if (!lines_next(&r->lines, &next))
				next = (struct cursor){c->end, c->end};
			next = span_trim(next);
		} while (comment(next));
		more = next;
	}
	buf_add(&r->joined, more.p, cursor_left(&more));
	*c = span_trim(cursor_of(buf_str(&r->joined), r->joined.len));
}

bool unit_next(struct unit_reader *r, struct unit_line *ret)
{
	struct cursor c;
	while (lines_next(&r->lines, &c)) {
		uint32_t number = r->lines.number;
		c = span_trim(c);
		if (c.p == c.end || comment(c))
			continue;
		if (*c.p == '[' && c.end[-1] == ']') {
			r->section = (struct cursor){c.p + 1, c.end - 1};
			continue;
		}
		join(r, &c);
		*ret = (struct unit_line){.number = number, .section = r->section, .key = c};
		const uint8_t *eq = cursor_left(&c) ? memchr(c.p, '=', cursor_left(&c)) : NULL;
		if (eq && eq != c.p) {
			ret->key = span_trim((struct cursor){c.p, eq});
			ret->value = span_trim((struct cursor){eq + 1, c.end});
		} else {
			ret->bad = true;
			ret->value = (struct cursor){c.end, c.end};
		}
		return true;
	}
	return false;
}

bool unit_exec(struct cursor value, struct unit_exec *ret)
{
	struct unit_exec e = {0};
	struct cursor c = span_trim(value);
	for (; c.p < c.end && byte_of(*c.p, "-@:+!|"); c.p++) {
		e.ignores_failure |= *c.p == '-';
		e.own_argv0 |= *c.p == '@';
		e.no_variables |= *c.p == ':';
		e.full_rights |= *c.p == '+' || *c.p == '!';
	}
	if (c.p < c.end && (*c.p == '"' || *c.p == '\'')) {
		const uint8_t *q = memchr(c.p + 1, *c.p, (size_t)(c.end - c.p) - 1);
		e.program = (struct cursor){c.p + 1, q ? q : c.end};
		e.rest = (struct cursor){q ? q + 1 : c.end, c.end};
	} else if (span_word(&c, &e.program)) {
		e.rest = c;
	}
	if (e.program.p == e.program.end)
		return false;
	e.rest = span_trim(e.rest);
	*ret = e;
	return true;
}
