/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/sudoers.h"

#define LINE_MAX_JOINED 65536

void sudoers_init(struct sudoers_reader *r, const void *bytes, size_t n)
{
	*r = (struct sudoers_reader){lines_of(bytes, n), BUF_INIT(LINE_MAX_JOINED)};
}

void sudoers_free(struct sudoers_reader *r)
{
	buf_free(&r->joined);
}

static bool next_joined(struct sudoers_reader *r, struct cursor *ret, uint32_t *ret_number)
{
	struct cursor c;
	if (!lines_next(&r->lines, &c))
		return false;
	*ret_number = r->lines.number;
	if (span_ends(c, "\\")) {
		bool more = true;
		buf_reset(&r->joined);
		while (more) {
			more = span_ends(c, "\\");
			buf_add(&r->joined, c.p, cursor_left(&c) - more);
			more = more && lines_next(&r->lines, &c);
		}
		c = cursor_of(buf_str(&r->joined), r->joined.len);
	}
	*ret = span_trim(c);
	return true;
}

/* '#' begins a comment unless a number (a uid) or an include follows. */
static struct cursor without_comment(struct cursor c)
{
	for (const uint8_t *p = c.p; p < c.end; p++)
		if (*p == '#' && (p == c.p || p[-1] != '\\') &&
		    !(p + 1 < c.end && p[1] >= '0' && p[1] <= '9'))
			return span_trim((struct cursor){c.p, p});
	return c;
}

static bool directive(struct cursor c, struct sudoers_line *l)
{
	static const struct {
		const char *word;
		enum sudoers_kind kind;
	} words[] = {
	    {"@include", SUDOERS_INCLUDE},        {"#include", SUDOERS_INCLUDE},
	    {"@includedir", SUDOERS_INCLUDE_DIR}, {"#includedir", SUDOERS_INCLUDE_DIR},
	    {"User_Alias", SUDOERS_ALIAS},        {"Runas_Alias", SUDOERS_ALIAS},
	    {"Host_Alias", SUDOERS_ALIAS},        {"Cmnd_Alias", SUDOERS_ALIAS},
	    {"Cmd_Alias", SUDOERS_ALIAS},
	};
	struct cursor rest = c, word;
	if (!span_word(&rest, &word))
		return false;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (span_is(word, words[i].word)) {
			l->kind = words[i].kind;
			l->what = span_trim(rest);
			return true;
		}
	if (!span_starts(word, "Defaults"))
		return false;
	l->kind = SUDOERS_DEFAULTS;
	l->what = c;
	return true;
}

static bool amounts_to_all(struct cursor command)
{
	static const char *const shells[] = {"/sh", "/bash", "/dash",    "/zsh",
	                                     "/su", "/env",  "/python3", "/perl"};
	struct cursor word, rest = command;
	/* "(root:root) NOPASSWD: SETENV: ALL": what stands behind runas and tags. */
	if (span_starts(rest, "(")) {
		struct cursor unused;
		span_until(&rest, ')', &unused);
	}
	while (span_word(&rest, &word)) {
		if (span_ends(word, ":"))
			continue;
		const uint8_t *colon = memrchr(word.p, ':', cursor_left(&word));
		if (colon)
			word.p = colon + 1;
		if (span_is(word, "ALL"))
			return true;
		for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++)
			if (span_ends(word, shells[i]) && span_trim(rest).p == rest.end)
				return true;
		return false;
	}
	return false;
}

static void grant(struct cursor c, struct sudoers_line *l)
{
	const uint8_t *eq = memchr(c.p, '=', cursor_left(&c));
	struct cursor before = {c.p, eq}, one;
	if (!eq) {
		l->kind = SUDOERS_ODD;
		l->what = c;
		return;
	}
	/* The users end at the last blank before the hosts. */
	before = span_trim(before);
	const uint8_t *p = before.end;
	while (p > before.p && p[-1] != ' ' && p[-1] != '\t')
		p--;
	l->who = span_trim((struct cursor){before.p, p});
	l->what = span_trim((struct cursor){eq + 1, c.end});
	l->no_password = span_has(l->what, "NOPASSWD");
	struct cursor list = l->what;
	while (span_until(&list, ',', &one))
		l->all |= amounts_to_all(span_trim(one));
}

bool sudoers_next(struct sudoers_reader *r, struct sudoers_line *ret)
{
	struct cursor c;
	uint32_t number;
	while (next_joined(r, &c, &number)) {
		struct sudoers_line l = {.kind = SUDOERS_GRANT, .number = number};
		if (!directive(c, &l)) {
			c = without_comment(c);
			if (c.p == c.end)
				continue;
			if (!directive(c, &l))
				grant(c, &l);
		}
		*ret = l;
		return true;
	}
	return false;
}
