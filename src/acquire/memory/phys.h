/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where physical memory can be read from: the kernel's own windows onto it, in the order in which
 * they are tried. None is changed by being read.
 */
#ifndef STANCH_ACQUIRE_MEMORY_PHYS_H
#define STANCH_ACQUIRE_MEMORY_PHYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/table.h"
#include "wire/iomem.h"
#include "wire/kcore_map.h"

enum phys_kind {
	PHYS_KCORE, /* /proc/kcore: an ELF core of the kernel's address space */
	PHYS_CRASH, /* /dev/crash: a driver of Red Hat's for the utility crash; address = offset */
	PHYS_MEM,   /* /dev/mem; where it is restricted (STRICT_DEVMEM) the first MiB alone */
	_PHYS_MAX,
	_PHYS_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(phys_kind, enum phys_kind); /* "kcore", "crash", "mem" */

struct phys {
	enum phys_kind kind;
	int fd; /* -1: closed */
	struct kcore_map map;
	struct buf headers; /* kcore's, for the kit */
};

/* The ranges of memory as /proc/iomem has them; *ret is malloc'd. text: the whole file, may be
 * NULL. */
int phys_ranges(struct phys_range **ret, size_t *ret_n, struct buf *text, struct err *e);
/* Opens one and reads a page of it, of the last range: what opens need not be readable. -ENOENT,
 * -EPERM, -EIO with why. */
int phys_open(enum phys_kind kind, const struct phys_range *ram, size_t n_ram, struct phys *ret,
              struct err *e);
void phys_close(struct phys *p); /* takes NULL */

/* Reads up to n bytes at a physical address: how many, at least one, or -errno. */
ssize_t phys_read(void *phys, uint64_t at, void *dst, size_t n);

#endif
