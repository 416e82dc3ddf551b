/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/pcapng_write.h"

#include <string.h>

enum { BLOCK_IDB = 1, BLOCK_EPB = 6 };
#define BLOCK_SHB        UINT32_C(0x0a0d0d0a)
#define BYTE_ORDER_MAGIC UINT32_C(0x1a2b3c4d)
#define FRAME_LEN        12u /* type, length, and the length again */
#define NSEC_RESOLUTION  9

enum { OPT_END = 0, OPT_COMMENT = 1, OPT_IF_NAME = 2, OPT_IF_TSRESOL = 9, OPT_SHB_USERAPPL = 4 };

static const uint8_t zeros[4];

static size_t padded(size_t n)
{
	return (n + 3) & ~(size_t)3;
}

static void put16(struct buf *b, uint16_t v)
{
	const uint8_t le[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
	buf_add(b, le, sizeof le);
}

static void put32(struct buf *b, uint32_t v)
{
	put16(b, (uint16_t)v);
	put16(b, (uint16_t)(v >> 16));
}

static void put_padded(struct buf *b, const void *p, size_t n)
{
	buf_add(b, p, n);
	buf_add(b, zeros, padded(n) - n);
}

static size_t option_len(size_t n)
{
	return n ? 4 + padded(n) : 0;
}

static void put_option(struct buf *b, uint16_t code, const void *p, size_t n)
{
	if (!n)
		return;
	put16(b, code);
	put16(b, (uint16_t)n);
	put_padded(b, p, n);
}

static void put_end(struct buf *b)
{
	put16(b, OPT_END);
	put16(b, 0);
}

static size_t text_len(const char *s)
{
	return s ? strnlen(s, UINT16_MAX) : 0;
}

int pcapng_put_section(struct buf *b, const char *application)
{
	size_t n = text_len(application);
	uint32_t len = (uint32_t)(FRAME_LEN + 16 + option_len(n) + 4);

	put32(b, BLOCK_SHB);
	put32(b, len);
	put32(b, BYTE_ORDER_MAGIC);
	put16(b, 1); /* version 1.0 */
	put16(b, 0);
	put32(b, UINT32_MAX); /* the section's length: not told */
	put32(b, UINT32_MAX);
	put_option(b, OPT_SHB_USERAPPL, application, n);
	put_end(b);
	put32(b, len);
	return b->error;
}

int pcapng_put_interface(struct buf *b, uint16_t linktype, const char *name)
{
	static const uint8_t resolution = NSEC_RESOLUTION;
	size_t n = text_len(name);
	uint32_t len = (uint32_t)(FRAME_LEN + 8 + option_len(n) + option_len(1) + 4);

	put32(b, BLOCK_IDB);
	put32(b, len);
	put16(b, linktype);
	put16(b, 0);
	put32(b, 0); /* no bound on a frame */
	put_option(b, OPT_IF_NAME, name, n);
	put_option(b, OPT_IF_TSRESOL, &resolution, 1);
	put_end(b);
	put32(b, len);
	return b->error;
}

int pcapng_put_packet(struct buf *b, const struct pcapng_packet *p)
{
	size_t comment = text_len(p->comment);
	size_t options = comment ? option_len(comment) + 4 : 0;
	uint32_t len = (uint32_t)(FRAME_LEN + 20 + padded(p->cap_len) + options);

	put32(b, BLOCK_EPB);
	put32(b, len);
	put32(b, p->iface);
	put32(b, (uint32_t)(p->nsec >> 32));
	put32(b, (uint32_t)p->nsec);
	put32(b, p->cap_len);
	put32(b, p->wire_len);
	put_padded(b, p->data, p->cap_len);
	put_option(b, OPT_COMMENT, p->comment, comment);
	if (comment)
		put_end(b);
	put32(b, len);
	return b->error;
}
