/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "wire/hostname.h"

#define L63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg"

static bool of(const char *s, char *ret)
{
	return hostname_of((const uint8_t *)s, strlen(s), ret);
}

static void names(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"example.org", "example.org"},
	    {"EXAMPLE.Org.", "example.org"},
	    {"localhost", "localhost"},
	    {"_a._b.x-1.example", "_a._b.x-1.example"},
	    {"1.2.3.4.example", "1.2.3.4.example"},
	    {L63 ".org", L63 ".org"},
	    {L63 "." L63 "." L63 "."
	         "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffg",
	     L63 "." L63 "." L63 "."
	         "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffg"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[HOSTNAME_MAX];
		assert_true(of(cases[i].in, name));
		assert_string_equal(name, cases[i].out);
	}
}

static void no_names(void **state)
{
	static const char *const cases[] = {
	    "",
	    ".",
	    "..",
	    "a..b",
	    ".a",
	    "a..",
	    "192.0.2.1",
	    "2130706433",
	    "[2001:db8::1]",
	    "2001:db8::1",
	    "a b",
	    "a\nb",
	    "a\x1b[2J",
	    "m\xc3\xbcnchen.example",
	    "a/b",
	    L63 "x.org",
	    L63 "." L63 "." L63 "."
	        "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgg",
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[HOSTNAME_MAX] = "untouched";
		assert_false(of(cases[i], name));
		assert_string_equal(name, "untouched");
	}
	char name[HOSTNAME_MAX];
	assert_false(hostname_of((const uint8_t *)"a\0b", 3, name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    cmocka_unit_test(no_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
