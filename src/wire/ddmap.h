/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The map file of GNU ddrescue ("mapfile", ddrescue's manual, chapter 12): which bytes of a source
 * were read ('+'), could not be read ('-'), are still to be read ('?').
 */
#ifndef STANCH_WIRE_DDMAP_H
#define STANCH_WIRE_DDMAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define DDMAP_BLOCKS_MAX (1u << 20)

struct ddmap_block {
	uint64_t at, size; /* size above 0 */
	char state;        /* '+', '-', '?', '*', '/' */
};

/* Blocks in order, without gap and without overlap, no two neighbours alike. */
struct ddmap {
	struct ddmap_block *v; /* owned */
	size_t n, cap;
};

/* Adds a block behind the last one, joined with it when alike. at must be where that ends (0 for
 * the first). -EINVAL, -ENOMEM, -E2BIG. */
int ddmap_add(struct ddmap *m, uint64_t at, uint64_t size, char state);
/* Bytes in that state. */
uint64_t ddmap_sum(const struct ddmap *m, char state);
int ddmap_write(const struct ddmap *m, struct buf *out);
/* -EBADMSG with the line. Comments are skipped; the status line must be there. */
int ddmap_parse(const char *text, size_t n, struct ddmap *ret, struct err *e);
void ddmap_free(struct ddmap *m);

#endif
