/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "enforce/panos/parts.h"

static void comes_back(void **unused)
{
	struct addr addrs[2];
	struct permit permit = {.kind = PERMIT_FLOW, .proto = IPPROTO_TCP, .local_port = 22};
	struct panos_cut c = {.kind = PANOS_BLOCK,
	                      .addrs = addrs,
	                      .n_addrs = 2,
	                      .permits = &permit,
	                      .n_permits = 1,
	                      .name = "stanch-0123456789ab"};
	struct panos_cut back = {0};
	struct err e = {0};
	char *json = NULL, *again = NULL;
	assert_int_equal(addr_parse("203.0.113.5", &addrs[0]), 0);
	assert_int_equal(addr_parse("2001:db8::5", &addrs[1]), 0);
	assert_int_equal(prefix_parse("198.51.100.0/24", &permit.peer, &e), 0);
	assert_int_equal(panos_cut_to_json(&c, &json, &e), 0);
	assert_int_equal(panos_cut_from_json(json, &back, &e), 0);
	assert_int_equal(panos_cut_to_json(&back, &again, &e), 0);
	assert_string_equal(json, again);
	free(json);
	free(again);
	panos_cut_free(&back);
}

/* A journal may have been written by an enemy: names end up in XPath and XML. */
#define PAYLOAD(kind, name, addr, permits)                                                         \
	"{\"version\":1,\"kind\":\"" kind "\",\"name\":\"" name "\",\"addresses\":[" addr          \
	"],\"permits\":[" permits "]}"

static void what_is_not_ours(void **unused)
{
	static const char *const bad[] = {
	    "",
	    "{}",
	    PAYLOAD("everything", "stanch-01", "\"192.0.2.1\"", ""),
	    PAYLOAD("block", "stanch-01']", "\"192.0.2.1\"", ""),
	    PAYLOAD("block", "stanch-", "\"192.0.2.1\"", ""),
	    PAYLOAD("block", "allow-web", "\"192.0.2.1\"", ""),
	    PAYLOAD("block", "stanch-01", "", ""),
	    PAYLOAD("block", "stanch-01", "\"192.0.2.1/24\"", ""),
	    PAYLOAD("block", "stanch-01", "7", ""),
	    PAYLOAD("block", "stanch-01", "\"192.0.2.1\"", "{}"),
	    PAYLOAD("block", "stanch-01", "\"192.0.2.1\"",
	            "{\"peer\":\"192.0.2.2\",\"proto\":1,\"local_port\":0,\"peer_port\":0}"),
	    PAYLOAD("block", "stanch-01", "\"192.0.2.1\"",
	            "{\"peer\":\"192.0.2.2\",\"proto\":6,\"local_port\":65536,\"peer_port\":0}"),
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct panos_cut c = {0};
		struct err e = {0};
		int r = panos_cut_from_json(bad[i], &c, &e);
		if (r != -EBADMSG)
			fail_msg("payload %zu gives %d", i, r);
		assert_null(c.addrs);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(comes_back),
	    cmocka_unit_test(what_is_not_ours),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
