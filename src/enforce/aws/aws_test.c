/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pure parts: rules of permits, places of blocks, payloads. The rest is tried against a double
 * of AWS in tests/range/test_aws.py. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "enforce/aws/parts.h"

static struct prefix prefix(const char *s)
{
	struct prefix p = {0};
	assert_int_equal(prefix_parse(s, &p, NULL), 0);
	return p;
}

/* --- rules --- */

static void add_permit(struct order *o, const char *peer, uint8_t proto, uint16_t local,
                       uint16_t remote)
{
	struct permit p = {.kind = PERMIT_FLOW,
	                   .peer = prefix(peer),
	                   .proto = proto,
	                   .local_port = local,
	                   .peer_port = remote};
	assert_int_equal(order_add_permit(o, &p, NULL), 0);
}

static void what_is_kept_becomes_rules(void **state)
{
	struct order o = {.verb = VERB_ISOLATE};
	struct aws_group *g = calloc(1, sizeof *g);
	struct buf all = BUF_INIT(4096);
	size_t wider;
	add_permit(&o, "192.0.2.7", 0, 22, 0);
	add_permit(&o, "192.0.2.7", IPPROTO_TCP, 22, 0);
	add_permit(&o, "2001:db8::/32", IPPROTO_UDP, 0, 53);
	add_permit(&o, "192.0.2.8", 0, 0, 0);
	add_permit(&o, "192.0.2.9", IPPROTO_TCP, 443, 1234);
	add_permit(&o, "192.0.2.9", IPPROTO_ICMP, 0, 0);
	assert_int_equal(aws_rules_of(&o, g, &wider, NULL), 0);
	assert_int_equal(wider, 1);
	for (size_t i = 0; i < g->n_rules; i++) {
		aws_rule_text(&g->rules[i], &all);
		buf_addf(&all, "\n");
	}
	assert_string_equal(buf_str(&all), "tcp from 192.0.2.7 port 22\n"
	                                   "udp from 192.0.2.7 port 22\n"
	                                   "udp to 2001:db8::/32 port 53\n"
	                                   "all from 192.0.2.8\n"
	                                   "all to 192.0.2.8\n"
	                                   "tcp from 192.0.2.9 port 443\n"
	                                   "icmp from 192.0.2.9\n"
	                                   "icmp to 192.0.2.9\n");
	buf_free(&all);
	order_free(&o);
	free(g);
}

static void more_rules_than_a_group_holds(void **state)
{
	struct order o = {.verb = VERB_ISOLATE};
	struct aws_group *g = calloc(1, sizeof *g);
	struct err e = {0};
	size_t wider;
	for (unsigned i = 0; i < PERMIT_MAX; i++) {
		char peer[32];
		snprintf(peer, sizeof peer, "192.0.2.%u", i);
		add_permit(&o, peer, IPPROTO_TCP, 22, 0);
	}
	assert_int_equal(aws_rules_of(&o, g, &wider, &e), -E2BIG);
	assert_non_null(strstr(e.text, "60"));
	order_free(&o);
	free(g);
}

/* --- blocks --- */

static void entry(struct ec2_acl *a, int number, bool egress, bool allow, const char *p)
{
	a->entries[a->n_entries++] = (struct ec2_entry){
	    .number = number, .egress = egress, .allow = allow, .plain = true, .prefix = prefix(p)};
}

static struct ec2_acl *acl(const char *id)
{
	struct ec2_acl *a = calloc(1, sizeof *a);
	assert_non_null(a);
	strcpy(a->id, id);
	for (int egress = 0; egress < 2; egress++) {
		entry(a, 100, egress, true, "0.0.0.0/0");
		entry(a, 32767, egress, false, "0.0.0.0/0");
	}
	return a;
}

static void targets(struct order *o, const char *const *v, size_t n)
{
	o->verb = VERB_BLOCK;
	for (size_t i = 0; i < n; i++) {
		struct target t = {.kind = TARGET_PREFIX, .prefix = prefix(v[i])};
		snprintf(t.name, sizeof t.name, "%s", v[i]);
		assert_int_equal(order_add_target(o, &t, NULL), 0);
	}
}

