/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

static void clean(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20)
			*s = '?';
}

#undef err_set /* what analysers see */
#undef err_prefix

int err_set(struct err *e, int code, const char *fmt, ...)
{
	if (!e)
		return code;

	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	clean(e->text);
	e->code = code;
	return code;
}

int err_prefix(struct err *e, int code, const char *fmt, ...)
{
	if (!e)
		return code;

	char old[ERR_TEXT_MAX];
	memcpy(old, e->text, sizeof old);

	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof e->text)
		snprintf(e->text + n, sizeof e->text - (size_t)n, ": %s", old);
	clean(e->text);
	e->code = code;
	return code;
}
