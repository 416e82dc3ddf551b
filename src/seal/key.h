/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Ed25519 key of a state directory: `key` (PKCS #8 PEM, mode 0600) and `key.pub` (PEM), as
 * openssl(1) reads them, too. Both are written to a temporary file, synced and renamed.
 */
#ifndef STANCH_SEAL_KEY_H
#define STANCH_SEAL_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "seal/sha256.h"

#define SEAL_SIGNATURE_LEN 64

struct seal_key; /* a private or a public key */

/* Reads DIR/key; makes the pair if absent and `create`, and DIR/key.pub when only that is absent
 * or no key (it is not synced).
 * -ENOENT: absent; -EBADMSG: not one of ours; -EPERM: others may read it. */
int seal_key_open(const char *dir, bool create, struct seal_key **ret, struct err *e);
/* Reads DIR/key.pub: verifies only. */
int seal_pub_open(const char *dir, struct seal_key **ret, struct err *e);
/* The public half as key.pub's text has it, with its end; and a key from such a text: verifies
 * only. -EBADMSG: not in that form, to the byte. */
#define SEAL_PEM_MAX 256
int seal_pub_text(const struct seal_key *k, char ret[static SEAL_PEM_MAX], struct err *e);
int seal_pub_from_text(const char *text, struct seal_key **ret, struct err *e);
/* SHA-256 over the 32 bytes of the public half, in hex: what people compare. */
int seal_fingerprint(const struct seal_key *k, char ret[static SHA256_HEX_MAX], struct err *e);
/* A key in memory only. */
int seal_key_new(struct seal_key **ret, struct err *e);
void seal_key_free(struct seal_key *k); /* takes NULL */

int seal_sign(const struct seal_key *k, const void *bytes, size_t n,
              uint8_t ret[static SEAL_SIGNATURE_LEN], struct err *e);
/* 0 when it is this key's signature, -EBADMSG when not. */
int seal_verify(const struct seal_key *k, const void *bytes, size_t n, const uint8_t *signature,
                size_t n_signature);

#endif
