/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A window on the start of a stream whose bytes come in pieces, in any order, some twice. What came
 * first stays: a second version of a byte is not believed. Memory is fixed. Pure.
 */
#ifndef STANCH_OBSERVE_PIECES_H
#define STANCH_OBSERVE_PIECES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIECES_MAX 4096

struct pieces {
	uint64_t have[PIECES_MAX / 64]; /* bit n: byte n has come */
	uint8_t bytes[PIECES_MAX];
};

void pieces_clear(struct pieces *s);
bool pieces_empty(const struct pieces *s);
/* n bytes that stand at offset `at`; what lies beyond the window is left out. */
void pieces_put(struct pieces *s, uint64_t at, const uint8_t *p, size_t n);
/* How many bytes from the first on are there without a gap. */
size_t pieces_prefix(const struct pieces *s);
/* The window moves n bytes on: what stood before is dropped. */
void pieces_drop(struct pieces *s, size_t n);
/* The window moves n bytes back: what it held stands n further, or falls out. */
void pieces_unshift(struct pieces *s, size_t n);

#endif
