/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"

static void keeps_its_maximum(void **state)
{
	struct buf b = BUF_INIT(4);
	assert_int_equal(buf_add(&b, "abcd", 4), 0);
	assert_int_equal(buf_add(&b, "e", 1), -EMSGSIZE);
	assert_int_equal(buf_addf(&b, "x"), -EMSGSIZE);
	assert_string_equal(buf_str(&b), "abcd");
	buf_reset(&b);
	assert_int_equal(buf_addf(&b, "%d", 12), 0);
	assert_string_equal(buf_str(&b), "12");
	buf_free(&b);
}

static void numbers_are_big_endian(void **state)
{
	struct buf b = BUF_INIT(64);
	buf_add_u8(&b, 1);
	buf_add_be16(&b, 0x0203);
	buf_add_be32(&b, 0x04050607);
	buf_add_be64(&b, 0x08090a0b0c0d0e0f);
	assert_int_equal(b.len, 15);
	for (uint8_t i = 0; i < 15; i++)
		assert_int_equal(b.data[i], i + 1);
	buf_free(&b);
}

static void steal_hands_over(void **state)
{
	struct buf b = BUF_INIT(64);
	char *s = buf_steal(&b);
	assert_string_equal(s, "");
	free(s);
	buf_addf(&b, "hello");
	s = buf_steal(&b);
	assert_string_equal(s, "hello");
	assert_int_equal(b.len, 0);
	free(s);
	struct buf small = BUF_INIT(2);
	buf_addf(&small, "too long");
	assert_null(buf_steal(&small));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keeps_its_maximum),
	    cmocka_unit_test(numbers_are_big_endian),
	    cmocka_unit_test(steal_hands_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
