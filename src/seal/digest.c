/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seal/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

static const char *const digest_kind_names[_DIGEST_MAX] = {
    [DIGEST_SHA256] = "sha256",
    [DIGEST_MD5] = "md5",
    [DIGEST_SHA1] = "sha1",
    [DIGEST_BLAKE2B] = "blake2b",
};
STRING_TABLE_DEFINE(digest_kind, enum digest_kind, digest_kind_names)

static const EVP_MD *algorithm(enum digest_kind k)
{
	switch (k) {
	case DIGEST_MD5:
		return EVP_md5();
	case DIGEST_SHA1:
		return EVP_sha1();
	case DIGEST_BLAKE2B:
		return EVP_blake2b512();
	default:
		return EVP_sha256();
	}
}

void digest_begin(struct digest *d, enum digest_kind k)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	d->ctx = EVP_MD_CTX_new();
	d->error = !d->ctx ? -ENOMEM : EVP_DigestInit_ex(d->ctx, algorithm(k), NULL) ? 0 : -EIO;
}

void digest_add(struct digest *d, const void *bytes, size_t n)
{
	if (!d->error && n && !EVP_DigestUpdate(d->ctx, bytes, n))
		d->error = -EIO;
}

int digest_end(struct digest *d, uint8_t ret[static DIGEST_LEN_MAX], size_t *ret_n)
{
	unsigned n = 0;
	if (!d->error && !EVP_DigestFinal_ex(d->ctx, ret, &n))
		d->error = -EIO;
	int r = d->error;
	digest_drop(d);
	*ret_n = n;
	return r;
}

void digest_drop(struct digest *d)
{
	EVP_MD_CTX_free(d->ctx);
	d->ctx = NULL;
}
