/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/screen_table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const void *view_row(const struct view *v, const struct screen_data *d, size_t i)
{
	size_t n;
	const char *rows = v->rows(d, &n);

	return i < n ? rows + i * v->row_size : NULL;
}

/* ---- widths ---- */

static unsigned needed(const struct view *v, unsigned rank)
{
	unsigned sum = 0, n = 0;

	for (size_t i = 0; i < v->n_columns; i++)
		if (v->columns[i].rank <= rank) {
			sum += v->columns[i].min;
			n++;
		}
	return sum + (n ? n - 1 : 0);
}

static unsigned spread(const struct view *v, unsigned *widths, unsigned left)
{
	unsigned before = left;

	for (size_t i = 0; i < v->n_columns && left; i++) {
		const struct column *c = &v->columns[i];
		for (unsigned k = 0; widths[i] && k < c->weight && widths[i] < c->max && left;
		     k++) {
			widths[i]++;
			left--;
		}
	}
	return left == before ? 0 : left;
}

void view_widths(const struct view *v, unsigned width, unsigned ret[static COLUMNS_MAX])
{
	unsigned rank = UINT8_MAX, left;

	while (rank && needed(v, rank) > width)
		rank--;
	left = width > needed(v, rank) ? width - needed(v, rank) : 0;
	for (size_t i = 0; i < COLUMNS_MAX; i++)
		ret[i] = i < v->n_columns && v->columns[i].rank <= rank ? v->columns[i].min : 0;
	while (left)
		left = spread(v, ret, left);
}

/* ---- order ---- */

struct sorting {
	const struct view *view;
	const struct screen_data *data;
	const struct column *column;
	bool reverse;
};

static int by_column(const struct sorting *s, const void *a, const void *b)
{
	if (s->column->number) {
		double x = s->column->number(a), y = s->column->number(b);
		return (x < y) - (x > y);
	}
	char x[CELL_MAX] = "", y[CELL_MAX] = "";
	s->column->text(s->data, a, x, sizeof(x));
	s->column->text(s->data, b, y, sizeof(y));
	/* What is empty comes last. */
	return x[0] && y[0] ? strcmp(x, y) : !x[0] - !y[0];
}

static int compare(const void *a, const void *b, void *arg)
{
	const struct sorting *s = arg;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	const void *x = view_row(s->view, s->data, i), *y = view_row(s->view, s->data, j);
	int r = by_column(s, x, y);

	if (r)
		return s->reverse ? -r : r;
	r = s->view->tie(x, y);
	return r ? r : (i > j) - (i < j);
}

static bool passes(const struct view *v, const struct screen_data *d, const void *row,
                   const char *filter)
{
	char words[4 * CELL_MAX] = "";

	if (!filter[0])
		return true;
	v->words(d, row, words, sizeof(words));
	return strcasestr(words, filter) != NULL;
}

int view_order(const struct view *v, const struct screen_data *d, unsigned column, bool reverse,
               const char *filter, uint32_t **ret, size_t *ret_n)
{
	struct sorting s = {v, d, &v->columns[column], reverse};
	size_t n, kept = 0;
	uint32_t *order;

	v->rows(d, &n);
	if (!(order = malloc((n + 1) * sizeof(*order))))
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (passes(v, d, view_row(v, d, i), filter))
			order[kept++] = (uint32_t)i;
	qsort_r(order, kept, sizeof(*order), compare, &s);
	*ret = order;
	*ret_n = kept;
	return 0;
}

/* ---- in full ---- */

void detail_add(struct detail *t, enum ink ink, const char *label, const char *fmt, ...)
{
	va_list ap;

	if (t->n == DETAIL_LINES)
		return;
	t->v[t->n].ink = ink;
	snprintf(t->v[t->n].label, sizeof(t->v[t->n].label), "%s", label);
	va_start(ap, fmt);
	vsnprintf(t->v[t->n].text, sizeof(t->v[t->n].text), fmt, ap);
	va_end(ap);
	t->n++;
}
