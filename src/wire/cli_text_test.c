/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/cli_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void shown(void **unused)
{
	static const struct {
		const char *bytes, *lines, *rest;
	} cases[] = {
	    {"a\r\nb\r\nr1# ", "a\nb\n", "r1#"},
	    {"<--- More --->\r              \rnext\r\n", "next\n", ""},
	    {" --More-- \b\b\b\b\b\b\b\b\b\b          \b\b\b\b\b\b\b\b\b\bx\r\n", "x\n", ""},
	    {"\x1b[1mbold\x1b[0m\x1b]0;title\x07!\n", "bold!\n", ""},
	    {"t\xc3\xa4"
	     "b\x01\x7f",
	     "", "tb"},
	    {"abc\rX", "", "Xbc"},
	    {"\b\b\ba", "", "a"},
	    {"trailing   \n", "trailing\n", ""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct cli_text t;
		cli_text_init(&t, 4096);
		assert_int_equal(
		    cli_text_feed(&t, (const uint8_t *)cases[i].bytes, strlen(cases[i].bytes)), 0);
		assert_string_equal(buf_str(&t.lines), cases[i].lines);
		assert_string_equal(cli_text_rest(&t), cases[i].rest);
		cli_text_free(&t);
	}
}

static void bounded(void **unused)
{
	static uint8_t flood[3 * CLI_LINE_MAX];
	struct cli_text t;
	memset(flood, 'a', sizeof flood);
	cli_text_init(&t, 16);
	assert_int_equal(cli_text_feed(&t, flood, sizeof flood), 0);
	assert_int_equal(strlen(cli_text_rest(&t)), CLI_LINE_MAX - 1);
	assert_int_equal(cli_text_feed(&t, (const uint8_t *)"\n", 1), -EMSGSIZE);
	cli_text_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(shown), cmocka_unit_test(bounded)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
