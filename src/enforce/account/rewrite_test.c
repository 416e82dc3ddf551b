/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../tests/faults/faults.h"
#include "enforce/account/pwlock.h"
#include "enforce/account/rewrite.h"

#define OLD       "root:*:1::::::\n"
#define NEW       "root:!*:1:::::1:\n"
#define CALLS_MAX 200

static const char *const shadow[] = {"shadow", NULL};

struct place {
	char path[64];
	int dir;
};

static void put(int dir, const char *name, const char *text, mode_t mode)
{
	int fd = openat(dir, name, O_CREAT | O_TRUNC | O_WRONLY, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof *p);
	if (!p)
		return -1;
	strcpy(p->path, "/tmp/stanch-rewrite-XXXXXX");
	if (!mkdtemp(p->path)) {
		free(p);
		return -1;
	}
	p->dir = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put(p->dir, "shadow", OLD, 0640);
	*state = p;
	return p->dir < 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	static const char *const names[] = {"shadow", "shadow.lock", ".pwd.lock", "link", "moved"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlinkat(p->dir, names[i], 0);
	close(p->dir);
	int r = rmdir(p->path); /* fails where something was left */
	free(p);
	return r;
}

static void holds(int dir, const char *name, const char *text)
{
	char have[256];
	int fd = openat(dir, name, O_RDONLY);
	assert_true(fd >= 0);
	ssize_t n = read(fd, have, sizeof have - 1);
	assert_true(n >= 0);
	have[n] = 0;
	close(fd);
	assert_string_equal(have, text);
}

static int swap(int dir, const struct timespec *mtime, struct err *e)
{
	struct file_image f = {0};
	int r = file_read(dir, "shadow", REWRITE_MAX, &f, e);
	if (r == 0)
		r = file_swap(dir, "shadow", &f, NEW, strlen(NEW), mtime, e);
	file_image_free(&f);
	return r;
}

static void a_swap_keeps_owner_mode_labels_and_time(void **state)
{
	struct place *p = *state;
	struct timespec t = {1000000000, 123456789};
	struct stat st;
	char value[8] = "";
	int fd = openat(p->dir, "shadow", O_RDONLY);
	bool labels = fsetxattr(fd, "user.stanch", "kept", 4, 0) == 0;
	if (geteuid() == 0)
		assert_int_equal(fchown(fd, 0, 42), 0);
	close(fd);
	assert_int_equal(swap(p->dir, &t, NULL), 0);
	holds(p->dir, "shadow", NEW);
	assert_int_equal(fstatat(p->dir, "shadow", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(st.st_gid, geteuid() == 0 ? 42 : getegid());
	assert_int_equal(st.st_mtim.tv_sec, t.tv_sec);
	assert_int_equal(st.st_mtim.tv_nsec, t.tv_nsec);
	fd = openat(p->dir, "shadow", O_RDONLY);
	if (labels) {
		assert_int_equal(fgetxattr(fd, "user.stanch", value, sizeof value), 4);
		assert_memory_equal(value, "kept", 4);
	}
	close(fd);
}

static void what_changed_meanwhile_is_not_overwritten(void **state)
{
	struct place *p = *state;
	struct file_image f = {0};
	struct err e = {0};
	assert_int_equal(file_read(p->dir, "shadow", REWRITE_MAX, &f, NULL), 0);
	put(p->dir, "shadow", "root:changed:1::::::\n", 0640);
	assert_int_equal(file_swap(p->dir, "shadow", &f, NEW, strlen(NEW), NULL, &e), -ESTALE);
	assert_non_null(strstr(e.text, "changed by somebody else"));
	holds(p->dir, "shadow", "root:changed:1::::::\n");
	assert_int_equal(file_remove(p->dir, "shadow", OLD, strlen(OLD), &e), -ESTALE);
	assert_int_equal(file_create(p->dir, "shadow", OLD, strlen(OLD), 0600, &e), -EEXIST);
	file_image_free(&f);
}

static void links_and_pipes_are_refused(void **state)
{
	struct place *p = *state;
	struct file_image f = {0};
	struct err e = {0};
	assert_int_equal(symlinkat("shadow", p->dir, "link"), 0);
	assert_int_equal(file_read(p->dir, "link", REWRITE_MAX, &f, &e), -ELOOP);
	unlinkat(p->dir, "link", 0);
	assert_int_equal(mkfifoat(p->dir, "link", 0600), 0);
	assert_int_equal(file_read(p->dir, "link", REWRITE_MAX, &f, &e), -EINVAL);
	unlinkat(p->dir, "link", 0);
	assert_int_equal(file_read(p->dir, "shadow", 3, &f, &e), -EFBIG);
	assert_int_equal(file_read(p->dir, "absent", 3, &f, &e), -ENOENT);
}

static void a_move_never_overwrites(void **state)
{
	struct place *p = *state;
	assert_int_equal(file_move(p->dir, "shadow", p->dir, "moved", NULL), 0);
	put(p->dir, "shadow", "other", 0600);
	assert_int_equal(file_move(p->dir, "moved", p->dir, "shadow", NULL), -EEXIST);
	holds(p->dir, "moved", OLD);
	holds(p->dir, "shadow", "other");
}

/* Each call fails once: the file is the old one or the new one, whole, and nothing lies beside. */
static void every_failure_leaves_one_whole_file(void **state)
{
	struct place *p = *state;
	for (size_t k = 0; k < 2; k++) {
		bool hit = true;
		for (unsigned n = 1; hit && n < CALLS_MAX; n++) {
			char spec[32], have[256] = "";
			struct err e = {0};
			struct pwlock l = {0};
			put(p->dir, "shadow", OLD, 0640);
			snprintf(spec, sizeof spec, k ? "full:%u" : "fail:%u", n);
			assert_true(fault_arm(spec));
			int r = pwlock_take(p->dir, shadow, 0, &l, &e);
			if (r == 0) {
				r = swap(p->dir, NULL, &e);
				pwlock_drop(&l);
			}
			hit = fault_counts.hit;
			fault_disarm();
			assert_true(r == 0 || e.text[0]);
			int fd = openat(p->dir, "shadow", O_RDONLY);
			assert_true(read(fd, have, sizeof have - 1) > 0);
			close(fd);
			assert_string_equal(have, r == 0 ? NEW : OLD);
			unlinkat(p->dir, "shadow.lock", 0); /* where dropping it failed */
			unlinkat(p->dir, ".shadow" REWRITE_SUFFIX, 0); /* or cleaning up */
			unlinkat(p->dir, ".shadow.stanch-lock", 0);
		}
		assert_false(hit);
	}
}

static void the_lock_is_what_other_tools_look_for(void **state)
{
	struct place *p = *state;
	struct pwlock l;
	char text[32];
	assert_int_equal(pwlock_look(p->dir, shadow, 0, NULL), 0);
	assert_int_equal(faccessat(p->dir, ".pwd.lock", F_OK, 0), -1); /* looking makes nothing */
	assert_int_equal(pwlock_take(p->dir, shadow, 0, &l, NULL), 0);
	snprintf(text, sizeof text, "%d", (int)getpid());
	holds(p->dir, "shadow.lock", text);
	pwlock_drop(&l);
	assert_int_equal(faccessat(p->dir, "shadow.lock", F_OK, 0), -1);
}

static void who_holds_the_lock_is_named(void **state)
{
	struct place *p = *state;
	struct pwlock l;
	struct err e = {0};
	char text[32];
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	pid_t child = fork();
	if (child == 0) {
		struct pwlock theirs;
		char c = pwlock_take(p->dir, shadow, 0, &theirs, NULL) == 0 ? 'y' : 'n';
		_exit(write(pipes[1], &c, 1) == 1 && pause() ? 0 : 1);
	}
	char c = 0;
	assert_int_equal(read(pipes[0], &c, 1), 1);
	assert_int_equal(c, 'y');
	snprintf(text, sizeof text, "process %d (", (int)child);
	assert_int_equal(pwlock_take(p->dir, shadow, 50000, &l, &e), -EBUSY);
	assert_non_null(strstr(e.text, text));
	assert_non_null(strstr(e.text, ".pwd.lock"));
	assert_int_equal(pwlock_look(p->dir, shadow, 0, &e), -EBUSY);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	/* What it left names a process that is dead. */
	holds(p->dir, "shadow.lock", strtok(text + strlen("process "), " "));
	assert_int_equal(pwlock_take(p->dir, shadow, 0, &l, &e), 0);
	pwlock_drop(&l);
	close(pipes[0]);
	close(pipes[1]);
}

static void a_living_pid_and_a_lock_without_one_block(void **state)
{
	struct place *p = *state;
	struct pwlock l;
	struct err e = {0};
	put(p->dir, "shadow.lock", "1", 0600);
	assert_int_equal(pwlock_take(p->dir, shadow, 0, &l, &e), -EBUSY);
	assert_non_null(strstr(e.text, "/etc/shadow.lock names process 1 ("));
	put(p->dir, "shadow.lock", "nobody", 0600);
	assert_int_equal(pwlock_look(p->dir, shadow, 0, &e), -EBUSY);
	assert_non_null(strstr(e.text, "names no process"));
	holds(p->dir, "shadow.lock", "nobody");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(a_swap_keeps_owner_mode_labels_and_time),
	    T(what_changed_meanwhile_is_not_overwritten),
	    T(links_and_pipes_are_refused),
	    T(a_move_never_overwrites),
	    T(every_failure_leaves_one_whole_file),
	    T(the_lock_is_what_other_tools_look_for),
	    T(who_holds_the_lock_is_named),
	    T(a_living_pid_and_a_lock_without_one_block),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
