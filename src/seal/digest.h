/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hashes that evidence may carry beside SHA-256: MD5 and SHA-1 for older tools, BLAKE2b. */
#ifndef STANCH_SEAL_DIGEST_H
#define STANCH_SEAL_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/table.h"

enum digest_kind {
	DIGEST_SHA256,
	DIGEST_MD5,
	DIGEST_SHA1,
	DIGEST_BLAKE2B, /* 64 bytes */
	_DIGEST_MAX,
	_DIGEST_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(digest_kind, enum digest_kind);

#define DIGEST_LEN_MAX 64

/* The first failure is kept; digest_end returns it. */
struct digest {
	void *ctx; /* owned until digest_end or digest_drop */
	int error;
};

void digest_begin(struct digest *d, enum digest_kind k);
void digest_add(struct digest *d, const void *bytes, size_t n);
/* 0, -ENOMEM or -EIO; frees in every case. */
int digest_end(struct digest *d, uint8_t ret[static DIGEST_LEN_MAX], size_t *ret_n);
void digest_drop(struct digest *d);

#endif
