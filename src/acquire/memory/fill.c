/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "acquire/memory/fill.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int grow(struct fill *f)
{
	if (f->n_unread < f->cap)
		return 0;
	size_t cap = f->cap ? 2 * f->cap : 64;
	struct fill_gap *v = realloc(f->unread, cap * sizeof(*v));
	if (!v)
		return -ENOMEM;
	f->unread = v;
	f->cap = cap;
	return 0;
}

int fill_skip(struct fill *f, uint64_t at, uint64_t n, int error)
{
	struct fill_gap *last = f->n_unread ? &f->unread[f->n_unread - 1] : NULL;
	f->bytes_unread += n;
	if (last && (last->range.last + 1 == at || f->n_unread == FILL_UNREAD_MAX)) {
		f->unread_cut |= last->range.last + 1 != at;
		last->range.last = at + (n - 1);
		return 0;
	}
	int r = grow(f);
	if (r == 0 && f->unread)
		f->unread[f->n_unread++] = (struct fill_gap){{at, at + (n - 1)}, error};
	return r;
}

static void took(struct fill *f, const uint8_t *p, size_t n)
{
	f->bytes_read += n;
	for (size_t i = 0; i + FILL_PAGE <= n; i += FILL_PAGE)
		if (fill_zero_pages(p + i, FILL_PAGE))
			f->pages_zero++;
}

/* Bytes up to the middle of a piece, on a page's edge; n when it is no more than a page. */
static size_t half(uint64_t at, size_t n)
{
	size_t to_edge = FILL_PAGE - (size_t)(at % FILL_PAGE);
	if (n <= to_edge)
		return n;
	size_t mid = (n / 2 + (size_t)(at % FILL_PAGE)) / FILL_PAGE * FILL_PAGE;
	mid = mid > at % FILL_PAGE ? mid - (size_t)(at % FILL_PAGE) : 0;
	return mid ? mid : to_edge;
}

int fill_block(struct fill *f, uint64_t at, uint8_t *dst, size_t n)
{
	size_t done = 0, piece = n;
	while (done < n) {
		if (piece > n - done)
			piece = n - done;
		ssize_t r = f->read(f->arg, at + done, dst + done, piece);
		if (r > 0) {
			took(f, dst + done, (size_t)r);
			done += (size_t)r;
			/* It may go well again from here on: twice as much. */
			piece = piece > n / 2 ? n : 2 * piece;
			continue;
		}
		size_t less = half(at + done, piece);
		if (less < piece) {
			piece = less;
			continue;
		}
		memset(dst + done, 0, piece);
		int k = fill_skip(f, at + done, piece, r < 0 ? (int)r : -ENODATA);
		if (k < 0)
			return k;
		done += piece;
	}
	return 0;
}

size_t fill_zero_pages(const uint8_t *p, size_t n)
{
	size_t done = 0;
	/* memcmp against itself, one byte on: libc's vector code decides. */
	while (done + FILL_PAGE <= n && !p[done] && !memcmp(p + done, p + done + 1, FILL_PAGE - 1))
		done += FILL_PAGE;
	return done;
}

void fill_free(struct fill *f)
{
	free(f->unread);
	*f = (struct fill){0};
}
