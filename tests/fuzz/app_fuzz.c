/* SPDX-License-Identifier: GPL-3.0-or-later */
/* First byte: bit 0 UDP, bit 1 to the server. The rest is a payload. */
#include <stdlib.h>
#include <string.h>

#include "wire/app.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	size_t n = size - 1;
	uint8_t *copy = malloc(n ? n : 1);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, n);
	if (speech_of(data[0] & 1, data[0] & 2, copy, n) >= SPEECH_MAX)
		abort();
	free(copy);
	return 0;
}
