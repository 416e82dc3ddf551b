/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/meter.h"

#include <unistd.h>

#define ON_TERMINAL (USEC_PER_SEC / 4)
#define ELSEWHERE   (5 * USEC_PER_SEC)

void meter_begin(struct meter *m, const struct out *o)
{
	*m = (struct meter){.out = o, .terminal = isatty(STDERR_FILENO), .began = boot_now()};
	m->last = m->began;
}

const char *meter_text(const char *doing, uint64_t first, uint64_t done, uint64_t total,
                       usec_t span, char dst[static METER_TEXT_MAX])
{
	char have[16], all[16], rate[16], left[64] = "", percent[48] = "";
	double per_sec = span ? (double)(done - first) * USEC_PER_SEC / (double)span : 0;
	if (total) {
		snprintf(percent, sizeof percent, " of %s, %u %%", out_bytes(total, all),
		         (unsigned)(100.0 * (double)done / (double)total));
		if (per_sec >= 1 && done < total)
			snprintf(left, sizeof left, ", %.0f s left",
			         (double)(total - done) / per_sec);
	}
	snprintf(dst, METER_TEXT_MAX, "%s %s%s, %s/s%s", doing, out_bytes(done, have), percent,
	         out_bytes((uint64_t)per_sec, rate), left);
	return dst;
}

void meter_show(struct meter *m, const char *doing, uint64_t done, uint64_t total)
{
	char text[METER_TEXT_MAX];
	usec_t now = boot_now();
	if (!m->any) {
		m->any = true;
		m->first = done;
	}
	if (m->out->quiet || now - m->last < (m->terminal ? ON_TERMINAL : ELSEWHERE))
		return;
	m->last = now;
	m->shown = true;
	if (done < m->first)
		m->first = done;
	meter_text(doing, m->first, done, total, now - m->began, text);
	fprintf(stderr, m->terminal ? "\r\033[K%s" : "stanch: %s\n", text);
	fflush(stderr);
}

void meter_end(struct meter *m)
{
	if (m->terminal && m->shown)
		fprintf(stderr, "\r\033[K");
}
