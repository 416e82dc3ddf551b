/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was usual: days, bounds, the file and whatever else may lie in its place. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sys.h"
#include "observe/baseline.h"

#define DAY  (UINT64_C(86400) * USEC_PER_SEC)
#define D(n) ((n)*DAY + 12345)

static struct baseline *empty(size_t max)
{
	struct baseline *b = NULL;
	assert_int_equal(baseline_new(max, &b), 0);
	return b;
}

static void test_days(void **state)
{
	struct baseline *b = empty(0);
	struct usual u;

	baseline_seen(b, "/bin/a", "example.com", D(100), 500);
	baseline_seen(b, "/bin/a", "example.com", D(100) + 7, 600);
	assert_false(baseline_usual(b, "/bin/a", "example.com", D(100), &u));
	assert_true(baseline_usual(b, "/bin/a", "example.com", D(101), &u));
	assert_int_equal(u.days, 1);
	assert_int_equal(u.day_bytes, 1100);
	assert_int_equal(u.first, 100 * DAY);
	baseline_seen(b, "/bin/a", "example.com", D(105), 9000);
	assert_true(baseline_usual(b, "/bin/a", "example.com", D(105), &u));
	assert_int_equal(u.days, 1); /* the present day is not counted, nor its bytes */
	assert_int_equal(u.day_bytes, 1100);
	assert_true(baseline_usual(b, "/bin/a", "example.com", D(106), &u));
	assert_int_equal(u.days, 2);
	assert_int_equal(u.day_bytes, 9000);
	/* Another program, another place; and no way to move a byte from one to the other. */
	assert_false(baseline_usual(b, "/bin/b", "example.com", D(106), &u));
	assert_false(baseline_usual(b, "/bin/ae", "xample.com", D(106), &u));
	baseline_freeze(b, true);
	baseline_seen(b, "/bin/c", "example.com", D(106), 1);
	assert_int_equal(baseline_count(b), 1);
	baseline_free(b);
	baseline_free(NULL);
}

static void test_bound(void **state)
{
	struct baseline *b = empty(100);
	struct usual u;
	char where[32];

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(where, sizeof(where), "h%u.example", i);
		baseline_seen(b, "", where, D(10 + i / 10), 1);
		baseline_seen(b, "", "always.example", D(10 + i / 10), 1);
	}
	assert_int_equal(baseline_count(b), 100);
	assert_int_equal(baseline_evicted(b), 901);
	assert_true(baseline_usual(b, "", "always.example", D(110), &u));
	assert_int_equal(u.days, 100);
	assert_true(baseline_usual(b, "", "h999.example", D(110), &u));
	assert_false(baseline_usual(b, "", "h0.example", D(110), &u));
	baseline_free(b);
}

static void fill(struct baseline *b)
{
	char where[32];

	for (unsigned i = 0; i < 300; i++) {
		snprintf(where, sizeof(where), "h%u.example", i % 100);
		baseline_seen(b, "/usr/bin/x", where, D(10 + i / 100), i);
	}
}

static void test_file(void **state)
{
	char dir[] = "/tmp/baseline-XXXXXX", path[64], other[64];
	struct baseline *b = empty(0), *c = empty(0);
	struct buf x = BUF_INIT(BASELINE_FILE_MAX), y = BUF_INIT(BASELINE_FILE_MAX);
	struct err e = {0};
	struct stat st;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/baseline", dir);
	snprintf(other, sizeof(other), "%s/baseline.tmp", dir);
	assert_int_equal(baseline_load(c, path, &e), -ENOENT);
	fill(b);
	baseline_freeze(b, true);
	/* What someone put in the way of the temporary name is not followed. */
	assert_int_equal(symlink("/dev/null", other), 0);
	assert_int_equal(baseline_save(b, path, &e), 0);
	assert_int_equal(access(other, F_OK), -1);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(baseline_load(c, path, &e), 0);
	assert_true(baseline_frozen(c));
	assert_int_equal(baseline_count(c), 100);
	assert_int_equal(baseline_encode(b, &x), 0);
	assert_int_equal(baseline_encode(c, &y), 0);
	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.data, y.data, x.len);
	/* Cut short by one who writes into it. */
	assert_int_equal(truncate(path, st.st_size - 1), 0);
	assert_int_equal(baseline_load(c, path, &e), -EBADMSG);
	assert_non_null(strstr(e.text, path));
	assert_int_equal(baseline_count(c), 100);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(baseline_save(b, path, &e), -ENOENT);
	buf_free(&x);
	buf_free(&y);
	baseline_free(b);
	baseline_free(c);
}

static void test_damage(void **state)
{
	struct baseline *b = empty(0), *c = empty(0);
	struct buf x = BUF_INIT(BASELINE_FILE_MAX);

	fill(b);
	assert_int_equal(baseline_encode(b, &x), 0);
	for (size_t i = 0; i < x.len; i++) {
		x.data[i] ^= 0x41;
		assert_int_equal(baseline_decode(c, x.data, x.len, NULL), -EBADMSG);
		x.data[i] ^= 0x41;
		assert_int_equal(baseline_decode(c, x.data, i, NULL), -EBADMSG);
	}
	assert_int_equal(baseline_count(c), 0);
	assert_int_equal(baseline_decode(c, x.data, x.len, NULL), 0);
	buf_free(&x);
	baseline_free(b);
	baseline_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_days),
	    cmocka_unit_test(test_bound),
	    cmocka_unit_test(test_file),
	    cmocka_unit_test(test_damage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
