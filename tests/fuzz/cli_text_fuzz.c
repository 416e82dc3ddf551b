/* SPDX-License-Identifier: GPL-3.0-or-later */
/* However the bytes are cut, the same lines come out, and nothing but printable ones. */
#include <stdlib.h>
#include <string.h>

#include "wire/cli_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cli_text whole, pieces;
	cli_text_init(&whole, 1u << 16);
	cli_text_init(&pieces, 1u << 16);
	int x = cli_text_feed(&whole, data, size), y = 0;
	for (size_t i = 0; i < size && !y; i++) {
		uint8_t one = data[i];
		y = cli_text_feed(&pieces, &one, 1);
		if (size < 512)
			cli_text_rest(&pieces);
	}
	if (x != y || whole.lines.len != pieces.lines.len ||
	    (whole.lines.len &&
	     memcmp(whole.lines.data, pieces.lines.data, whole.lines.len) != 0) ||
	    strcmp(cli_text_rest(&whole), cli_text_rest(&pieces)) != 0)
		abort();
	for (size_t i = 0; i < whole.lines.len; i++)
		if (whole.lines.data[i] != '\n' &&
		    (whole.lines.data[i] < 0x20 || whole.lines.data[i] > 0x7e))
			abort();
	cli_text_free(&whole);
	cli_text_free(&pieces);
	return 0;
}
