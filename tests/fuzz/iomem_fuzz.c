/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "wire/iomem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct phys_range *r = NULL;
	size_t n = 0;
	char *copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	if (iomem_ram(copy, size, &r, &n, NULL) == 0) {
		if (!n || n > IOMEM_RANGES_MAX)
			abort();
		for (size_t i = 0; i < n; i++)
			if (r[i].last < r[i].first || (i && r[i].first - 1 <= r[i - 1].last))
				abort();
	} else if (r) {
		abort();
	}
	free(r);
	free(copy);
	return 0;
}
