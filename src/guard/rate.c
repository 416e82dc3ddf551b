/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guard/rate.h"

struct rate rate_of(unsigned burst, usec_t every, usec_t now)
{
	return (struct rate){.burst = burst, .every = every, .left = burst, .since = now};
}

bool rate_take(struct rate *r, usec_t now, unsigned *ret_missed)
{
	usec_t more = now > r->since ? (now - r->since) / r->every : 0;
	if (r->left + more >= r->burst) {
		r->left = r->burst;
		r->since = now;
	} else {
		r->left += (unsigned)more;
		r->since += more * r->every;
	}
	if (!r->left) {
		r->missed++;
		return false;
	}
	r->left--;
	*ret_missed = r->missed;
	r->missed = 0;
	return true;
}
