/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ui/probe.h"

static void test_names(void **state)
{
	for (int i = 0; i < _REACH_MAX; i++)
		assert_int_equal(reach_parse(reach_str(i)), i);
	assert_int_equal(reach_parse("maybe"), -EINVAL);
}

static enum reach meaning(int code, uint8_t family, uint8_t type, uint8_t icmp_code)
{
	struct icmp_error i = {
	    .seen = family != 0, .family = family, .type = type, .code = icmp_code};
	struct probe p = {0};

	probe_classify(code, &i, &p);
	assert_true(strlen(p.detail) > 4);
	return p.outcome;
}

static void test_classify(void **state)
{
	assert_int_equal(meaning(ECONNREFUSED, 0, 0, 0), REACH_REFUSED);
	/* The same errno, but a firewall's word and not the host's. */
	assert_int_equal(meaning(ECONNREFUSED, ADDR_V4, 3, 3), REACH_FILTERED);
	assert_int_equal(meaning(EHOSTUNREACH, ADDR_V4, 3, 13), REACH_FILTERED);
	assert_int_equal(meaning(EHOSTUNREACH, ADDR_V4, 3, 1), REACH_UNREACHABLE);
	assert_int_equal(meaning(EHOSTUNREACH, 0, 0, 0), REACH_UNREACHABLE);
	assert_int_equal(meaning(ENETUNREACH, 0, 0, 0), REACH_NO_ROUTE);
	assert_int_equal(meaning(ENETUNREACH, ADDR_V6, 1, 0), REACH_UNREACHABLE);
	assert_int_equal(meaning(EACCES, ADDR_V6, 1, 1), REACH_FILTERED);
	assert_int_equal(meaning(ETIMEDOUT, 0, 0, 0), REACH_FILTERED);
	assert_int_equal(meaning(EPERM, 0, 0, 0), REACH_LOCAL);
	assert_int_equal(meaning(EMFILE, 0, 0, 0), REACH_LOCAL);
}

static void test_loopback(void **state)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof(sa);
	const struct addr none = {0};
	struct addr to;
	struct probe p;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
	to = addr_v4(&sa.sin_addr);
	probe_tcp(&to, ntohs(sa.sin_port), &none, &p);
	assert_int_equal(p.outcome, REACH_REFUSED);
	assert_int_equal(listen(fd, 1), 0);
	probe_tcp(&to, ntohs(sa.sin_port), &none, &p);
	assert_int_equal(p.outcome, REACH_OK);
	assert_true(p.latency > 0 && p.latency < USEC_PER_SEC);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_classify),
	    cmocka_unit_test(test_loopback),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
