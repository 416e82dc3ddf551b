/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A walk over any bytes; what it takes is written again and must be the same. */
#include <stdlib.h>
#include <string.h>

#include "wire/lime.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lime_walk w = {0};
	while (w.offset <= size && size - w.offset >= LIME_HEADER_LEN) {
		struct lime_walk before = w;
		uint8_t header[LIME_HEADER_LEN], again[LIME_HEADER_LEN];
		memcpy(header, data + w.offset, sizeof(header));
		if (lime_next(&w, header, NULL) < 0) {
			if (memcmp(&w, &before, sizeof(w)) != 0)
				abort();
			break;
		}
		lime_put(&w.range, again);
		/* The reserved field is not read. */
		if (memcmp(header, again, 24) != 0 || w.offset <= before.offset ||
		    (before.n && w.range.first <= before.range.last))
			abort();
	}
	return 0;
}
