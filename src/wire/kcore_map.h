/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where in /proc/kcore a physical address stands. Linux since 4.8 writes physical addresses into
 * the program headers of the direct map and of the kernel's text (others have all bits set); before
 * that all are 0, and the direct map is found by how well it fits the ranges of memory.
 */
#ifndef STANCH_WIRE_KCORE_MAP_H
#define STANCH_WIRE_KCORE_MAP_H

#include "wire/elf_core.h"
#include "wire/lime.h"

struct kcore_piece {
	struct phys_range phys;
	uint64_t offset; /* in the file, of phys.first */
};

struct kcore_map {
	struct kcore_piece *v; /* owned; the direct map before what repeats it */
	size_t n;
	bool guessed;         /* by virtual addresses */
	uint64_t page_offset; /* guessed: of the direct map */
};

/* From the segments of kcore and the ranges of memory (ascending). -ENOENT: no segment maps any of
 * the memory; -ENOMEM. */
int kcore_map_make(const struct elf_segment *s, size_t n, const struct phys_range *ram,
                   size_t n_ram, struct kcore_map *ret, struct err *e);
void kcore_map_free(struct kcore_map *m);

/* Where phys stands, and how many bytes from there on stand behind it. True: *ret_offset is set.
 * False: no segment has it; *ret_len is the distance to the next address that one has (UINT64_MAX:
 * none). */
bool kcore_map_find(const struct kcore_map *m, uint64_t phys, uint64_t *ret_offset,
                    uint64_t *ret_len);

#endif
