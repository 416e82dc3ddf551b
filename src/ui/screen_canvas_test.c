/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ui/screen_canvas.h"

static const char *put(bool utf8, unsigned width, enum align align, enum cut_at cut,
                       const char *text)
{
	static char row[256];
	struct canvas c;
	const struct canvas_field f = {.x = 1, .width = width, .align = align, .cut = cut};

	assert_int_equal(canvas_new(40, 1, utf8, &c), 0);
	canvas_put(&c, &f, text);
	canvas_text(&c, 0, 1 + width, INK_PLAIN, "|");
	canvas_row(&c, 0, row, sizeof(row));
	canvas_free(&c);
	return row;
}

static void test_fields(void **state)
{
	assert_string_equal(put(true, 6, ALIGN_LEFT, CUT_END, "abc"), " abc   |");
	assert_string_equal(put(true, 6, ALIGN_RIGHT, CUT_END, "abc"), "    abc|");
	assert_string_equal(put(true, 6, ALIGN_LEFT, CUT_END, "abcdef"), " abcdef|");
	assert_string_equal(put(true, 6, ALIGN_LEFT, CUT_END, "abcdefg"), " abcde…|");
	assert_string_equal(put(true, 6, ALIGN_RIGHT, CUT_START, "abcdefg"), " …cdefg|");
	assert_string_equal(put(true, 6, ALIGN_LEFT, CUT_MIDDLE, "abcdefg"), " abc…fg|");
	assert_string_equal(put(true, 1, ALIGN_LEFT, CUT_END, "ab"), " …|");
	assert_string_equal(put(false, 6, ALIGN_LEFT, CUT_END, "abcdefg"), " abcde~|");
}

static void test_untrusted(void **state)
{
	assert_string_equal(put(true, 6, ALIGN_LEFT, CUT_END, "a\x1b[2J"), " a?[2J |");
	assert_string_equal(put(true, 4, ALIGN_LEFT, CUT_END, "\xff\xc2\x9b="), " ?"
	                                                                        "?= |");
	/* a right-to-left override */
	assert_string_equal(put(true, 4, ALIGN_LEFT, CUT_END,
	                        "a\xe2\x80\xae"
	                        "b"),
	                    " a?b |");
	/* wide characters take two columns and are never halved */
	assert_string_equal(put(true, 6, ALIGN_LEFT, CUT_END, "日本"), " 日本  |");
	assert_string_equal(put(true, 4, ALIGN_LEFT, CUT_END, "日本語"), " 日… |");
	assert_string_equal(put(true, 5, ALIGN_LEFT, CUT_START, "日本語"), " …本語|");
	/* combining ones take none, whatever their number; one without a base is no character */
	assert_string_equal(put(true, 3, ALIGN_LEFT, CUT_END, "e\xcc\x81g"), " e\xcc\x81g |");
	assert_string_equal(put(true, 3, ALIGN_LEFT, CUT_END, "\xcc\x81g"), " ?g |");
	char many[400] = "e";
	for (int i = 0; i < 100; i++)
		strcat(many, "\xcc\x81");
	strcat(many, "x");
	assert_int_equal(canvas_columns(true, many), 2);
	assert_string_equal(put(false, 6, ALIGN_LEFT, CUT_END, "d\xc3\xa9j"), " d?j   |");
}

static void test_edges(void **state)
{
	struct canvas c;
	char row[64], longest[3000];
	const struct canvas_field out = {.y = 3, .width = 5}, far = {.x = 9, .width = 5},
	                          over = {.x = 6, .width = 50};

	assert_int_equal(canvas_new(8, 2, true, &c), 0);
	canvas_put(&c, &out, "x");
	canvas_put(&c, &far, "x");
	canvas_row_ink(&c, 7, INK_BAD);
	canvas_put(&c, &over, "xyz");
	assert_string_equal(canvas_row(&c, 0, row, sizeof(row)), "      x…");
	assert_int_equal(canvas_text(&c, 1, 5, INK_PLAIN, "日本"), 8);
	assert_string_equal(canvas_row(&c, 1, row, sizeof(row)), "     日…");
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	canvas_text(&c, 1, 0, INK_PLAIN, longest);
	assert_string_equal(canvas_row(&c, 1, row, sizeof(row)), "aaaaaaa…");
	canvas_free(&c);
	canvas_free(&c);
	canvas_free(NULL);
}

static void test_fitting(void **state)
{
	assert_int_equal(canvas_fitting(true, "one two three", 9), 7);
	assert_int_equal(canvas_fitting(true, "onetwothree", 4), 4);
	assert_int_equal(canvas_fitting(true, "日本", 1), 3); /* never none */
	assert_int_equal(canvas_fitting(true, "fits", 4), 4);
}

static void test_amounts(void **state)
{
	static const struct {
		uint64_t n;
		const char *padded, *brief;
	} rows[] = {
	    {0, "  0   ", "0"},
	    {7, "  7   ", "7"},
	    {999, "999   ", "999"},
	    {1000, "  1.0k", "1.0k"},
	    {12345, " 12.3k", "12.3k"},
	    {999949, "999.9k", "999.9k"},
	    {999950, "  1.0M", "1.0M"},
	    {UINT64_C(1500000000), "  1.5G", "1.5G"},
	    {UINT64_MAX, " 18.4E", "18.4E"},
	};
	char dst[16];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_string_equal(amount(rows[i].n, dst), rows[i].padded);
		assert_int_equal(strlen(dst), AMOUNT_COLUMNS);
		assert_string_equal(amount_short(rows[i].n, dst), rows[i].brief);
	}
	assert_string_equal(span_short(59, dst), "59s");
	assert_string_equal(span_short(61, dst), "1m01s");
	assert_string_equal(span_short(3 * 3600 + 420, dst), "3h07m");
	assert_string_equal(span_short(2 * 86400 + 4 * 3600, dst), "2d04h");
	assert_string_equal(span_short(100 * UINT64_C(86400), dst), "100d");
}

static void test_bars(void **state)
{
	const uint64_t v[] = {UINT64_MAX, 0, 1, 50, 100, 200};
	char dst[32];

	bars(v, 6, 100, true, dst);
	assert_string_equal(dst, " ▁▂▅██");
	bars(v, 6, 100, false, dst);
	assert_string_equal(dst, " _.=##");
	bars(v, 2, 0, false, dst);
	assert_string_equal(dst, " _");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fields),  cmocka_unit_test(test_untrusted),
	    cmocka_unit_test(test_edges),   cmocka_unit_test(test_fitting),
	    cmocka_unit_test(test_amounts), cmocka_unit_test(test_bars),
	};

	/* wcwidth() asks the locale. */
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
