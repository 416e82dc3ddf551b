/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sys.h"
#include "base/table.h"
#include "triage/odd.h"
#include "triage/triage.h"

static void rules_are_whole(void **state)
{
	for (const struct triage_area *a = triage_areas; a->name; a++) {
		assert_non_null(a->run);
		assert_non_null(a->needs);
		assert_true(a->limit > 0);
		assert_int_equal(triage_area_parse(a->name), a - triage_areas);
		for (const struct triage_rule *r = a->rules; r->name; r++) {
			assert_true(strlen(r->name) < FINDING_RULE_MAX);
			assert_true(strlen(r->technique) < FINDING_TECHNIQUE_MAX);
			assert_true(strlen(r->benign) && strlen(r->benign) < FINDING_REASON_MAX);
			assert_true(r->score > 0 && r->score <= 1);
			assert_int_equal(r->technique[0], 'T');
			for (const struct triage_area *b = a; b->name; b++)
				for (const struct triage_rule *s = b == a ? r + 1 : b->rules;
				     s->name; s++)
					assert_string_not_equal(r->name, s->name);
		}
	}
	assert_int_equal(triage_area_parse("nothing"), -EINVAL);
}

static void places(void **state)
{
	static const struct {
		const char *path;
		enum odd_place place;
		bool system;
	} cases[] = {
	    {"/usr/sbin/sshd", ODD_NO, true},
	    {"/usr/local/bin/app", ODD_NO, true},
	    {"/tmp/x", ODD_TEMP, false},
	    {"/var/tmp/a/b", ODD_TEMP, false},
	    {"/tmp/.x/y", ODD_HIDDEN, false},
	    {"/tmp/.mount_AppXYZ/app", ODD_TEMP, false},
	    {"/dev/shm/x", ODD_SHM, false},
	    {"/usr/lib/.x/y", ODD_HIDDEN, false},
	    {"/etc/.hid", ODD_HIDDEN, false},
	    {"/usr/lib/debug/.build-id/aa", ODD_NO, true},
	    {"/home/u/.local/bin/app", ODD_NO, false},
	    {"/home/u/.x/app", ODD_NO, false},
	    {"/var/lib/.x/app", ODD_STATE, false},
	    {"/srv/app/.venv/bin/python3", ODD_NO, false},
	    {"/opt/x/app", ODD_NO, false},
	    {"/tmpfs/x", ODD_NO, false},
	    {"", ODD_NO, false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (odd_place(cases[i].path) != cases[i].place ||
		    odd_system_path(cases[i].path) != cases[i].system)
			fail_msg("%s: place %d", cases[i].path, odd_place(cases[i].path));
	}
	assert_true(odd_is_shell("/usr/bin/dash"));
	assert_false(odd_is_shell("/usr/bin/bashful"));
	assert_true(odd_is_interpreter("/usr/bin/python3.11"));
	assert_true(odd_is_interpreter("/usr/bin/perl5.36-x86_64-linux-gnu") ||
	            odd_is_interpreter("/usr/bin/perl"));
	assert_true(odd_is_netcat("/bin/nc.openbsd"));
	assert_false(odd_is_netcat("/usr/bin/ncdu"));
}

/* --- a root of files --- */

struct seen {
	struct finding f[32];
	size_t n;
	struct triage_stats s;
};

static void on_found(void *arg, const struct finding *f)
{
	struct seen *w = arg;

	assert_true(w->n < ARRAY_SIZE(w->f));
	w->f[w->n++] = *f;
}

static void on_done(void *arg, const struct triage_stats *s)
{
	((struct seen *)arg)->s = *s;
}

static void put(const char *root, const char *path, const char *text)
{
	char full[256];
	int fd;

	snprintf(full, sizeof(full), "%s%s", root, path);
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void look(const char *root, const char *area, struct seen *w)
{
	struct triage_config c = {.root = root, .found = on_found, .done = on_done, .arg = w};

	memset(w, 0, sizeof(*w));
	c.areas = UINT64_C(1) << triage_area_parse(area);
	assert_int_equal(triage_run(&c, NULL), 0);
}

static void preload_of_a_mounted_root(void **state)
{
	char root[] = "/tmp/triage-test-XXXXXX", full[256];
	struct seen *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_non_null(mkdtemp(root));
	snprintf(full, sizeof(full), "%s/etc", root);
	assert_int_equal(mkdir(full, 0755), 0);
	look(root, "kernel", w);
	assert_int_equal(w->n, 0);

	put(root, "/etc/ld.so.preload", "# nothing\n\n");
	look(root, "kernel", w);
	assert_int_equal(w->n, 0);

	put(root, "/etc/ld.so.preload", "/usr/lib/libsnoopy.so\n");
	look(root, "kernel", w);
	assert_int_equal(w->n, 1);
	assert_true(w->f[0].score < FINDING_SCORE_ACT);

	put(root, "/etc/ld.so.preload", "/usr/lib/a.so:/dev/shm/\033[2J.so\n");
	look(root, "kernel", w);
	assert_int_equal(w->n, 1);
	assert_true(w->f[0].score >= FINDING_SCORE_ACT);
	assert_string_equal(w->f[0].rule, "preload_file");
	assert_string_equal(w->f[0].technique, "T1574.006");
	assert_int_equal(w->f[0].n_reasons, 2);
	assert_null(strchr(w->f[0].reasons[1], '\033'));

	/* A link out of the root stays in it; a FIFO is not waited for. */
	snprintf(full, sizeof(full), "%s/etc/ld.so.preload", root);
	assert_int_equal(unlink(full), 0);
	assert_int_equal(symlink("/../../../../etc/hostname", full), 0);
	look(root, "kernel", w);
	assert_int_equal(w->n, 0);
	assert_int_equal(w->s.n_unseen, 0);
	assert_int_equal(unlink(full), 0);
	assert_int_equal(mkfifo(full, 0644), 0);
	look(root, "kernel", w);
	assert_int_equal(w->n, 0);
	assert_int_equal(w->s.n_unseen, 1);

	unlink(full);
	snprintf(full, sizeof(full), "%s/etc", root);
	rmdir(full);
	rmdir(root);
	free(w);
}

static void a_root_that_is_none(void **state)
{
	struct triage_config c = {.root = "/nonexistent/root", .found = on_found, .done = on_done};
	struct err e = {0};

	assert_int_equal(triage_run(&c, &e), -ENOENT);
	assert_true(e.text[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rules_are_whole),
	    cmocka_unit_test(places),
	    cmocka_unit_test(preload_of_a_mounted_root),
	    cmocka_unit_test(a_root_that_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
