/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/iomem.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"

static const char ram_name[] = "System RAM";

/* 1 to 16 hexadecimal digits. */
static bool hex(struct cursor *c, uint64_t *ret)
{
	uint64_t v = 0;
	size_t n = 0;
	for (; n < 17 && c->p < c->end; n++, c->p++) {
		uint8_t d = *c->p;
		if (d >= '0' && d <= '9')
			v = v << 4 | (d - '0');
		else if (d >= 'a' && d <= 'f')
			v = v << 4 | (d - 'a' + 10u);
		else
			break;
	}
	*ret = v;
	return n && n < 17;
}

static bool literal(struct cursor *c, const char *s)
{
	size_t n = strlen(s);
	if (cursor_left(c) < n || memcmp(c->p, s, n))
		return false;
	return cursor_skip(c, n);
}

/* "    FIRST-LAST : NAME" without its newline. */
static bool line_of(struct cursor c, struct phys_range *ret, bool *ret_ram)
{
	while (literal(&c, " "))
		;
	if (!hex(&c, &ret->first) || !literal(&c, "-") || !hex(&c, &ret->last) ||
	    !literal(&c, " : "))
		return false;
	*ret_ram = literal(&c, ram_name) && (!cursor_left(&c) || *c.p == ' ');
	return true;
}

static int by_first(const void *a, const void *b)
{
	const struct phys_range *x = a, *y = b;
	return (x->first > y->first) - (x->first < y->first);
}

/* Sorted, and what overlaps or adjoins in one; the new length. */
static size_t joined(struct phys_range *r, size_t n)
{
	size_t out = 0;
	qsort(r, n, sizeof(*r), by_first);
	for (size_t i = 0; i < n; i++) {
		if (out && (r[i].first <= r[out - 1].last || r[i].first == r[out - 1].last + 1)) {
			if (r[i].last > r[out - 1].last)
				r[out - 1].last = r[i].last;
		} else {
			r[out++] = r[i];
		}
	}
	return out;
}

struct found {
	struct phys_range *v;
	size_t n, lines;
	bool hidden; /* no line so far had an address that is not 0 */
};

static int take_line(struct found *f, struct cursor line, struct err *e)
{
	struct phys_range r;
	bool ram = false;
	f->lines++;
	if (!line_of(line, &r, &ram))
		return err_set(e, -EBADMSG, "/proc/iomem: line %zu is no range of addresses",
		               f->lines);
	if (r.last)
		f->hidden = false;
	if (!ram || (!r.first && !r.last))
		return 0;
	if (r.last < r.first)
		return err_set(e, -EBADMSG, "/proc/iomem: line %zu ends before it begins",
		               f->lines);
	if (f->n == IOMEM_RANGES_MAX)
		return err_set(e, -E2BIG, "/proc/iomem names more than %d ranges of memory",
		               IOMEM_RANGES_MAX);
	f->v[f->n++] = r;
	return 0;
}

int iomem_ram(const char *text, size_t n, struct phys_range **ret, size_t *ret_n, struct err *e)
{
	struct found f = {.v = malloc(IOMEM_RANGES_MAX * sizeof(*f.v)), .hidden = true};
	struct cursor c = cursor_of(text, n);
	int r = 0;
	if (!f.v)
		return err_set(e, -ENOMEM, "out of memory");
	while (cursor_left(&c) && r == 0) {
		const uint8_t *end = memchr(c.p, '\n', cursor_left(&c));
		struct cursor line = {c.p, end ? end : c.end};
		r = take_line(&f, line, e);
		c.p = end ? end + 1 : c.end;
	}
	if (r == 0 && f.lines && f.hidden)
		r = err_set(e, -EACCES,
		            "the kernel hides physical addresses in /proc/iomem: run as root "
		            "(CAP_SYS_ADMIN)");
	else if (r == 0 && !f.n)
		r = err_set(e, -ENOENT, "/proc/iomem names no System RAM");
	if (r < 0) {
		free(f.v);
		return r;
	}
	*ret_n = joined(f.v, f.n);
	*ret = f.v;
	return 0;
}