static void free_numbers_below_the_lowest_allow(void **state)
{
	static const char *const v[] = {"203.0.113.1", "2001:db8::/32"};
	struct order o = {0};
	struct ec2_acl *a = acl("acl-1");
	struct aws_block b = {0};
	entry(a, 99, true, false, "198.51.100.1");
	entry(a, 50, false, true, "198.51.100.2");
	targets(&o, v, ARRAY_SIZE(v));
	assert_int_equal(aws_block_choose(&o, a, 1, 20, NULL, 0, &b, NULL), 0);
	assert_int_equal(b.n, 4);
	static const struct {
		int number;
		bool egress;
	} want[] = {{49, false}, {98, true}, {48, false}, {97, true}};
	for (size_t i = 0; i < b.n; i++) {
		assert_int_equal(b.v[i].number, want[i].number);
		assert_int_equal(b.v[i].egress, want[i].egress);
		assert_true(b.v[i].ours);
	}
	aws_block_free(&b);
	order_free(&o);
	free(a);
}

/* What denies it already is used: ours if another order of ours says so, else somebody's. */
static void what_stands_there_already(void **state)
{
	static const char *const v[] = {"203.0.113.1"};
	struct order o = {0};
	struct ec2_acl *a = acl("acl-1");
	struct aws_block b = {0}, first = {0};
	targets(&o, v, 1);
	assert_int_equal(aws_block_choose(&o, a, 1, 20, NULL, 0, &first, NULL), 0);
	entry(a, first.v[0].number, first.v[0].egress, false, v[0]);
	entry(a, first.v[1].number, first.v[1].egress, false, v[0]);
	assert_int_equal(aws_block_choose(&o, a, 1, 20, NULL, 0, &b, NULL), 0);
	assert_true(!b.v[0].ours && !b.v[1].ours && b.v[0].number == first.v[0].number);
	aws_block_free(&b);
	assert_int_equal(aws_block_choose(&o, a, 1, 20, &first, 1, &b, NULL), 0);
	assert_true(b.v[0].ours && b.v[1].ours);
	aws_block_free(&b);

	/* One that denies a port only, or behind an allow, is none. */
	a->entries[4].plain = false;
	a->entries[5].number = 101;
	assert_int_equal(aws_block_choose(&o, a, 1, 20, NULL, 0, &b, NULL), 0);
	assert_true(b.v[0].ours && b.v[1].ours && b.v[0].number == 98 && b.v[1].number == 99);
	aws_block_free(&b);
	aws_block_free(&first);
	order_free(&o);
	free(a);
}

static void no_room_is_told(void **state)
{
	static const char *const v[] = {"203.0.113.1", "2001:db8::1", "203.0.113.2", "203.0.113.3"};
	struct order o = {0};
	struct ec2_acl *a = acl("acl-1");
	struct aws_block b = {.n = 7};
	struct err e = {0};
	targets(&o, v, ARRAY_SIZE(v));
	assert_int_equal(aws_block_choose(&o, a, 1, 4, NULL, 0, &b, &e), -ENOSPC);
	assert_int_equal(b.n, 7);
	assert_non_null(strstr(e.text, "no room for 203.0.113.3"));
	assert_non_null(strstr(e.text, "would fit: 203.0.113.1, 203.0.113.2."));
	a->entries[0].number = 1; /* nothing is below it */
	assert_int_equal(aws_block_choose(&o, a, 1, 20, NULL, 0, &b, &e), -ENOSPC);
	assert_non_null(strstr(e.text, "no number is free"));
	order_free(&o);
	free(a);
}

/* --- payloads --- */

