/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/rate_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"

static const size_t fields[] = {
    offsetof(struct link_counters, rx_packets), offsetof(struct link_counters, tx_packets),
    offsetof(struct link_counters, rx_bytes),   offsetof(struct link_counters, tx_bytes),
    offsetof(struct link_counters, rx_errors),  offsetof(struct link_counters, tx_errors),
    offsetof(struct link_counters, rx_dropped), offsetof(struct link_counters, tx_dropped),
};

static uint64_t get(const struct link_counters *c, size_t offset)
{
	uint64_t v;
	memcpy(&v, (const char *)c + offset, sizeof(v));
	return v;
}

static void put(struct link_counters *c, size_t offset, uint64_t v)
{
	memcpy((char *)c + offset, &v, sizeof(v));
}

static struct rate_row *row_of(struct rate_table *t, const struct link *l)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->rows[i].ifindex == l->ifindex)
			return &t->rows[i];
	if (t->n == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 16;
		struct rate_row *rows = realloc(t->rows, cap * sizeof(*rows));
		if (!rows)
			return NULL;
		t->rows = rows;
		t->cap = cap;
	}
	t->rows[t->n] = (struct rate_row){.ifindex = l->ifindex};
	return &t->rows[t->n++];
}

static void advance(struct rate_row *r, const struct link *l, usec_t now)
{
	struct link_counters delta = {0};

	r->reset = false;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		uint64_t was = get(&r->last, fields[i]), is = get(&l->counters, fields[i]);
		if (is < was)
			r->reset = true;
		put(&delta, fields[i], is - was);
	}
	/* After a gap or a reset nobody knows what passed: the count starts here. */
	r->interval = r->at && !r->reset ? now - r->at : 0;
	memset(&r->delta, 0, sizeof(r->delta));
	if (r->interval) {
		r->delta = delta;
		r->sum_time += r->interval;
		for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
			put(&r->sum, fields[i], get(&r->sum, fields[i]) + get(&delta, fields[i]));
	}
	r->last = l->counters;
	r->at = now;
	r->seen = true;
	memcpy(r->name, l->name, sizeof(r->name));
}

int rate_sample(struct rate_table *t, const struct link *links, size_t n, usec_t now)
{
	for (size_t i = 0; i < t->n; i++)
		t->rows[i].seen = false;
	for (size_t i = 0; i < n; i++) {
		struct rate_row *r = row_of(t, &links[i]);
		if (!r)
			return -ENOMEM;
		advance(r, &links[i], now);
	}
	for (size_t i = 0; i < t->n; i++)
		if (!t->rows[i].seen)
			t->rows[i].at = t->rows[i].interval = 0;
	return 0;
}

void rate_table_free(struct rate_table *t)
{
	if (!t)
		return;
	free(t->rows);
	*t = (struct rate_table){0};
}

uint64_t rate_per_second(uint64_t count, usec_t time)
{
	return time ? (uint64_t)((double)count * (double)USEC_PER_SEC / (double)time + 0.5) : 0;
}
