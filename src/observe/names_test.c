/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "observe/names.h"

#define SEC UINT64_C(1000000000)
#define T0  (UINT64_C(1700000000) * SEC)

static struct names *names;

static int setup(void **state)
{
	return names_new(1u << 20, &names, NULL);
}

static int teardown(void **state)
{
	names_free(names);
	return 0;
}

static struct addr addr_of(const char *s)
{
	struct addr a;
	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

static struct dns_event event(const char *client, const char *name, const char *server,
                              uint64_t sec)
{
	struct dns_event e = {.response = true, .nsec = T0 + sec * SEC, .n_addrs = 1};
	e.client.addr = addr_of(client);
	e.addrs[0] = addr_of(server);
	snprintf(e.qname, sizeof e.qname, "%s", name);
	return e;
}

static void answer(const char *client, const char *name, const char *server, uint64_t sec)
{
	struct dns_event e = event(client, name, server, sec);
	names_answer(names, &e);
}

/* The name, "" for none, "?" for several. */
static const char *find(const char *client, const char *server, uint64_t sec)
{
	struct addr c = addr_of(client), s = addr_of(server);
	const char *name = "untouched";
	unsigned n = names_find(names, &c, &s, T0 + sec * SEC, &name);
	if (n != 1)
		assert_string_equal(name, "untouched");
	return n == 0 ? "" : n == 1 ? name : "?";
}

#define A "192.0.2.1"
#define B "192.0.2.2"
#define S "203.0.113.5"

static void who_asked(void **state)
{
	answer(A, "a.example", S, 100);
	answer(A, "six.example", "2001:db8::5", 100);
	assert_string_equal(find(A, S, 100), "a.example");
	assert_string_equal(find(A, S, 100000), "a.example");
	assert_string_equal(find(A, "2001:db8::5", 101), "six.example");
	assert_string_equal(find(A, S, 99), "");  /* not yet asked */
	assert_string_equal(find(B, S, 101), ""); /* another asked */
	assert_string_equal(find(A, "203.0.113.6", 101), "");
}

static void two_names_on_one_address(void **state)
{
	answer(A, "a.example", S, 100);
	answer(A, "b.example", S, 130);
	assert_string_equal(find(A, S, 129), "a.example");
	assert_string_equal(find(A, S, 130), "?");
	assert_string_equal(find(A, S, 9999), "?"); /* it has asked for neither since */
	answer(A, "b.example", S, 500);
	assert_string_equal(find(A, S, 501), "b.example");
	assert_string_equal(find(A, S, 140), "?"); /* looked up late */
	answer(B, "c.example", S, 500);
	assert_string_equal(find(B, S, 501), "c.example");
	assert_string_equal(find(A, S, 501), "b.example");
}

static void out_of_order(void **state)
{
	answer(A, "a.example", S, 500);
	answer(A, "b.example", S, 100);
	answer(A, "a.example", S, 300);
	assert_string_equal(find(A, S, 501), "a.example");
	assert_string_equal(find(A, S, 200), "b.example");
	assert_string_equal(find(A, S, 299), "b.example");
}

static void what_is_no_answer(void **state)
{
	struct dns_event e = event(A, "a.example", S, 1);
	e.response = false;
	names_answer(names, &e);
	e = event(A, "a.example", S, 1);
	e.rcode = 3;
	names_answer(names, &e);
	e = event(A, ".cut.example", S, 1);
	names_answer(names, &e);
	e = event(A, "", S, 1);
	names_answer(names, &e);
	e = event("224.0.0.251", "host.local", S, 1);
	names_answer(names, &e);
	assert_string_equal(find("224.0.0.251", S, 2), "");
	e = event(A, "a.example", S, 1);
	e.n_addrs = 0;
	names_answer(names, &e);
	assert_string_equal(find(A, S, 2), "");
	assert_int_equal(names_evicted(names), 0);
}

static void all_addresses_of_an_answer(void **state)
{
	struct dns_event e = event(A, "a.example", S, 1);
	e.n_addrs = 3;
	e.addrs[1] = addr_of("203.0.113.6");
	e.addrs[2] = addr_of("2001:db8::7");
	names_answer(names, &e);
	assert_string_equal(find(A, S, 2), "a.example");
	assert_string_equal(find(A, "203.0.113.6", 2), "a.example");
	assert_string_equal(find(A, "2001:db8::7", 2), "a.example");
}

/* Far more than fit: bounded, told, and the newest is there. */
static void flood(void **state)
{
	struct dns_event e = event(A, "x", S, 0);
	for (uint32_t i = 0; i < 100000; i++) {
		e.nsec = T0 + i;
		memcpy(e.addrs[0].bytes, &i, 4);
		snprintf(e.qname, sizeof e.qname, "n%u.example", i);
		names_answer(names, &e);
	}
	assert_true(names_evicted(names) > 100000 - (1u << 20) / 300);
	const char *name;
	assert_int_equal(names_find(names, &e.client.addr, &e.addrs[0], e.nsec, &name), 1);
	assert_string_equal(name, "n99999.example");
	/* One client that gets a thousand names for one address. */
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(e.qname, sizeof e.qname, "m%u.example", i);
		names_answer(names, &e);
	}
	assert_true(names_find(names, &e.client.addr, &e.addrs[0], e.nsec, &name) > 1);
}

static void too_small(void **state)
{
	struct names *n = NULL;
	assert_int_equal(names_new(100, &n, NULL), -EINVAL);
	assert_null(n);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
	    T(who_asked),
	    T(two_names_on_one_address),
	    T(out_of_order),
	    T(what_is_no_answer),
	    T(all_addresses_of_an_answer),
	    T(flood),
	    cmocka_unit_test(too_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
