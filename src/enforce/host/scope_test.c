/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which sockets and tracked connections go with a cut: a table of cases, no kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>

#include "base/table.h"
#include "enforce/host/scope.h"

static struct addr own[2];

static struct addr parse(const char *s)
{
	struct addr a = {0};
	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

static struct endpoint end(const char *s)
{
	struct endpoint e;
	assert_int_equal(endpoint_parse(s, &e, NULL), 0);
	return e;
}

static struct permit flow(const char *peer, uint8_t proto, uint16_t local, uint16_t other)
{
	struct permit p = {
	    .kind = PERMIT_FLOW, .proto = proto, .local_port = local, .peer_port = other};
	assert_int_equal(prefix_parse(peer, &p.peer, NULL), 0);
	return p;
}

static int set_up(void **state)
{
	own[0] = parse("192.0.2.10");
	own[1] = parse("2001:db8::10");
	return 0;
}

static struct scope by_permits(struct session_scope *w, const struct permit *p, size_t n)
{
	*w = (struct session_scope){.permits = p, .n_permits = n};
	return (struct scope){.want = w, .own = own, .n_own = 2};
}

static struct scope by_prefixes(struct session_scope *w, const struct prefix *p, size_t n)
{
	*w = (struct session_scope){.prefixes = p, .n_prefixes = n};
	return (struct scope){.want = w, .own = own, .n_own = 2};
}

struct sock_case {
	const char *local, *peer;
	uint8_t proto, state;
	bool goes;
};

static void check_socks(const struct scope *s, const struct sock_case *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct diag_sock k = {.proto = v[i].proto, .state = v[i].state};
		k.local = end(v[i].local);
		k.peer = end(v[i].peer);
		if (scope_takes_sock(s, &k) != v[i].goes)
			fail_msg("%s -> %s", v[i].local, v[i].peer);
	}
}

#define TCP IPPROTO_TCP
#define UDP IPPROTO_UDP
#define EST DIAG_ESTABLISHED

static void sockets_of_an_isolation(void **state)
{
	struct permit p[] = {
	    flow("198.51.100.7", TCP, 22, 0),
	    flow("192.0.2.53", 0, 0, 53),
	    flow("203.0.113.0/24", TCP, 22, 0), /* break-glass */
	    {.kind = PERMIT_DHCP4},
	    {.kind = PERMIT_ARP},
	};
	p[2].breakglass = true;
	const struct sock_case v[] = {
	    {"192.0.2.10:22", "198.51.100.7:50000", TCP, EST, false},
	    {"192.0.2.10:23", "198.51.100.7:50000", TCP, EST, true},
	    {"192.0.2.10:22", "198.51.100.8:50000", TCP, EST, true},
	    {"192.0.2.10:4444", "192.0.2.53:53", UDP, EST, false},
	    {"192.0.2.10:4444", "192.0.2.53:53", TCP, EST, false},
	    {"192.0.2.10:4444", "192.0.2.53:54", TCP, EST, true},
	    {"192.0.2.10:22", "203.0.113.5:50000", TCP, EST, true},
	    {"192.0.2.10:68", "192.0.2.1:67", UDP, EST, false},
	    {"192.0.2.10:68", "192.0.2.1:67", TCP, EST, true},
	    {"[2001:db8::10]:9", "[2001:db8:1::1]:443", TCP, DIAG_SYN_SENT, true},
	    {"127.0.0.1:9", "127.0.0.1:80", TCP, EST, false},
	    {"[::1]:9", "[::1]:80", TCP, EST, false},
	    {"192.0.2.10:9", "192.0.2.10:80", TCP, EST, false},
	    {"[2001:db8::10]:9", "[2001:db8::10]:80", TCP, EST, false},
	    {"0.0.0.0:80", "0.0.0.0", TCP, DIAG_LISTEN, false},
	    {"192.0.2.10:80", "203.0.113.5:1", TCP, DIAG_TIME_WAIT, true},
	    {"0.0.0.0:80", "0.0.0.0", UDP, DIAG_CLOSE, false},
	};
	struct session_scope w;
	struct scope s = by_permits(&w, p, ARRAY_SIZE(p));
	check_socks(&s, v, ARRAY_SIZE(v));
	/* An allow-list that is empty keeps nothing but what does not leave. */
	s = by_permits(&w, p, 0);
	const struct sock_case none[] = {
	    {"192.0.2.10:22", "198.51.100.7:50000", TCP, EST, true},
	    {"127.0.0.1:22", "127.0.0.1:50000", TCP, EST, false},
	};
	check_socks(&s, none, ARRAY_SIZE(none));
}

