/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading what may not be readable: big reads; where one fails, halves of it down to a page, which
 * becomes zeros and is listed. What was read as zeros and what could not be read are told apart.
 */
#ifndef STANCH_ACQUIRE_MEMORY_FILL_H
#define STANCH_ACQUIRE_MEMORY_FILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "wire/lime.h"

#define FILL_PAGE       4096u
#define FILL_UNREAD_MAX (1u << 16)

struct fill {
	/* Up to n bytes at `at`: how many, at least one, or -errno. */
	ssize_t (*read)(void *arg, uint64_t at, void *dst, size_t n);
	void *arg;
	uint64_t bytes_read, bytes_unread, pages_zero; /* zero: read, and nothing but zeros */
	/* Ranges that could not be read, ascending; what adjoins is one. Owned. */
	struct fill_gap {
		struct phys_range range;
		int error; /* -errno of the first failure in it */
	} * unread;
	size_t n_unread, cap;
	bool unread_cut; /* there are more than FILL_UNREAD_MAX; the last one reaches to the last */
};

/* Fills dst with the n bytes at `at`, whatever happens; calls go up in addresses. -ENOMEM alone. */
int fill_block(struct fill *f, uint64_t at, uint8_t *dst, size_t n);
/* Notes a range that was not even tried. */
int fill_skip(struct fill *f, uint64_t at, uint64_t n, int error);
/* Length of the zeros that begin at p, in whole pages (of the buffer, not of memory). */
size_t fill_zero_pages(const uint8_t *p, size_t n);
void fill_free(struct fill *f); /* what it owns */

#endif
