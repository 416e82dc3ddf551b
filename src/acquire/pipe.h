/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * read → hash and pack → write, each its own thread, over a ring of pieces whose number is fixed:
 * whoever is ahead waits. Pieces are read, hashed and written in their order; packed in any.
 *
 * The caller's thread writes. The first failure of any stage ends all of them and is what
 * pipe_run returns.
 */
#ifndef STANCH_ACQUIRE_PIPE_H
#define STANCH_ACQUIRE_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PIECE_BYTES  (1u << 20)
#define PIPE_PIECES  12
#define PIPE_WORKERS 8
#define PIECE_PARTS  32 /* of 32 KiB, for formats with small chunks */

struct piece {
	uint64_t at; /* of the source, a multiple of PIECE_BYTES */
	uint8_t *raw;
	size_t n;     /* PIECE_BYTES but for the last */
	uint8_t *out; /* what the packer made: out_cap bytes of room, out_n used */
	size_t out_cap, out_n;
	uint32_t parts[PIECE_PARTS]; /* the packer's own */
	bool stored; /* read back from the image, not from the source: is not written again */
};

struct pipe_ops {
	/* Fills raw and n of a piece whose `at` is set; n 0: the end. */
	int (*read)(void *arg, struct piece *p, struct err *e);
	int (*hash)(void *arg, const struct piece *p);
	/* On several threads, 0 ≤ worker < workers. NULL: nothing to do. */
	int (*pack)(void *arg, unsigned worker, struct piece *p);
	int (*write)(void *arg, struct piece *p, struct err *e);
};

/* out_cap: room that a packer needs for one piece. */
int pipe_run(const struct pipe_ops *ops, void *arg, unsigned workers, size_t out_cap,
             struct err *e);

#endif
