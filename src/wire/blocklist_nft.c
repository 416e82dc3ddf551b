/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sets in nft's language: "elements = { … }" as `nft list set` prints it, "add element … { … }",
 * "define NAME = { … }". Elements are addresses, prefixes and ranges, each perhaps with a time-out,
 * an expiry, counters and a comment. What stands around the braces is not looked at.
 */
#include <string.h>

#include "base/table.h"
#include "wire/blocklist_text.h"
#include "wire/fwlog_text.h"

struct nft {
	struct blocklist_work *w;
	struct cursor c;
};

/* Blanks, line ends and comments. */
static void pass_blanks(struct nft *n)
{
	for (;;) {
		while (n->c.p < n->c.end && (*n->c.p <= ' ')) {
			n->w->line += *n->c.p == '\n';
			n->c.p++;
		}
		if (n->c.p == n->c.end || *n->c.p != '#')
			return;
		while (n->c.p < n->c.end && *n->c.p != '\n')
			n->c.p++;
	}
}

static bool is_mark(uint8_t c)
{
	return c == '{' || c == '}' || c == ',' || c == '=' || c == ';' || c == '#';
}

/* A quoted text without its quotes, a mark, or what stands before the next blank or mark. */
static bool word(struct nft *n, struct cursor *ret)
{
	pass_blanks(n);
	const uint8_t *p = n->c.p;
	if (p == n->c.end)
		return false;
	if (*p == '"') {
		const uint8_t *q = memchr(p + 1, '"', (size_t)(n->c.end - p - 1));
		*ret = (struct cursor){p + 1, q ? q : n->c.end};
		n->c.p = q ? q + 1 : n->c.end;
		return true;
	}
	if (is_mark(*p))
		p++;
	else
		while (p<n->c.end && * p> ' ' && !is_mark(*p))
			p++;
	*ret = (struct cursor){n->c.p, p};
	n->c.p = p;
	return true;
}

/* "1d2h3m4s500ms" in seconds, rounded up. */
static bool duration(struct cursor c, uint64_t *ret)
{
	static const struct {
		const char *unit;
		uint64_t msec;
	} units[] = {{"ms", 1},      {"w", 604800000}, {"d", 86400000},
	             {"h", 3600000}, {"m", 60000},     {"s", 1000}};
	uint64_t all = 0, v;
	if (c.p == c.end)
		return false;
	while (c.p < c.end) {
		size_t i = 0;
		if (!text_u64(&c, UINT32_MAX, &v))
			return false;
		while (i < ARRAY_SIZE(units) && !text_lit(&c, units[i].unit))
			i++;
		if (i == ARRAY_SIZE(units))
			return false;
		all += v * units[i].msec;
	}
	*ret = (all + 999) / 1000;
	return true;
}

/* What stands behind an element's key, up to the next comma or the end of the set (not taken). */
struct extras {
	uint64_t timeout, expires; /* seconds; 0: none */
	char comment[BLOCKLIST_NOTE_MAX];
	bool bad;
};

static bool extras(struct nft *n, struct extras *x)
{
	struct cursor at, v;
	for (;;) {
		struct nft before = *n;
		uint32_t line = n->w->line;
		if (!word(n, &at))
			return false;
		if (text_is(at, ",") || text_is(at, "}")) {
			*n = before;
			n->w->line = line;
			return true;
		}
		if (text_is(at, "timeout") && word(n, &v))
			x->bad |= !duration(v, &x->timeout);
		else if (text_is(at, "expires") && word(n, &v))
			x->bad |= !duration(v, &x->expires);
		else if (text_is(at, "comment") && word(n, &v))
			blocklist_copy(v, x->comment, sizeof x->comment);
	}
}

static void element(struct nft *n, struct cursor key)
{
	struct extras x = {0};
	uint32_t line = n->w->line;
	n->w->stats->rows++;
	bool whole = extras(n, &x);
	uint64_t left = x.expires ? x.expires : x.timeout;
	uint32_t after = n->w->line;
	n->w->line = line;
	if (!whole)
		blocklist_bad(n->w, key, "the set has no end");
	else if (x.bad || left > UINT32_MAX - n->w->now)
		blocklist_bad(n->w, key, "its time-out is none");
	else
		blocklist_put(n->w, key, left ? (uint32_t)(n->w->now + left) : 0, x.comment);
	n->w->line = after;
}

/* Behind the brace. */
static void elements(struct nft *n)
{
	struct cursor at;
	while (word(n, &at)) {
		if (text_is(at, "}"))
			return;
		if (!text_is(at, ","))
			element(n, at);
	}
}

int blocklist_nft(struct blocklist_work *w, struct cursor text, struct err *e)
{
	struct nft n = {w, text};
	struct cursor at, before = cursor_of(NULL, 0);
	bool adds = false;
	size_t sets = 0;
	w->line = 1;
	while (word(&n, &at)) {
		if (text_is(at, "element"))
			adds = true;
		if (text_is(at, "set") && !w->stats->title[0]) {
			struct nft ahead = n;
			uint32_t line = w->line;
			struct cursor name;
			if (word(&ahead, &name))
				blocklist_copy(name, w->stats->title, sizeof w->stats->title);
			w->line = line;
		}
		if (text_is(at, "{") && (adds || text_is(before, "="))) {
			elements(&n);
			adds = false;
			sets++;
		}
		before = at;
	}
	return sets ? 0
	            : err_set(e, -EBADMSG,
	                      "there is no set in it: neither \"elements = { … }\" nor \"add "
	                      "element … { … }\"");
}
