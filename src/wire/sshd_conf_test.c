/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/sshd_conf.h"

static const char text[] = "# a comment\n"
                           "Include /etc/ssh/sshd_config.d/*.conf\n"
                           "  port=22\r\n"
                           "AUTHORIZEDKEYSFILE \"%h/.ssh/my keys\" /etc/ssh/keys/%u # more\n"
                           "\n"
                           "Match User bob\n"
                           "PasswordAuthentication = no";

static void keywords_and_arguments(void **state)
{
	struct sshd_reader r = sshd_reader_of(text, strlen(text));
	struct sshd_line l;
	char arg[64];
	assert_true(sshd_next(&r, &l));
	assert_true(sshd_is(&l, "include"));
	assert_true(sshd_arg(&l, arg, sizeof arg));
	assert_string_equal(arg, "/etc/ssh/sshd_config.d/*.conf");
	assert_false(sshd_arg(&l, arg, sizeof arg));
	assert_true(sshd_next(&r, &l));
	assert_true(sshd_is(&l, "Port") && sshd_arg(&l, arg, sizeof arg));
	assert_string_equal(arg, "22");
	assert_true(sshd_next(&r, &l));
	assert_true(sshd_is(&l, "AuthorizedKeysFile") && sshd_arg(&l, arg, sizeof arg));
	assert_string_equal(arg, "%h/.ssh/my keys");
	assert_true(sshd_arg(&l, arg, sizeof arg));
	assert_string_equal(arg, "/etc/ssh/keys/%u");
	assert_false(sshd_arg(&l, arg, sizeof arg));
	assert_false(l.in_match);
	assert_true(sshd_next(&r, &l) && sshd_is(&l, "Match") && l.in_match);
	assert_true(sshd_next(&r, &l) && l.in_match);
	assert_int_equal(l.number, 7);
	assert_true(sshd_arg(&l, arg, sizeof arg));
	assert_string_equal(arg, "no");
	assert_false(sshd_next(&r, &l));
}

static void what_does_not_fit_is_no_argument(void **state)
{
	struct sshd_reader r = sshd_reader_of("Port 22222\n", 11);
	struct sshd_line l;
	char arg[4];
	assert_true(sshd_next(&r, &l));
	assert_false(sshd_arg(&l, arg, sizeof arg));
}

static void patterns_mean_the_name(void **state)
{
	char p[SSHD_PATTERN_MAX];
	bool exact = false;
	assert_int_equal(sshd_pattern("alice.b-2", p, &exact), 0);
	assert_string_equal(p, "alice.b-2");
	assert_true(exact);
	assert_int_equal(sshd_pattern("CORP\\alice@example.com *", p, &exact), 0);
	assert_string_equal(p, "CORP?alice?example.com??");
	assert_false(exact);
	assert_int_equal(sshd_pattern("", p, &exact), -ENAMETOOLONG);
	assert_int_equal(sshd_pattern("a\nDenyUsers", p, &exact), 0);
	assert_string_equal(p, "a?DenyUsers");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keywords_and_arguments),
	    cmocka_unit_test(what_does_not_fit_is_no_argument),
	    cmocka_unit_test(patterns_mean_the_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
