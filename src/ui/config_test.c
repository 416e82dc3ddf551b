/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tests/config: each NAME.in reads to the canonical form NAME.ok, which reads back to itself; each
 * NAME.bad is refused with the message NAME.err ("FILE" stands for its path).
 * With CONFIG_GOLDENS_UPDATE=1 the .ok and .err files are written anew.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ui/config_file.h"

static const struct setting_key one_settings[] = {
    {"address", false, true, "HOST", "Where it is.", NULL},
    {"region", true, false, "NAME", "Where, too.", NULL},
    {NULL},
};
static const struct setting_key other_settings[] = {
    {"password_file", false, false, "FILE", "A secret's place.", NULL}, {NULL}};
static const struct driver_ops one = {.name = "one", .settings = one_settings};
static const struct driver_ops other = {.name = "other", .settings = other_settings};
static const struct driver_ops *const drivers[] = {&one, &other, NULL};

static const char *folder(void)
{
	const char *s = getenv("CONFIG_GOLDENS");
	return s ? s : CONFIG_GOLDENS;
}

static void read_text(const char *path, char *dst, size_t n)
{
	FILE *f = fopen(path, "re");
	if (!f)
		fail_msg("%s is missing", path);
	dst[fread(dst, 1, n - 1, f)] = 0;
	fclose(f);
}

static void same_as_file(const char *path, const char *text)
{
	static char was[65536];
	if (getenv("CONFIG_GOLDENS_UPDATE")) {
		FILE *f = fopen(path, "we");
		assert_non_null(f);
		fputs(text, f);
		fclose(f);
	}
	read_text(path, was, sizeof was);
	assert_string_equal(text, was);
}

static void canonical(const char *path, struct buf *out)
{
	struct config c;
	struct err e = {0};
	if (config_load(path, drivers, &c, &e) < 0)
		fail_msg("%s", e.text);
	buf_reset(out);
	assert_int_equal(config_print(&c, out), 0);
	config_free(&c);
}

static void check_good(const char *in, const char *ok)
{
	struct buf a = BUF_INIT(65536), b = BUF_INIT(65536);
	canonical(in, &a);
	same_as_file(ok, buf_str(&a));
	canonical(ok, &b);
	assert_string_equal(buf_str(&a), buf_str(&b));
	buf_free(&a);
	buf_free(&b);
}

static void check_bad(const char *bad, const char *err)
{
	struct config c;
	struct err e = {0};
	char text[ERR_TEXT_MAX + 8] = "";
	assert_int_equal(config_load(bad, drivers, &c, &e), -EINVAL);
	assert_memory_equal(e.text, bad, strlen(bad));
	snprintf(text, sizeof text, "FILE%s\n", e.text + strlen(bad));
	same_as_file(err, text);
}

static void goldens(void **state)
{
	DIR *d = opendir(folder());
	unsigned good = 0, bad = 0;
	assert_non_null(d);
	for (struct dirent *de; (de = readdir(d));) {
		char in[4096], out[4096];
		const char *dot = strrchr(de->d_name, '.');
		int n = dot ? (int)(dot - de->d_name) : 0;
		snprintf(in, sizeof in, "%s/%s", folder(), de->d_name);
		if (dot && !strcmp(dot, ".in")) {
			snprintf(out, sizeof out, "%s/%.*s.ok", folder(), n, de->d_name);
			check_good(in, out);
			good++;
		} else if (dot && !strcmp(dot, ".bad")) {
			snprintf(out, sizeof out, "%s/%.*s.err", folder(), n, de->d_name);
			check_bad(in, out);
			bad++;
		}
	}
	closedir(d);
	assert_true(good >= 4 && bad >= 8);
}

static void missing_is_told_apart(void **state)
{
	struct config c;
	struct err e = {0};
	assert_int_equal(config_load("/nonexistent/stanch.conf", drivers, &c, &e), -ENOENT);
	assert_int_equal(config_load("/", drivers, &c, &e), -EINVAL);
	assert_int_equal(config_load("/dev/null", drivers, &c, &e), 0);
	assert_string_equal(c.state, STATE_DIR_DEFAULT);
	assert_int_equal(c.confirm_within, 600 * USEC_PER_SEC);
}

static void a_file_for_anyone_is_refused(void **state)
{
	char path[] = "/tmp/stanch-config-XXXXXX";
	struct config c;
	struct err e = {0};
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0666), 0);
	assert_int_equal(config_load(path, drivers, &c, &e), -EPERM);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(config_load(path, drivers, &c, &e), 0);
	close(fd);
	unlink(path);
}

static void the_environment_is_not_read(void **state)
{
	char path[] = "/tmp/stanch-config-XXXXXX";
	static const char text[] = "state = \"/srv/${STANCH_TEST}x\"\n";
	struct config c;
	struct err e = {0};
	int fd = mkstemp(path);
	assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
	setenv("STANCH_TEST", "secret", 1);
	assert_int_equal(config_load(path, drivers, &c, &e), 0);
	assert_string_equal(c.state, "/srv/x");
	assert_string_equal(getenv("STANCH_TEST"), "secret"); /* and it is there again */
	close(fd);
	unlink(path);
}

static void expiry_follows_break_glass(void **state)
{
	struct config c;
	config_init(&c);
	assert_int_equal(config_on_expiry(&c), EXPIRY_OPEN);
	assert_int_equal(config_key_find("break_glass")->set(&c, "192.0.2.0/24", NULL), 0);
	assert_int_equal(config_on_expiry(&c), EXPIRY_WIDEN);
	assert_int_equal(config_key_find("on_expiry")->set(&c, "open", NULL), 0);
	assert_int_equal(config_on_expiry(&c), EXPIRY_OPEN);
}

static void lists_are_bounded(void **state)
{
	struct config c;
	struct err e = {0};
	config_init(&c);
	for (int i = 0; i < CONFIG_LIST_MAX; i++)
		assert_int_equal(config_key_find("keep")->set(&c, "192.0.2.1", &e), 0);
	assert_int_equal(config_key_find("keep")->set(&c, "192.0.2.1", &e), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(goldens),
	    cmocka_unit_test(missing_is_told_apart),
	    cmocka_unit_test(a_file_for_anyone_is_refused),
	    cmocka_unit_test(the_environment_is_not_read),
	    cmocka_unit_test(expiry_follows_break_glass),
	    cmocka_unit_test(lists_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
