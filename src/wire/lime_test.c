/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/cursor.h"
#include "base/table.h"
#include "wire/lime.h"

/* A header as LiME's own module writes it (struct lime_mem_range_header). */
static const uint8_t golden[LIME_HEADER_LEN] = {
    0x45, 0x4d, 0x69, 0x4c, 1, 0, 0, 0, 0x00, 0x10, 0, 0, 0, 0, 0, 0,
    0xff, 0xfb, 0x09, 0,    0, 0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0};

static void bytes_are_those_of_lime(void **state)
{
	uint8_t h[LIME_HEADER_LEN];
	struct lime_walk w = {0};
	lime_put(&(struct phys_range){0x1000, 0x9fbff}, h);
	assert_memory_equal(h, golden, sizeof(h));
	assert_int_equal(lime_next(&w, h, NULL), 0);
	assert_int_equal(w.range.first, 0x1000);
	assert_int_equal(w.range.last, 0x9fbff);
	assert_int_equal(w.data, 32);
	assert_int_equal(w.offset, 32 + 0x9fbff - 0x1000 + 1);
}

static void a_walk_goes_through_all(void **state)
{
	static const struct phys_range ranges[] = {{0, 0},
	                                           {0x1000, 0x1fff},
	                                           {0x2000, 0x2000},
	                                           {UINT64_C(1) << 40, (UINT64_C(1) << 40) + 6}};
	struct lime_walk w = {0};
	uint64_t at = 0;
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		uint8_t h[LIME_HEADER_LEN];
		lime_put(&ranges[i], h);
		assert_int_equal(w.offset, at);
		assert_int_equal(lime_next(&w, h, NULL), 0);
		assert_memory_equal(&w.range, &ranges[i], sizeof(ranges[i]));
		at += LIME_HEADER_LEN + phys_range_len(&ranges[i]);
	}
	assert_int_equal(w.n, ARRAY_SIZE(ranges));
	assert_int_equal(w.offset, at);
}

static void what_is_refused(void **state)
{
	struct err e = {0};
	struct lime_walk w = {0};
	uint8_t h[LIME_HEADER_LEN];

	memcpy(h, golden, sizeof(h));
	h[4] = 2;
	assert_int_equal(lime_next(&w, h, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "version 2"));
	h[0] = 0x41;
	assert_int_equal(lime_next(&w, h, &e), -EBADMSG);
	lime_put(&(struct phys_range){5, 4}, h);
	assert_int_equal(lime_next(&w, h, &e), -EBADMSG);
	lime_put(&(struct phys_range){0, UINT64_MAX}, h);
	assert_int_equal(lime_next(&w, h, &e), -EBADMSG);
	assert_int_equal(w.n, 0);

	/* Overlapping or descending ranges: Volatility would misread them. */
	lime_put(&(struct phys_range){0x1000, 0x1fff}, h);
	assert_int_equal(lime_next(&w, h, NULL), 0);
	lime_put(&(struct phys_range){0x1fff, 0x2fff}, h);
	assert_int_equal(lime_next(&w, h, &e), -EBADMSG);
	lime_put(&(struct phys_range){0, 0xfff}, h);
	assert_int_equal(lime_next(&w, h, &e), -EBADMSG);
	assert_int_equal(w.n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_are_those_of_lime),
	    cmocka_unit_test(a_walk_goes_through_all),
	    cmocka_unit_test(what_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
