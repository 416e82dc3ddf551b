/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/pieces.h"

#include <string.h>

#define WORDS (PIECES_MAX / 64)

void pieces_clear(struct pieces *s)
{
	memset(s->have, 0, sizeof s->have);
}

bool pieces_empty(const struct pieces *s)
{
	for (size_t w = 0; w < WORDS; w++)
		if (s->have[w])
			return false;
	return true;
}

static bool has(const struct pieces *s, size_t i)
{
	return s->have[i / 64] >> i % 64 & 1;
}

static void put_one(struct pieces *s, size_t i, uint8_t byte)
{
	if (!has(s, i))
		s->bytes[i] = byte;
	s->have[i / 64] |= UINT64_C(1) << i % 64;
}

void pieces_put(struct pieces *s, uint64_t at, const uint8_t *p, size_t n)
{
	if (at >= PIECES_MAX)
		return;
	if (n > PIECES_MAX - at)
		n = PIECES_MAX - (size_t)at;
	for (size_t i = (size_t)at, end = i + n; i < end;) {
		if (i % 64 == 0 && end - i >= 64 && !s->have[i / 64]) {
			memcpy(s->bytes + i, p, 64);
			s->have[i / 64] = UINT64_MAX;
			i += 64;
			p += 64;
		} else {
			put_one(s, i++, *p++);
		}
	}
}

size_t pieces_prefix(const struct pieces *s)
{
	size_t w = 0;
	while (w < WORDS && s->have[w] == UINT64_MAX)
		w++;
	return w == WORDS ? PIECES_MAX : 64 * w + (size_t)__builtin_ctzll(~s->have[w]);
}

void pieces_drop(struct pieces *s, size_t n)
{
	size_t left = n < PIECES_MAX ? PIECES_MAX - n : 0, words = n / 64, bits = n % 64;

	memmove(s->bytes, s->bytes + (PIECES_MAX - left), left);
	for (size_t w = 0; w < WORDS; w++) {
		uint64_t low = w + words < WORDS ? s->have[w + words] : 0;
		uint64_t high = w + words + 1 < WORDS ? s->have[w + words + 1] : 0;
		s->have[w] = bits ? low >> bits | high << (64 - bits) : low;
	}
}

void pieces_unshift(struct pieces *s, size_t n)
{
	size_t left = n < PIECES_MAX ? PIECES_MAX - n : 0, words = n / 64, bits = n % 64;

	memmove(s->bytes + (PIECES_MAX - left), s->bytes, left);
	for (size_t w = WORDS; w-- > 0;) {
		uint64_t high = w >= words ? s->have[w - words] : 0;
		uint64_t low = w >= words + 1 ? s->have[w - words - 1] : 0;
		s->have[w] = bits ? high << bits | low >> (64 - bits) : high;
	}
}
