/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seal/crypt.h"

#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_MAX 64

struct crypt {
	EVP_MAC *hmac;
	EVP_MAC_CTX *mac;
	EVP_CIPHER *gcm, *ecb;
	EVP_CIPHER_CTX *gcm_ctx, *ecb_ctx;
};

/* The digest is named once; a context keeps it over new keys. */
static int name_digest(EVP_MAC_CTX *mac)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
	    OSSL_PARAM_construct_end(),
	};
	return EVP_MAC_CTX_set_params(mac, params) == 1 ? 0 : -EIO;
}

int crypt_new(struct crypt **ret)
{
	/* Without openssl.cnf: what it says must not change what we compute. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	struct crypt *c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	c->mac = c->hmac ? EVP_MAC_CTX_new(c->hmac) : NULL;
	c->gcm = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
	c->ecb = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
	c->gcm_ctx = EVP_CIPHER_CTX_new();
	c->ecb_ctx = EVP_CIPHER_CTX_new();
	int r = c->mac && c->gcm && c->ecb && c->gcm_ctx && c->ecb_ctx ? name_digest(c->mac) : -EIO;
	if (r == 0 && (!EVP_DecryptInit_ex2(c->gcm_ctx, c->gcm, NULL, NULL, NULL) ||
	               !EVP_EncryptInit_ex2(c->ecb_ctx, c->ecb, NULL, NULL, NULL)))
		r = -EIO;
	if (r < 0) {
		crypt_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void crypt_free(struct crypt *c)
{
	if (!c)
		return;
	EVP_CIPHER_CTX_free(c->gcm_ctx);
	EVP_CIPHER_CTX_free(c->ecb_ctx);
	EVP_CIPHER_free(c->gcm);
	EVP_CIPHER_free(c->ecb);
	EVP_MAC_CTX_free(c->mac);
	EVP_MAC_free(c->hmac);
	free(c);
}

static int hmac(struct crypt *c, const uint8_t *key, size_t key_len, const uint8_t *p, size_t n,
                uint8_t ret[static HKDF_LEN])
{
	size_t len = 0;
	if (!EVP_MAC_init(c->mac, key, key_len, NULL) || !EVP_MAC_update(c->mac, p, n) ||
	    !EVP_MAC_final(c->mac, ret, &len, HKDF_LEN) || len != HKDF_LEN)
		return -EIO;
	return 0;
}

int crypt_hkdf_extract(struct crypt *c, const uint8_t *salt, size_t salt_len, const uint8_t *secret,
                       size_t secret_len, uint8_t ret[static HKDF_LEN])
{
	/* An empty key would mean "the old one" to the library. */
	return salt_len ? hmac(c, salt, salt_len, secret, secret_len, ret) : -EINVAL;
}

int crypt_hkdf_expand_label(struct crypt *c, const uint8_t prk[static HKDF_LEN], const char *label,
                            uint8_t *ret, size_t n)
{
	static const char prefix[6] = "tls13 ";
	uint8_t info[2 + 1 + LABEL_MAX + 1 + 1], out[HKDF_LEN];
	size_t len = sizeof prefix + strlen(label);

	if (!n || n > HKDF_LEN || len > LABEL_MAX)
		return -EINVAL;
	info[0] = 0;
	info[1] = (uint8_t)n;
	info[2] = (uint8_t)len;
	memcpy(info + 3, prefix, sizeof prefix);
	memcpy(info + 3 + sizeof prefix, label, strlen(label));
	info[3 + len] = 0; /* no context */
	info[4 + len] = 1; /* the first block is all we need */
	int r = hmac(c, prk, HKDF_LEN, info, 5 + len, out);
	if (r == 0)
		memcpy(ret, out, n);
	return r;
}

int crypt_aes128_block(struct crypt *c, const uint8_t key[static AES128_LEN],
                       const uint8_t in[static AES128_LEN], uint8_t ret[static AES128_LEN])
{
	int n = 0;
	if (!EVP_EncryptInit_ex2(c->ecb_ctx, NULL, key, NULL, NULL) ||
	    !EVP_CIPHER_CTX_set_padding(c->ecb_ctx, 0) ||
	    !EVP_EncryptUpdate(c->ecb_ctx, ret, &n, in, AES128_LEN) || n != AES128_LEN)
		return -EIO;
	return 0;
}

int crypt_aes128_gcm_open(struct crypt *c, const uint8_t key[static AES128_LEN],
                          const uint8_t iv[static GCM_IV_LEN], const uint8_t *aad, size_t aad_len,
                          const uint8_t *in, size_t n, uint8_t *ret)
{
	uint8_t tag[GCM_TAG_LEN];
	int len = 0;

	if (n < GCM_TAG_LEN || n > INT_MAX || aad_len > INT_MAX)
		return -EINVAL;
	n -= GCM_TAG_LEN;
	memcpy(tag, in + n, sizeof tag);
	if (!EVP_DecryptInit_ex2(c->gcm_ctx, NULL, key, iv, NULL) ||
	    !EVP_CIPHER_CTX_ctrl(c->gcm_ctx, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) ||
	    (aad_len && !EVP_DecryptUpdate(c->gcm_ctx, NULL, &len, aad, (int)aad_len)) ||
	    (n && (!EVP_DecryptUpdate(c->gcm_ctx, ret, &len, in, (int)n) || len != (int)n)))
		return -EIO;
	return EVP_DecryptFinal_ex(c->gcm_ctx, tag, &len) > 0 ? 0 : -EBADMSG;
}
