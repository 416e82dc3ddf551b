/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seal/sha256.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/cursor.h"

void sha256_begin(struct sha256 *h)
{
	/* Without openssl.cnf: what it says must not change what we compute. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	h->ctx = EVP_MD_CTX_new();
	h->error = !h->ctx ? -ENOMEM : EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) ? 0 : -EIO;
}

void sha256_add(struct sha256 *h, const void *bytes, size_t n)
{
	if (!h->error && n && !EVP_DigestUpdate(h->ctx, bytes, n))
		h->error = -EIO;
}

void sha256_add_be64(struct sha256 *h, uint64_t v)
{
	uint8_t b[8];
	for (int i = 0; i < 8; i++)
		b[i] = (uint8_t)(v >> (56 - 8 * i));
	sha256_add(h, b, sizeof b);
}

void sha256_add_text(struct sha256 *h, const char *s)
{
	size_t n = strlen(s);
	uint8_t b[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
	if (n > UINT32_MAX)
		h->error = -EIO;
	sha256_add(h, b, sizeof b);
	sha256_add(h, s, n);
}

int sha256_end(struct sha256 *h, uint8_t ret[static SHA256_LEN])
{
	uint8_t out[SHA256_LEN];
	unsigned n = 0;
	if (!h->error && (!EVP_DigestFinal_ex(h->ctx, out, &n) || n != SHA256_LEN))
		h->error = -EIO;
	int r = h->error;
	sha256_drop(h);
	if (!r)
		memcpy(ret, out, SHA256_LEN);
	return r;
}

void sha256_drop(struct sha256 *h)
{
	EVP_MD_CTX_free(h->ctx);
	h->ctx = NULL;
}

int sha256_of(const void *bytes, size_t n, uint8_t ret[static SHA256_LEN])
{
	struct sha256 h;
	sha256_begin(&h);
	sha256_add(&h, bytes, n);
	return sha256_end(&h, ret);
}

char *hex_encode(const uint8_t *bytes, size_t n, char *dst)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < n; i++) {
		dst[2 * i] = digits[bytes[i] >> 4];
		dst[2 * i + 1] = digits[bytes[i] & 15];
	}
	dst[2 * n] = '\0';
	return dst;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int hex_decode(const char *s, uint8_t *ret, size_t n)
{
	if (strlen(s) != 2 * n)
		return -EINVAL;
	for (size_t i = 0; i < 2 * n; i++)
		if (hex_digit(s[i]) < 0)
			return -EINVAL;
	for (size_t i = 0; i < n; i++)
		ret[i] = (uint8_t)(hex_digit(s[2 * i]) * 16 + hex_digit(s[2 * i + 1]));
	return 0;
}
