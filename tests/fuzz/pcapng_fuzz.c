/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "wire/pcapng.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pcapng f;
	struct capture_record r = {0};
	enum capture_step s = CAPTURE_SKIP;
	volatile uint8_t sink = 0;
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	struct cursor c = cursor_of(copy, size);
	memset(&f, 0, sizeof f);
	while (s == CAPTURE_PACKET || s == CAPTURE_SKIP) {
		const uint8_t *before = c.p;
		s = pcapng_next(&f, &c, &r);
		if (s == CAPTURE_PACKET) {
			if (r.cap_len > r.wire_len)
				abort();
			for (uint32_t i = 0; i < r.cap_len; i++)
				sink = (uint8_t)(sink + r.data[i]);
		}
		if (s == CAPTURE_MORE || s == CAPTURE_BAD ? c.p != before : c.p < before + 8)
			abort();
		if (s == CAPTURE_MORE && (r.need <= cursor_left(&c) || r.need > CAPTURE_BLOCK_MAX))
			abort();
		if (s == CAPTURE_SKIP && r.need)
			break;
	}
	(void)pcapng_dropped(&f);
	free(copy);
	return 0;
}
