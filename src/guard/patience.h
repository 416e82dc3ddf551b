/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How often one drift is mended. A step that reads back well starts afresh; one that does not,
 * though it was brought about again (another program keeps the first place at tc, say), is tried
 * more and more rarely, until what differs is something else. A guard that waits for another one
 * gives him PATIENCE_GRACE first. Bounded: what finds no room is mended every time.
 */
#ifndef STANCH_GUARD_PATIENCE_H
#define STANCH_GUARD_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

#define PATIENCE_MAX   256
#define PATIENCE_FIRST (50 * USEC_PER_MSEC)
#define PATIENCE_LAST  (10 * USEC_PER_SEC)
#define PATIENCE_GRACE (60 * USEC_PER_MSEC)

struct patience {
	struct patience_row {
		unsigned order_id, seq;
		uint64_t text; /* digest of what differs */
		usec_t first;  /* seen; for the grace */
		usec_t next;   /* not tried again before */
		unsigned fails;
		usec_t touched;
	} v[PATIENCE_MAX];
	unsigned n;
};

/* May this drift be mended now? waits: another guard holds the orders. */
bool patience_may(struct patience *p, unsigned order_id, unsigned seq, const char *text, usec_t now,
                  bool waits);
/* How it went. */
void patience_mended(struct patience *p, unsigned order_id, unsigned seq);
void patience_failed(struct patience *p, unsigned order_id, unsigned seq, const char *left,
                     usec_t now);
/* Has this very drift been told already? (It failed before and has not changed.) */
bool patience_known(const struct patience *p, unsigned order_id, unsigned seq);
/* The earliest time at which something that waits may be tried; 0: nothing waits. */
usec_t patience_next(const struct patience *p, usec_t now);
/* Forgets what no pass has touched since `before`. */
void patience_sweep(struct patience *p, usec_t before);

#endif
