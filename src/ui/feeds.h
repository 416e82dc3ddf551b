/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `block --feed`: from the command line to feeds in an order.
 *
 *   read each feed (sandboxed) → is it whole? → what must be spared → hits told → earlier orders
 *   of the same feeds, which this one takes the place of
 */
#ifndef STANCH_UI_FEEDS_H
#define STANCH_UI_FEEDS_H

#include "ui/cut.h"

/* A feed with fewer than this share of the entries that the order before took is refused. */
#define FEED_SHRINK_PERCENT 50
/* … and one of which more than this share of the rows cannot be read. */
#define FEED_BROKEN_PERCENT 10

/* Adds the feeds of --feed and the lists of --allow to the order, with notes about each. Nothing
 * to do without --feed. EXIT_DONE, or what to end with; it has been told then. */
int feeds_collect(struct cut *k);
/* Does an order hold that wants just this, for good, and reads back so? Then it has been told. */
bool feeds_hold(struct cut *k);
/* Once the order holds: earlier orders of the same feeds are undone. */
void feeds_replace(struct cut *k);

#endif
