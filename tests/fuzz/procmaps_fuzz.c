/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "wire/procmaps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct procmap m;
	volatile char sink = 0;
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	struct cursor c = cursor_of(copy, size);
	while (procmap_next(&c, &m) == 1) {
		if (m.end <= m.start || (const uint8_t *)m.path + m.path_len + 1 != c.p)
			abort();
		for (size_t i = 0; i < m.path_len; i++)
			sink = (char)(sink + m.path[i]);
		procmap_anonymous(&m);
	}
	free(copy);
	return 0;
}
