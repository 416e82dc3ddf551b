/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Views: what kinds of rows there are, their columns, how they are sorted, filtered, told apart and
 * shown in full. Tables; a new column is one row, a new view is one table. Pure.
 */
#ifndef STANCH_UI_SCREEN_TABLE_H
#define STANCH_UI_SCREEN_TABLE_H

#include "ui/screen_canvas.h"
#include "ui/screen_data.h"

#define CELL_MAX    512
#define FILTER_MAX  64
#define COLUMNS_MAX 16

enum screen_view { VIEW_FLOWS, VIEW_PROCS, VIEW_FINDINGS, _VIEW_MAX };

struct column {
	const char *title;
	uint8_t min, max; /* columns; grows from min to max, */
	uint8_t weight;   /* by so many at a time, where there is room */
	uint8_t rank;     /* 0: always there; the greatest is left out first where it is narrow */
	enum align align;
	enum cut_at cut;
	/* Fills dst (n bytes, "" before). */
	void (*text)(const struct screen_data *d, const void *row, char *dst, size_t n);
	/* Sorted by this, greatest first; NULL: by the text, smallest first. */
	double (*number)(const void *row);
	enum ink (*ink)(const void *row); /* may be NULL: plain */
};

/* A row in full: labels with text. */
#define DETAIL_LINES 48
struct detail {
	size_t n;
	struct {
		enum ink ink;
		char label[16];
		char text[CELL_MAX];
	} v[DETAIL_LINES];
};

/* A copy of one row, so that it stays known when it has gone. */
union any_row {
	struct flow_row flow;
	struct proc_row proc;
	struct finding finding;
};

struct view {
	const char *name;
	const struct column *columns;
	size_t n_columns;
	unsigned sort; /* the column at first */
	size_t row_size;
	const void *(*rows)(const struct screen_data *d, size_t *ret_n);
	bool (*same)(const void *a, const void *b);
	int (*tie)(const void *a, const void *b); /* order of rows that are equal else */
	/* All that the filter looks at. */
	void (*words)(const struct screen_data *d, const void *row, char *dst, size_t n);
	void (*detail)(const struct screen_data *d, const void *row, struct detail *ret);
	const char *(*empty)(const struct screen_data *d); /* what an empty view says */
};

extern const struct view screen_views[_VIEW_MAX];

const void *view_row(const struct view *v, const struct screen_data *d, size_t i);

/* The widths of the columns in so many columns of screen, one blank between them; 0: left out. */
void view_widths(const struct view *v, unsigned width, unsigned ret[static COLUMNS_MAX]);
/* Which rows pass the filter ("" all), in order: indices, owned by the caller (free). reverse turns
 * the column's own order around, ties stay. -ENOMEM. */
int view_order(const struct view *v, const struct screen_data *d, unsigned column, bool reverse,
               const char *filter, uint32_t **ret, size_t *ret_n);

void detail_add(struct detail *t, enum ink ink, const char *label, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* How loud a finding is: "ACT", "look", "". */
const char *finding_level(const struct finding *f);
enum ink finding_ink(const void *row);

#endif
