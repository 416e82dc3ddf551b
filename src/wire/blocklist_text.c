/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/blocklist_text.h"

#include <string.h>

#include "wire/fwlog_text.h"
#include "wire/fwlog_time.h"
#include "wire/hostname.h"

__extension__ typedef unsigned __int128 number;

bool blocklist_line(struct cursor *text, struct cursor *ret)
{
	if (text->p == text->end)
		return false;
	const uint8_t *p = memchr(text->p, '\n', cursor_left(text));
	*ret = (struct cursor){text->p, p ? p : text->end};
	text->p = p ? p + 1 : text->end;
	return true;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

struct cursor blocklist_trim(struct cursor c)
{
	while (c.p < c.end && is_blank(*c.p))
		c.p++;
	while (c.p < c.end && is_blank(c.end[-1]))
		c.end--;
	return c;
}

void blocklist_copy(struct cursor c, char *dst, size_t n)
{
	size_t len = cursor_left(&c) < n - 1 ? cursor_left(&c) : n - 1;
	for (size_t i = 0; i < len; i++)
		dst[i] = (char)(c.p[i] >= 0x20 && c.p[i] < 0x7f ? c.p[i] : '?');
	dst[len] = 0;
}

void blocklist_bad(struct blocklist_work *w, struct cursor what, const char *why)
{
	struct blocklist_stats *s = w->stats;
	if (s->bad++)
		return;
	s->bad_line = w->line;
	blocklist_copy(what, s->bad_text, sizeof s->bad_text);
	strncpy(s->bad_why, why, sizeof s->bad_why - 1);
}

bool blocklist_time(struct cursor what, uint32_t *ret)
{
	struct fwlog_clock k = {.ref_nsec = 0};
	uint64_t v;
	if (text_number(what, UINT32_MAX, &v)) {
		*ret = (uint32_t)v;
		return true;
	}
	if (!fwlog_stamp(&what, &k, &v) || blocklist_trim(what).p != what.end || k.year_taken ||
	    k.uptime_taken || v / 1000000000 > UINT32_MAX)
		return false;
	*ret = (uint32_t)(v / 1000000000);
	return true;
}

/* ---- addresses ---- */

bool blocklist_prefix(struct cursor what, struct prefix *ret, const char **ret_why)
{
	struct cursor host = what, bits;
	struct addr a;
	uint64_t len;
	bool has_len = text_split_last(what, '/', &host, &bits);
	*ret_why = "neither an address, a prefix, a range nor a domain name";
	if (!text_addr(host, &a))
		return false;
	len = addr_bits(&a);
	/* ::ffff:a.b.c.d/N has become v4: its length would mean something else. */
	if (has_len && (!text_number(bits, addr_bits(&a), &len) ||
	                (a.family == ADDR_V4 && memchr(host.p, ':', cursor_left(&host))))) {
		*ret_why = "the length of the prefix is none";
		return false;
	}
	*ret = prefix_of(&a, (unsigned)len);
	*ret_why = "host bits are set: what prefix is meant?";
	return addr_equal(&ret->addr, &a);
}

static number number_of(const struct addr *a)
{
	number x = 0;
	for (unsigned i = 0; i < addr_bits(a) / 8; i++)
		x = x << 8 | a->bytes[i];
	return x;
}

static struct addr addr_of(number x, uint8_t family)
{
	struct addr a = {.family = family};
	for (unsigned i = addr_bits(&a) / 8; i-- > 0; x >>= 8)
		a.bytes[i] = (uint8_t)x;
	return a;
}

static void emit(struct blocklist_work *w, const struct prefix *p, uint32_t until, const char *note)
{
	const struct blocklist_entry x = {*p, w->line, until, note};
	w->sink->entry(w->sink->arg, &x);
}

/* The largest prefix that begins at the first and ends no later than the last, again and again. */
bool blocklist_range(struct blocklist_work *w, const struct addr *first, const struct addr *last,
                     uint32_t until, const char *note)
{
	unsigned bits = addr_bits(first);
	number at = number_of(first), end = number_of(last);
	if (first->family != last->family || at > end)
		return false;
	for (;;) {
		unsigned host = 0;
		number span = 0; /* addresses less one */
		while (host < bits && !(at & ((number)1 << host)) && (span << 1 | 1) <= end - at) {
			span = span << 1 | 1;
			host++;
		}
		struct addr a = addr_of(at, first->family);
		struct prefix p = prefix_of(&a, bits - host);
		emit(w, &p, until, note);
		if (at + span == end)
			return true;
		at += span + 1;
	}
}

static bool as_range(struct blocklist_work *w, struct cursor what, uint32_t until, const char *note)
{
	struct cursor rest = what, left;
	struct addr a, b;
	return text_until(&rest, '-', &left) && text_addr(blocklist_trim(left), &a) &&
	       text_addr(blocklist_trim(rest), &b) && blocklist_range(w, &a, &b, until, note);
}

/* "192.0.2.1:443", "[2001:db8::1]:443": the whole address. */
static bool as_endpoint(struct cursor what, struct prefix *ret)
{
	struct cursor host, port;
	struct addr a;
	uint64_t v;
	if (!text_split_last(what, ':', &host, &port) || !text_number(port, 65535, &v))
		return false;
	bool boxed = cursor_left(&host) > 2 && host.p[0] == '[' && host.end[-1] == ']';
	if (boxed) {
		host.p++;
		host.end--;
	}
	if (!text_addr(host, &a) || (a.family == ADDR_V6) != boxed)
		return false;
	*ret = prefix_of(&a, addr_bits(&a));
	return true;
}

/* Its last label begins with a letter, as those of all top-level domains do. */
static bool is_domain(struct cursor what, char name[static HOSTNAME_MAX])
{
	if (!hostname_of(what.p, cursor_left(&what), name))
		return false;
	const char *last = strrchr(name, '.');
	return last && last[1] >= 'a' && last[1] <= 'z';
}

bool blocklist_put(struct blocklist_work *w, struct cursor what, uint32_t until, const char *note)
{
	struct prefix p;
	char name[HOSTNAME_MAX];
	const char *why;
	if (until && until <= w->now) {
		w->stats->ended++;
		return true;
	}
	if (blocklist_prefix(what, &p, &why) || as_endpoint(what, &p)) {
		emit(w, &p, until, note);
		w->stats->entries++;
		return true;
	}
	if (as_range(w, what, until, note)) {
		w->stats->entries++;
		return true;
	}
	if (is_domain(what, name)) {
		w->stats->domains++;
		if (w->sink->domain)
			w->sink->domain(w->sink->arg, name, w->line);
		return true;
	}
	blocklist_bad(w, what, why);
	return false;
}
