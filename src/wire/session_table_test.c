/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The vendor's own samples, and what must not be taken for a table. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "wire/session_table.h"

struct seen {
	struct session_row v[8];
	size_t n;
};

static int take(void *arg, const struct session_row *row)
{
	struct seen *s = arg;
	assert_true(s->n < 8);
	s->v[s->n++] = *row;
	return 0;
}

static int read_all(const char *text, struct seen *s)
{
	*s = (struct seen){0};
	return session_table_junos(text, strlen(text), take, s);
}

static void samples(void **unused)
{
	struct seen s;
	char a[ENDPOINT_STR_MAX];
	assert_int_equal(
	    read_all(
	        "Flow Sessions on FPC0 PIC1:\n\n"
	        "Session ID: 10115977, Policy name: SG/4, Timeout: 62, Valid\n"
	        "  In: 192.0.2.10/40000 --> 203.0.113.5/443;tcp, Conn Tag: 0x0, If: ge-0/0/1.0, "
	        "Pkts: 3, Bytes: 164, CP Session ID: 1,\n"
	        "  Out: 203.0.113.5/443 --> 192.0.2.10/40000;tcp, Conn Tag: 0x0, If: ge-0/0/0.0,\n"
	        "Session ID: 10115978, Policy name: SG/4, Timeout: 2, Invalid\n"
	        "  In: 192.0.2.10/40001 --> 203.0.113.5/53;udp, If: ge-0/0/1.0, Pkts: 1,\n"
	        "Total sessions: 2\n"
	        "Flow Sessions on FPC1 PIC0:\n"
	        "Session ID: 7, Policy name: SG/4, Timeout: 62, Valid\r\n"
	        "  In: 2001:db8::10/1 --> 2001:db8::5/7;icmp6, If: ge-0/0/1.0, Pkts: 1,\r\n"
	        "Total sessions: 1\r\n",
	        &s),
	    0);
	assert_int_equal(s.n, 2);
	assert_string_equal(endpoint_str(&s.v[0].source, a), "192.0.2.10:40000");
	assert_string_equal(endpoint_str(&s.v[0].destination, a), "203.0.113.5:443");
	assert_int_equal(s.v[0].proto, IPPROTO_TCP);
	assert_int_equal(s.v[1].proto, IPPROTO_ICMPV6);
	assert_int_equal(read_all("Total sessions: 0\n", &s), 0);
	assert_int_equal(s.n, 0);
}

static void no_table(void **unused)
{
	static const char *const bad[] = {
	    "",
	    "node0:\n-----\n",
	    "Total sessions: 1\n",
	    "Total sessions: -1\n",
	    "  In: 192.0.2.10/40000 --> 203.0.113.5/443;tcp, If: x\n",
	    "  In: 192.0.2.10/40000 --> 203.0.113.5/443;tcp, If: x\nTotal sessions: 2\n",
	    "  In: 192.0.2.10/99999 --> 203.0.113.5/443;tcp, If: x\nTotal sessions: 1\n",
	    "  In: 192.0.2.10 --> 203.0.113.5/443;tcp, If: x\nTotal sessions: 1\n",
	};
	struct seen s;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(read_all(bad[i], &s), -EBADMSG);
}

static int refuse(void *arg, const struct session_row *row)
{
	return -E2BIG;
}

static void the_walk_ends(void **unused)
{
	const char *text = "  In: 192.0.2.10/4 --> 203.0.113.5/443;tcp, If: x\nTotal sessions: 1\n";
	assert_int_equal(session_table_junos(text, strlen(text), refuse, NULL), -E2BIG);
}

static void protocols(void **unused)
{
	assert_int_equal(session_proto("TCP"), IPPROTO_TCP);
	assert_int_equal(session_proto("6"), IPPROTO_TCP);
	assert_int_equal(session_proto("300"), 0);
	assert_int_equal(session_proto(""), 0);
	assert_int_equal(session_proto("carp"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(samples),
	    cmocka_unit_test(no_table),
	    cmocka_unit_test(the_walk_ends),
	    cmocka_unit_test(protocols),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
