/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "wire/procmaps.h"

static void lines_of_all_kinds(void **state)
{
	static const char text[] =
	    "55d0c0a00000-55d0c0a02000 r-xp 00002000 fd:01 1311 /usr/bin/cat\n"
	    "55d0c1000000-55d0c1021000 rw-p 00000000 00:00 0                          [heap]\n"
	    "7f00aa000000-7f00ab000000 rw-s 00001000 00:05 77                         /memfd:x y "
	    "(deleted)\n"
	    "7f1200000000-7f1200001000 ---p 00000000 00:00 0 \n"
	    "7fff00000000-7fff00001000 ---p 00000000 00:00 0\n"
	    "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";
	struct cursor c = cursor_of(text, sizeof(text) - 1);
	struct procmap m;
	assert_int_equal(procmap_next(&c, &m), 1);
	assert_int_equal(m.start, 0x55d0c0a00000);
	assert_int_equal(m.end, 0x55d0c0a02000);
	assert_true(m.read && !m.write && m.exec && !m.shared);
	assert_int_equal(m.offset, 0x2000);
	assert_int_equal(m.inode, 1311);
	assert_int_equal(m.path_len, strlen("/usr/bin/cat"));
	assert_memory_equal(m.path, "/usr/bin/cat", m.path_len);
	assert_false(procmap_anonymous(&m));
	assert_int_equal(procmap_next(&c, &m), 1);
	assert_memory_equal(m.path, "[heap]", m.path_len);
	assert_true(procmap_anonymous(&m));
	assert_int_equal(procmap_next(&c, &m), 1);
	assert_memory_equal(m.path, "/memfd:x y (deleted)", m.path_len);
	assert_true(m.shared);
	assert_int_equal(procmap_next(&c, &m), 1);
	assert_int_equal(m.path_len, 0);
	assert_true(procmap_anonymous(&m));
	assert_int_equal(procmap_next(&c, &m), 1);
	assert_int_equal(m.path_len, 0);
	assert_int_equal(procmap_next(&c, &m), 1);
	assert_int_equal(m.start, 0xffffffffff600000);
	assert_int_equal(procmap_next(&c, &m), 0);
}

static void what_is_refused(void **state)
{
	static const char *const lines[] = {
	    "\n",
	    "1000-2000 r-xp 0 0:0 0",
	    "2000-1000 r-xp 0 0:0 0\n",
	    "1000-1000 r-xp 0 0:0 0\n",
	    "1000-2000 r-x 0 0:0 0\n",
	    "1000-2000 r-xp 0 0:0 0a\n",
	    "1000-2000 r-xp 0 0:0 \n",
	    "10000000000000000-20000000000000000 r-xp 0 0:0 0\n",
	    "1000 2000 r-xp 0 0:0 0\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct cursor c = cursor_of(lines[i], strlen(lines[i]));
		struct procmap m;
		assert_int_equal(procmap_next(&c, &m), -EBADMSG);
		assert_int_equal(cursor_left(&c), strlen(lines[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines_of_all_kinds),
	    cmocka_unit_test(what_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
