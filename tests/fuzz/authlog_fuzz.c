/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every span of an entry lies within the bytes given, and lines count up. */
#include <stdlib.h>

#include "wire/authlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fwlog_clock k = {.ref_nsec = UINT64_C(1700000000000000000)};
	struct lines l = lines_of(data, size);
	struct authlog_entry e;
	for (uint32_t before = 0; authlog_next(&l, &k, &e); before = e.line) {
		const struct cursor spans[] = {e.user, e.from, e.tty, e.target, e.command};
		for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
			if (spans[i].p && (spans[i].p < data || spans[i].end > data + size ||
			                   spans[i].p > spans[i].end))
				abort();
		if (e.line <= before)
			abort();
	}
	return 0;
}
