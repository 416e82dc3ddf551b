/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Descriptions, and what they make of an order and of what a device shows. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "enforce/cli/cut.h"

static struct device *device(const char *name)
{
	struct device *d = NULL;
	struct err e = {0};
	if (device_builtin(name, &d, &e) < 0)
		fail_msg("%s", e.text);
	return d;
}

static void every_description_is_whole(void **unused)
{
	static const char *const names[] = {"asa", "ios", "fortios"};
	for (size_t i = 0; i < 3; i++)
		device_free(device(names[i]));
	struct device *d = NULL;
	struct err e = {0};
	assert_int_equal(device_builtin("pix", &d, &e), -ENOENT);
	assert_non_null(strstr(e.text, "asa, fortios, ios"));
}

static void mistakes_have_a_place(void **unused)
{
	static const struct {
		const char *text, *err;
	} cases[] = {
	    {"[session]\nprompt = (\n", "x:2: not an expression: "},
	    {"[session]\npromt = >\n", "x:2: there is no key session.promt"},
	    {"[session]\nprompt = >\nprompt = #\n", "x:3: is set twice: session.prompt"},
	    {"[insert]\nline = deny {adress}\n", "x:2: there is no {adress}"},
	    {"[insert]\nline = deny {address\n", "x:2: there is no {address"},
	    {"[lists]\nlist = two\n", "x:2: not a number: two"},
	    {"nonsense\n", "x:1: not \"key = value\": nonsense"},
	    {"", "x does not say session.prompt"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct device *d = NULL;
		struct err e = {0};
		assert_int_equal(device_parse("x", cases[i].text, &d, &e), -EINVAL);
		if (strncmp(e.text, cases[i].err, strlen(cases[i].err)) != 0)
			fail_msg("\"%s\", not \"%s\"", e.text, cases[i].err);
	}
}

static void entries_of(const char *name, const char *const *want, size_t n)
{
	struct prefix prefixes[2];
	struct permit permit = {.kind = PERMIT_FLOW, .proto = IPPROTO_TCP, .local_port = 22};
	struct cli_cut c = {
	    .tag = "stanch-01", .prefixes = prefixes, .n_prefixes = 2, .permits = &permit};
	struct cli_texts t = {0};
	struct err e = {0};
	struct device *d = device(name);
	assert_int_equal(prefix_parse("192.0.2.10", &prefixes[0], &e), 0);
	assert_int_equal(prefix_parse("198.51.100.0/24", &prefixes[1], &e), 0);
	assert_int_equal(prefix_parse("203.0.113.7", &permit.peer, &e), 0);
	c.n_permits = device_get(d, "entry.permit", 0) != NULL;
	if (c.n_permits)
		c.n_prefixes = 1;
	assert_int_equal(cli_entries(d, &c, &t, &e), 0);
	assert_int_equal(t.n, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(t.v[i], want[i]);
	cli_texts_free(&t);
	device_free(d);
}

static void entries(void **unused)
{
	static const char *const acl[] = {
	    "permit tcp host 192.0.2.10 eq 22 host 203.0.113.7",
	    "permit tcp host 203.0.113.7 host 192.0.2.10 eq 22",
	    "deny ip host 192.0.2.10 any",
	    "deny ip any host 192.0.2.10",
	};
	static const char *const policies[] = {
	    "set name \"stanch-01-1\"; set srcintf \"any\"; set dstintf \"any\"; set srcaddr "
	    "\"stanch-01-a1\"; set dstaddr \"all\"; set schedule \"always\"; set service \"ALL\"",
	    "set name \"stanch-01-2\"; set srcintf \"any\"; set dstintf \"any\"; set srcaddr "
	    "\"all\"; "
	    "set dstaddr \"stanch-01-a1\"; set schedule \"always\"; set service \"ALL\"",
	    "set name \"stanch-01-3\"; set srcintf \"any\"; set dstintf \"any\"; set srcaddr "
	    "\"stanch-01-a2\"; set dstaddr \"all\"; set schedule \"always\"; set service \"ALL\"",
	    "set name \"stanch-01-4\"; set srcintf \"any\"; set dstintf \"any\"; set srcaddr "
	    "\"all\"; "
	    "set dstaddr \"stanch-01-a2\"; set schedule \"always\"; set service \"ALL\"",
	};
	entries_of("asa", acl, 4);
	entries_of("ios", acl, 4);
	entries_of("fortios", policies, 4);
}

static void masks(void **unused)
{
	static const struct {
		const char *prefix, *mask, *wildcard;
	} cases[] = {{"0.0.0.0/0", "0.0.0.0", "255.255.255.255"},
	             {"10.0.0.0/9", "255.128.0.0", "0.127.255.255"},
	             {"10.0.0.1", "255.255.255.255", "0.0.0.0"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct prefix p;
		struct err e = {0};
		char text[ADDR_STR_MAX];
		assert_int_equal(prefix_parse(cases[i].prefix, &p, &e), 0);
		assert_string_equal(cli_mask(&p, false, text), cases[i].mask);
		assert_string_equal(cli_mask(&p, true, text), cases[i].wildcard);
	}
}

static void rows_and_bindings(void **unused)
{
	struct device *ios = device("ios"), *forti = device("fortios");
	struct cli_rows rows = {0};
	struct cli_binding *v = NULL;
	size_t n = 0;
	struct err e = {0};
	assert_int_equal(
	    cli_rows_parse(ios,
	                   "Extended IP access list X\n    10 permit tcp any  any eq 443 (7 "
	                   "matches)\n    20 deny ip any any\n",
	                   &rows, &e),
	    0);
	assert_int_equal(rows.n, 2);
	assert_int_equal(rows.v[0].number, 10);
	assert_string_equal(rows.v[0].text, "permit tcp any any eq 443");
	cli_rows_free(&rows);
	assert_int_equal(
	    cli_rows_parse(forti,
	                   "config firewall policy\n    edit 7\n        set name \"a\"\n    "
	                   "    set uuid 1\n        set srcaddr \"all\"\n    next\nend\n",
	                   &rows, &e),
	    0);
	assert_int_equal(rows.n, 1);
	assert_string_equal(rows.v[0].text, "set name \"a\"; set srcaddr \"all\"");
	cli_rows_free(&rows);
	assert_int_equal(
	    cli_bindings_parse(ios,
	                       "Vlan1 is up, line protocol is up\n  Outgoing access list is "
	                       "not set\n  Inbound  access list is L1\n",
	                       &v, &n, &e),
	    0);
	assert_int_equal(n, 1);
	assert_string_equal(v[0].list, "L1");
	assert_string_equal(v[0].interface, "Vlan1");
	free(v);
	/* A device that an enemy owns does not choose our commands. */
	assert_int_equal(
	    cli_bindings_parse(ios, "  Inbound  access list is L1;reload\n", &v, &n, &e), -EBADMSG);
	device_free(ios);
	device_free(forti);
}

static void payloads_that_are_not_ours(void **unused)
{
#define PAYLOAD(tag, prefix, list)                                                                 \
	"{\"version\":1,\"tag\":\"" tag "\",\"prefixes\":[\"" prefix                               \
	"\"],\"permits\":[],\"lists\":[\"" list "\"]}"
	static const char *const bad[] = {
	    "{}",
	    PAYLOAD("stanch-", "192.0.2.1", "l"),
	    PAYLOAD("stanch-0\\nreload", "192.0.2.1", "l"),
	    PAYLOAD("stanch-01", "192.0.2.1/24", "l"),
	    PAYLOAD("stanch-01", "192.0.2.1", "l; reload"),
	    PAYLOAD("stanch-01", "192.0.2.1", ""),
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct cli_cut c = {0};
		struct err e = {0};
		assert_int_equal(cli_cut_from_json(bad[i], &c, &e), -EBADMSG);
		assert_null(c.prefixes);
	}
	struct cli_cut c = {0};
	struct err e = {0};
	char *json = NULL;
	assert_int_equal(cli_cut_from_json(PAYLOAD("stanch-01", "192.0.2.1", "l"), &c, &e), 0);
	assert_int_equal(cli_cut_to_json(&c, &json, &e), 0);
	free(json);
	cli_cut_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_description_is_whole),
	    cmocka_unit_test(mistakes_have_a_place),
	    cmocka_unit_test(entries),
	    cmocka_unit_test(masks),
	    cmocka_unit_test(rows_and_bindings),
	    cmocka_unit_test(payloads_that_are_not_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
