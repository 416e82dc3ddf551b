/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Arguments are terminated, shorter than their line, and end; patterns hold nothing that could end
 * a line or an argument. */
#include <stdlib.h>

#include "wire/sshd_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void pattern(const uint8_t *data, size_t size)
{
	char name[64], p[SSHD_PATTERN_MAX];
	bool exact;
	size_t n = size < sizeof name - 1 ? size : sizeof name - 1;
	if (n)
		memcpy(name, data, n);
	name[n] = 0;
	if (sshd_pattern(name, p, &exact) == 0 &&
	    (strlen(p) != strlen(name) || strpbrk(p, " \t\r\n\"'\\*!@#,")))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sshd_reader r = sshd_reader_of(data, size);
	for (struct sshd_line l; sshd_next(&r, &l);) {
		char arg[128];
		size_t total = 0, whole = cursor_left(&l.rest);
		for (size_t i = 0; sshd_arg(&l, arg, sizeof arg); i++) {
			total += strlen(arg);
			if (total > whole || i > whole)
				abort();
		}
	}
	pattern(data, size);
	return 0;
}
