/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/cgroup2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"

static void test_mounts(void **state)
{
	static const struct {
		const char *line, *place;
	} cases[] = {
	    {"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n",
	     "/sys/fs/cgroup"},
	    {"30 23 0:26 / /a\\040b\\134c rw - cgroup2 none rw\n", "/a b\\c"},
	    {"30 23 0:26 /user.slice /mnt rw - cgroup2 cgroup2 rw\n", NULL},
	    {"30 23 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", NULL},
	    {"30 23 0:26 / /proc rw - proc proc rw\n", NULL},
	    {" - cgroup2 cgroup2 rw", NULL},
	    {"30 23 0:26 /", NULL},
	    {"", NULL},
	    {"30 23 0:26 / /a/very/long/place/that/does/not/fit rw - cgroup2 none rw", NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char place[24] = "";
		bool is = cgroup2_mount_of(cases[i].line, place, sizeof(place));
		assert_int_equal(is, cases[i].place != NULL);
		if (is)
			assert_string_equal(place, cases[i].place);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_mounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
