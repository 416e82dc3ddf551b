/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ui/out.h"
#include "ui/report.h"

static void untrusted_text_is_harmless(void **state)
{
	static const char *const cases[][2] = {
	    {"plain", "plain"},
	    {"a\033[2Jb\n\t", "a?[2Jb??"},
	    {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
	    {"\xff\xc3(\xe2\x82", "?"
	                          "?(?"
	                          "?"},
	    {"\xc2\x9b"
	     "31m",
	     "?31m"}, /* C1 control */
	    {"a\xe2\x80\xae"
	     "txt.exe",
	     "a?txt.exe"},           /* right-to-left override */
	    {"\xc0\xaf", "??"},      /* overlong */
	    {"\xed\xa0\x80", "???"}, /* surrogate */
	};
	char dst[64];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(out_clean(cases[i][0], dst, sizeof dst), cases[i][1]);
	assert_string_equal(out_clean("abc\xc3\xbc", dst, 5), "abc"); /* cut at a character */
	assert_string_equal(out_clean("abc", dst, 1), "");
}

static void bytes_have_four_figures_at_most(void **state)
{
	static const struct {
		uint64_t n;
		const char *text;
	} cases[] = {
	    {0, "0 B"},
	    {999, "999 B"},
	    {1000, "1.0 kB"},
	    {1550, "1.6 kB"},
	    {999949, "999.9 kB"},
	    {999950, "1.0 MB"},
	    {12300000, "12.3 MB"},
	    {UINT64_MAX, "18.4 EB"},
	};
	char dst[16];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(out_bytes(cases[i].n, dst), cases[i].text);
}

/* What f prints. */
static char *printed(struct out *o, void (*f)(struct out *))
{
	static char *text;
	size_t n = 0;
	free(text);
	text = NULL;
	o->to = open_memstream(&text, &n);
	assert_non_null(o->to);
	f(o);
	fclose(o->to);
	return text;
}

static void table_of_two(struct out *o)
{
	struct out_table t = {.n_columns = 3, .right = 1U << 1, .indent = 1};
	const char *a[] = {"\xc3\xbc", "1", "x\n"}, *b[] = {"long", "100", ""};
	assert_int_equal(out_table_row(&t, a, NULL), 0);
	assert_int_equal(out_table_row(&t, b, NULL), 0);
	out_table_print(o, &t);
	out_table_free(&t);
}

static void columns_stand_below_each_other(void **state)
{
	struct out o = {0};
	assert_string_equal(printed(&o, table_of_two), " \xc3\xbc       1  x?\n long  100\n");
	o.json = true;
	assert_string_equal(printed(&o, table_of_two), "");
}

static void wrapped(struct out *o)
{
	out_wrap(o, "  1  ", 5, 40, STYLE_PLAIN,
	         "one two three four five six seven eight nine ten eleven\nnew");
}

static void long_lines_are_broken_at_blanks(void **state)
{
	struct out o = {0};
	assert_string_equal(printed(&o, wrapped), "  1  one two three four five six seven\n"
	                                          "     eight nine ten eleven\n     new\n");
}

static void coloured(struct out *o)
{
	fprintf(o->to, "%sx%s", out_on(o, STYLE_BAD), out_off(o, STYLE_BAD));
	out_line(o, "%s", "line");
	out_info(o, "%s", "info");
	out_json(o, json_pack("{s:s}", "a", "\xc3\xbc"));
}

static void each_form_says_its_own(void **state)
{
	struct out o = {0};
	assert_string_equal(printed(&o, coloured), "xline\ninfo\n");
	o.quiet = true;
	assert_string_equal(printed(&o, coloured), "xline\n");
	o.colour = true;
	assert_string_equal(printed(&o, coloured), "\033[1;31mx\033[0mline\n");
	o = (struct out){.json = true};
	assert_string_equal(printed(&o, coloured), "x{\"a\":\"\\u00FC\"}\n");
}

static void no_colour_into_a_file(void **state)
{
	struct out o;
	FILE *f = tmpfile();
	out_init(&o, f);
	assert_false(o.colour);
	assert_int_equal(o.width, 0);
	fclose(f);
}

static void html_holds_no_markup_of_others(void **state)
{
	struct buf b = BUF_INIT(1024);
	html_escape("<script>\"a\" & 'b'\033", &b);
	assert_string_equal(buf_str(&b), "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;?");
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(untrusted_text_is_harmless),
	    cmocka_unit_test(bytes_have_four_figures_at_most),
	    cmocka_unit_test(columns_stand_below_each_other),
	    cmocka_unit_test(long_lines_are_broken_at_blanks),
	    cmocka_unit_test(each_form_says_its_own),
	    cmocka_unit_test(no_colour_into_a_file),
	    cmocka_unit_test(html_holds_no_markup_of_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
