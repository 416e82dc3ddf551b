/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A growing byte buffer that knows its maximum from birth.
 *
 * The first failure (over the maximum, out of memory) is kept in `error`; later additions do
 * nothing and return it, so a caller may build a whole message and ask once at the end.
 */
#ifndef STANCH_BASE_BUF_H
#define STANCH_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data; /* owned; NUL-terminated behind len whenever not NULL */
	size_t len, cap, max;
	int error; /* 0, -ENOMEM or -EMSGSIZE */
};

#define BUF_INIT(maximum) ((struct buf){.max = (maximum)})

int buf_add(struct buf *b, const void *bytes, size_t n);
int buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_add_u8(struct buf *b, uint8_t v);
int buf_add_be16(struct buf *b, uint16_t v);
int buf_add_be32(struct buf *b, uint32_t v);
int buf_add_be64(struct buf *b, uint64_t v);
/* The content as text; "" for an empty buffer. Valid until the next addition. */
const char *buf_str(const struct buf *b);
/* Empties without giving memory back; clears the error. */
void buf_reset(struct buf *b);
void buf_free(struct buf *b);
/* Hands the content over to the caller (free()); the buffer is empty afterwards. NULL on error. */
char *buf_steal(struct buf *b);

#endif
