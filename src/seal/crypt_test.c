/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "seal/crypt.h"
#include "seal/sha256.h"

static struct crypt *crypt;

static int setup(void **state)
{
	return crypt_new(&crypt);
}

static int teardown(void **state)
{
	crypt_free(crypt);
	return 0;
}

static void is_hex(const uint8_t *p, size_t n, const char *hex)
{
	uint8_t want[64];
	assert_int_equal(hex_decode(hex, want, n), 0);
	assert_memory_equal(p, want, n);
}

/* RFC 5869 A.1, and the labels of RFC 9001 A.1. */
static void hkdf(void **state)
{
	uint8_t salt[20], secret[22], prk[HKDF_LEN], key[HKDF_LEN];
	hex_decode("000102030405060708090a0b0c", salt, 13);
	memset(secret, 0x0b, sizeof secret);
	assert_int_equal(crypt_hkdf_extract(crypt, salt, 13, secret, 22, prk), 0);
	is_hex(prk, 32, "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");

	hex_decode("38762cf7f55934b34d179ae6a4c80cadccbb7f0a", salt, 20);
	hex_decode("8394c8f03e515708", secret, 8);
	assert_int_equal(crypt_hkdf_extract(crypt, salt, 20, secret, 8, prk), 0);
	is_hex(prk, 32, "7db5df06e7a69e432496adedb00851923595221596ae2ae9fb8115c1e9ed0a44");
	assert_int_equal(crypt_hkdf_expand_label(crypt, prk, "client in", key, 32), 0);
	is_hex(key, 32, "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea");
	memcpy(prk, key, sizeof prk);
	assert_int_equal(crypt_hkdf_expand_label(crypt, prk, "quic iv", key, 12), 0);
	is_hex(key, 12, "fa044b2f42a3fd3b46fb255c");

	assert_int_equal(crypt_hkdf_expand_label(crypt, prk, "x", key, 0), -EINVAL);
	assert_int_equal(crypt_hkdf_expand_label(crypt, prk, "x", key, 33), -EINVAL);
	assert_int_equal(crypt_hkdf_extract(crypt, salt, 0, secret, 8, prk), -EINVAL);
}

/* FIPS 197 C.1. */
static void aes(void **state)
{
	uint8_t key[16], in[16], out[16];
	hex_decode("000102030405060708090a0b0c0d0e0f", key, 16);
	hex_decode("00112233445566778899aabbccddeeff", in, 16);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(crypt_aes128_block(crypt, key, in, out), 0);
		is_hex(out, 16, "69c4e0d86a7b0430d8cdb78070b4c55a");
	}
}

/* Test case 4 of the GCM proposal (McGrew, Viega). */
static void gcm(void **state)
{
	uint8_t key[16], iv[12], aad[20], in[76], out[60];
	hex_decode("feffe9928665731c6d6a8f9467308308", key, 16);
	hex_decode("cafebabefacedbaddecaf888", iv, 12);
	hex_decode("feedfacedeadbeeffeedfacedeadbeefabaddad2", aad, 20);
	hex_decode("42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
	           "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
	           "5bc94fbc3221a5db94fae95ae7121a47",
	           in, 76);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(crypt_aes128_gcm_open(crypt, key, iv, aad, 20, in, 76, out), 0);
		is_hex(out, 60,
		       "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
		       "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
		/* Anything changed: refused, and the next is opened all the same. */
		in[3] ^= 1;
		assert_int_equal(crypt_aes128_gcm_open(crypt, key, iv, aad, 20, in, 76, out),
		                 -EBADMSG);
		in[3] ^= 1;
		assert_int_equal(crypt_aes128_gcm_open(crypt, key, iv, aad, 19, in, 76, out),
		                 -EBADMSG);
		assert_int_equal(crypt_aes128_gcm_open(crypt, key, iv, aad, 20, in, 75, out),
		                 -EBADMSG);
	}
	assert_int_equal(crypt_aes128_gcm_open(crypt, key, iv, aad, 20, in, 15, out), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hkdf),
	    cmocka_unit_test(aes),
	    cmocka_unit_test(gcm),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
