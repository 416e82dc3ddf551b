/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Time stamps of log lines: RFC 3164 (no year, no zone), RFC 3339 and RFC 5424, Cisco's with a
 * year, PAN-OS's with slashes, the journal's short forms, seconds since the epoch, and the kernel's
 * seconds since boot. What a stamp does not say is taken from the clock's settings, and that this
 * was done is kept, so that it can be told.
 */
#ifndef STANCH_WIRE_FWLOG_TIME_H
#define STANCH_WIRE_FWLOG_TIME_H

#include "base/cursor.h"

struct fwlog_clock {
	/* When the log was last written, wall nanoseconds: a stamp without a year is the last such
	 * day that is not more than a day after this. */
	uint64_t ref_nsec;
	int zone_min;                /* of stamps that name no zone: minutes east of UTC */
	bool year_taken, zone_taken; /* were needed */
	/* A line had only the kernel's clock: the first such line is put at ref_nsec. */
	bool uptime_taken;
	uint64_t uptime_first;
};

/* A stamp at c, taken with the zone behind it. Nanoseconds since the epoch. */
bool fwlog_stamp(struct cursor *c, struct fwlog_clock *k, uint64_t *ret_nsec);
/* The last stamp that begins a word in head: relays put theirs in front of the device's own. */
bool fwlog_header_stamp(struct cursor head, struct fwlog_clock *k, uint64_t *ret_nsec);

#endif
