/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SHA-256 (FIPS 180-4) and hexadecimal text. */
#ifndef STANCH_SEAL_SHA256_H
#define STANCH_SEAL_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN     32
#define SHA256_HEX_MAX 65

/* A hash in the making. The first failure is kept; sha256_end returns it. */
struct sha256 {
	void *ctx; /* EVP_MD_CTX, owned until sha256_end or sha256_drop */
	int error;
};

void sha256_begin(struct sha256 *h);
void sha256_add(struct sha256 *h, const void *bytes, size_t n);
/* Big-endian numbers and length-prefixed text (be32 length), the pieces canonical forms are made
 * of. */
void sha256_add_be64(struct sha256 *h, uint64_t v);
void sha256_add_text(struct sha256 *h, const char *s);
/* 0, -ENOMEM or -EIO; frees in every case. */
int sha256_end(struct sha256 *h, uint8_t ret[static SHA256_LEN]);
void sha256_drop(struct sha256 *h);

int sha256_of(const void *bytes, size_t n, uint8_t ret[static SHA256_LEN]);

/* dst gets 2n lower-case digits and a NUL; returns dst. */
char *hex_encode(const uint8_t *bytes, size_t n, char *dst);
/* Exactly 2n digits of either case, nothing behind; -EINVAL else. */
int hex_decode(const char *s, uint8_t *ret, size_t n);

#endif
