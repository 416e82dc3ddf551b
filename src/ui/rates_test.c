/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ui/rate_table.h"

static struct link link_of(int ifindex, const char *name, uint64_t bytes)
{
	struct link l = {.ifindex = ifindex,
	                 .counters = {.rx_bytes = bytes, .tx_packets = 2 * bytes}};

	strncpy(l.name, name, sizeof(l.name) - 1);
	return l;
}

static void test_rates(void **state)
{
	struct rate_table t = {0};
	struct link l[2] = {link_of(1, "lo", 100), link_of(2, "eth0", 1000)};

	assert_int_equal(rate_sample(&t, l, 2, 5 * USEC_PER_SEC), 0);
	assert_int_equal(t.n, 2);
	assert_int_equal(t.rows[1].interval, 0);
	l[1] = link_of(2, "up0", 1500); /* renamed, and goes on */
	assert_int_equal(rate_sample(&t, l, 2, 7 * USEC_PER_SEC), 0);
	assert_int_equal(t.n, 2);
	assert_string_equal(t.rows[1].name, "up0");
	assert_int_equal(t.rows[1].delta.rx_bytes, 500);
	assert_int_equal(t.rows[1].delta.tx_packets, 1000);
	assert_int_equal(rate_per_second(t.rows[1].delta.rx_bytes, t.rows[1].interval), 250);
	/* Set back: this interval is not counted, the next one is. */
	l[1] = link_of(2, "up0", 10);
	assert_int_equal(rate_sample(&t, l, 2, 8 * USEC_PER_SEC), 0);
	assert_true(t.rows[1].reset);
	assert_int_equal(t.rows[1].interval, 0);
	l[1] = link_of(2, "up0", 40);
	assert_int_equal(rate_sample(&t, l, 2, 9 * USEC_PER_SEC), 0);
	assert_false(t.rows[1].reset);
	assert_int_equal(t.rows[1].sum.rx_bytes, 530);
	assert_int_equal(t.rows[1].sum_time, 3 * USEC_PER_SEC);
	/* Gone, and another one that came. */
	l[1] = link_of(3, "eth1", 7);
	assert_int_equal(rate_sample(&t, l, 2, 10 * USEC_PER_SEC), 0);
	assert_int_equal(t.n, 3);
	assert_false(t.rows[1].seen);
	assert_int_equal(t.rows[1].sum.rx_bytes, 530);
	assert_int_equal(t.rows[2].interval, 0);
	/* Back again: what passed meanwhile is not known. */
	l[1] = link_of(2, "up0", 900);
	assert_int_equal(rate_sample(&t, l, 2, 11 * USEC_PER_SEC), 0);
	assert_int_equal(t.rows[1].interval, 0);
	assert_int_equal(t.rows[1].sum.rx_bytes, 530);
	rate_table_free(&t);
	rate_table_free(NULL);
}

static void test_per_second(void **state)
{
	assert_int_equal(rate_per_second(10, 0), 0);
	assert_int_equal(rate_per_second(3, 2 * USEC_PER_SEC), 2);
	assert_int_equal(rate_per_second(UINT64_C(1) << 50, USEC_PER_SEC / 2), UINT64_C(1) << 51);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rates),
	                                   cmocka_unit_test(test_per_second)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