static void sockets_of_a_block(void **state)
{
	struct prefix p[2];
	assert_int_equal(prefix_parse("203.0.113.5", &p[0], NULL), 0);
	assert_int_equal(prefix_parse("2001:db8:1::/48", &p[1], NULL), 0);
	const struct sock_case v[] = {
	    {"192.0.2.10:9", "203.0.113.5:443", TCP, EST, true},
	    {"192.0.2.10:9", "203.0.113.50:443", TCP, EST, false},
	    {"192.0.2.10:9", "203.0.113.5:443", UDP, EST, true},
	    {"[2001:db8::10]:9", "[2001:db8:1:ffff::9]:1", TCP, EST, true},
	    {"[2001:db8::10]:9", "[2001:db8:2::9]:1", TCP, EST, false},
	    {"203.0.113.5:443", "198.51.100.1:9", TCP, EST, false},
	};
	struct session_scope w;
	struct scope s = by_prefixes(&w, p, 2);
	check_socks(&s, v, ARRAY_SIZE(v));
}

struct flow_case {
	const char *src, *dst;
	const char *reply_src, *reply_dst; /* NULL: the mirror */
	uint8_t proto;
	bool goes;
};

static void check_flows(const struct scope *s, const struct flow_case *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct ct_flow f = {.orig.proto = v[i].proto, .reply.proto = v[i].proto};
		f.orig.src = end(v[i].src);
		f.orig.dst = end(v[i].dst);
		f.reply.src = end(v[i].reply_src ? v[i].reply_src : v[i].dst);
		f.reply.dst = end(v[i].reply_dst ? v[i].reply_dst : v[i].src);
		if (scope_takes_flow(s, &f) != v[i].goes)
			fail_msg("%s -> %s", v[i].src, v[i].dst);
	}
}

static void flows_of_an_isolation(void **state)
{
	const struct permit p[] = {flow("198.51.100.7", TCP, 22, 0), flow("192.0.2.53", 0, 0, 53)};
	const struct flow_case v[] = {
	    {"198.51.100.7:50000", "192.0.2.10:22", NULL, NULL, TCP, false},
	    {"198.51.100.7:50000", "192.0.2.10:80", NULL, NULL, TCP, true},
	    {"192.0.2.10:5000", "192.0.2.53:53", NULL, NULL, UDP, false},
	    {"192.0.2.10:5000", "203.0.113.5:53", NULL, NULL, UDP, true},
	    {"127.0.0.1:5000", "127.0.0.53:53", NULL, NULL, UDP, false},
	    {"192.0.2.10:5000", "192.0.2.10:80", NULL, NULL, TCP, false},
	    /* Forwarded: a container's, even to a kept peer. */
	    {"198.18.31.2:5000", "192.0.2.53:53", NULL, NULL, UDP, true},
	    {"198.18.31.2:5000", "203.0.113.5:443", "203.0.113.5:443", "192.0.2.10:5000", TCP,
	     true},
	};
	struct session_scope w;
	struct scope s = by_permits(&w, p, 2);
	check_flows(&s, v, ARRAY_SIZE(v));
}

static void flows_of_a_block(void **state)
{
	struct prefix p;
	assert_int_equal(prefix_parse("203.0.113.5", &p, NULL), 0);
	const struct flow_case v[] = {
	    {"192.0.2.10:1", "203.0.113.5:443", NULL, NULL, TCP, true},
	    {"203.0.113.5:1", "192.0.2.10:22", NULL, NULL, TCP, true},
	    {"198.18.31.2:1", "203.0.113.5:443", "203.0.113.5:443", "192.0.2.10:1", TCP, true},
	    /* Redirected there: only the reply names it. */
	    {"192.0.2.10:1", "198.51.100.1:80", "203.0.113.5:80", "192.0.2.10:1", TCP, true},
	    {"192.0.2.10:1", "203.0.113.50:443", NULL, NULL, TCP, false},
	};
	struct session_scope w;
	struct scope s = by_prefixes(&w, &p, 1);
	check_flows(&s, v, ARRAY_SIZE(v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sockets_of_an_isolation),
	    cmocka_unit_test(sockets_of_a_block),
	    cmocka_unit_test(flows_of_an_isolation),
	    cmocka_unit_test(flows_of_a_block),
	};
	return cmocka_run_group_tests_name("scope", tests, set_up, NULL);
}
