/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/account/edit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void edits_free(struct edits *s)
{
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].name);
		free(s->v[i].was);
		free(s->v[i].now);
	}
	s->n = 0;
}

static bool fits(int column, const char *v)
{
	return strlen(v) < EDIT_VALUE_MAX && !strchr(v, '\n') &&
	       (column == EDIT_LINE || !strchr(v, ':'));
}

int edits_add(struct edits *s, enum passwd_file file, int column, const char *name, const char *was,
              const char *now, struct err *e)
{
	if (s->n == EDITS_MAX)
		return err_set(e, -E2BIG, "more than %d fields of accounts in one order",
		               EDITS_MAX);
	if (!*name || !fits(0, name) || !fits(column, was) || !fits(column, now))
		return err_set(e, -EINVAL, "a line of %s that no account can have",
		               passwd_file_str(file));
	struct edit *x = &s->v[s->n];
	*x = (struct edit){file, column, strdup(name), strdup(was), strdup(now)};
	s->n++;
	return x->name && x->was && x->now ? 0
	                                   : err_set(e, -ENOMEM, "out of memory for an account");
}

const char *edit_what(const struct edit *x)
{
	if (x->column == EDIT_LINE)
		return "line";
	if (x->column == PASSWD_SECRET)
		return "password";
	return x->file == PASSWD_SHADOW && x->column == SHADOW_EXPIRE ? "expiry date" : "field";
}

/* Where the edit's value stands; false: the account has no such line, or too short a one. */
static bool where(const struct edit *x, const void *bytes, size_t n, size_t *ret_at,
                  size_t *ret_len)
{
	struct passwd_reader r = passwd_reader_of(x->file, bytes, n);
	for (struct passwd_line l; passwd_next(&r, &l);) {
		if (!l.usable || !span_is(l.field[PASSWD_NAME], x->name))
			continue;
		if (x->column != EDIT_LINE)
			return passwd_where(&r, &l, (size_t)x->column, ret_at, ret_len);
		*ret_at = l.start;
		*ret_len = l.end - l.start;
		return true;
	}
	return false;
}

static bool reads(const void *bytes, size_t at, size_t len, const char *text)
{
	return len == strlen(text) && !memcmp((const char *)bytes + at, text, len);
}

enum edit_state edit_look(const struct edit *x, const void *bytes, size_t n)
{
	size_t at = 0, len = 0;
	bool absent = !where(x, bytes, n, &at, &len);
	if (absent && x->column == EDIT_LINE && !*x->was)
		return EDIT_UNDONE;
	if (absent)
		return EDIT_GONE;
	if (reads(bytes, at, len, x->now))
		return EDIT_DONE;
	return reads(bytes, at, len, x->was) ? EDIT_UNDONE : EDIT_OTHER;
}

/* A line that is to go takes its newline along, one that comes brings its own. */
static int put(const struct edit *x, const char *value, const uint8_t *bytes, size_t n,
               struct buf *out)
{
	size_t at = n, len = 0;
	bool there = where(x, bytes, n, &at, &len);
	if (there && x->column == EDIT_LINE && !*value)
		len += at + len < n;
	buf_add(out, bytes, at);
	if (!there && n && bytes[n - 1] != '\n')
		buf_add_u8(out, '\n');
	buf_add(out, value, strlen(value));
	if (!there)
		buf_add_u8(out, '\n');
	return buf_add(out, bytes + at + len, n - at - len);
}

static int one(const struct edit *x, bool back, struct buf *bytes, struct buf *told,
               size_t *changed)
{
	static const char *const says[] = {
	    [EDIT_OTHER] = "was changed by somebody else and is left as it is",
	    [EDIT_GONE] = "is not there any more",
	};
	enum edit_state s = edit_look(x, bytes->data, bytes->len);
	if (s == (back ? EDIT_UNDONE : EDIT_DONE))
		return 0;
	if (s == EDIT_OTHER || s == EDIT_GONE)
		return buf_addf(told, "the %s of %s in /etc/%s %s\n", edit_what(x), x->name,
		                passwd_file_str(x->file), says[s]);
	struct buf next = BUF_INIT(bytes->max);
	int r = put(x, back ? x->was : x->now, bytes->data, bytes->len, &next);
	if (r < 0) {
		buf_free(&next);
		return r;
	}
	buf_free(bytes);
	*bytes = next;
	++*changed;
	return 0;
}

int edits_write(const struct edits *s, enum passwd_file file, bool back, const void *bytes,
                size_t n, struct buf *out, struct buf *told, size_t *ret_changed)
{
	struct buf b = BUF_INIT(n + (size_t)EDITS_MAX * EDIT_VALUE_MAX);
	size_t changed = 0;
	int r = buf_add(&b, bytes, n);
	for (size_t i = 0; r == 0 && i < s->n; i++) {
		/* Backwards, so that a line which was made for a field goes last. */
		const struct edit *x = &s->v[back ? s->n - 1 - i : i];
		if (x->file == file)
			r = one(x, back, &b, told, &changed);
	}
	if (r == 0)
		r = buf_add(out, b.data, b.len);
	if (r == 0)
		*ret_changed = changed;
	buf_free(&b);
	return r;
}
