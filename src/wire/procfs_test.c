/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "wire/procfs.h"

#define S(text) text, sizeof(text) - 1

static void stat_lines(void **state)
{
	struct procfs_stat s;

	assert_true(
	    procfs_stat(S("12 (a) b\n(c)) S 1 12 7 34816 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 "
	                  "98765 1000 2\n"),
	                &s));
	assert_int_equal(s.pid, 12);
	assert_int_equal(s.ppid, 1);
	assert_int_equal(s.session, 7);
	assert_int_equal(s.tty, 34816);
	assert_int_equal(s.state, 'S');
	assert_int_equal(s.flags, 4194560);
	assert_int_equal(s.start, 98765);
	assert_string_equal(s.comm, "a) b\n(c)");
	assert_false(procfs_stat(S("12 (a S 1"), &s));
	assert_false(procfs_stat(S("12 )a( S 1"), &s));
	assert_false(procfs_stat(S("0 (a) S 1 12 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 5"), &s));
	assert_false(procfs_stat(S("12 (a) S 1 12 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 "
	                           "99999999999999999999"),
	                         &s));
	assert_false(procfs_stat("", 0, &s));
}

static void status_texts(void **state)
{
	struct procfs_status s;

	assert_true(procfs_status(
	    S("Name:\ta\\nUid:\t7\nPid:\t3\nTracerPid:\t42\nUid:\t33\t0\t33\t33\n"), &s));
	assert_int_equal(s.uid, 33);
	assert_int_equal(s.euid, 0);
	assert_int_equal(s.tracer, 42);
	assert_false(procfs_status(S("Name:\ta\n"), &s));
	assert_false(procfs_status(S("Uid:\t99999999999\t0\n"), &s));
}

static void descriptors(void **state)
{
	static const struct {
		const char *link;
		enum procfs_fd kind;
		uint64_t id;
	} cases[] = {
	    {"socket:[123]", PROCFS_FD_SOCKET, 123},
	    {"pipe:[9]", PROCFS_FD_PIPE, 9},
	    {"/dev/pts/3", PROCFS_FD_PTS, 3},
	    {"/dev/pts/ptmx", PROCFS_FD_PTMX, 0},
	    {"/dev/ptmx", PROCFS_FD_PTMX, 0},
	    {"anon_inode:bpf-prog", PROCFS_FD_BPF, 0},
	    {"socket:[12", PROCFS_FD_OTHER, 0},
	    {"socket:[12]x", PROCFS_FD_OTHER, 0},
	    {"/dev/pts/3x", PROCFS_FD_OTHER, 0},
	    {"/tmp/socket:[1]", PROCFS_FD_OTHER, 0},
	    {"", PROCFS_FD_OTHER, 0},
	    {"pipe:[]", PROCFS_FD_OTHER, 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t id = 99;
		assert_int_equal(procfs_fd(cases[i].link, strlen(cases[i].link), &id),
		                 cases[i].kind);
		assert_int_equal(id, cases[i].id);
	}
	uint64_t n;
	assert_true(procfs_tty_index(S("pos:\t0\nflags:\t02\ntty-index:\t17\n"), &n));
	assert_int_equal(n, 17);
	assert_false(procfs_tty_index(S("pos:\t0\n"), &n));
}

static void sockets(void **state)
{
	char text[ENDPOINT_STR_MAX];
	struct procfs_inet s;
	struct procfs_packet p;

	assert_true(procfs_inet(S("   0: 0100007F:1F90 050071CB:01BB 01 00000000:00000000 "
	                          "00:00000000 00000000  1000        0 4242 1 x"),
	                        &s));
	assert_string_equal(endpoint_str(&s.local, text), "127.0.0.1:8080");
	assert_string_equal(endpoint_str(&s.peer, text), "203.113.0.5:443");
	assert_int_equal(s.state, 1);
	assert_int_equal(s.uid, 1000);
	assert_int_equal(s.inode, 4242);
	assert_true(procfs_inet(S("  1: B80D0120000000000000000005000000:0016 "
	                          "00000000000000000000000000000000:0000 0A 00000000:00000000 "
	                          "00:00000000 00000000     0        0 77 1"),
	                        &s));
	assert_string_equal(endpoint_str(&s.local, text), "[2001:db8::5]:22");
	assert_true(procfs_inet(S("  1: 0000000000000000FFFF00000100007F:0016 "
	                          "00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 77"),
	                        &s));
	assert_string_equal(endpoint_str(&s.local, text), "127.0.0.1:22");
	assert_false(procfs_inet(S("  sl  local_address rem_address   st tx_queue"), &s));
	assert_false(procfs_inet(S("  1: 0100007F:1F90:1 050071CB:01BB 01 0:0 0:0 0 0 0 7"), &s));
	assert_false(
	    procfs_inet(S("  1: 0100007F0100007F:1F90 050071CB:01BB 01 0:0 0:0 0 0 0 7"), &s));

	assert_true(
	    procfs_packet(S("00000000a1b2c3d4 3      3    0003   2     1 0      0      9911"), &p));
	assert_int_equal(p.type, 3);
	assert_int_equal(p.protocol, 3);
	assert_int_equal(p.ifindex, 2);
	assert_int_equal(p.inode, 9911);
	assert_false(
	    procfs_packet(S("sk       RefCnt Type Proto  Iface R Rmem   User   Inode"), &p));
}

static void mounts(void **state)
{
	char point[PROCFS_POINT_MAX];

	assert_true(
	    procfs_mount_point(S("36 35 98:0 /mnt1 /proc/12\\040x rw - ext3 /dev/root rw"), point));
	assert_string_equal(point, "/proc/12 x");
	assert_true(procfs_mount_is(S("36 35 0:21 / /proc rw shared:5 - proc proc rw"), "proc"));
	assert_false(procfs_mount_is(S("36 35 0:21 / /proc rw shared:5 - tmpfs proc rw"), "proc"));
	assert_false(procfs_mount_is(S("36 35 0:21 / /proc rw - procx proc rw"), "proc"));
	assert_false(procfs_mount_is(S("36 35 0:21 / /proc rw proc"), "proc"));
	assert_false(procfs_mount_point(S("36 35 98:0 /mnt1"), point));
	assert_false(procfs_mount_point(S("36 35 98:0 / /a\\000b rw"), point));
}

static void lines(void **state)
{
	const char *text = "a\n\nbc", *line;
	size_t left = 5, n;

	assert_true(procfs_line(&text, &left, &line, &n) && n == 1);
	assert_true(procfs_line(&text, &left, &line, &n) && n == 0);
	assert_true(procfs_line(&text, &left, &line, &n) && n == 2 && *line == 'b');
	assert_false(procfs_line(&text, &left, &line, &n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(stat_lines),  cmocka_unit_test(status_texts),
	    cmocka_unit_test(descriptors), cmocka_unit_test(sockets),
	    cmocka_unit_test(mounts),      cmocka_unit_test(lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
