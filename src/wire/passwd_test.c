/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/passwd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* What one line is taken for: usable, number of fields, its oddity. */
static void judged(void **unused)
{
	static const struct {
		enum passwd_file file;
		const char *line;
		bool usable;
		size_t n;
		const char *odd;
	} cases[] = {
	    {PASSWD_PASSWD, "root:x:0:0:root:/root:/bin/bash", true, 7, NULL},
	    {PASSWD_PASSWD, "  evil:x:0:0::/:/bin/sh", true, 7, "blanks before the name"},
	    {PASSWD_PASSWD, "x::0:0", true, 4, "fewer fields than there are"},
	    {PASSWD_PASSWD, "x::0", false, 3, "a field that must be a number is none"},
	    {PASSWD_PASSWD, "x::-1:0:::", false, 7, "a field that must be a number is none"},
	    {PASSWD_PASSWD, "x::4294967296:0:::", false, 7,
	     "a field that must be a number is none"},
	    {PASSWD_PASSWD, "a:x:1:1:g:/h:/s:t", true, 7, "a colon in the shell"},
	    {PASSWD_PASSWD, ":x:1:1:g:/h:/s", false, 7, "no name"},
	    {PASSWD_PASSWD, "alone", false, 1, "nothing behind the name"},
	    {PASSWD_PASSWD, "+::::::", false, 7, "lets in or shuts out accounts of a directory"},
	    {PASSWD_PASSWD, "# note", false, 0, NULL},
	    {PASSWD_PASSWD, " \t", false, 0, NULL},
	    {PASSWD_SHADOW, "root:*:19000:0:99999:7:::", true, 9, NULL},
	    {PASSWD_SHADOW, "root::19000:0:99999:7::-1:", true, 9, NULL},
	    {PASSWD_SHADOW, "root:*:soon:0:99999:7:::", false, 9,
	     "a field that must be a number is none"},
	    {PASSWD_SHADOW, "root:*:1:0:9:7::::", false, 9, "more fields than there are"},
	    {PASSWD_GROUP, "sudo:x:27:alice,bob", true, 4, NULL},
	    {PASSWD_GROUP, "sudo:x::alice", false, 4, "a field that must be a number is none"},
	    {PASSWD_GSHADOW, "sudo:*::alice", true, 4, NULL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = strlen(cases[i].line);
		struct passwd_reader r = passwd_reader_of(cases[i].file, cases[i].line, n);
		struct passwd_line l;
		assert_true(passwd_next(&r, &l));
		assert_int_equal(l.usable, cases[i].usable);
		assert_int_equal(l.n, cases[i].n);
		if (cases[i].odd)
			assert_string_equal(l.odd, cases[i].odd);
		else
			assert_null(l.odd);
		assert_int_equal(l.end, n);
		assert_false(passwd_next(&r, &l));
	}
}

/* One field replaced by its place: every other byte stays. */
static void replaced(void **unused)
{
	static const char before[] =
	    "# head\n\nroot:*:1::::::\n alice:$y$h:2:0:9:7:::\nbob:!:3::::::";
	static const char after[] = "# head\n\nroot:*:1::::::\n alice:!:2:0:9:7:::\nbob:!:3::::::";
	struct passwd_reader r = passwd_reader_of(PASSWD_SHADOW, before, sizeof before - 1);
	struct passwd_line l;
	size_t at, len;
	char out[sizeof before];
	do
		assert_true(passwd_next(&r, &l));
	while (!l.usable || !span_is(l.field[PASSWD_NAME], "alice"));
	assert_int_equal(l.number, 4);
	assert_true(passwd_where(&r, &l, PASSWD_SECRET, &at, &len));
	assert_int_equal(passwd_secret_of(l.field[PASSWD_SECRET]), PASSWD_SECRET_SET);
	int n = snprintf(out, sizeof out, "%.*s!%s", (int)at, before, before + at + len);
	assert_int_equal(n, sizeof after - 1);
	assert_string_equal(out, after);
	assert_false(passwd_where(&r, &l, 9, &at, &len));
}

static void found(void **unused)
{
	static const char text[] =
	    "broken\nalice:x:1000:1000::/h:/bin/sh\nalice:x:0:0::/h:/bin/sh\n";
	struct passwd_line l;
	uint64_t uid = 7;
	assert_true(passwd_find(PASSWD_PASSWD, text, sizeof text - 1, "alice", &l));
	assert_true(passwd_number(&l, PASSWD_UID, &uid));
	assert_int_equal(uid, 1000);
	assert_false(passwd_number(&l, PASSWD_GECOS, &uid));
	assert_false(passwd_find(PASSWD_PASSWD, text, sizeof text - 1, "broken", &l));
	assert_false(passwd_find(PASSWD_PASSWD, NULL, 0, "alice", &l));
	static const char group[] = "sudo:x:27:alice, bob,\n";
	assert_true(passwd_find(PASSWD_GROUP, group, sizeof group - 1, "sudo", &l));
	assert_true(passwd_member(&l, GROUP_MEMBERS, cursor_of("bob", 3)));
	assert_false(passwd_member(&l, GROUP_MEMBERS, cursor_of("bo", 2)));
}

static void names(void **unused)
{
	for (int i = 0; i < _PASSWD_FILE_MAX; i++)
		assert_int_equal(passwd_file_parse(passwd_file_str((enum passwd_file)i)), i);
	for (int i = 0; i < _PASSWD_SECRET_MAX; i++)
		assert_int_equal(passwd_secret_parse(passwd_secret_str((enum passwd_secret)i)), i);
	assert_int_equal(passwd_secret_of(cursor_of("", 0)), PASSWD_SECRET_NONE);
	assert_int_equal(passwd_secret_of(cursor_of("x", 1)), PASSWD_SECRET_SHADOW);
	assert_int_equal(passwd_secret_of(cursor_of("!$y$", 4)), PASSWD_SECRET_LOCKED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(judged), cmocka_unit_test(replaced),
	                                   cmocka_unit_test(found), cmocka_unit_test(names)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
