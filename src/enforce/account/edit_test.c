/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "enforce/account/edit.h"

static const char before[] = "root:*:19700:0:99999:7:::\n"
                             "alice:$y$secret:19700:0:99999:7::20000:\n"
                             "# a comment: kept\n"
                             "empty::19700:0:99999:7:::\n"
                             "short:!\n"
                             "bob:$y$other:19700:0:99999:7:::";

static void fill(struct edits *s)
{
	s->n = 0;
	assert_int_equal(
	    edits_add(s, PASSWD_SHADOW, PASSWD_SECRET, "alice", "$y$secret", "!$y$secret", NULL),
	    0);
	edits_add(s, PASSWD_SHADOW, SHADOW_EXPIRE, "alice", "20000", "1", NULL);
	edits_add(s, PASSWD_SHADOW, PASSWD_SECRET, "empty", "", "!", NULL);
	edits_add(s, PASSWD_SHADOW, SHADOW_EXPIRE, "empty", "", "1", NULL);
	edits_add(s, PASSWD_SHADOW, EDIT_LINE, "short", "short:!", "short:!::::::1:", NULL);
	edits_add(s, PASSWD_SHADOW, EDIT_LINE, "new", "", "new:!::::::1:", NULL);
	edits_add(s, PASSWD_PASSWD, PASSWD_SECRET, "new", "$y$hash", "x", NULL);
}

static const char after[] = "root:*:19700:0:99999:7:::\n"
                            "alice:!$y$secret:19700:0:99999:7::1:\n"
                            "# a comment: kept\n"
                            "empty:!:19700:0:99999:7::1:\n"
                            "short:!::::::1:\n"
                            "bob:$y$other:19700:0:99999:7:::\n"
                            "new:!::::::1:\n";

static void only_the_fields_change_and_come_back(void **state)
{
	struct edits *s = calloc(1, sizeof *s);
	struct buf out = BUF_INIT(4096), told = BUF_INIT(4096), back = BUF_INIT(4096);
	size_t n = 0;
	fill(s);
	assert_int_equal(
	    edits_write(s, PASSWD_SHADOW, false, before, strlen(before), &out, &told, &n), 0);
	assert_string_equal(buf_str(&out), after);
	assert_int_equal(n, 6);
	/* Twice is once. */
	assert_int_equal(
	    edits_write(s, PASSWD_SHADOW, false, after, strlen(after), &back, &told, &n), 0);
	assert_string_equal(buf_str(&back), after);
	assert_int_equal(n, 0);
	buf_reset(&back);
	assert_int_equal(
	    edits_write(s, PASSWD_SHADOW, true, after, strlen(after), &back, &told, &n), 0);
	buf_reset(&out);
	buf_addf(&out, "%s\n", before); /* the line that came needed a newline before it */
	assert_string_equal(buf_str(&back), buf_str(&out));
	assert_int_equal(told.len, 0);
	edits_free(s);
	free(s);
	buf_free(&out);
	buf_free(&told);
	buf_free(&back);
}

static void what_others_changed_stays_and_is_told(void **state)
{
	static const char now[] = "alice:$y$new:19800:0:99999:7::1:\n"
	                          "bob:$y$bobsnew:19800:0:99999:7:::\n";
	static const char want[] = "alice:$y$new:19800:0:99999:7::20000:\n"
	                           "bob:$y$bobsnew:19800:0:99999:7:::\n";
	struct edits *s = calloc(1, sizeof *s);
	struct buf out = BUF_INIT(4096), told = BUF_INIT(4096);
	size_t n = 0;
	fill(s);
	assert_int_equal(edits_write(s, PASSWD_SHADOW, true, now, strlen(now), &out, &told, &n), 0);
	assert_string_equal(buf_str(&out), want);
	assert_non_null(strstr(buf_str(&told), "the password of alice in /etc/shadow was changed"));
	assert_non_null(
	    strstr(buf_str(&told), "the password of empty in /etc/shadow is not there"));
	assert_null(strstr(buf_str(&told), "secret"));
	assert_int_equal(n, 1);
	assert_int_equal(edit_look(&s->v[0], now, strlen(now)), EDIT_OTHER);
	assert_int_equal(edit_look(&s->v[1], now, strlen(now)), EDIT_DONE);
	assert_int_equal(edit_look(&s->v[2], now, strlen(now)), EDIT_GONE);
	assert_int_equal(edit_look(&s->v[5], now, strlen(now)), EDIT_UNDONE);
	edits_free(s);
	free(s);
	buf_free(&out);
	buf_free(&told);
}

static void what_no_line_can_hold_is_refused(void **state)
{
	struct edits *s = calloc(1, sizeof *s);
	struct err e = {0};
	assert_int_equal(edits_add(s, PASSWD_SHADOW, 1, "a", "b", "c\nroot::0:", &e), -EINVAL);
	assert_int_equal(edits_add(s, PASSWD_SHADOW, 1, "a", "b:c", "d", &e), -EINVAL);
	assert_int_equal(edits_add(s, PASSWD_SHADOW, 1, "", "b", "d", &e), -EINVAL);
	for (size_t i = 0; i < EDITS_MAX; i++)
		assert_int_equal(edits_add(s, PASSWD_SHADOW, 1, "a", "b", "d", &e), 0);
	assert_int_equal(edits_add(s, PASSWD_SHADOW, 1, "a", "b", "d", &e), -E2BIG);
	edits_free(s);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_the_fields_change_and_come_back),
	    cmocka_unit_test(what_others_changed_stays_and_is_told),
	    cmocka_unit_test(what_no_line_can_hold_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
