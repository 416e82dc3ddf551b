/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/field.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* While jansson reads a text it must not run out of memory: the buffer of a string that could not
 * grow loses characters without a word, or ends in an assertion (2.14, lex_save). So room for the
 * longest string is set aside before; where the heap gives none, this is handed out, and what was
 * read is thrown away. */
static _Thread_local struct {
	char *room;
	size_t n, used;
	bool starved;
} spare;

static void *json_allocate(size_t n)
{
	const size_t align = _Alignof(max_align_t);
	void *p = malloc(n);
	if (p || n > spare.n - spare.used)
		return p;
	spare.starved = true;
	p = spare.room + spare.used;
	n = (n + align - 1) / align * align;
	spare.used = n < spare.n - spare.used ? spare.used + n : spare.n;
	return p;
}

static void json_release(void *p)
{
	uintptr_t at = (uintptr_t)p, room = (uintptr_t)spare.room;
	if (!spare.room || at < room || at >= room + spare.n)
		free(p);
}

static json_t *load(const char *text, size_t n, json_error_t *je)
{
	/* A string's buffer doubles from 16 bytes on: all its sizes together. */
	spare.n = 4 * n + 256;
	spare.used = 0;
	spare.room = malloc(spare.n);
	spare.starved = !spare.room;
	json_set_alloc_funcs(json_allocate, json_release);
	json_t *root = spare.room ? json_loadb(text, n, JSON_REJECT_DUPLICATES, je) : NULL;
	if (spare.starved) {
		json_decref(root);
		root = NULL;
	}
	free(spare.room);
	spare.room = NULL;
	spare.n = spare.used = 0;
	return root;
}

#undef field_load /* what analysers see */
#undef field_unpack

int field_load(const char *text, size_t max, const char *what, json_t **ret, struct err *e)
{
	size_t n = strlen(text);
	if (n > max)
		return err_set(e, -EBADMSG, "%s: %zu bytes of JSON, at most %zu are taken", what, n,
		               max);
	json_error_t je = {0};
	json_t *root = load(text, n, &je);
	/* jansson calls a text malformed when memory is out; who reads a journal must not be told
	 * of tampering then. */
	if (!root && spare.starved)
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

char *field_dump(const json_t *v)
{
	const size_t flags = JSON_COMPACT | JSON_SORT_KEYS;
	size_t n = json_dumpb(v, NULL, 0, flags);
	char *text = n ? malloc(n + 1) : NULL;
	if (!text || json_dumpb(v, text, n, flags) != n) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}
