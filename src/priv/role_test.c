/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs itself as sandboxed roles, which try what they must not. */
#include "priv/role.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cursor.h"
#include "base/table.h"
#include "priv/msg.h"

static int run_open(int channel, const int *fds, size_t n)
{
	return syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY) >= 0 ? 1 : 2;
}

static int run_socket(int channel, const int *fds, size_t n)
{
	return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 1 : 2;
}

static int run_exec(int channel, const int *fds, size_t n)
{
	char sh[] = "/bin/true", *argv[] = {sh, NULL};
	execve(sh, argv, argv + 1);
	return 2;
}

static int run_ptrace(int channel, const int *fds, size_t n)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) ? 2 : 1;
}

static int run_code(int channel, const int *fds, size_t n)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED;
}

static int run_fork(int channel, const int *fds, size_t n)
{
	return fork() < 0 ? 2 : 1;
}

/* Says who it is, then echoes until it is told to stop. */
static int run_echo(int channel, const int *fds, size_t n)
{
	struct msg_reader *r;
	struct msg m;
	uint32_t who[4] = {getuid(), getgid(), (uint32_t)n, environ && *environ ? 1 : 0};
	char byte = 'x';

	if (msg_reader_new(channel, &r) < 0 || msg_send(channel, 1, who, sizeof(who)) < 0)
		return 3;
	msg_send(channel, 2, role_limits(), strlen(role_limits()));
	for (size_t i = 0; i < n; i++)
		if (write(fds[i], &byte, 1) != 1)
			return 4;
	while (msg_next(r, 5000, &m) == 1 && m.type != 99)
		if (msg_send(channel, m.type, m.body, m.len) < 0)
			return 5;
	msg_reader_free(r);
	return 0;
}

static int run_hang(int channel, const int *fds, size_t n)
{
	while (poll(NULL, 0, 1000) == 0)
		;
	return 0;
}

static const int echo_calls[] = {SYS_getuid, SYS_getgid, -1};
static const struct role roles[] = {
    {"open", run_open, NULL},     {"socket", run_socket, NULL},   {"exec", run_exec, NULL},
    {"ptrace", run_ptrace, NULL}, {"code", run_code, NULL},       {"fork", run_fork, NULL},
    {"hang", run_hang, NULL},     {"echo", run_echo, echo_calls}, {0},
};

static void test_refused(void **state)
{
	static const char *const names[] = {"open", "socket", "exec", "ptrace", "code", "fork"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct role_child c;
		struct err e = {0};
		assert_int_equal(role_spawn(names[i], NULL, 0, &c, &e), 0);
		assert_int_equal(role_wait(&c, 10000, &e), -ECHILD);
		if (!strstr(e.text, "signal 31"))
			fail_msg("%s: %s", names[i], e.text);
	}
}

static void test_echo(void **state)
{
	static uint8_t big[MSG_BODY_MAX];
	struct role_child c;
	struct msg_reader *r;
	struct err e = {0};
	struct msg m;
	uint32_t who[4];
	int pipes[2];
	char byte = 0;

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(role_spawn("echo", &pipes[1], 1, &c, &e), 0);
	close(pipes[1]);
	assert_int_equal(msg_reader_new(c.channel, &r), 0);
	assert_int_equal(msg_next(r, 10000, &m), 1);
	assert_int_equal(m.len, sizeof(who));
	memcpy(who, m.body, sizeof(who));
	assert_int_equal(who[0], getuid() ? getuid() : 65534);
	assert_int_equal(who[1], getuid() ? getgid() : 65534);
	assert_int_equal(who[2], 1);
	assert_int_equal(who[3], 0);
	assert_int_equal(msg_next(r, 10000, &m), 1);
	assert_int_equal(m.type, 2);
	assert_int_equal(read(pipes[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	for (unsigned i = 0; i < 20; i++) {
		memset(big, (int)i, sizeof(big));
		assert_int_equal(msg_send(c.channel, 7 + i, big, i % 2 ? sizeof(big) : i), 0);
		assert_int_equal(msg_next(r, 10000, &m), 1);
		assert_int_equal(m.type, 7 + i);
		assert_int_equal(m.len, i % 2 ? sizeof(big) : i);
		assert_int_equal(memcmp(m.body, big, m.len), 0);
	}
	assert_int_equal(msg_send(c.channel, 99, NULL, 0), 0);
	assert_int_equal(msg_next(r, 10000, &m), 0);
	assert_int_equal(role_wait(&c, 10000, &e), 0);
	msg_reader_free(r);
	close(pipes[0]);
}

static void test_hang(void **state)
{
	struct role_child c;
	struct err e = {0};

	assert_int_equal(role_spawn("hang", NULL, 0, &c, &e), 0);
	assert_int_equal(role_wait(&c, 100, &e), -ETIMEDOUT);
	assert_int_equal(role_spawn("no such", NULL, 0, &c, &e), 0);
	assert_int_equal(role_wait(&c, 10000, &e), -EPERM);
}

static void test_bad_messages(void **state)
{
	int pair[2];
	uint32_t head[2] = {1, MSG_BODY_MAX + 1};
	struct msg_reader *r;
	struct msg m;

	assert_int_equal(msg_send(-1, 1, head, (size_t)MSG_BODY_MAX + 1), -EMSGSIZE);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(msg_reader_new(pair[0], &r), 0);
	assert_int_equal(msg_next(r, 10, &m), -EAGAIN);
	assert_int_equal(write(pair[1], head, sizeof(head)), sizeof(head));
	assert_int_equal(msg_next(r, 1000, &m), -EBADMSG);
	msg_reader_free(r);
	assert_int_equal(msg_reader_new(pair[0], &r), 0);
	head[1] = 10;
	assert_int_equal(write(pair[1], head, sizeof(head)), sizeof(head));
	close(pair[1]);
	assert_int_equal(msg_next(r, 1000, &m), -EBADMSG);
	msg_reader_free(r);
	close(pair[0]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_echo),
	    cmocka_unit_test(test_hang),
	    cmocka_unit_test(test_bad_messages),
	};

	if (argc == 3 && !strcmp(argv[1], ROLE_ARG))
		return role_main(roles, argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
