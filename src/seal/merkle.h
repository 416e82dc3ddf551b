/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The root of a Merkle tree as RFC 6962 2.1 has it, over SHA-256: leaf = H(0x00 ‖ bytes), node =
 * H(0x01 ‖ left ‖ right), split at the largest power of two below n; of no leaves: H("").
 */
#ifndef STANCH_SEAL_MERKLE_H
#define STANCH_SEAL_MERKLE_H

#include <stddef.h>
#include <stdint.h>

#include "seal/sha256.h"

#define MERKLE_LEVELS 64

/* A tree in the making: the roots of the whole subtrees so far, largest first. */
struct merkle {
	uint8_t part[MERKLE_LEVELS][SHA256_LEN];
	size_t n_parts;
	uint64_t n;
	int error; /* the first failure; merkle_root returns it */
};

void merkle_begin(struct merkle *m);
void merkle_add(struct merkle *m, const void *leaf, size_t n);
/* 0, -ENOMEM, -EIO. m may go on to grow. */
int merkle_root(const struct merkle *m, uint8_t ret[static SHA256_LEN]);

#endif
