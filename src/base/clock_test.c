/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/sys.h"

static void durations_round_trip(void **state)
{
	static const char *const good[] = {"90s", "10m", "2h", "7d", "500ms"};
	static const char *const bad[] = {"", "s", "10", "0s", "-1s", "1.5h", "9999999d", "10 m"};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		usec_t d;
		char s[TIME_STR_MAX];
		assert_int_equal(duration_parse(good[i], &d, NULL), 0);
		assert_string_equal(duration_str(d, s), good[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		usec_t d;
		struct err e = {0};
		assert_true(duration_parse(bad[i], &d, &e) < 0);
		assert_true(e.text[0]);
	}
}

static void times_round_trip(void **state)
{
	usec_t t;
	char s[TIME_STR_MAX];
	assert_int_equal(time_parse("2026-11-24T04:07:00Z", &t, NULL), 0);
	assert_string_equal(time_str(t, s), "2026-11-24T04:07:00.000000Z");
	assert_int_equal(time_parse("2026-11-24T04:07:00.25Z", &t, NULL), 0);
	assert_string_equal(time_str(t, s), "2026-11-24T04:07:00.250000Z");
	assert_int_equal(time_parse("2026-11-24", &t, NULL), -EINVAL);
	assert_int_equal(time_parse("2026-11-24T04:07:00+01:00", &t, NULL), -EINVAL);
	assert_int_equal(time_parse("2026-11-24T04:07:00.Z", &t, NULL), -EINVAL);
}

static int no_file(const char *path, int flags, mode_t mode)
{
	errno = EIO;
	return -1;
}

/* Every day of 700 years, as libc has it. */
static void dates_are_those_of_libc(void **state)
{
	for (time_t day = 0; day < 255669; day++) {
		time_t sec = day * 86400 + day % 86400;
		char s[TIME_STR_MAX], t[TIME_STR_MAX];
		struct tm tm;

		assert_non_null(gmtime_r(&sec, &tm));
		assert_int_not_equal(strftime(t, sizeof t, "%Y-%m-%dT%H:%M:%S.000000Z", &tm), 0);
		assert_string_equal(time_str((usec_t)sec * USEC_PER_SEC, s), t);
	}
	char s[TIME_STR_MAX];
	assert_string_equal(time_str(UINT64_MAX, s), "-");
}

static void an_unknown_boot_is_no_restart(void **state)
{
	static struct sys_ops broken;
	broken = sys_kernel;
	broken.open = no_file;
	sys = &broken;
	assert_string_equal(boot_id(), "");
	assert_true(boot_same("0dd2ed35-7a1c-4a8b-9a8d-3d6f8f6e1f6e"));
	sys = &sys_kernel;
	assert_int_equal(strlen(boot_id()), BOOT_ID_MAX - 1);
	assert_true(boot_same(boot_id()));
	assert_true(boot_same(""));
	assert_false(boot_same("0dd2ed35-7a1c-4a8b-9a8d-3d6f8f6e1f6e"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(durations_round_trip),
	    cmocka_unit_test(times_round_trip),
	    cmocka_unit_test(dates_are_those_of_libc),
	    cmocka_unit_test(an_unknown_boot_is_no_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
