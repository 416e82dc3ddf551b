/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seal/key.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"

#define RAW_LEN      32
#define DER_HEAD_MAX 16
#define PEM_MAX      SEAL_PEM_MAX

struct seal_key {
	EVP_PKEY *pkey;
};

/* An Ed25519 key in DER is a fixed head and 32 bytes (RFC 8410): writing and reading these two by
 * hand is exact and spares OpenSSL's decoders, which cost more than the whole journal. */
struct form {
	const char *file, *label;
	mode_t mode;
	size_t n_head;
	uint8_t head[DER_HEAD_MAX];
};

static const struct form form_private = {
    "key",
    "PRIVATE KEY",
    0600,
    16,
    {0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20},
};
static const struct form form_public = {
    "key.pub", "PUBLIC KEY", 0644, 12, {0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0},
};

static size_t pem_write(const struct form *f, const uint8_t raw[static RAW_LEN],
                        char dst[static PEM_MAX])
{
	uint8_t der[DER_HEAD_MAX + RAW_LEN];
	char base64[4 * sizeof der];
	memcpy(der, f->head, f->n_head);
	memcpy(der + f->n_head, raw, RAW_LEN);
	EVP_EncodeBlock((uint8_t *)base64, der, (int)(f->n_head + RAW_LEN));
	int n = snprintf(dst, PEM_MAX, "-----BEGIN %s-----\n%s\n-----END %s-----\n", f->label,
	                 base64, f->label);
	OPENSSL_cleanse(der, sizeof der);
	OPENSSL_cleanse(base64, sizeof base64);
	return (size_t)n;
}

/* Takes the text apart by writing it again: what differs from our own form is refused. */
static int pem_read(const struct form *f, const char *pem, uint8_t ret[static RAW_LEN])
{
	char begin[64], again[PEM_MAX];
	int n = snprintf(begin, sizeof begin, "-----BEGIN %s-----\n", f->label);
	if (strncmp(pem, begin, (size_t)n) != 0)
		return -EBADMSG;

	/* Whole groups of four: 48 bytes are 64 digits, 44 bytes are 60 with one '='. */
	size_t n_der = f->n_head + RAW_LEN, n_base64 = (n_der + 2) / 3 * 4;
	uint8_t der[DER_HEAD_MAX + RAW_LEN + 3];
	if (strlen(pem + n) < n_base64 ||
	    EVP_DecodeBlock(der, (const uint8_t *)pem + n, (int)n_base64) < (int)n_der)
		return -EBADMSG;
	uint8_t raw[RAW_LEN];
	memcpy(raw, der + f->n_head, RAW_LEN);
	pem_write(f, raw, again);
	int r = strcmp(again, pem) ? -EBADMSG : 0;
	if (!r)
		memcpy(ret, raw, RAW_LEN);
	OPENSSL_cleanse(der, sizeof der);
	OPENSSL_cleanse(raw, sizeof raw);
	OPENSSL_cleanse(again, sizeof again);
	return r;
}

static int file_write(const char *dir, const struct form *f, const char *text, size_t n, bool sync,
                      struct err *e)
{
	char path[PATH_MAX], tmp[PATH_MAX];
	int a = snprintf(path, sizeof path, "%s/%s", dir, f->file);
	int b = snprintf(tmp, sizeof tmp, "%s/%s.new", dir, f->file);
	if (a < 0 || b < 0 || (size_t)b >= sizeof tmp)
		return err_set(e, -ENAMETOOLONG, "%.60s…: the path is too long", dir);

	if (sys->unlink(tmp) && errno != ENOENT)
		return err_set(e, -errno, "cannot remove %s: %s", tmp, strerror(errno));
	int fd = sys->open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, f->mode);
	if (fd < 0)
		return err_set(e, -errno, "cannot create the key file %s: %s", tmp,
		               strerror(errno));
	int r = sys_write_all(fd, text, n);
	if (!r && sync && sys->fsync(fd))
		r = -errno;
	if (sys->close(fd) && !r)
		r = -errno;
	if (!r && sys->rename(tmp, path))
		r = -errno;
	if (r) {
		sys->unlink(tmp);
		return err_set(e, r, "cannot write the key file %s: %s", path, strerror(-r));
	}
	return 0;
}

