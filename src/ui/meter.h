/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Progress of long work on standard error: a bar on a terminal, else a line every few seconds. */
#ifndef STANCH_UI_METER_H
#define STANCH_UI_METER_H

#include "base/clock.h"
#include "ui/out.h"

struct meter {
	const struct out *out;
	bool terminal, shown;
	usec_t began, last;
	uint64_t first; /* done when it began: not counted in the rate */
	bool any;
};

void meter_begin(struct meter *m, const struct out *o);
/* Cheap: says something only when it is time. total 0: not known. */
void meter_show(struct meter *m, const char *doing, uint64_t done, uint64_t total);
void meter_end(struct meter *m);
/* "reading 12.3 MB of 4.0 GB, 31 %, 512 MB/s, 6s left": for what was done since `first` in `span`.
 */
#define METER_TEXT_MAX 200
const char *meter_text(const char *doing, uint64_t first, uint64_t done, uint64_t total,
                       usec_t span, char dst[static METER_TEXT_MAX]);

#endif
