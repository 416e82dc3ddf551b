/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LiME images of physical memory: records of a 32-byte header and the bytes of one range, one
 * behind the other to the end of the file; no header and no trailer of the file itself.
 * Little-endian: u32 magic "EMiL", u32 version 1, u64 first address, u64 last address (inclusive),
 * u64 0. Source: LiME's src/lime.h; Volatility 3 reads the same (and wants ascending records).
 */
#ifndef STANCH_WIRE_LIME_H
#define STANCH_WIRE_LIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LIME_HEADER_LEN 32

/* Bytes first … last of physical memory, both of them in it. */
struct phys_range {
	uint64_t first, last;
};

/* Bytes in it; UINT64_MAX for one that has 2^64. */
uint64_t phys_range_len(const struct phys_range *r);

void lime_put(const struct phys_range *r, uint8_t dst[static LIME_HEADER_LEN]);

/* A walk over an image's headers, in the order of the file. Begins zeroed. */
struct lime_walk {
	uint64_t offset;         /* where the next header stands in the file */
	struct phys_range range; /* of the last header */
	uint64_t data;           /* where its bytes begin in the file */
	unsigned n;              /* headers so far */
};

/* Takes the header that stands at w->offset and moves on to the next. -EBADMSG: no LiME header, an
 * empty range, or one that does not lie behind the one before; *w is untouched then. */
int lime_next(struct lime_walk *w, const uint8_t header[static LIME_HEADER_LEN], struct err *e);

#endif
