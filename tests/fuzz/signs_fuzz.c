/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The first byte says what kind of text; what is found has a weight, a line, and its text. */
#include <stdlib.h>

#include "wire/signs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct signs s = {0};
	if (!size)
		return 0;
	signs_look((enum signs_of)(data[0] % 3), data + 1, size - 1, &s);
	if ((s.found != 0) != (s.weight > 0) || (s.found && !(s.found & 1u << s.heaviest)) ||
	    (s.found && (!s.number || s.weight != sign_weight(s.heaviest))) ||
	    !memchr(s.line, 0, sizeof s.line))
		abort();
	signs_loose_path(cursor_of(data + 1, size - 1));
	signs_hidden_path(cursor_of(data + 1, size - 1));
	return 0;
}
