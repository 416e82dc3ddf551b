/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <libnftnl/common.h>
#include <linux/netfilter/nfnetlink.h>

#include "kern/link.h"
#include "kern/nft.h"

/* As the kernel lays it out (nf_tables_fill_flowtable_info). */
static struct nlmsghdr *message(char *bytes, const char *name, unsigned devices)
{
	struct nlmsghdr *h = nftnl_nlmsg_build_hdr(bytes, NFT_MSG_NEWFLOWTABLE, NFPROTO_INET, 0, 0);
	mnl_attr_put_strz(h, NFTA_FLOWTABLE_TABLE, "theirs");
	mnl_attr_put_strz(h, NFTA_FLOWTABLE_NAME, name);
	struct nlattr *hook = mnl_attr_nest_start(h, NFTA_FLOWTABLE_HOOK);
	struct nlattr *list = mnl_attr_nest_start(h, NFTA_FLOWTABLE_HOOK_DEVS);
	for (unsigned i = 0; i < devices; i++) {
		char dev[IFNAMSIZ];
		snprintf(dev, sizeof dev, "eth%u", i);
		mnl_attr_put_strz(h, NFTA_DEVICE_NAME, dev);
	}
	mnl_attr_nest_end(h, list);
	mnl_attr_nest_end(h, hook);
	return h;
}

static void test_flowtable(void **state)
{
	char bytes[4096] __attribute__((aligned(16))), longest[200];
	struct nft_flowtable f;

	assert_true(nft_flowtable_of(message(bytes, "fast", 2), &f));
	assert_int_equal(f.family, NFPROTO_INET);
	assert_string_equal(f.table, "theirs");
	assert_string_equal(f.name, "fast");
	assert_int_equal(f.n_devices, 2);
	assert_string_equal(f.devices[1], "eth1");

	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = 0;
	assert_true(nft_flowtable_of(message(bytes, longest, NFT_FLOW_DEVICES + 3), &f));
	assert_int_equal(strlen(f.name), NFT_NAME_CAP - 1);
	assert_int_equal(f.n_devices, NFT_FLOW_DEVICES + 3);
	assert_string_equal(f.devices[NFT_FLOW_DEVICES - 1], "eth7");

	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	assert_false(nft_flowtable_of(h, &f));
}

static void test_usual_rules(void **state)
{
	char text[16];
	assert_true(route_rule_is_usual(
	    &(struct route_rule){.priority = 32766, .table = 254, .action = 1}));
	assert_false(route_rule_is_usual(
	    &(struct route_rule){.priority = 32765, .table = 254, .action = 1}));
	/* The place of a usual one, leading elsewhere. */
	assert_false(
	    route_rule_is_usual(&(struct route_rule){.priority = 0, .table = 77, .action = 1}));
	assert_false(route_rule_is_usual(
	    &(struct route_rule){.priority = 32766, .table = 254, .action = 6}));
	assert_string_equal(route_protocol_str(4, text), "static");
	assert_string_equal(route_protocol_str(200, text), "protocol 200");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_flowtable),
	    cmocka_unit_test(test_usual_rules),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
