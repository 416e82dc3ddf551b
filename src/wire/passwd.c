/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/passwd.h"

static const char *const file_names[_PASSWD_FILE_MAX] = {
    [PASSWD_PASSWD] = "passwd",
    [PASSWD_SHADOW] = "shadow",
    [PASSWD_GROUP] = "group",
    [PASSWD_GSHADOW] = "gshadow",
};
STRING_TABLE_DEFINE(passwd_file, enum passwd_file, file_names)

static const char *const secret_names[_PASSWD_SECRET_MAX] = {
    [PASSWD_SECRET_NONE] = "none",
    [PASSWD_SECRET_SHADOW] = "shadow",
    [PASSWD_SECRET_LOCKED] = "locked",
    [PASSWD_SECRET_SET] = "set",
};
STRING_TABLE_DEFINE(passwd_secret, enum passwd_secret, secret_names)

/* columns: as many as a whole line has; numbers: which of them glibc wants to be one, must: and
 * does not take empty. rest: the last column swallows what is behind it. */
static const struct {
	uint8_t columns;
	uint16_t numbers, must;
	bool rest;
} layouts[_PASSWD_FILE_MAX] = {
    [PASSWD_PASSWD] = {7, 1u << PASSWD_UID | 1u << PASSWD_GID, 1u << PASSWD_UID | 1u << PASSWD_GID,
                       true},
    [PASSWD_SHADOW] = {9, 0x1fc, 0, false},
    [PASSWD_GROUP] = {4, 1u << GROUP_GID, 1u << GROUP_GID, true},
    [PASSWD_GSHADOW] = {4, 0, 0, true},
};

struct passwd_reader passwd_reader_of(enum passwd_file file, const void *bytes, size_t n)
{
	return (struct passwd_reader){lines_of(bytes, n), file};
}

static struct cursor skip_blanks(struct cursor c)
{
	return (struct cursor){span_trim(c).p, c.end};
}

/* strtol takes a sign; only shadow's days are read so (-1: none). */
static bool is_number(enum passwd_file file, struct cursor c)
{
	uint64_t unused;
	if (file == PASSWD_SHADOW && span_starts(c, "-"))
		c.p++;
	return span_number(c, file == PASSWD_SHADOW ? INT64_MAX : UINT32_MAX, &unused);
}

static const char *why_refused(enum passwd_file file, const struct passwd_line *l)
{
	if (l->field[PASSWD_NAME].p == l->field[PASSWD_NAME].end)
		return "no name";
	if (l->n <= PASSWD_SECRET)
		return "nothing behind the name";
	for (size_t i = 0; i < layouts[file].columns; i++) {
		bool empty = i >= l->n || l->field[i].p == l->field[i].end;
		if (!(layouts[file].numbers & 1u << i))
			continue;
		if (empty ? (layouts[file].must & 1u << i) != 0 : !is_number(file, l->field[i]))
			return "a field that must be a number is none";
	}
	return NULL;
}

static void split(struct passwd_line *l, struct cursor text, size_t columns, bool rest)
{
	struct cursor one;
	while (l->n < columns - rest && span_until(&text, ':', &one))
		l->field[l->n++] = one;
	if (rest && text.p)
		l->field[l->n++] = text;
	else if (text.p)
		l->odd = "more fields than there are";
}

bool passwd_next(struct passwd_reader *r, struct passwd_line *ret)
{
	struct cursor text;
	if (!lines_next(&r->lines, &text))
		return false;
	struct passwd_line l = {.number = r->lines.number,
	                        .start = (size_t)(text.p - r->lines.base),
	                        .end = (size_t)(text.end - r->lines.base)};
	struct cursor from = skip_blanks(text);
	if (from.p < from.end && *from.p != '#') {
		split(&l, from, layouts[r->file].columns, layouts[r->file].rest);
		bool surplus = l.odd != NULL;
		const char *why = why_refused(r->file, &l);
		l.compat = *from.p == '+' || *from.p == '-';
		l.usable = !surplus && !why && !l.compat;
		if (l.compat)
			l.odd = "lets in or shuts out accounts of a directory";
		else if (why)
			l.odd = why;
		else if (memchr(text.p, 0, cursor_left(&text)))
			l.odd = "a NUL byte";
		else if (l.n < layouts[r->file].columns)
			l.odd = "fewer fields than there are";
		else if (from.p != text.p)
			l.odd = "blanks before the name";
		else if (r->file == PASSWD_PASSWD && span_has(l.field[PASSWD_SHELL], ":"))
			l.odd = "a colon in the shell";
	}
	*ret = l;
	return true;
}

bool passwd_find(enum passwd_file file, const void *bytes, size_t n, const char *name,
                 struct passwd_line *ret)
{
	struct passwd_reader r = passwd_reader_of(file, bytes, n);
	for (struct passwd_line l; passwd_next(&r, &l);)
		if (l.usable && span_is(l.field[PASSWD_NAME], name)) {
			*ret = l;
			return true;
		}
	return false;
}

bool passwd_number(const struct passwd_line *l, size_t c, uint64_t *ret)
{
	return c < l->n && span_number(l->field[c], UINT64_MAX, ret);
}

bool passwd_where(const struct passwd_reader *r, const struct passwd_line *l, size_t c,
                  size_t *ret_at, size_t *ret_len)
{
	if (c >= l->n)
		return false;
	*ret_at = (size_t)(l->field[c].p - r->lines.base);
	*ret_len = cursor_left(&l->field[c]);
	return true;
}

bool passwd_member(const struct passwd_line *l, size_t c, struct cursor name)
{
	struct cursor list, one;
	if (c >= l->n)
		return false;
	list = l->field[c];
	while (span_until(&list, ',', &one))
		if (span_equal(span_trim(one), name))
			return true;
	return false;
}

enum passwd_secret passwd_secret_of(struct cursor field)
{
	if (field.p == field.end)
		return PASSWD_SECRET_NONE;
	if (span_is(field, "x"))
		return PASSWD_SECRET_SHADOW;
	return *field.p == '!' || *field.p == '*' ? PASSWD_SECRET_LOCKED : PASSWD_SECRET_SET;
}
