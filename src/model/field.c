/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/field.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* jansson calls a text malformed when it runs out of memory inside it; who reads a journal must not
 * be told of tampering then. */
static _Thread_local bool starved;

static void *json_allocate(size_t n)
{
	void *p = malloc(n);
	starved |= !p;
	return p;
}

int field_load(const char *text, size_t max, const char *what, json_t **ret, struct err *e)
{
	size_t n = strlen(text);
	if (n > max)
		return err_set(e, -EBADMSG, "%s: %zu bytes of JSON, at most %zu are taken", what, n,
		               max);
	json_error_t je;
	json_set_alloc_funcs(json_allocate, free);
	starved = false;
	json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
	if (!root && starved)
		return err_set(e, -ENOMEM, "%s: out of memory while reading it", what);
	if (!root)
		return err_set(e, -EBADMSG, "%s: not JSON at byte %d: %s", what, je.position,
		               je.text);
	*ret = root;
	return 0;
}

int field_unpack(json_t *object, const char *what, struct err *e, const char *fmt, ...)
{
	json_error_t je;
	va_list ap;
	va_start(ap, fmt);
	int r = json_vunpack_ex(object, &je, 0, fmt, ap);
	va_end(ap);
	return r < 0 ? err_set(e, -EBADMSG, "%s: %s", what, je.text) : 0;
}

int field_copy(char *dst, size_t n, const char *src, const char *what, struct err *e)
{
	size_t len = strlen(src);
	if (len >= n)
		return err_set(e, -EBADMSG, "%s: longer than %zu bytes", what, n - 1);
	memcpy(dst, src, len + 1);
	return 0;
}