static int file_read(const char *dir, const struct form *f, char dst[static PEM_MAX], struct err *e)
{
	char path[PATH_MAX];
	struct stat st;
	if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, f->file) >= sizeof path)
		return err_set(e, -ENAMETOOLONG, "%.60s…: the path is too long", dir);
	_cleanup_close_ int fd = sys->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	if (fd < 0)
		return err_set(e, -errno, "cannot open the key file %s: %s", path, strerror(errno));
	if (fstat(fd, &st))
		return err_set(e, -errno, "cannot read the key file %s: %s", path, strerror(errno));
	if (f->mode == 0600 && (st.st_mode & 077))
		return err_set(e, -EPERM,
		               "%s can be read by others; if it may have leaked, start a new state "
		               "directory, else: chmod 600 %s",
		               path, path);
	ssize_t n = sys->read(fd, dst, PEM_MAX - 1);
	if (n < 0)
		return err_set(e, -errno, "cannot read the key file %s: %s", path, strerror(errno));
	dst[n] = '\0';
	return 0;
}

static int key_wrap(EVP_PKEY *pkey, struct seal_key **ret, struct err *e)
{
	struct seal_key *k = pkey ? malloc(sizeof *k) : NULL;
	if (!k) {
		EVP_PKEY_free(pkey);
		return err_set(e, -ENOMEM, "out of memory while loading a signing key");
	}
	k->pkey = pkey;
	*ret = k;
	return 0;
}

static int key_from_file(const char *dir, const struct form *f, struct seal_key **ret,
                         struct err *e)
{
	char pem[PEM_MAX];
	uint8_t raw[RAW_LEN];
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	int r = file_read(dir, f, pem, e);
	if (r)
		return r;
	r = pem_read(f, pem, raw);
	OPENSSL_cleanse(pem, sizeof pem);
	if (r)
		return err_set(e, r, "%s/%s is not an Ed25519 key as stanch writes it", dir,
		               f->file);
	EVP_PKEY *p = f == &form_private
	                  ? EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, raw, RAW_LEN)
	                  : EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, RAW_LEN);
	OPENSSL_cleanse(raw, sizeof raw);
	return key_wrap(p, ret, e);
}

static int public_raw(const struct seal_key *k, uint8_t raw[static RAW_LEN], struct err *e)
{
	size_t n = RAW_LEN;
	if (!EVP_PKEY_get_raw_public_key(k->pkey, raw, &n) || n != RAW_LEN)
		return err_set(e, -EIO, "cannot derive the public key");
	return 0;
}

int seal_pub_text(const struct seal_key *k, char ret[static SEAL_PEM_MAX], struct err *e)
{
	uint8_t raw[RAW_LEN];
	int r = public_raw(k, raw, e);
	if (!r)
		pem_write(&form_public, raw, ret);
	return r;
}

int seal_fingerprint(const struct seal_key *k, char ret[static SHA256_HEX_MAX], struct err *e)
{
	uint8_t raw[RAW_LEN], hash[SHA256_LEN];
	int r = public_raw(k, raw, e);
	if (!r && (r = sha256_of(raw, sizeof raw, hash)))
		return err_set(e, r, "cannot hash a public key");
	if (!r)
		hex_encode(hash, sizeof hash, ret);
	return r;
}

int seal_pub_from_text(const char *text, struct seal_key **ret, struct err *e)
{
	uint8_t raw[RAW_LEN];
	char again[PEM_MAX];
	if (pem_read(&form_public, text, raw))
		return err_set(e, -EBADMSG, "not an Ed25519 public key as stanch writes it");
	pem_write(&form_public, raw, again);
	if (strcmp(again, text) != 0)
		return err_set(e, -EBADMSG, "not an Ed25519 public key as stanch writes it");
	return key_wrap(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, RAW_LEN), ret, e);
}

