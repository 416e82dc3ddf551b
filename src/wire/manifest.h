/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The manifest of one evidence: a JSON object of what it is about, and its files with size and
 * SHA-256, under a Merkle root. And the lists that sha256sum(1) and BagIt (RFC 8493) read.
 *
 *   {"stanch_manifest": 1, "about": {…}, "merkle_root": "…",
 *    "files": [{"name": "data/disk.raw", "size": 4096, "sha256": "…"}, …]}
 *
 * Files are sorted by name, each once. A leaf of the tree is "NAME\nSIZE\nSHA256-IN-HEX\n". A name
 * has printable ASCII only, no backslash, percent sign or quote, no empty part, none that begins
 * with a dot, and does not begin with '/': so that it is one name to every tool.
 */
#ifndef STANCH_WIRE_MANIFEST_H
#define STANCH_WIRE_MANIFEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "seal/sha256.h"

#define MANIFEST_NAME_MAX  256
#define MANIFEST_FILES_MAX 200000
#define MANIFEST_SIZE_MAX  (96u << 20)

struct manifest_file {
	char name[MANIFEST_NAME_MAX];
	uint64_t size;
	uint8_t sha256[SHA256_LEN];
};

struct manifest {
	json_t *about;               /* an object, owned */
	struct manifest_file *files; /* owned */
	size_t n_files, cap_files;
	uint8_t root[SHA256_LEN]; /* set by seal and parse */
};

bool manifest_name_ok(const char *name);
/* -EINVAL for a name that is not allowed or a size above INT64_MAX, -ENOMEM, -E2BIG. */
int manifest_add(struct manifest *m, const char *name, uint64_t size,
                 const uint8_t sha256[static SHA256_LEN], struct err *e);
/* Sorts the files and computes the root. -EEXIST: a name stands twice. */
int manifest_seal(struct manifest *m, struct err *e);
/* The text of a sealed manifest, and back. -EBADMSG: not one, or its root is not that of its files.
 * ret->about has whatever the text has. */
int manifest_write(const struct manifest *m, struct buf *out, struct err *e);
int manifest_parse(const void *text, size_t n, struct manifest *ret, struct err *e);
void manifest_free(struct manifest *m); /* takes NULL; leaves it empty */

/* Lines "SHA256  NAME" of the files whose names begin with prefix. */
int manifest_sums(const struct manifest *m, const char *prefix, struct buf *out);
/* Of sorted files; NULL. */
const struct manifest_file *manifest_find(const struct manifest *m, const char *name);

#endif
