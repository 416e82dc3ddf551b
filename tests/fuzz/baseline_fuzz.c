/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A baseline from bytes: as they are, and with the checksum made right, so that what is behind it
 * is reached. What is taken encodes to the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "observe/baseline.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const uint8_t *data, size_t size)
{
	struct buf out = BUF_INIT(BASELINE_FILE_MAX);
	struct baseline *b = NULL;
	if (baseline_new(64, &b) < 0)
		return;
	if (baseline_decode(b, data, size, NULL) == 0) {
		if (baseline_encode(b, &out) < 0 || out.len != size || memcmp(out.data, data, size))
			abort();
		baseline_seen(b, "", "a.example", UINT64_C(1700000000000000), 1);
	}
	buf_free(&out);
	baseline_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	decode(data, size);
	if (size < SHA256_LEN || size > BASELINE_FILE_MAX)
		return 0;
	uint8_t *copy = malloc(size);
	if (!copy)
		return 0;
	memcpy(copy, data, size);
	if (sha256_of(copy, size - SHA256_LEN, copy + size - SHA256_LEN) == 0)
		decode(copy, size);
	free(copy);
	return 0;
}
