/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "wire/dns.h"

static uint8_t msg[65536];

/* Bytes written in hex, blanks between, "'abc'" is a label with its length. */
static size_t bytes(const char *s, uint8_t *out)
{
	size_t n = 0;
	while (*s) {
		if (*s == ' ') {
			s++;
		} else if (*s == '\'') {
			size_t len = strcspn(s + 1, "'");
			out[n++] = (uint8_t)len;
			memcpy(out + n, s + 1, len);
			n += len;
			s += len + 2;
		} else {
			char two[3] = {s[0], s[1], 0};
			out[n++] = (uint8_t)strtoul(two, NULL, 16);
			s += 2;
		}
	}
	return n;
}

static int decode(const char *s, struct dns_message *m)
{
	return dns_decode(msg, bytes(s, msg), false, m);
}

static void is_addr(const struct addr *a, const char *text)
{
	char s[ADDR_STR_MAX];
	assert_string_equal(addr_str(a, s), text);
}

#define Q_A          "'www' 'Example' 'ORG' 00 0001 0001 "
#define HEAD(qd, an) "1234 8180 " qd " " an " 0000 0000 "
#define QUERY        "1234 0100 0001 0000 0000 0000 " Q_A
#define RR_A(owner)  owner " 0001 0001 0000003c 0004 c0000201 "

static void query(void **state)
{
	struct dns_message m;
	assert_int_equal(decode(QUERY, &m), 0);
	assert_int_equal(m.id, 0x1234);
	assert_false(m.response);
	assert_int_equal(m.qtype, DNS_A);
	assert_int_equal(m.qclass, 1);
	assert_int_equal(m.n_addrs, 0);
	assert_string_equal(m.qname, "www.example.org");
}

static void answers(void **state)
{
	struct dns_message m;
	assert_int_equal(decode(HEAD("0001", "0003") Q_A RR_A("c00c")
	                            RR_A("'www' 'example' 'org' 00") RR_A("'other' c010"),
	                        &m),
	                 0);
	assert_true(m.response);
	assert_int_equal(m.n_addrs, 2);
	is_addr(&m.addrs[0], "192.0.2.1");

	/* www -> a.cdn.example -> b, AAAA and A; what others own is not taken. */
	assert_int_equal(decode(HEAD("0001", "0005") Q_A
	                        "c00c 0005 0001 00000001 000f 'a' 'cdn' 'example' 00 "
	                        "'A' 'CDN' 'example' 00 0005 0001 00000001 0003 'b' 00 " RR_A(
	                            "'b' 00") RR_A("'c' 00") "'b' 00 001c 0001 00000001 0010 "
	                                                     "20010db8000000000000000000000007 ",
	                        &m),
	                 0);
	assert_int_equal(m.n_addrs, 2);
	is_addr(&m.addrs[0], "192.0.2.1");
	is_addr(&m.addrs[1], "2001:db8::7");

	/* The alias stands behind what it leads to. */
	assert_int_equal(decode(HEAD("0001", "0002")
	                            Q_A RR_A("'b' 00") "c00c 0005 0001 00000001 0003 'b' 00 ",
	                        &m),
	                 0);
	assert_int_equal(m.n_addrs, 1);
	/* An alias to itself ends, and other classes are no addresses. */
	assert_int_equal(decode(HEAD("0001", "0002") Q_A "c00c 0005 0001 00000001 0002 c00c "
	                                                 "c00c 0001 0003 00000001 0004 c0000201",
	                        &m),
	                 0);
	assert_int_equal(m.n_addrs, 0);
}

static void at_most_eight_addresses(void **state)
{
	struct dns_message m;
	size_t n = bytes(HEAD("0001", "0014") Q_A, msg);
	for (unsigned i = 0; i < 20; i++)
		n += bytes(RR_A("c00c"), msg + n);
	assert_int_equal(dns_decode(msg, n, false, &m), 0);
	assert_int_equal(m.n_addrs, DNS_ADDRS_MAX);
}

static void text_of_names(void **state)
{
	static const struct {
		const char *hex, *text;
	} cases[] = {
	    {"00", "."},
	    {"'a.b' 'c' 00", "a\\046b.c"},
	    {"03 41 5c 20 00", "a\\092\\032"},
	    {"04 00 0a 1b ff 'x' 00", "\\000\\010\\027\\255.x"},
	    {"'_dmarc' '\"' 00", "_dmarc.\""},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dns_message m;
		size_t n = bytes("0000 0100 0001 0000 0000 0000", msg);
		n += bytes(cases[i].hex, msg + n);
		n += bytes("0010 0001", msg + n);
		assert_int_equal(dns_decode(msg, n, false, &m), 0);
		assert_string_equal(m.qname, cases[i].text);
	}
}

