/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The few primitives with which a QUIC Initial packet is opened: HKDF with SHA-256 (RFC 5869, and
 * HKDF-Expand-Label of RFC 8446 7.1), AES-128-GCM (NIST SP 800-38D), one block of AES-128.
 *
 * Algorithms are looked up once, at crypt_new: afterwards no file is opened and no algorithm
 * loaded, so that a process may shut itself in. Used by one thread at a time.
 */
#ifndef STANCH_SEAL_CRYPT_H
#define STANCH_SEAL_CRYPT_H

#include <stddef.h>
#include <stdint.h>

#define HKDF_LEN    32
#define AES128_LEN  16
#define GCM_IV_LEN  12
#define GCM_TAG_LEN 16

struct crypt;

int crypt_new(struct crypt **ret); /* -ENOMEM, -EIO */
void crypt_free(struct crypt *c);  /* takes NULL */

/* All return 0, -EINVAL for lengths that are not possible, or -EIO when the library fails. */
int crypt_hkdf_extract(struct crypt *c, const uint8_t *salt, size_t salt_len, const uint8_t *secret,
                       size_t secret_len, uint8_t ret[static HKDF_LEN]);
/* With an empty context; the label without "tls13 "; 1 <= n <= HKDF_LEN. */
int crypt_hkdf_expand_label(struct crypt *c, const uint8_t prk[static HKDF_LEN], const char *label,
                            uint8_t *ret, size_t n);
int crypt_aes128_block(struct crypt *c, const uint8_t key[static AES128_LEN],
                       const uint8_t in[static AES128_LEN], uint8_t ret[static AES128_LEN]);
/* in is the ciphertext and behind it the tag: n bytes; n - GCM_TAG_LEN go to ret, which may not
 * overlap in. -EBADMSG: not sealed with this key; ret is of no use then. */
int crypt_aes128_gcm_open(struct crypt *c, const uint8_t key[static AES128_LEN],
                          const uint8_t iv[static GCM_IV_LEN], const uint8_t *aad, size_t aad_len,
                          const uint8_t *in, size_t n, uint8_t *ret);

#endif
