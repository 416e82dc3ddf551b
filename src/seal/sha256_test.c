/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seal/sha256.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void same(const uint8_t *got, const char *want)
{
	char hex[SHA256_HEX_MAX];
	assert_string_equal(hex_encode(got, SHA256_LEN, hex), want);
}

/* FIPS 180-4 examples. */
static void known_answers(void **state)
{
	uint8_t h[SHA256_LEN];
	assert_int_equal(sha256_of("", 0, h), 0);
	same(h, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_int_equal(sha256_of("abc", 3, h), 0);
	same(h, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void pieces_add_up(void **state)
{
	uint8_t one[SHA256_LEN], two[SHA256_LEN];
	struct sha256 h;
	assert_int_equal(sha256_of("\0\0\0\0\0\0\1\2\0\0\0\3abc", 15, one), 0);
	sha256_begin(&h);
	sha256_add_be64(&h, 0x102);
	sha256_add_text(&h, "abc");
	assert_int_equal(sha256_end(&h, two), 0);
	assert_memory_equal(one, two, sizeof one);
}

static void hex_is_exact(void **state)
{
	uint8_t b[2] = {9, 9};
	assert_int_equal(hex_decode("aB01", b, 2), 0);
	assert_int_equal(b[0], 0xab);
	assert_int_equal(b[1], 0x01);
	assert_int_equal(hex_decode("aB0", b, 2), -EINVAL);
	assert_int_equal(hex_decode("aB012", b, 2), -EINVAL);
	assert_int_equal(hex_decode("aB0g", b, 2), -EINVAL);
	assert_int_equal(b[0], 0xab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(known_answers),
	    cmocka_unit_test(pieces_add_up),
	    cmocka_unit_test(hex_is_exact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