/* Three labels of 63 and one of 61: 255 bytes, 253 characters; the same with bytes to escape. */
static void longest_names(void **state)
{
	struct dns_message m;
	for (int escaped = 0; escaped < 2; escaped++) {
		size_t n = bytes("0000 0100 0001 0000 0000 0000", msg);
		for (size_t label = 0; label < 4; label++) {
			size_t len = label < 3 ? 63 : 61;
			msg[n] = (uint8_t)len;
			memset(msg + n + 1, escaped ? 1 : 'x', len);
			n += 1 + len;
		}
		n += bytes("00 0001 0001", msg + n);
		assert_int_equal(dns_decode(msg, n, false, &m), 0);
		if (!escaped) {
			assert_int_equal(strlen(m.qname), 253);
			continue;
		}
		/* Cut in front: 61 escapes of four are 244 characters, and a dot. */
		assert_int_equal(m.qname[0], '.');
		assert_true(strlen(m.qname) <= 253);
		assert_string_equal(m.qname + strlen(m.qname) - 4, "\\001");
		assert_int_equal(strspn(m.qname, "\\001."), strlen(m.qname));
	}
	/* One byte more is no name. */
	size_t n = bytes("0000 0100 0001 0000 0000 0000", msg);
	for (size_t label = 0; label < 4; label++) {
		msg[n] = label < 3 ? 63 : 62;
		memset(msg + n + 1, 'x', msg[n]);
		n += 1u + msg[n];
	}
	n += bytes("00 0001 0001", msg + n);
	assert_int_equal(dns_decode(msg, n, false, &m), -EBADMSG);
}

static void what_is_no_message(void **state)
{
	static const char *const cases[] = {
	    "",
	    "1234 0100 0001 0000 0000 00",
	    "1234 0100 0001 0000 0000 0000",
	    "1234 0100 0001 0000 0000 0000 c00c 0001 0001",      /* points to itself */
	    "1234 0100 0001 0000 0000 0000 c00e c00c 0001 0001", /* forwards */
	    "1234 0100 0001 0000 0000 0000 'a' c00c 0001 0001",  /* round and round */
	    "1234 0100 0001 0000 0000 0000 'a' 05 61",
	    "1234 0100 0001 0000 0000 0000 41 00 0001 0001",              /* label type 01 */
	    "1234 0100 0001 0000 0000 0000 80 00 0001 0001",              /* label type 10 */
	    "1234 0100 0001 0000 0000 0000 'a' 00 0001 00",               /* */
	    "1234 0100 0001 0000 0000 0000 'a' c0",                       /* half a pointer */
	    "1234 0100 00ff 0000 0000 0000 'a' 00 0001 0001",             /* too many questions */
	    HEAD("0001", "0001") Q_A,                                     /* no answer there */
	    HEAD("0001", "0001") Q_A "c00c 0001 0001 0000003c 0004 c000", /* cut */
	    HEAD("0001", "0001") Q_A "c00c 0005 0001 00000001 0003 c00c 00", /* behind an alias */
	    HEAD("0001", "0001") Q_A "c00c 0005 0001 00000001 0002 c0ff",
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dns_message m, before;
		memset(&m, 0x5a, sizeof m);
		before = m;
		assert_int_equal(decode(cases[i], &m), -EBADMSG);
		assert_memory_equal(&m, &before, sizeof m);
	}
}

/* Cut at every length: with cut said, all from the question on is a message. */
static void cut_captures(void **state)
{
	struct dns_message m;
	size_t n = bytes(HEAD("0001", "0002") Q_A RR_A("c00c") RR_A("c00c"), msg);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(dns_decode(msg, i, false, &m), -EBADMSG);
		int r = dns_decode(msg, i, true, &m);
		assert_int_equal(r, i < 33 ? -EBADMSG : 0);
		if (r == 0)
			assert_int_equal(m.n_addrs, i < 49 ? 0 : 1);
	}
}

static void queries_on_any_port(void **state)
{
	static const struct {
		const char *hex;
		bool is;
	} cases[] = {
	    {QUERY, true},
	    {"1234 0120 0001 0000 0000 0001 " Q_A "00 0029 04d0 00000000 0000", true},
	    {QUERY "00", false},
	    {"1234 0100 0001 0000 0000 0001 " Q_A, false},
	    {"1234 8100 0001 0000 0000 0000 " Q_A, false},
	    {"1234 2900 0001 0000 0000 0000 " Q_A, false},
	    {"1234 0100 0002 0000 0000 0000 " Q_A Q_A, false},
	    {"1234 0100 0001 0000 0000 0000 'a' 00 0001 0003", false},
	    {"1234 0100 0001 0000 0000 0000 'a' 00 0000 0001", false},
	    {"", false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(dns_is_query(msg, bytes(cases[i].hex, msg)), cases[i].is);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(query),
	    cmocka_unit_test(answers),
	    cmocka_unit_test(at_most_eight_addresses),
	    cmocka_unit_test(text_of_names),
	    cmocka_unit_test(longest_names),
	    cmocka_unit_test(what_is_no_message),
	    cmocka_unit_test(cut_captures),
	    cmocka_unit_test(queries_on_any_port),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
