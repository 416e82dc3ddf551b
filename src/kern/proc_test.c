/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/proc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/table.h"

static void test_stat(void **state)
{
	struct proc_id p = {0};

	assert_int_equal(proc_parse_stat("7 (a) b) (x) S 3 4 5 0 -1 1 2 3 4 5 6 7 8 9 20 0 1 0 "
	                                 "12345678 9 9",
	                                 &p),
	                 0);
	assert_int_equal(p.pid, 7);
	assert_int_equal(p.ppid, 3);
	assert_int_equal(p.start_ticks, 12345678);
	assert_string_equal(p.comm, "a) b) (x");
	assert_int_equal(proc_parse_stat("7 (\x1b[2Jx\xff\xe2\x80\xae) S 1 4 5 0 -1 1 2 3 4 5 6 7 "
	                                 "8 9 20 0 1 0 5 9",
	                                 &p),
	                 0);
	assert_string_equal(p.comm, "?[2Jx????");
	assert_int_equal(proc_parse_stat("7 (cut short) S 1 4", &p), -EBADMSG);
	assert_int_equal(proc_parse_stat("7 no name", &p), -EBADMSG);
	assert_int_equal(proc_parse_stat("", &p), -EBADMSG);
	assert_int_equal(proc_parse_stat(")7(", &p), -EBADMSG);
}

static void test_units(void **state)
{
	static const struct {
		const char *cgroup, *unit;
	} rows[] = {
	    {"", ""},
	    {"/", ""},
	    {"/init.scope", "init.scope"},
	    {"/system.slice/ssh.service", "ssh.service"},
	    {"/user.slice/user-1000.slice/session-3.scope", "session-3.scope"},
	    {"/user.slice/user-1000.slice/user@1000.service/app.slice/x.service", "x.service"},
	    {"/system.slice/docker-"
	     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.scope",
	     "docker:0123456789ab"},
	    {"/machine.slice/libpod-"
	     "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210.scope/container",
	     "podman:fedcba987654"},
	    {"/kubepods/besteffort/pod1/"
	     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	     "container:0123456789ab"},
	    {"/machine.slice/machine-web.scope/system.slice/nginx.service", "machine:web"},
	    {"/machine.slice/systemd-nspawn@db.service/payload", "machine:db"},
	    {"/lxc.payload.c1/system.slice/cron.service", "lxc:c1"},
	    {"/docker-short.scope", "docker-short.scope"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char unit[PROC_UNIT_MAX];
		assert_string_equal(proc_unit_of(rows[i].cgroup, unit), rows[i].unit);
	}
}

static void test_self(void **state)
{
	struct proc_id p, chain[64];
	size_t n = 0;

	assert_int_equal(proc_read(0, &p), 0);
	assert_int_equal(p.pid, getpid());
	assert_int_equal(p.ppid, getppid());
	assert_int_equal(p.uid, getuid());
	assert_true(strstr(p.exe, "proc_test") || strstr(p.exe, "valgrind"));
	assert_false(p.exe_deleted);
	assert_true(proc_is(p.pid, p.start_ticks));
	assert_false(proc_is(p.pid, p.start_ticks + 1));
	assert_int_equal(proc_chain(getpid(), chain, ARRAY_SIZE(chain), &n), 0);
	assert_true(n >= 1);
	assert_int_equal(chain[0].pid, getpid());
	for (size_t i = 1; i < n; i++) {
		assert_int_equal(chain[i].pid, chain[i - 1].ppid);
		assert_true(chain[i].start_ticks <= chain[i - 1].start_ticks);
	}
}

static void test_gone(void **state)
{
	struct proc_id p;
	uint64_t inode;
	pid_t child = fork();

	if (!child)
		_exit(0);
	assert_true(child > 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(proc_read(child, &p), -ESRCH);
	assert_int_equal(proc_ns_inode(child, "net", &inode), -ESRCH);
	assert_int_equal(proc_ns_inode(0, "net", &inode), 0);
	assert_true(inode > 0);
}

static void test_map(void **state)
{
	struct inode_map *m = NULL;
	unsigned holders = 0;

	assert_int_equal(inode_map_new(&m), 0);
	for (unsigned i = 1; i <= 5000; i++)
		assert_int_equal(inode_map_add(m, i, (int)i + 100), 0);
	for (unsigned i = 1; i <= 5000; i++)
		assert_int_equal(inode_map_find(m, i, NULL), i + 100);
	assert_int_equal(inode_map_find(m, 5001, NULL), 0);
	assert_int_equal(inode_map_find(m, 0, NULL), 0);
	/* init hands its sockets on: another holder is the one that matters. */
	inode_map_add(m, 9000, 1);
	inode_map_add(m, 9000, 800);
	inode_map_add(m, 9000, 800);
	inode_map_add(m, 9000, 700);
	assert_int_equal(inode_map_find(m, 9000, &holders), 700);
	assert_int_equal(holders, 3);
	inode_map_free(m);
	inode_map_free(NULL);
}

static void test_scan(void **state)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct inode_map *m = NULL;
	struct inode_map_stats s = {0};
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(inode_map_new(&m), 0);
	assert_int_equal(inode_map_scan(m, &s, NULL), 0);
	assert_int_equal(inode_map_find(m, st.st_ino, NULL), getpid());
	assert_true(s.entries >= 1 && s.pids >= 1);
	close(fd);
	assert_int_equal(inode_map_scan(m, &s, NULL), 0);
	assert_int_equal(inode_map_find(m, st.st_ino, NULL), 0);
	inode_map_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stat), cmocka_unit_test(test_units), cmocka_unit_test(test_self),
	    cmocka_unit_test(test_gone), cmocka_unit_test(test_map),   cmocka_unit_test(test_scan),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
