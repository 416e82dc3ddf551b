/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The forms an image can take. A format packs pieces on several threads and writes them in order;
 * its files are listed in the bundle by itself, each hashed as it is written. */
#ifndef STANCH_ACQUIRE_IMAGE_H
#define STANCH_ACQUIRE_IMAGE_H

#include "acquire/pipe.h"
#include "model/capture_ops.h"
#include "seal/digest.h"
#include "seal/sha256.h"
#include "wire/ddmap.h"

/* A file of the bundle being written, or written again over what a run that ended has left. */
struct out_file {
	struct capture_sink *sink;
	int fd;
	uint64_t at;
	struct sha256 hash; /* of all up to `at` */
	bool hashed;        /* else the caller knows its hash */
	char name[CAPTURE_NAME_MAX];
};
/* resume: what is there already stays and may be read back. */
int out_open(struct out_file *f, struct capture_sink *s, const char *name, bool resume, bool hashed,
             struct err *e);
int out_write(struct out_file *f, const void *bytes, size_t n, struct err *e);
/* n bytes are in their place already (bytes), or shall be a hole (zeros). */
void out_keep(struct out_file *f, const void *bytes, size_t n);
/* Cuts at `at`, syncs, closes, lists; sha256: its hash where it was not hashed here. */
int out_end(struct out_file *f, const uint8_t *sha256, struct err *e);
void out_drop(struct out_file *f); /* closes; the file stays */

struct image_want {
	struct capture_sink *sink;
	uint64_t size;  /* of the source */
	uint64_t split; /* bytes of one file; 0: the format's own */
	bool resume;    /* files may stand there already, holding anything */
	unsigned workers;
	const char *evidence, *examiner, *case_id; /* as capture_order has them */
};
/* What is known when all is written. */
struct image_end {
	const uint8_t *sha256, *md5, *sha1; /* of the source; NULL: not asked for */
	const struct ddmap *map;
	uint32_t sector;
};

struct image_format {
	const char *name; /* "raw" */
	const char *file; /* "disk.raw": the first one */
	size_t out_cap;   /* room to pack a piece; 0: it does not pack */
	bool resumes;
	int (*open)(const struct image_want *w, void **ret, struct err *e);
	int (*pack)(void *ctx, unsigned worker, struct piece *p);
	int (*write)(void *ctx, struct piece *p, struct err *e);
	/* A piece that is in the image already, from there. */
	int (*reread)(void *ctx, struct piece *p, struct err *e);
	int (*sync)(void *ctx);
	int (*end)(void *ctx, const struct image_end *x, struct err *e);
	void (*close)(void *ctx); /* takes NULL; leaves what was written */
};

extern const struct image_format image_raw, image_zstd, image_e01;

bool all_zero(const void *p, size_t n);

#endif
