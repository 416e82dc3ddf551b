/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for n more bytes and the NUL behind them. */
static int reserve(struct buf *b, size_t n)
{
	if (b->error)
		return b->error;
	if (n > b->max || b->len > b->max - n)
		return b->error = -EMSGSIZE;

	size_t need = b->len + n + 1;
	if (b->data && need <= b->cap)
		return 0;
	size_t cap = b->cap ? b->cap * 2 : 256;
	if (cap < need)
		cap = need;
	if (cap > b->max + 1)
		cap = b->max + 1;
	uint8_t *p = realloc(b->data, cap);
	if (!p)
		return b->error = -ENOMEM;
	b->data = p;
	b->cap = cap;
	return 0;
}

int buf_add(struct buf *b, const void *bytes, size_t n)
{
	int r = reserve(b, n);
	if (r < 0)
		return r;
	if (n)
		memcpy(b->data + b->len, bytes, n);
	b->len += n;
	b->data[b->len] = 0;
	return 0;
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);

	int r = n < 0 ? (b->error = -EMSGSIZE) : reserve(b, (size_t)n);
	if (r == 0) {
		vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	return r;
}

int buf_add_u8(struct buf *b, uint8_t v)
{
	return buf_add(b, &v, 1);
}

int buf_add_be16(struct buf *b, uint16_t v)
{
	uint8_t p[2] = {(uint8_t)(v >> 8), (uint8_t)v};
	return buf_add(b, p, sizeof p);
}

int buf_add_be32(struct buf *b, uint32_t v)
{
	uint8_t p[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
	return buf_add(b, p, sizeof p);
}

int buf_add_be64(struct buf *b, uint64_t v)
{
	int r = buf_add_be32(b, (uint32_t)(v >> 32));
	return r < 0 ? r : buf_add_be32(b, (uint32_t)v);
}

const char *buf_str(const struct buf *b)
{
	return b->data ? (const char *)b->data : "";
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->error = 0;
	if (b->data)
		b->data[0] = 0;
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = BUF_INIT(b->max);
}

char *buf_steal(struct buf *b)
{
	if (b->error || (!b->data && reserve(b, 0) < 0)) {
		buf_free(b);
		return NULL;
	}
	b->data[b->len] = 0;
	char *s = (char *)b->data;
	*b = BUF_INIT(b->max);
	return s;
}
