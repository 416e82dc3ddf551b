/* SPDX-License-Identifier: GPL-3.0-or-later */
/* As many records as there is room for, each with terminated text that a terminal may show. */
#include <stdlib.h>

#include "wire/utmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void clean(const char *s, size_t max)
{
	if (!memchr(s, 0, max))
		abort();
	for (; *s; s++)
		if ((uint8_t)*s < 0x20 || *s == 0x7f)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of(data, size);
	struct utmp_record r;
	struct lastlog_record l;
	size_t n = 0;
	for (; utmp_next(&c, &r); n++) {
		clean(r.line, sizeof r.line);
		clean(r.user, sizeof r.user);
		clean(r.host, sizeof r.host);
		utmp_type_str((enum utmp_type)r.type);
	}
	if (n != size / UTMP_RECORD || cursor_left(&c) != size % UTMP_RECORD)
		abort();
	c = cursor_of(data, size);
	while (lastlog_next(&c, &l)) {
		clean(l.line, sizeof l.line);
		clean(l.host, sizeof l.host);
	}
	return 0;
}
