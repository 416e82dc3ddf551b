/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"

static void prefixes_round_trip(void **state)
{
	static const struct {
		const char *in, *out; /* out NULL: refused */
	} rows[] = {
	    {"192.0.2.10", "192.0.2.10"},
	    {"192.0.2.10/32", "192.0.2.10"},
	    {"192.0.2.0/24", "192.0.2.0/24"},
	    {"0.0.0.0/0", "0.0.0.0/0"},
	    {"2001:db8::/32", "2001:db8::/32"},
	    {"2001:DB8::1", "2001:db8::1"},
	    {"::ffff:192.0.2.1", "192.0.2.1"},
	    {"::/0", "::/0"},
	    {"192.0.2.10/24", NULL},
	    {"192.0.2.01", NULL},
	    {"10.1", NULL},
	    {"192.0.2.0/33", NULL},
	    {"192.0.2.0/", NULL},
	    {"192.0.2.0/+8", NULL},
	    {"::ffff:192.0.2.0/120", NULL},
	    {"evil.example", NULL},
	    {"", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct prefix p;
		struct err e = {0};
		char s[PREFIX_STR_MAX];
		int r = prefix_parse(rows[i].in, &p, &e);
		assert_int_equal(r, rows[i].out ? 0 : -EINVAL);
		if (rows[i].out)
			assert_string_equal(prefix_str(&p, s), rows[i].out);
		else
			assert_true(e.text[0]);
	}
}

static void host_bits_show_what_was_meant(void **state)
{
	struct prefix p;
	struct err e = {0};
	assert_int_equal(prefix_parse("10.1.2.3/8", &p, &e), -EINVAL);
	assert_non_null(strstr(e.text, "10.0.0.0/8"));
}

static void endpoints(void **state)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
	    {"192.0.2.1", "192.0.2.1"},     {"192.0.2.1:22", "192.0.2.1:22"},
	    {"2001:db8::1", "2001:db8::1"}, {"[2001:db8::1]:22", "[2001:db8::1]:22"},
	    {"192.0.2.1:0", NULL},          {"192.0.2.1:65536", NULL},
	    {"192.0.2.1:", NULL},           {"[2001:db8::1]", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct endpoint ep;
		char s[ENDPOINT_STR_MAX];
		assert_int_equal(endpoint_parse(rows[i].in, &ep, NULL), rows[i].out ? 0 : -EINVAL);
		if (rows[i].out)
			assert_string_equal(endpoint_str(&ep, s), rows[i].out);
	}
}

static void covering(void **state)
{
	struct prefix wide, narrow, v6;
	struct addr a;
	char s[ADDR_STR_MAX];
	prefix_parse("10.0.0.0/8", &wide, NULL);
	prefix_parse("10.0.0.0/30", &narrow, NULL);
	prefix_parse("2001:db8::/33", &v6, NULL);
	assert_true(prefix_covers(&wide, &narrow));
	assert_false(prefix_covers(&narrow, &wide));
	addr_parse("10.0.0.10", &a);
	assert_false(prefix_has(&narrow, &a)); /* 10.0.0.1 must not match 10.0.0.10 */
	a = prefix_last(&narrow);
	assert_string_equal(addr_str(&a, s), "10.0.0.3");
	a = prefix_last(&v6);
	assert_string_equal(addr_str(&a, s), "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff");
}

static void classes(void **state)
{
	static const struct {
		const char *text;
		bool loopback, multicast, inside;
	} rows[] = {
	    {"127.0.0.1", true, false, true},    {"::1", true, false, true},
	    {"224.0.0.251", false, true, false}, {"255.255.255.255", false, true, false},
	    {"ff02::1", false, true, false},     {"10.1.1.1", false, false, true},
	    {"192.0.2.10", false, false, false}, {"fe80::1", false, false, true},
	    {"fd00::1", false, false, true},     {"203.0.113.5", false, false, false},
	    {"172.31.9.9", false, false, true},  {"172.32.0.1", false, false, false},
	    {"192.168.7.1", false, false, true}, {"192.169.0.1", false, false, false},
	    {"100.127.0.1", false, false, true}, {"100.128.0.1", false, false, false},
	    {"169.254.1.1", false, false, true}, {"febf::1", false, false, true},
	    {"fec0::1", false, false, false},    {"239.1.1.1", false, true, false},
	    {"240.0.0.1", false, false, false},  {"::2", false, false, false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct addr a;
		assert_int_equal(addr_parse(rows[i].text, &a), 0);
		assert_int_equal(addr_is_loopback(&a), rows[i].loopback);
		assert_int_equal(addr_is_multicast(&a), rows[i].multicast);
		assert_int_equal(addr_is_inside(&a), rows[i].inside);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(prefixes_round_trip),
	    cmocka_unit_test(host_bits_show_what_was_meant),
	    cmocka_unit_test(endpoints),
	    cmocka_unit_test(covering),
	    cmocka_unit_test(classes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
