/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CSV (RFC 4180), also with semicolons or tabs. A header names the columns: what to block, until
 * when, and what to say about it. Some publishers write the header as a comment. Without a header
 * the first column that is an address counts.
 */
#include <string.h>
#include <strings.h>

#include "base/table.h"
#include "wire/blocklist_text.h"
#include "wire/fwlog_text.h"

#define COLUMNS_MAX 64
#define FIELD_MAX   512

enum role { ROLE_NONE, ROLE_WHAT, ROLE_UNTIL, ROLE_NOTE, _ROLE_MAX };

static const struct {
	const char *name;
	enum role role;
} known[] = {
    {"ip", ROLE_WHAT},          {"ip_address", ROLE_WHAT},   {"ipaddress", ROLE_WHAT},
    {"dst_ip", ROLE_WHAT},      {"dstip", ROLE_WHAT},        {"src_ip", ROLE_WHAT},
    {"srcip", ROLE_WHAT},       {"address", ROLE_WHAT},      {"addr", ROLE_WHAT},
    {"indicator", ROLE_WHAT},   {"value", ROLE_WHAT},        {"ioc", ROLE_WHAT},
    {"ioc_value", ROLE_WHAT},   {"network", ROLE_WHAT},      {"cidr", ROLE_WHAT},
    {"prefix", ROLE_WHAT},      {"subnet", ROLE_WHAT},       {"range", ROLE_WHAT},
    {"netblock", ROLE_WHAT},    {"host", ROLE_WHAT},         {"domain", ROLE_WHAT},
    {"until", ROLE_UNTIL},      {"valid_until", ROLE_UNTIL}, {"expires", ROLE_UNTIL},
    {"expiry", ROLE_UNTIL},     {"expiration", ROLE_UNTIL},  {"expires_at", ROLE_UNTIL},
    {"comment", ROLE_NOTE},     {"description", ROLE_NOTE},  {"note", ROLE_NOTE},
    {"reason", ROLE_NOTE},      {"malware", ROLE_NOTE},      {"threat", ROLE_NOTE},
    {"threat_type", ROLE_NOTE}, {"tags", ROLE_NOTE},         {"name", ROLE_NOTE},
};

struct row {
	struct {
		uint8_t bytes[FIELD_MAX];
		size_t n; /* longer fields are cut */
	} v[COLUMNS_MAX];
	size_t n;
};

struct csv {
	uint8_t separator;
	int column[_ROLE_MAX]; /* -1: none */
	bool header;
};

static void add_byte(struct row *r, uint8_t c)
{
	if (r->n < COLUMNS_MAX && r->v[r->n].n < FIELD_MAX)
		r->v[r->n].bytes[r->v[r->n].n++] = c;
}

static void next_field(struct row *r)
{
	if (r->n < COLUMNS_MAX)
		r->n++;
	if (r->n < COLUMNS_MAX)
		r->v[r->n].n = 0;
}

/* One record, which quotes may stretch over lines; false at the end of the text. */
static bool read_row(struct cursor *text, uint8_t separator, struct row *r, uint32_t *lines)
{
	bool quoted = false;
	uint8_t c;
	r->n = 0;
	r->v[0].n = 0;
	if (text->p == text->end)
		return false;
	while (cursor_u8(text, &c)) {
		if (c == '\n') {
			++*lines;
			if (!quoted)
				break;
		}
		if (c == '"' && quoted && text->p < text->end && *text->p == '"') {
			add_byte(r, c);
			text->p++;
		} else if (c == '"') {
			quoted = !quoted;
		} else if (c == separator && !quoted) {
			next_field(r);
		} else {
			add_byte(r, c);
		}
	}
	next_field(r);
	return true;
}

static struct cursor field(const struct row *r, size_t i)
{
	return blocklist_trim(cursor_of(r->v[i].bytes, i < r->n ? r->v[i].n : 0));
}

static enum role role_of(struct cursor name)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (cursor_left(&name) == strlen(known[i].name) &&
		    !strncasecmp((const char *)name.p, known[i].name, cursor_left(&name)))
			return known[i].role;
	return ROLE_NONE;
}

static bool take_header(struct csv *c, const struct row *r)
{
	int column[_ROLE_MAX] = {-1, -1, -1, -1};
	for (size_t i = 0; i < r->n; i++) {
		enum role role = role_of(field(r, i));
		if (role != ROLE_NONE && column[role] < 0)
			column[role] = (int)i;
	}
	if (column[ROLE_WHAT] < 0)
		return false;
	memcpy(c->column, column, sizeof column);
	c->header = true;
	return true;
}

static uint8_t separator_of(struct cursor line)
{
	static const uint8_t all[] = {',', ';', '\t'};
	size_t best = 0, most = 0;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		size_t n = 0;
		for (const uint8_t *p = line.p; p < line.end; p++)
			n += *p == all[i];
		if (n > most) {
			most = n;
			best = i;
		}
	}
	return all[best];
}

static struct cursor without_hash(struct cursor line)
{
	line = blocklist_trim(line);
	while (text_lit(&line, "#"))
		line = blocklist_trim(line);
	return line;
}

bool blocklist_is_csv_header(struct cursor line)
{
	struct csv c = {.header = false};
	struct row r;
	uint32_t lines = 0;
	struct cursor text = without_hash(line);
	return read_row(&text, separator_of(text), &r, &lines) && r.n > 1 && take_header(&c, &r);
}

static void one_row(struct blocklist_work *w, const struct csv *c, const struct row *r)
{
	char note[BLOCKLIST_NOTE_MAX] = "";
	uint32_t until = 0;
	int what = c->column[ROLE_WHAT];
	for (size_t i = 0; what < 0 && i < r->n; i++) {
		struct prefix p;
		const char *why;
		if (blocklist_prefix(field(r, i), &p, &why))
			what = (int)i;
	}
	w->stats->rows++;
	if (what < 0 || (size_t)what >= r->n) {
		blocklist_bad(w, field(r, 0), "no column of the row holds an address");
		return;
	}
	int at = c->column[ROLE_UNTIL];
	struct cursor end = at >= 0 ? field(r, (size_t)at) : cursor_of(NULL, 0);
	if (end.p < end.end && !blocklist_time(end, &until)) {
		blocklist_bad(w, end, "its end is no time");
		return;
	}
	if (c->column[ROLE_NOTE] >= 0)
		blocklist_copy(field(r, (size_t)c->column[ROLE_NOTE]), note, sizeof note);
	blocklist_put(w, field(r, (size_t)what), until, note);
}

int blocklist_csv(struct blocklist_work *w, struct cursor text, struct err *e)
{
	struct csv c = {.column = {-1, -1, -1, -1}};
	struct row r;
	struct cursor at, line;
	uint32_t lines = 0;
	for (;;) {
		at = text;
		if (!blocklist_line(&at, &line))
			return 0;
		line = blocklist_trim(line);
		bool comment = line.p < line.end && *line.p == '#';
		w->line = lines + 1;
		if (line.p == line.end || comment) {
			struct cursor inside = without_hash(line);
			if (comment && !c.header &&
			    read_row(&inside, separator_of(inside), &r, &lines))
				take_header(&c, &r);
			lines = w->line;
			text = at;
			continue;
		}
		if (!c.separator)
			c.separator = separator_of(line);
		read_row(&text, c.separator, &r, &lines);
		if (!c.header && !w->stats->rows && take_header(&c, &r))
			continue;
		one_row(w, &c, &r);
	}
}
