/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which segments a process's core gets. */
#ifndef STANCH_ACQUIRE_MEMORY_CORE_PLAN_H
#define STANCH_ACQUIRE_MEMORY_CORE_PLAN_H

#include "base/buf.h"
#include "base/err.h"
#include "wire/elf_core.h"
#include "wire/lime.h"

struct core_plan {
	struct elf_segment *segments; /* owned; ascending; filesz 0: left out */
	size_t n, cap;
	struct elf_file *files; /* owned; their paths are in `names` */
	size_t n_files, cap_files;
	struct buf names;
	uint64_t bytes; /* of all filesz */
	/* Mappings that are too large to look through, left out: reservations as a rule. */
	struct phys_range *skipped; /* owned */
	size_t n_skipped;
	size_t n_absent; /* mappings of which pages were left out, since nobody ever touched them */
};

#define CORE_MAPPING_MAX (UINT64_C(1) << 38) /* bytes of one; above it is skipped */

/* maps: the text of /proc/PID/maps. pagemap: a descriptor of /proc/PID/pagemap; -1: what was never
 * touched cannot be told. -EBADMSG, -E2BIG, -ENOMEM. */
int core_plan_make(const struct buf *maps, int pagemap, struct core_plan *ret, struct err *e);
void core_plan_free(struct core_plan *p);

#endif
