/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Ranges of an address space into a file of a bundle: one thread reads (fill.h), the caller's
 * hashes and writes. Zeros become holes where the sink has them.
 */
#ifndef STANCH_ACQUIRE_MEMORY_IMAGE_H
#define STANCH_ACQUIRE_MEMORY_IMAGE_H

#include "acquire/memory/fill.h"
#include "model/capture_ops.h"

struct image {
	struct fill fill; /* read and arg set by the caller; freed by image_free */
	const struct phys_range *ranges;
	size_t n_ranges;
	/* Called before the bytes of a range are written; may write to f (a LiME header). NULL:
	 * nothing stands between ranges. */
	int (*head)(void *arg, struct capture_file *f, const struct phys_range *r, struct err *e);
	void *head_arg;
	const char *doing; /* "reading memory" */
	/* Runs of zero pages that were read as such, "FIRST LAST zero" a line; for the map file. */
	struct buf zeros;
};

/* A buffer for image.zeros; what does not fit into it is left out of the map and told there. */
#define IMAGE_ZEROS_MAX (64u << 20)

/* -EINTR: stopped as asked. */
int image_write(struct image *i, struct capture_sink *s, struct capture_file *f, struct err *e);
/* The file NAME beside the image: which addresses are zero and which could not be read. */
int image_map(const struct image *i, struct capture_sink *s, const char *name, struct err *e);
/* "unread" (at most 1,000 ranges, the map has all), "unread_bytes", "zero_pages", … */
json_t *image_json(const struct image *i);
void image_free(struct image *i);

#endif
