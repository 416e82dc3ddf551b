/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/utmp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <lastlog.h>
#include <utmp.h>
#include <cmocka.h>

/* The C library's own record, written by it, is what we read. */
static void libc_record(void **unused)
{
	struct utmp u = {.ut_type = USER_PROCESS, .ut_pid = 4711};
	strcpy(u.ut_line, "pts/0");
	memset(u.ut_user, 'u', sizeof u.ut_user);
	strcpy(u.ut_host, "evil\x1b[2J");
	u.ut_tv.tv_sec = 1700000000;
	u.ut_tv.tv_usec = 250000;
	memcpy(u.ut_addr_v6, (uint8_t[]){203, 0, 113, 5}, 4);
	assert_int_equal(sizeof u, UTMP_RECORD);
	struct cursor c = cursor_of(&u, sizeof u);
	struct utmp_record r;
	char text[ADDR_STR_MAX];
	assert_true(utmp_next(&c, &r));
	assert_int_equal(r.type, UTMP_USER);
	assert_int_equal(r.pid, 4711);
	assert_string_equal(r.line, "pts/0");
	assert_int_equal(strlen(r.user), 32);
	assert_string_equal(r.host, "evil?[2J");
	assert_int_equal(r.time, 1700000000250000);
	assert_string_equal(addr_str(&r.addr, text), "203.0.113.5");
	assert_false(r.zero);
	assert_false(utmp_next(&c, &r));
}

static void edges(void **unused)
{
	uint8_t zero[UTMP_RECORD + 1] = {0};
	struct cursor c = cursor_of(zero, sizeof zero);
	struct utmp_record r;
	assert_true(utmp_next(&c, &r));
	assert_true(r.zero);
	assert_int_equal(r.addr.family, ADDR_NONE);
	assert_false(utmp_next(&c, &r));
	assert_int_equal(cursor_left(&c), 1);
	zero[348 + 15] = 1; /* ::1 */
	c = cursor_of(zero, UTMP_RECORD);
	assert_true(utmp_next(&c, &r));
	assert_int_equal(r.addr.family, ADDR_V6);
	struct lastlog l = {.ll_time = 1700000000};
	struct lastlog_record last;
	strcpy(l.ll_line, "ssh");
	strcpy(l.ll_host, "192.0.2.7");
	assert_int_equal(sizeof l, LASTLOG_RECORD);
	c = cursor_of(&l, sizeof l);
	assert_true(lastlog_next(&c, &last));
	assert_int_equal(last.time, 1700000000 * USEC_PER_SEC);
	assert_string_equal(last.host, "192.0.2.7");
	for (int i = 0; i < _UTMP_TYPE_MAX; i++)
		assert_int_equal(utmp_type_parse(utmp_type_str((enum utmp_type)i)), i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(libc_record), cmocka_unit_test(edges)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
