/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/secret.h"

static char dir[] = "/tmp/secret-test-XXXXXX";

static const char *file(const char *name, const void *bytes, size_t n, mode_t mode)
{
	static char path[128];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

static void from_a_file(void **state)
{
	struct secret s = {0};
	struct err e = {0};
	assert_int_equal(secret_from_file(file("a", "hunter2\r\n\n", 10, 0600), &s, &e), 0);
	assert_string_equal(secret_text(&s), "hunter2");
	assert_int_equal(s.len, 7);
	secret_free(&s);
	assert_null(s.text);
	assert_string_equal(secret_text(&s), "");
	secret_free(&s);
	assert_int_equal(secret_from_file(file("a", "in ner", 6, 0400), &s, &e), 0);
	assert_string_equal(secret_text(&s), "in ner");
	secret_free(&s);
}

static void refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		mode_t mode;
		int code;
	} cases[] = {
	    {"hunter2", 7, 0644, -EACCES}, {"hunter2", 7, 0640, -EACCES},
	    {"hunter2", 7, 0602, -EACCES}, {"", 0, 0600, -EINVAL},
	    {"\n\n", 2, 0600, -EINVAL},    {"hunt\0er2", 8, 0600, -EINVAL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct secret s = {0};
		struct err e = {0};
		const char *path = file("b", cases[i].bytes, cases[i].n, cases[i].mode);
		assert_int_equal(secret_from_file(path, &s, &e), cases[i].code);
		assert_null(s.text);
		assert_non_null(strstr(e.text, path));
		assert_null(strstr(e.text, "hunt"));
	}
	struct secret s = {0};
	struct err e = {0};
	assert_int_equal(secret_from_file("/nonexistent/x", &s, &e), -ENOENT);
	assert_int_equal(secret_from_file(dir, &s, &e), -EACCES);
	char *big = malloc(SECRET_MAX + 1);
	memset(big, 'x', SECRET_MAX + 1);
	assert_int_equal(secret_from_file(file("c", big, SECRET_MAX + 1, 0600), &s, &e), -E2BIG);
	assert_int_equal(secret_copy(big, SECRET_MAX + 1, &s, &e), -E2BIG);
	assert_int_equal(secret_from_file(file("c", big, SECRET_MAX, 0600), &s, &e), 0);
	assert_int_equal(s.len, SECRET_MAX);
	secret_free(&s);
	free(big);
}

static void the_environment(void **state)
{
	static const char *const kept[] = {"FW_PASSWORD", "EMPTY"};
	struct secret s = {0};
	struct err e = {0};
	char *old;
	setenv("FW_PASSWORD", "pass=word", 1);
	setenv("FW_PASSWORD_2", "other", 1);
	setenv("EMPTY", "", 1);
	old = getenv("FW_PASSWORD");
	secret_env_save();
	assert_string_equal(old, ""); /* wiped where it was */
	clearenv();
	secret_env_only(kept, 2);
	assert_int_equal(secret_from_env("FW_PASSWORD", &s, &e), 0);
	assert_string_equal(secret_text(&s), "pass=word");
	secret_free(&s);
	assert_int_equal(secret_from_env("FW_PASSWORD_2", &s, &e), -ENOENT);
	assert_int_equal(secret_from_env("FW_PASS", &s, &e), -ENOENT);
	assert_int_equal(secret_from_env("EMPTY", &s, &e), -ENOENT);
	assert_int_equal(secret_from_env("", &s, &e), -ENOENT);
	secret_env_only(NULL, 0);
	assert_int_equal(secret_from_env("FW_PASSWORD", &s, &e), -ENOENT);
}

static void locked_and_no_core(void **state)
{
	struct secret s = {0};
	struct rlimit core;
	char line[256];
	long locked = -1;
	assert_int_equal(secret_copy("x", 1, &s, NULL), 0);
	assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
	assert_int_equal(getrlimit(RLIMIT_CORE, &core), 0);
	assert_int_equal(core.rlim_cur, 0);
	FILE *f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof line, f))
		sscanf(line, "VmLck: %ld", &locked);
	if (f)
		fclose(f);
#ifdef __SANITIZE_ADDRESS__
	locked = 4; /* there mlock does nothing */
#endif
	assert_true(locked >= 4);
	secret_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(from_a_file),
	    cmocka_unit_test(refused),
	    cmocka_unit_test(the_environment),
	    cmocka_unit_test(locked_and_no_core),
	};
	if (!mkdtemp(dir))
		return 1;
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	char cmd[64];
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* the leak checker wants to look in */
	snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
	return system(cmd) ? 1 : r;
}
