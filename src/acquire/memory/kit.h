/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What somebody needs to understand an image of memory: types, symbols, ranges, versions. */
#ifndef STANCH_ACQUIRE_MEMORY_KIT_H
#define STANCH_ACQUIRE_MEMORY_KIT_H

#include "model/capture_ops.h"

/* Copies into kit/ what there is of it, and tells in the log what there is not. kcore: the headers
 * of /proc/kcore with its notes (VMCOREINFO), may be NULL. */
int kit_take(struct capture_sink *s, const struct buf *kcore, struct err *e);
/* "none", "integrity", "confidentiality"; "unknown" where the kernel does not tell. */
const char *kit_lockdown(char dst[static 32]);

#endif
