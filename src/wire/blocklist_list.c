/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plain lists, one entry a line, and FireHOL's netsets, which are such with a header. */
#include <string.h>

#include "wire/blocklist_text.h"
#include "wire/fwlog_text.h"

static bool is_comment(struct cursor c)
{
	return text_lit(&c, "#") || text_lit(&c, ";") || text_lit(&c, "//");
}

static bool token(struct cursor *c, struct cursor *ret)
{
	*c = blocklist_trim(*c);
	const uint8_t *p = c->p;
	while (p < c->end && *p != ' ' && *p != '\t')
		p++;
	*ret = (struct cursor){c->p, p};
	c->p = p;
	return ret->p < ret->end;
}

/* "# Entries         : 3753 subnets, 611405121 unique IPs"; of single addresses: "615 unique IPs".
 * The first number counts the lines. */
static void header(struct blocklist_work *w, struct cursor c)
{
	uint64_t n;
	if (!text_lit(&c, "#"))
		return;
	c = blocklist_trim(c);
	if (text_lit(&c, "Entries")) {
		c = blocklist_trim(c);
		if (text_lit(&c, ":") && (c = blocklist_trim(c), text_u64(&c, UINT32_MAX, &n)))
			w->stats->declared = n;
	} else if (!w->stats->title[0] && c.p < c.end) {
		blocklist_copy(c, w->stats->title, sizeof w->stats->title);
	}
}

/* "START END LEN …", DShield's way; two addresses that mean anything else are an error. */
static bool two_addresses(struct blocklist_work *w, struct cursor first, struct cursor rest,
                          const char *note, bool *ret_good)
{
	struct cursor second, third;
	struct addr a, b;
	uint64_t len;
	if (!text_addr(first, &a) || !token(&rest, &second) || !text_addr(second, &b))
		return false;
	*ret_good = false;
	if (token(&rest, &third) && text_number(third, addr_bits(&a), &len)) {
		struct prefix p = prefix_of(&a, (unsigned)len);
		struct addr last = prefix_last(&p);
		*ret_good = addr_equal(&p.addr, &a) && addr_equal(&last, &b) &&
		            blocklist_range(w, &a, &b, 0, note);
	}
	w->stats->entries += *ret_good;
	return true;
}

/* "0.0.0.0 ads.example", as in a hosts file. */
static bool hosts_line(struct cursor first, struct cursor rest, struct cursor *ret)
{
	struct cursor name;
	struct addr a;
	if (!(text_is(first, "0.0.0.0") || text_is(first, "127.0.0.1") || text_is(first, "::1") ||
	      text_is(first, "::")) ||
	    !token(&rest, &name) || is_comment(name) || text_addr(name, &a))
		return false;
	*ret = name;
	return true;
}

/* "192.0.2.1 - 192.0.2.9": one token out of three. */
static bool spaced_range(struct cursor first, struct cursor *rest, struct cursor *ret)
{
	struct cursor at = *rest, dash, second;
	if (!token(&at, &dash) || !text_is(dash, "-") || !token(&at, &second))
		return false;
	*ret = (struct cursor){first.p, second.end};
	*rest = at;
	return true;
}

static void one_line(struct blocklist_work *w, struct cursor line)
{
	struct cursor rest = line, first, other;
	char note[BLOCKLIST_NOTE_MAX];
	bool good;
	if (!token(&rest, &first))
		return;
	/* "1.2.3.4#comment", "1.2.3.4;comment" */
	for (const uint8_t *p = first.p; p < first.end; p++)
		if (*p == '#' || *p == ';') {
			first.end = p;
			rest.p = p;
			break;
		}
	w->stats->rows++;
	if (hosts_line(first, rest, &other) || spaced_range(first, &rest, &other))
		first = other;
	rest = blocklist_trim(rest);
	other = rest;
	while (other.p < other.end && (is_comment(other) || *other.p == ' '))
		other.p++;
	blocklist_copy(blocklist_trim(other), note, sizeof note);
	if (!two_addresses(w, first, rest, note, &good))
		blocklist_put(w, first, 0, note);
	else if (!good)
		blocklist_bad(w, line, "two addresses on a line that are no range");
}

int blocklist_list(struct blocklist_work *w, struct cursor text, struct err *e)
{
	struct cursor line;
	while (blocklist_line(&text, &line)) {
		w->line++;
		line = blocklist_trim(line);
		if (is_comment(line))
			header(w, line);
		else
			one_line(w, line);
	}
	return 0;
}
