/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/tier_bpf.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"

static const struct watch_key key = {
    .netns = 7,
    .local = {0x010a0a0a}, /* 10.10.10.1 */
    .peer = {0x0200020a},  /* 10.2.0.2 */
    .local_port = 40000,
    .peer_port = 443,
    .family = 4,
    .proto = IPPROTO_TCP,
};

static void opener_is_the_source(void **state)
{
	static const struct {
		uint8_t proto, opener, first_way;
		uint16_t local, peer;
		bool local_is_src, guessed;
	} cases[] = {
	    {IPPROTO_TCP, WATCH_OPENER_LOCAL, WATCH_OUT, 22, 40000, true, false},
	    {IPPROTO_TCP, WATCH_OPENER_PEER, WATCH_IN, 40000, 22, false, false},
	    {IPPROTO_TCP, WATCH_OPENER_UNSEEN, WATCH_OUT, 22, 40000, false, true},
	    {IPPROTO_TCP, WATCH_OPENER_UNSEEN, WATCH_IN, 40000, 22, true, true},
	    {IPPROTO_UDP, WATCH_OPENER_UNSEEN, WATCH_OUT, 53, 40000, true, false},
	    {IPPROTO_UDP, WATCH_OPENER_UNSEEN, WATCH_IN, 40000, 53, false, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct watch_key k = key;
		struct watch_flow f = {.opener = cases[i].opener, .first_way = cases[i].first_way};
		struct flow flow;
		k.proto = cases[i].proto;
		k.local_port = cases[i].local;
		k.peer_port = cases[i].peer;
		tier_bpf_flow(&k, &f, true, 0, &flow);
		assert_int_equal(flow.src.port == cases[i].local, cases[i].local_is_src);
		assert_int_equal(flow.dest.port == cases[i].peer, cases[i].local_is_src);
		assert_int_equal(flow.src_guessed, cases[i].guessed);
	}
}

static void frames_as_the_device_counts_them(void **state)
{
	const struct watch_flow f = {
	    .count = {{.packets = 2, .bytes = 3000, .more_packets = 1, .more_bytes = 40},
	              {.packets = 1, .bytes = 52}},
	    .first = 5,
	    .last = 9,
	    .tcp = {0x1b, 0x12},
	    .opener = WATCH_OPENER_LOCAL,
	};
	struct flow flow;

	tier_bpf_flow(&key, &f, true, 100, &flow);
	assert_int_equal(flow.pkts_toserver, 2);
	assert_int_equal(flow.bytes_toserver, 3000 + 2 * 14);
	assert_int_equal(flow.bytes_toclient, 52 + 14);
	assert_int_equal(flow.start_nsec, 105);
	assert_int_equal(flow.end_nsec, 109);
	assert_int_equal(flow.tcp_toserver, 0x1b);
	assert_int_equal(flow.tcp_toclient, 0x12);
	tier_bpf_flow(&key, &f, false, 100, &flow);
	assert_int_equal(flow.pkts_toserver, 3);
	assert_int_equal(flow.bytes_toserver, 3000 + 40 + 3 * 14);
}

static void icmp_keeps_type_and_code_apart_from_the_ends(void **state)
{
	const struct watch_flow f = {.opener = WATCH_OPENER_PEER, .first_way = WATCH_OUT};
	struct watch_key k = key;
	struct flow flow;
	char text[ADDR_STR_MAX];

	k.proto = IPPROTO_ICMP;
	k.local_port = 8;
	k.peer_port = 0;
	tier_bpf_flow(&k, &f, true, 0, &flow);
	assert_string_equal(addr_str(&flow.src.addr, text), "10.2.0.2");
	assert_int_equal(flow.src.port, 8);
	assert_int_equal(flow.dest.port, 0);
}

static void owner_is_clean_text(void **state)
{
	const struct watch_who who = {.pid = 812, .uid = 33};
	const struct watch_owner o = {
	    .cgroup = 99,
	    .netns = 5,
	    .comm = "a\x1b[2J",
	    .parents = {{800, "bash"}, {700, "ss\nhd"}},
	    .exe_len = 9,
	    .exe = "id\0bin\0a",
	    .cgroup_len = sizeof("nginx.service\0system.slice"),
	    .cgroup_path = "nginx.service\0system.slice",
	};
	struct owner owner;

	tier_bpf_owner(&who, &o, &owner);
	assert_int_equal(owner.pid, 812);
	assert_int_equal(owner.uid, 33);
	assert_string_equal(owner.comm, "a?[2J");
	assert_string_equal(owner.exe, "/a/bin/id");
	assert_string_equal(owner.unit, "nginx.service");
	assert_string_equal(owner.chain, "bash(800) < ss?hd(700)");
	assert_int_equal(owner.cgroup, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(opener_is_the_source),
	    cmocka_unit_test(frames_as_the_device_counts_them),
	    cmocka_unit_test(icmp_keeps_type_and_code_apart_from_the_ends),
	    cmocka_unit_test(owner_is_clean_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
