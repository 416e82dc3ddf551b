/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Interface counters turned into rates. Pure: samples in, rows out. Interfaces are told apart by
 * ifindex, so that one which was renamed goes on, and one which was made anew starts anew.
 */
#ifndef STANCH_UI_RATE_TABLE_H
#define STANCH_UI_RATE_TABLE_H

#include "base/clock.h"
#include "kern/link.h"

struct rate_row {
	int ifindex;
	char name[IFNAMSIZ];
	struct link_counters last;  /* counters at the last sample */
	usec_t at;                  /* when that was, boot time */
	struct link_counters delta; /* of the last interval; zero where fresh or reset */
	usec_t interval;            /* its length; 0: no interval yet */
	bool reset;                 /* a counter ran backwards in it: not counted */
	bool seen;                  /* in the last sample */
	struct link_counters sum;   /* of all counted intervals */
	usec_t sum_time;            /* their length */
};

struct rate_table {
	struct rate_row *rows; /* owned, in order of appearance */
	size_t n, cap;
};

/* links: n of them, read at boot time `now`. -ENOMEM. */
int rate_sample(struct rate_table *t, const struct link *links, size_t n, usec_t now);
void rate_table_free(struct rate_table *t); /* takes NULL */
/* Per second, rounded; 0 for no time. */
uint64_t rate_per_second(uint64_t count, usec_t time);

#endif
