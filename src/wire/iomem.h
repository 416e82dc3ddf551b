/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * /proc/iomem: which physical addresses are memory. A tree by indentation, "FIRST-LAST : NAME" in
 * hexadecimal with both ends in the range; for readers without CAP_SYS_ADMIN all ends are 0.
 * Source: kernel/resource.c.
 */
#ifndef STANCH_WIRE_IOMEM_H
#define STANCH_WIRE_IOMEM_H

#include <stddef.h>

#include "base/err.h"
#include "wire/lime.h"

#define IOMEM_RANGES_MAX 4096

/* Every "System RAM" of the text, at whatever depth (memory that was plugged in later may stand
 * below another entry: "System RAM (kmem)", "System RAM (virtio_mem)"), ascending; what overlaps
 * or adjoins is one. *ret is malloc'd. -EACCES: the kernel hides the addresses from us; -EBADMSG:
 * a line that is none; -ENOENT: no memory is named; -E2BIG; -ENOMEM. */
int iomem_ram(const char *text, size_t n, struct phys_range **ret, size_t *ret_n, struct err *e);

#endif
