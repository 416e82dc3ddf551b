/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LiME, a kernel module that writes an image of memory, where the kernel's own windows are shut: a
 * module that was brought along is loaded, told to write into a pipe of ours, and unloaded. It is
 * the one source that changes the host, and its word is not taken: what came out is measured
 * against the ranges of memory, since it pads what it cannot read by zeros without saying so and
 * succeeds though nothing was written.
 */
#ifndef STANCH_ACQUIRE_MEMORY_LIME_MODULE_H
#define STANCH_ACQUIRE_MEMORY_LIME_MODULE_H

#include "acquire/memory/image.h"

struct lime_result {
	uint64_t bytes;   /* of memory, headers not counted */
	uint64_t missing; /* of the ranges asked for, not in the image */
	unsigned ranges;
	bool left_loaded; /* the module could not be unloaded */
	char name[64];    /* of the module */
};

/* -EPERM: lockdown or rights; -EKEYREJECTED: not signed by a key that this kernel trusts; -EEXIST:
 * loaded already; -ENOEXEC: made for another kernel. */
int lime_module_run(const char *ko, const struct phys_range *ram, size_t n_ram,
                    struct capture_sink *s, struct capture_file *f, struct lime_result *ret,
                    struct err *e);

#endif
