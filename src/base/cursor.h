/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A reading cursor over bytes that someone else owns. Each reader either takes exactly what it
 * names and returns true, or takes nothing and returns false.
 */
#ifndef STANCH_BASE_CURSOR_H
#define STANCH_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const uint8_t *p, *end;
};

static inline struct cursor cursor_of(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	return (struct cursor){p, p ? p + n : p};
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

static inline bool cursor_take(struct cursor *c, size_t n, const uint8_t **ret)
{
	if (cursor_left(c) < n)
		return false;
	if (ret)
		*ret = c->p;
	c->p += n;
	return true;
}

static inline bool cursor_skip(struct cursor *c, size_t n)
{
	return cursor_take(c, n, NULL);
}

static inline bool cursor_u8(struct cursor *c, uint8_t *ret)
{
	const uint8_t *p;
	if (!cursor_take(c, 1, &p))
		return false;
	*ret = p[0];
	return true;
}

static inline uint16_t load_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t load_be32(const uint8_t *p)
{
	return (uint32_t)load_be16(p) << 16 | load_be16(p + 2);
}

static inline uint64_t load_be64(const uint8_t *p)
{
	return (uint64_t)load_be32(p) << 32 | load_be32(p + 4);
}

static inline uint16_t load_le16(const uint8_t *p)
{
	return (uint16_t)(p[1] << 8 | p[0]);
}

static inline uint32_t load_le32(const uint8_t *p)
{
	return (uint32_t)load_le16(p + 2) << 16 | load_le16(p);
}

static inline uint64_t load_le64(const uint8_t *p)
{
	return (uint64_t)load_le32(p + 4) << 32 | load_le32(p);
}

static inline void store_le16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void store_le32(uint8_t *p, uint32_t v)
{
	store_le16(p, (uint16_t)v);
	store_le16(p + 2, (uint16_t)(v >> 16));
}

static inline void store_le64(uint8_t *p, uint64_t v)
{
	store_le32(p, (uint32_t)v);
	store_le32(p + 4, (uint32_t)(v >> 32));
}

static inline bool cursor_be16(struct cursor *c, uint16_t *ret)
{
	const uint8_t *p;
	if (!cursor_take(c, 2, &p))
		return false;
	*ret = load_be16(p);
	return true;
}

static inline bool cursor_be32(struct cursor *c, uint32_t *ret)
{
	const uint8_t *p;
	if (!cursor_take(c, 4, &p))
		return false;
	*ret = load_be32(p);
	return true;
}

static inline bool cursor_be64(struct cursor *c, uint64_t *ret)
{
	const uint8_t *p;
	if (!cursor_take(c, 8, &p))
		return false;
	*ret = load_be64(p);
	return true;
}

#endif
