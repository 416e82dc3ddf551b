/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/watchprog.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/table.h"

static void test_path(void **state)
{
	static const struct {
		const char *parts;
		size_t len;
		const char *path;
	} cases[] = {
	    {"sshd\0sbin\0usr", 14, "/usr/sbin/sshd"},
	    {"init", 5, "/init"},
	    {"memfd:x", 8, "/memfd:x"},
	    {"", 0, ""},
	    {"a\x1b[2J\0b", 8, "/b/a?[2J"},
	    {"not terminated", 5, ""},
	    {"a much too long path for this\0usr", 34, "/usr/a much too lon"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char path[20];
		watchprog_path(cases[i].parts, cases[i].len, path, sizeof(path));
		assert_string_equal(path, cases[i].path);
	}
}

struct seen {
	uint16_t port;
	unsigned flows;
	struct watch_key key;
	struct watch_flow flow;
};

static void on_flow(void *arg, const struct watch_key *k, const struct watch_flow *f)
{
	struct seen *s = arg;

	if (k->proto != IPPROTO_UDP || k->peer_port != s->port || k->local_port == s->port)
		return;
	s->flows++;
	s->key = *k;
	s->flow = *f;
}

/* One datagram over loopback, from a socket that is closed when we look. */
static uint16_t send_one(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int to = socket(AF_INET, SOCK_DGRAM, 0), from = socket(AF_INET, SOCK_DGRAM, 0);

	assert_return_code(bind(to, (struct sockaddr *)&a, sizeof(a)), errno);
	assert_return_code(getsockname(to, (struct sockaddr *)&a, &n), errno);
	assert_int_equal(sendto(from, "0123456789", 10, 0, (struct sockaddr *)&a, sizeof(a)), 10);
	close(from);
	close(to);
	return ntohs(a.sin_port);
}

static void test_owner_of_one_datagram(void **state)
{
	struct watchprog *w;
	struct watch_owner o;
	struct seen seen = {0};
	struct err e = {0};
	char exe[WATCH_PATH_MAX] = "", real[WATCH_PATH_MAX] = "";

	if (watchprog_open(1024, 0, &w, &e) < 0) {
		print_message("not tried here: %s\n", e.text);
		skip();
	}
	seen.port = send_one();
	assert_int_equal(watchprog_each(w, on_flow, &seen, &e), 0);
	assert_int_equal(seen.flows, 1);
	assert_int_equal(seen.flow.who.pid, getpid());
	assert_int_equal(seen.flow.who.uid, getuid());
	assert_int_equal(seen.flow.count[WATCH_OUT].packets, 1);
	assert_int_equal(seen.flow.count[WATCH_OUT].bytes, 20 + 8 + 10);
	assert_int_equal(seen.flow.count[WATCH_IN].packets, 0);
	assert_int_equal(watchprog_owner(w, &seen.flow.who, &o), 0);
	watchprog_path(o.exe, o.exe_len, exe, sizeof(exe));
	assert_true(readlink("/proc/self/exe", real, sizeof(real) - 1) > 0);
	assert_string_equal(exe, real);
	assert_int_equal(o.parents[0].pid, getppid());
	assert_int_equal(watchprog_take(w, &seen.key, &seen.flow), 0);
	assert_int_equal(watchprog_take(w, &seen.key, &seen.flow), -ENOENT);
	watchprog_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_path),
	    cmocka_unit_test(test_owner_of_one_datagram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
