/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Real tracked connections in a network namespace of the test's own, made by nft rules and loopback
 * traffic; judged by what a second listing says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kern/conntrack.h"

static bool tracked;

static int set_up(void **state)
{
	if (unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "skipped: no network namespace: %s\n", strerror(errno));
		return 0;
	}
	/* NOLINTNEXTLINE(cert-env33-c): nft and ip are the oracles here */
	if (system("ip link set lo up && nft 'table inet t { chain o { type filter hook output "
	           "priority 0; ct state new counter; }; chain n { type nat hook output priority "
	           "-100; ip daddr 127.0.0.1 udp dport 7000 dnat to 127.0.0.1:7001; }; }'") != 0) {
		fprintf(stderr, "skipped: no connection tracking here\n");
		return 0;
	}
	/* NOLINTNEXTLINE(cert-env33-c) */
	(void)!system("sysctl -qw net.netfilter.nf_conntrack_acct=1");
	tracked = true;
	return 0;
}

#define NEEDS_TRACKING()                                                                           \
	do {                                                                                       \
		if (!tracked)                                                                      \
			skip();                                                                    \
	} while (0)

static void say(int family, const char *to, uint16_t port, size_t n)
{
	static const char data[1000];
	struct sockaddr_storage sa;
	struct addr a;
	assert_int_equal(addr_parse(to, &a), 0);
	socklen_t len = addr_to_sockaddr(&a, port, &sa);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(sendto(fd, data, n, 0, (struct sockaddr *)&sa, len), (ssize_t)n);
	close(fd);
}

struct search {
	uint16_t port;
	struct ct_flow found;
	unsigned n, all;
};

static bool look(void *arg, const struct ct_flow *f)
{
	struct search *s = arg;
	s->all++;
	if (f->orig.dst.port == s->port && f->orig.proto == IPPROTO_UDP) {
		s->found = *f;
		s->n++;
	}
	return true;
}

static struct search find(uint16_t port)
{
	struct search s = {.port = port};
	struct err e = {0};
	if (ct_list(NULL, look, &s, &e) < 0)
		fail_msg("%s", e.text);
	return s;
}

static void fields(void **state)
{
	NEEDS_TRACKING();
	say(AF_INET, "127.0.0.1", 5000, 100);
	struct search s = find(5000);
	assert_int_equal(s.n, 1);
	assert_true(addr_is_loopback(&s.found.orig.src.addr));
	assert_int_equal(s.found.orig.dst.addr.family, ADDR_V4);
	assert_int_equal(s.found.reply.src.port, 5000);
	assert_true(s.found.id != 0 && s.found.raw_len != 0);
	assert_true(s.found.timeout_sec > 0 && s.found.timeout_sec < 200);
	assert_true(s.found.has_counters);
	assert_int_equal(s.found.bytes_orig, 128);
	assert_int_equal(s.found.packets_orig, 1);
}

static void translated_addresses(void **state)
{
	NEEDS_TRACKING();
	say(AF_INET, "127.0.0.1", 7000, 10);
	struct search s = find(7000);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.found.orig.dst.port, 7000);
	assert_int_equal(s.found.reply.src.port, 7001);
	assert_true(s.found.status & 32); /* IPS_DST_NAT */
	assert_int_equal(ct_delete(NULL, &s.found, NULL), 0);
	assert_int_equal(find(7000).n, 0);
}

static void deletes_one_of_both_families(void **state)
{
	NEEDS_TRACKING();
	say(AF_INET, "127.0.0.1", 5001, 10);
	say(AF_INET6, "::1", 5001, 10);
	say(AF_INET6, "::1", 5002, 10);
	struct search s = find(5001), other = find(5002);
	unsigned before = s.all;
	assert_int_equal(s.n, 2);
	assert_int_equal(ct_delete(NULL, &s.found, NULL), 0);
	s = find(5001);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.all, before - 1);
	assert_int_equal(ct_delete(NULL, &s.found, NULL), 0);
	assert_int_equal(ct_delete(NULL, &s.found, NULL), -ENOENT);
	assert_int_equal(find(5001).n, 0);
	assert_int_equal(find(5002).n, 1);

	/* The id must agree, too: what took the place of an entry is not the entry. */
	other.found.id ^= 1;
	assert_int_equal(ct_delete(NULL, &other.found, NULL), -ENOENT);
	assert_int_equal(find(5002).n, 1);
}

static bool stop(void *arg, const struct ct_flow *f)
{
	++*(unsigned *)arg;
	return false;
}

static void stopping_is_a_success(void **state)
{
	NEEDS_TRACKING();
	unsigned calls = 0;
	say(AF_INET, "127.0.0.1", 5003, 10);
	say(AF_INET, "127.0.0.1", 5004, 10);
	assert_int_equal(ct_list(NULL, stop, &calls, NULL), 0);
	assert_int_equal(calls, 1);
}

static void refuses_what_it_did_not_list(void **state)
{
	const struct ct_flow none = {0};
	assert_int_equal(ct_delete(NULL, &none, NULL), -EINVAL);
	assert_string_equal(ct_tcp_state_str(3), "established");
	assert_string_equal(ct_tcp_state_str(0), "");
	assert_string_equal(ct_tcp_state_str(200), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields),
	    cmocka_unit_test(translated_addresses),
	    cmocka_unit_test(deletes_one_of_both_families),
	    cmocka_unit_test(stopping_is_a_success),
	    cmocka_unit_test(refuses_what_it_did_not_list),
	};
	return cmocka_run_group_tests_name("conntrack", tests, set_up, NULL);
}
