/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/authlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define REF UINT64_C(1700000000) /* 2023-11-14 22:13:20 UTC */

static const char text[] =
    "2023-11-14T22:13:20.250000+01:00 h sshd[7]: Accepted publickey for alice from 203.0.113.5 "
    "port "
    "50000 ssh2: ED25519 SHA256:x\n"
    "no stamp\n"
    "Nov  4 22:13:20 h sshd[7]: Starting session: shell on pts/3 for bob from 2001:db8::1 port 5 "
    "id "
    "0\n"
    "Nov 14 22:13:20 h sudo: www-data : TTY=pts/0 ; PWD=/tmp ; USER=root ; COMMAND=/bin/sh -c a;b\n"
    "Nov 14 22:13:21 h sudo:    eve : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; "
    "COMMAND=/bin/sh\n"
    "Nov 14 22:13:22 h sshd[7]: Starting session: command for git from 203.0.113.5 port 5 id 0\n"
    "Nov 14 22:13:22 h sudo: git : TTY=unknown ; PWD=/ ; USER=root ; COMMAND=list\n"
    "Nov 14 22:13:23 h sshd[7]: Accepted";

static void lines_of_it(void **unused)
{
	struct fwlog_clock k = {.ref_nsec = REF * 1000000000};
	struct lines l = lines_of(text, sizeof text - 1);
	struct authlog_entry e;
	assert_true(authlog_next(&l, &k, &e));
	assert_int_equal(e.kind, AUTHLOG_ACCEPTED);
	assert_true(e.zoned);
	assert_int_equal(e.time, (REF - 3600) * USEC_PER_SEC + 250000);
	assert_true(span_is(e.user, "alice") && span_is(e.from, "203.0.113.5"));
	assert_true(authlog_next(&l, &k, &e));
	assert_int_equal(e.kind, AUTHLOG_TERMINAL);
	assert_int_equal(e.line, 3);
	assert_false(e.zoned);
	assert_int_equal(e.time, (REF - 864000) * USEC_PER_SEC);
	assert_true(span_is(e.user, "bob") && span_is(e.tty, "pts/3"));
	assert_true(authlog_next(&l, &k, &e));
	assert_int_equal(e.kind, AUTHLOG_SUDO);
	assert_true(span_is(e.user, "www-data") && span_is(e.tty, "pts/0"));
	assert_true(span_is(e.target, "root") && span_is(e.command, "/bin/sh -c a;b"));
	for (int i = 0; i < 2; i++) {
		assert_true(authlog_next(&l, &k, &e));
		assert_int_equal(e.kind, AUTHLOG_OTHER);
	}
	assert_true(authlog_next(&l, &k, &e));
	assert_int_equal(e.kind, AUTHLOG_SUDO);
	assert_int_equal(cursor_left(&e.tty), 0);
	assert_true(authlog_next(&l, &k, &e));
	assert_int_equal(e.kind, AUTHLOG_OTHER);
	assert_false(authlog_next(&l, &k, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(lines_of_it)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