static int public_write(const char *dir, const struct seal_key *k, struct err *e)
{
	char pem[PEM_MAX];
	int r = seal_pub_text(k, pem, e);
	/* Not synced: it is written again from the private half where it does not read. */
	return r ? r : file_write(dir, &form_public, pem, strlen(pem), false, e);
}

int seal_key_new(struct seal_key **ret, struct err *e)
{
	uint8_t raw[RAW_LEN];
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (RAND_priv_bytes(raw, sizeof raw) != 1)
		return err_set(e, -EIO, "no random bytes for a new signing key");
	EVP_PKEY *p = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, raw, RAW_LEN);
	OPENSSL_cleanse(raw, sizeof raw);
	return key_wrap(p, ret, e);
}

static int key_create(const char *dir, struct seal_key **ret, struct err *e)
{
	struct seal_key *k;
	uint8_t raw[RAW_LEN];
	size_t n = sizeof raw;
	char pem[PEM_MAX];
	int r = seal_key_new(&k, e);
	if (r)
		return r;
	if (!EVP_PKEY_get_raw_private_key(k->pkey, raw, &n) || n != RAW_LEN) {
		seal_key_free(k);
		return err_set(e, -EIO, "cannot read the new signing key");
	}
	n = pem_write(&form_private, raw, pem);
	OPENSSL_cleanse(raw, sizeof raw);
	/* The public half first: a private key without one would be completed on the next open,
	 * a public one without its private half is simply replaced. */
	r = public_write(dir, k, e);
	if (!r)
		r = file_write(dir, &form_private, pem, n, true, e);
	OPENSSL_cleanse(pem, sizeof pem);
	if (r) {
		seal_key_free(k);
		return r;
	}
	*ret = k;
	return 0;
}

int seal_key_open(const char *dir, bool create, struct seal_key **ret, struct err *e)
{
	struct seal_key *k = NULL;
	int r = key_from_file(dir, &form_private, &k, e);
	if (r == -ENOENT && create)
		return key_create(dir, ret, e);
	if (r)
		return r;

	char pem[PEM_MAX];
	uint8_t raw[RAW_LEN];
	r = file_read(dir, &form_public, pem, NULL);
	if (r == -ENOENT || (r == 0 && pem_read(&form_public, pem, raw)))
		r = public_write(dir, k, e);
	else
		r = 0;
	if (r) {
		seal_key_free(k);
		return r;
	}
	*ret = k;
	return 0;
}

int seal_pub_open(const char *dir, struct seal_key **ret, struct err *e)
{
	return key_from_file(dir, &form_public, ret, e);
}

void seal_key_free(struct seal_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->pkey);
	free(k);
}

int seal_sign(const struct seal_key *k, const void *bytes, size_t n,
              uint8_t ret[static SEAL_SIGNATURE_LEN], struct err *e)
{
	uint8_t out[SEAL_SIGNATURE_LEN];
	size_t n_out = sizeof out;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = c && EVP_DigestSignInit(c, NULL, NULL, NULL, k->pkey) == 1 &&
	          EVP_DigestSign(c, out, &n_out, bytes, n) == 1 && n_out == sizeof out;
	EVP_MD_CTX_free(c);
	if (!ok)
		return err_set(e, -EIO, "cannot sign with the key of this state directory");
	memcpy(ret, out, sizeof out);
	return 0;
}

int seal_verify(const struct seal_key *k, const void *bytes, size_t n, const uint8_t *signature,
                size_t n_signature)
{
	if (n_signature != SEAL_SIGNATURE_LEN)
		return -EBADMSG;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = c && EVP_DigestVerifyInit(c, NULL, NULL, NULL, k->pkey) == 1 &&
	          EVP_DigestVerify(c, signature, n_signature, bytes, n) == 1;
	EVP_MD_CTX_free(c);
	return ok ? 0 : -EBADMSG;
}