static void payloads_read_back(void **state)
{
	struct aws_swap *s = calloc(2, sizeof *s);
	struct aws_group *g = calloc(2, sizeof *g);
	struct aws_block b = {0}, c = {0};
	struct aws_entry rows[] = {{"acl-1", 99, true, true, prefix("203.0.113.0/24")},
	                           {"acl-1", 98, false, false, prefix("2001:db8::1")}};
	char *json = NULL;
	strcpy(s->instance, "i-1");
	strcpy(s->group_token, "0123abcd");
	s->untie = true;
	s->n = 1;
	strcpy(s->v[0].id, "eni-1");
	strcpy(s->v[0].vpc, "vpc-1");
	strcpy(s->v[0].groups[0], "sg-1");
	s->v[0].n_groups = 1;
	assert_int_equal(aws_swap_out(s, &json, NULL), 0);
	assert_int_equal(aws_swap_in(json, s + 1, NULL), 0);
	assert_memory_equal(s, s + 1, sizeof *s);
	free(json);

	strcpy(g->vpcs[0], "vpc-1");
	g->n_vpcs = 1;
	g->rules[0] = (struct ec2_rule){.from = 22, .to = 22, .prefix = prefix("192.0.2.1")};
	strcpy(g->rules[0].protocol, "tcp");
	g->n_rules = 1;
	assert_int_equal(aws_group_out(g, &json, NULL), 0);
	assert_int_equal(aws_group_in(json, g + 1, NULL), 0);
	assert_true(g[1].n_rules == 1 && aws_rule_equal(&g[0].rules[0], &g[1].rules[0]));
	free(json);

	b = (struct aws_block){rows, ARRAY_SIZE(rows)};
	assert_int_equal(aws_block_out(&b, &json, NULL), 0);
	assert_int_equal(aws_block_in(json, &c, NULL), 0);
	assert_int_equal(c.n, 2);
	assert_true(c.v[0].ours && !c.v[1].ours && c.v[0].egress && c.v[1].number == 98);
	aws_block_free(&c);
	free(json);
	free(s);
	free(g);
}

#define SWAP(rest)                                                                                 \
	"{\"version\":1,\"instance\":\"i-1\",\"group_token\":\"t\",\"untie\":true" rest "}"
#define PLACE(id, group)                                                                           \
	",\"interfaces\":[{\"id\":\"" id "\",\"vpc\":\"vpc-1\",\"groups\":[\"" group "\"]}]"
#define BLOCK(number, prefix)                                                                      \
	"{\"version\":1,\"entries\":[{\"acl\":\"acl-1\",\"number\":" number                        \
	",\"egress\":true,\"ours\":true,\"prefix\":\"" prefix "\"}]}"

static void forged_payloads(void **state)
{
	static const char *const swaps[] = {
	    "",
	    "{}",
	    "[]",
	    SWAP(""),
	    SWAP(",\"interfaces\":[]"),
	    SWAP(PLACE("eni-1&Action=X", "sg-1")),
	    SWAP(PLACE("eni-1", "")),
	    SWAP(PLACE("eni-1", "sg-1") ",\"more\":1"),
	};
	static const char *const blocks[] = {"{}", BLOCK("0", "203.0.113.1"),
	                                     BLOCK("32767", "203.0.113.1"), BLOCK("1", "x"),
	                                     BLOCK("1", "203.0.113.1/8")};
	struct aws_swap *s = calloc(1, sizeof *s);
	struct aws_block b = {0};
	assert_int_equal(aws_swap_in(SWAP(PLACE("eni-1", "sg-1")), s, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(swaps); i++)
		if (aws_swap_in(swaps[i], s, NULL) != -EBADMSG)
			fail_msg("taken: %s", swaps[i]);
	assert_int_equal(aws_block_in(BLOCK("1", "203.0.113.1"), &b, NULL), 0);
	aws_block_free(&b);
	for (size_t i = 0; i < ARRAY_SIZE(blocks); i++)
		if (aws_block_in(blocks[i], &b, NULL) != -EBADMSG)
			fail_msg("taken: %s", blocks[i]);
	assert_int_equal(aws_swap_in(NULL, s, NULL), -EBADMSG);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_kept_becomes_rules),
	    cmocka_unit_test(more_rules_than_a_group_holds),
	    cmocka_unit_test(free_numbers_below_the_lowest_allow),
	    cmocka_unit_test(what_stands_there_already),
	    cmocka_unit_test(no_room_is_told),
	    cmocka_unit_test(payloads_read_back),
	    cmocka_unit_test(forged_payloads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
