/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A rate limit that counts what it held back. Plain data. */
#ifndef STANCH_GUARD_RATE_H
#define STANCH_GUARD_RATE_H

#include <stdbool.h>

#include "base/clock.h"

struct rate {
	unsigned burst;  /* so many at once */
	usec_t every;    /* and then one in this time */
	unsigned left;   /* of the burst */
	usec_t since;    /* left has been counted up to here */
	unsigned missed; /* held back since the last that passed */
};

struct rate rate_of(unsigned burst, usec_t every, usec_t now);
/* Is one more allowed now? *ret_missed: how many were not, since the last that was. */
bool rate_take(struct rate *r, usec_t now, unsigned *ret_missed);

#endif
