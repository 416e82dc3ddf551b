/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/cli/sessions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/lines.h"

#define LINE_MAX_HERE 4096

bool cli_sessions_readable(const struct device *d)
{
	return device_get(d, "sessions.show", 0) && device_get(d, "sessions.entry", 0);
}

struct parsing {
	const struct device *d;
	uint8_t proto; /* of the line that named it last */
	uint64_t read, total;
	bool shown, counted;
};

static bool end_of(const char *addr, const char *port, struct endpoint *ret)
{
	uint64_t n = 0;
	if (!span_number(cursor_of(port, strlen(port)), UINT16_MAX, &n))
		return false;
	ret->port = (uint16_t)n;
	return addr_parse(addr, &ret->addr) == 0;
}

/* Groups: protocol (unless a line of its own names it), address, port, address, port. */
static bool take_row(struct parsing *p, const char *line, struct session_row *ret)
{
	struct device_match m;
	size_t at = device_get(p->d, "sessions.protocol", 0) ? 1 : 2;
	if (!device_fits(p->d, "sessions.entry", line, &m))
		return false;
	ret->proto = at == 1 ? p->proto : session_proto(m.group[1]);
	return end_of(m.group[at], m.group[at + 1], &ret->source) &&
	       end_of(m.group[at + 2], m.group[at + 3], &ret->destination);
}

static int take_line(struct parsing *p, const char *line, session_fn f, void *arg)
{
	struct device_match m;
	struct session_row row = {0};
	uint64_t some;
	if (device_fits(p->d, "sessions.protocol", line, &m))
		p->proto = session_proto(m.group[1]);
	if (device_fits(p->d, "sessions.shown", line, &m)) {
		p->shown = true;
		if (span_number(cursor_of(m.group[1], strlen(m.group[1])), UINT32_MAX, &some)) {
			p->counted = true;
			p->total += some;
		}
	}
	if (!take_row(p, line, &row))
		return 0;
	p->read++;
	return f(arg, &row);
}

int cli_sessions_parse(const struct device *d, const char *shown, session_fn f, void *arg)
{
	struct parsing p = {.d = d};
	struct lines lines = lines_of(shown, strlen(shown));
	struct cursor c;
	char line[LINE_MAX_HERE];
	int r = 0;
	while (r == 0 && lines_next(&lines, &c))
		r = take_line(&p, span_copy(c, line, sizeof line), f, arg);
	return r ? r : p.shown && (!p.counted || p.total == p.read) ? 0 : -EBADMSG;
}

/* How the device names the prefix; false: it has no way to. */
static bool name_of(const struct device *d, const struct prefix *p, struct buf *ret)
{
	char address[ADDR_STR_MAX], last[ADDR_STR_MAX];
	struct addr end = prefix_last(p);
	const char *range = device_get(d, "sessions.range", 0);
	addr_str(&p->addr, address);
	if (p->len == addr_bits(&p->addr))
		return buf_addf(ret, "%s", address) == 0;
	return range &&
	       device_expand(
	           range, &(struct device_vars){.address = address, .last = addr_str(&end, last)},
	           ret, NULL) == 0;
}

int cli_sessions_each(const struct device *d, struct talk *t, const struct cli_cut *c,
                      const char *key, struct buf *out, size_t *ret_not_asked, struct err *e)
{
	size_t not_asked = 0;
	int r = 0;
	for (size_t i = 0; r == 0 && i < c->n_prefixes; i++) {
		struct buf name = BUF_INIT(256);
		if (!cli_family_known(d, c->prefixes[i].addr.family))
			continue;
		if (name_of(d, &c->prefixes[i], &name))
			r = talk_all(t, key, &(struct device_vars){.address = buf_str(&name)}, out,
			             e);
		else
			not_asked++;
		buf_free(&name);
	}
	*ret_not_asked = not_asked;
	return r;
}
