/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/cgtree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"

static void test_paths(void **state)
{
	static const struct {
		const char *path;
		bool ok;
	} cases[] = {
	    {"/", true},      {"/a", true},  {"/a/b.service", true}, {"/a\\x2db", true},
	    {"", false},      {"a", false},  {"//", false},          {"/a/", false},
	    {"/a//b", false}, {"/.", false}, {"/a/..", false},       {"/../a", false},
	    {"/...", true},   {"/.a", true}, {"/a/./b", false},
	};
	char long_path[CGTREE_PATH_MAX + 1], long_name[300] = "/";

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(cgtree_path_ok(cases[i].path), cases[i].ok);
	memset(long_path, 'a', sizeof long_path - 1);
	long_path[sizeof long_path - 1] = 0;
	for (size_t i = 0; i < sizeof long_path - 1; i += 100)
		long_path[i] = '/';
	assert_false(cgtree_path_ok(long_path));
	long_path[CGTREE_PATH_MAX - 1] = 0;
	assert_true(cgtree_path_ok(long_path));
	memset(long_name + 1, 'a', 256);
	assert_false(cgtree_path_ok(long_name));
	long_name[256] = 0;
	assert_true(cgtree_path_ok(long_name));
}

static void test_below(void **state)
{
	assert_true(cgtree_below("/a/b", "/a"));
	assert_true(cgtree_below("/a", "/a"));
	assert_true(cgtree_below("/a", "/"));
	assert_true(cgtree_below("/", "/"));
	assert_false(cgtree_below("/ab", "/a"));
	assert_false(cgtree_below("/", "/a"));
	assert_string_equal(cgtree_name("/a/b.service"), "b.service");
	assert_string_equal(cgtree_name("/"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
