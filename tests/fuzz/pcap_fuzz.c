/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "wire/pcap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct capture_record r = {0};
	struct pcap f;
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	struct cursor c = cursor_of(copy, size);
	volatile uint8_t sink = 0;
	if (pcap_header(&c, &f, NULL) == 0) {
		const uint8_t *before = c.p;
		while (pcap_next(&f, &c, &r) == CAPTURE_PACKET) {
			if (c.p < before + 8 || r.cap_len > r.wire_len)
				abort();
			for (uint32_t i = 0; i < r.cap_len; i++)
				sink = (uint8_t)(sink + r.data[i]);
			before = c.p;
		}
		if (c.p != before)
			abort();
	}
	free(copy);
	return 0;
}
