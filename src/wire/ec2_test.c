/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "wire/ec2.h"

static struct xml_doc *parse(const char *s)
{
	struct xml_doc *d = NULL;
	assert_int_equal(xml_parse(s, strlen(s), &d, NULL), 0);
	return d;
}

#define INTERFACE(groups, addrs)                                                                   \
	"<item><networkInterfaceId>eni-1</networkInterfaceId><subnetId>subnet-1</subnetId>"        \
	"<vpcId>vpc-1</vpcId><attachment><instanceId>i-1</instanceId></"                           \
	"attachment><groupSet>" groups "</groupSet>" addrs "</item>"
#define GROUP(id) "<item><groupId>" id "</groupId></item>"

static void an_interface(void **state)
{
	struct xml_doc *d = parse(
	    INTERFACE(GROUP("sg-1") GROUP("sg-2"),
	              "<privateIpAddressesSet><item><privateIpAddress>10.0.0.1</privateIpAddress>"
	              "<association><publicIp>192.0.2.1</publicIp></association></item></"
	              "privateIpAddressesSet>"
	              "<ipv6AddressesSet><item><ipv6Address>2001:db8::1</ipv6Address></item>"
	              "</ipv6AddressesSet>"));
	struct ec2_interface i;
	assert_int_equal(ec2_take_interface(xml_root(d), &i, NULL), 0);
	assert_string_equal(i.instance, "i-1");
	assert_int_equal(i.n_groups, 2);
	assert_string_equal(i.groups[1], "sg-2");
	assert_int_equal(i.n_addrs, 3);
	xml_free(d);
}

static void no_interfaces(void **state)
{
	static const char *const cases[] = {
	    "<item/>",
	    INTERFACE(GROUP(""), ""),
	    INTERFACE(GROUP("sg-1&amp;Action=TerminateInstances"), ""),
	    INTERFACE("", "<privateIpAddress>10.0.0</privateIpAddress>"),
	    INTERFACE(GROUP("a") GROUP("b") GROUP("c") GROUP("d") GROUP("e") GROUP("f") GROUP("g")
	                  GROUP("h") GROUP("i") GROUP("j") GROUP("k") GROUP("l") GROUP("m")
	                      GROUP("n") GROUP("o") GROUP("p") GROUP("q"),
	              ""),
	};
	for (size_t k = 0; k < ARRAY_SIZE(cases); k++) {
		struct xml_doc *d = parse(cases[k]);
		struct ec2_interface i = {.n_groups = 77};
		struct err e = {0};
		assert_int_equal(ec2_take_interface(xml_root(d), &i, &e), -EBADMSG);
		assert_int_equal(i.n_groups, 77);
		assert_true(e.text[0]);
		xml_free(d);
	}
}

static void a_group(void **state)
{
	struct xml_doc *d = parse(
	    "<item><groupId>sg-1</groupId><groupName>a\n&lt;b&gt;</groupName><vpcId>vpc-1</vpcId>"
	    "<tagSet><item><key>stanch</key><value>t0</value></item></tagSet><ipPermissions><item>"
	    "<ipProtocol>tcp</ipProtocol><fromPort>22</fromPort><toPort>22</toPort><groups><item>"
	    "<groupId>sg-9</groupId></item></groups><ipRanges><item><cidrIp>10.0.0.0/8</cidrIp></"
	    "item>"
	    "</ipRanges></item></ipPermissions><ipPermissionsEgress><item><ipProtocol>-1</"
	    "ipProtocol>"
	    "<ipv6Ranges><item><cidrIpv6>::/0</cidrIpv6></item></ipv6Ranges></item>"
	    "</ipPermissionsEgress></item>");
	struct ec2_group *g = malloc(sizeof *g);
	assert_int_equal(ec2_take_group(xml_root(d), g, NULL), 0);
	assert_string_equal(g->name, "a<b>");
	assert_string_equal(g->token, "t0");
	assert_string_equal(g->host, "");
	assert_int_equal(g->n_rules, 3);
	assert_true(!g->rules[0].foreign && g->rules[0].from == 22 && !g->rules[0].egress);
	assert_true(g->rules[1].foreign);
	assert_true(g->rules[2].egress && g->rules[2].from == -1 &&
	            g->rules[2].prefix.addr.family == ADDR_V6);
	free(g);
	xml_free(d);
}

static void an_acl(void **state)
{
	struct xml_doc *d = parse(
	    "<item><networkAclId>acl-1</networkAclId><vpcId>vpc-1</vpcId><default>true</default>"
	    "<entrySet><item><ruleNumber>100</ruleNumber><protocol>-1</protocol>"
	    "<ruleAction>allow</ruleAction><egress>true</egress><cidrBlock>0.0.0.0/0</cidrBlock></"
	    "item>"
	    "<item><ruleNumber>32767</ruleNumber><protocol>6</protocol><ruleAction>deny</"
	    "ruleAction>"
	    "<egress>false</egress><ipv6CidrBlock>::/0</ipv6CidrBlock></item></entrySet>"
	    "<associationSet><item><subnetId>subnet-1</subnetId></item></associationSet></item>");
	struct ec2_acl *a = malloc(sizeof *a);
	assert_int_equal(ec2_take_acl(xml_root(d), a, NULL), 0);
	assert_true(a->is_default);
	assert_int_equal(a->n_entries, 2);
	assert_true(a->entries[0].allow && a->entries[0].plain && a->entries[0].egress);
	assert_true(!a->entries[1].allow && !a->entries[1].plain && !a->entries[1].egress);
	assert_int_equal(a->n_subnets, 1);
	free(a);
	xml_free(d);
}

static void errors(void **state)
{
	static const char *const cases[] = {
	    "<Response><Errors><Error><Code>C</Code><Message>m</Message></Error></Errors></"
	    "Response>",
	    "<ErrorResponse><Error><Type>Sender</Type><Code>C</Code><Message>m</Message></Error>"
	    "</ErrorResponse>",
	};
	char code[EC2_TEXT_MAX], message[EC2_TEXT_MAX];
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct xml_doc *d = parse(cases[i]);
		assert_true(ec2_take_error(xml_root(d), code, message));
		assert_string_equal(code, "C");
		assert_string_equal(message, "m");
		xml_free(d);
	}
	struct xml_doc *d = parse("<html/>");
	assert_false(ec2_take_error(xml_root(d), code, message));
	xml_free(d);
}

static void texts_are_cut_between_characters(void **state)
{
	char in[600], out[EC2_TEXT_MAX];
	for (size_t shift = 0; shift < 3; shift++) {
		memset(in, 'x', shift);
		for (size_t i = shift; i + 3 < sizeof in; i += 3)
			memcpy(in + i, "\xe2\x82\xac", 4);
		ec2_text(out, in);
		assert_int_equal((strlen(out) - shift) % 3, 0);
		assert_true(strlen(out) > EC2_TEXT_MAX - 5);
	}
}

static void ids(void **state)
{
	assert_true(ec2_id_ok("i-0123456789abcdef0"));
	static const char *const bad[] = {"", "i 1", "i-1&", "i-1\n", "../x", "i_1", "\xc3\xa4"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(ec2_id_ok(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_interface), cmocka_unit_test(no_interfaces),
	    cmocka_unit_test(a_group),      cmocka_unit_test(an_acl),
	    cmocka_unit_test(errors),       cmocka_unit_test(texts_are_cut_between_characters),
	    cmocka_unit_test(ids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
