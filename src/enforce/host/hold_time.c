/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>

#include "enforce/host/parts.h"

/* Time to an instant; 0 stays 0 (no such clock); -ETIME when it has passed. */
static int left_of(usec_t instant, usec_t now, usec_t *ret)
{
	if (instant && instant <= now)
		return -ETIME;
	*ret = instant ? instant - now : 0;
	return 0;
}

static usec_t sooner(usec_t a, usec_t b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

static int read_clocks(const struct deadlines *d, usec_t boot, usec_t *ret_confirm,
                       usec_t *ret_until, bool *ret_confirm_over)
{
	bool same_boot = boot_same(d->boot);
	int r = same_boot && d->until_boot ? left_of(d->until_boot, boot, ret_until)
	                                   : left_of(d->until_wall, wall_now(), ret_until);
	if (r < 0)
		return r;
	*ret_confirm = 0;
	/* Unconfirmed at a reboot: over. */
	*ret_confirm_over = d->confirm_by_boot && (!same_boot || left_of(d->confirm_by_boot, boot,
	                                                                 ret_confirm) == -ETIME);
	return 0;
}

int hold_time_of(const struct deadlines *d, usec_t boot, struct hold_time *ret)
{
	usec_t confirm, until;
	bool over;
	if (read_clocks(d, boot, &confirm, &until, &over) < 0)
		return -ETIME;
	if (d->on_expiry == EXPIRY_WIDEN) {
		/* The cut stays; once the time is over it is the widened one. */
		*ret = (struct hold_time){.armed = until, .narrow = over ? 1 : confirm};
		return 0;
	}
	if (over)
		return -ETIME;
	*ret = (struct hold_time){.armed = sooner(confirm, until)};
	return 0;
}

int block_left(const struct deadlines *d, usec_t boot, uint64_t *ret)
{
	struct deadlines open = *d;
	struct hold_time t;
	open.on_expiry = EXPIRY_OPEN; /* a block has nothing to widen to */
	int r = hold_time_of(&open, boot, &t);
	if (r == 0)
		*ret = msec_left(t.armed);
	return r;
}
