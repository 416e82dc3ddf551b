/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/junos/cut.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* edge-in is bound twice; ge-0/0/1.0 has nothing; ge-0/0/3.0 has a list. */
static const char config_text[] =
    "<configuration><firewall><filter><name>old</name><term><name>x</name></term></filter><family>"
    "<inet><filter><name>edge-in</name><term><name>all</name><then><accept/></then></term></filter>"
    "</inet></family></firewall><interfaces>"
    "<interface><name>ge-0/0/0</name><unit><name>0</name><family><inet><filter><input><filter-name>"
    "edge-in</filter-name></input></filter></inet></family></unit></interface>"
    "<interface><name>ge-0/0/1</name><unit><name>0</name><family><inet/></family></unit></"
    "interface>"
    "<interface><name>ge-0/0/2</name><unit><name>0</name><family><inet><filter><input>edge-in</"
    "input>"
    "<output><filter-name>old</filter-name></output></filter></inet></family></unit></interface>"
    "<interface><name>ge-0/0/3</name><unit><name>7</name><family><inet><filter><input-list>a"
    "</input-list></filter></inet></family></unit></interface></interfaces></configuration>";

static struct xml_doc *doc;
static const struct xml_node *config;

static int setup(void **unused)
{
	struct err e = {0};
	if (xml_parse(config_text, sizeof config_text - 1, &doc, &e) < 0)
		return -1;
	config = xml_root(doc);
	return 0;
}

static int teardown(void **unused)
{
	xml_free(doc);
	return 0;
}

static struct junos_cut cut_of(const char *const *prefixes, size_t n)
{
	struct junos_cut c = {0};
	struct err e = {0};
	junos_tag("0123456789abcdef0123456789abcdef", c.tag);
	c.prefixes = calloc(n, sizeof *c.prefixes);
	c.permits = calloc(1, sizeof *c.permits);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(prefix_parse(prefixes[i], &c.prefixes[c.n_prefixes++], &e), 0);
	return c;
}

static const char *const one[] = {"192.0.2.10"};

static void places_follow_what_is_bound(void **unused)
{
	static const struct {
		const char *interface;
		enum junos_mode in, out;
		const char *in_filter, *out_filter;
	} cases[] = {
	    {"ge-0/0/0.0", JUNOS_TERMS, JUNOS_OWN, "edge-in", "stanch-out4-ge-0_0_0.0"},
	    {"ge-0/0/1.0", JUNOS_OWN, JUNOS_OWN, "stanch-in4-ge-0_0_1.0", "stanch-out4-ge-0_0_1.0"},
	    {"ge-0/0/2.0", JUNOS_TERMS, JUNOS_TERMS, "edge-in", "old"},
	    {"ge-0/0/3.7", JUNOS_LIST, JUNOS_OWN, "stanch-in4-ge-0_0_3.7",
	     "stanch-out4-ge-0_0_3.7"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct junos_cut c = cut_of(one, 1);
		struct err e = {0};
		assert_int_equal(junos_find_places(&c, config, cases[i].interface, &e), 0);
		assert_int_equal(c.n_places, 2);
		assert_int_equal(c.places[0].mode, cases[i].in);
		assert_int_equal(c.places[1].mode, cases[i].out);
		assert_string_equal(c.places[0].filter, cases[i].in_filter);
		assert_string_equal(c.places[1].filter, cases[i].out_filter);
		junos_cut_free(&c);
	}
}

static void what_is_not_there_is_told(void **unused)
{
	struct junos_cut c = cut_of(one, 1);
	struct err e = {0};
	assert_int_equal(junos_find_places(&c, config, "ge-9/9/9.0", &e), -ENOENT);
	assert_int_equal(junos_find_places(&c, config, "ge-0/0/0", &e), -EINVAL);
	assert_int_equal(junos_find_places(&c, NULL, "ge-0/0/0.0", &e), -ENOENT);
	junos_cut_free(&c);
}

static void a_filter_bound_twice_is_cut_once(void **unused)
{
	struct junos_cut c = cut_of(one, 1);
	struct buf shared = BUF_INIT(256);
	struct err e = {0};
	assert_int_equal(junos_find_places(&c, config, "ge-0/0/0.0", &e), 0);
	assert_int_equal(junos_find_places(&c, config, "ge-0/0/2.0", &e), 0);
	assert_int_equal(c.n_places, 3); /* edge-in once, an output of each */
	junos_sharers(&c.places[0], config, &shared);
	assert_string_equal(buf_str(&shared), "ge-0/0/2.0");
	buf_free(&shared);
	junos_cut_free(&c);
}

static void rendered(void **unused)
{
	struct junos_cut c = cut_of(one, 1);
	struct buf out = BUF_INIT(65536);
	struct err e = {0};
	c.permits[c.n_permits++] = (struct permit){.kind = PERMIT_FLOW, .local_port = 22};
	assert_int_equal(prefix_parse("198.51.100.7", &c.permits[0].peer, &e), 0);
	assert_int_equal(junos_find_places(&c, config, "ge-0/0/0.0", &e), 0);
	c.n_places = 1;
	assert_int_equal(junos_render(&c, JUNOS_DIALECT, config, &out), 0);
	assert_string_equal(
	    buf_str(&out),
	    "<config xmlns:nc=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><configuration "
	    "xmlns=\"" JUNOS_NS "\"><firewall><family><inet><filter><name>edge-in</name>"
	    "<term insert=\"first\"><name>stanch-0123456789ab-in-cut</name><from><source-address>"
	    "<name>192.0.2.10/32</name></source-address></from><then><count>stanch-0123456789ab"
	    "</count><discard/></then></term><term insert=\"first\">"
	    "<name>stanch-0123456789ab-in-keep1</name><from><source-address><name>192.0.2.10/32"
	    "</name></source-address><destination-address><name>198.51.100.7/32</name>"
	    "</destination-address><protocol>tcp</protocol><protocol>udp</protocol><source-port>22"
	    "</source-port></from><then><accept/></then></term></filter></inet></family></firewall>"
	    "</configuration></config>");
	buf_reset(&out);
	unsigned n = 1;
	assert_int_equal(junos_render_removal(&c, config, &out, &n), 0);
	assert_int_equal(n, 0); /* nothing of ours is there */
	buf_free(&out);
	junos_cut_free(&c);
}

static const struct {
	const char *terms;
	enum verdict verdict;
} standing[] = {
    {"", VERDICT_ABSENT},
    {"<term><name>stanch-0123456789ab-in-cut</name><from><source-address><name>192.0.2.10/"
     "32"
     "</name></source-address></from><then><count>stanch-0123456789ab</count><discard/></"
     "then>"
     "</term>",
     VERDICT_HOLDS},
    {"<term "
     "inactive=\"inactive\"><name>stanch-0123456789ab-in-cut</name><from><source-address>"
     "<name>192.0.2.10/32</name></source-address></from><then><count>stanch-0123456789ab</"
     "count>"
     "<discard/></then></term>",
     VERDICT_DRIFTED},
    {"<term><name>evil</name><then><accept/></then></term>"
     "<term><name>stanch-0123456789ab-in-cut</name><from><source-address><name>192.0.2.10/"
     "32"
     "</name></source-address></from><then><count>stanch-0123456789ab</count><discard/></"
     "then>"
     "</term>",
     VERDICT_DRIFTED},
    {"<term><name>stanch-bbbbbbbbbbbb-in-cut</name><then><discard/></then></term>"
     "<term><name>stanch-0123456789ab-in-cut</name><from><source-address><name>192.0.2.10/"
     "32"
     "</name></source-address></from><then><count>stanch-0123456789ab</count><discard/></"
     "then>"
     "</term>",
     VERDICT_HOLDS},
    {"<term><name>stanch-0123456789ab-in-cut</name><from><source-address><name>192.0.2.11/"
     "32"
     "</name></source-address></from><then><count>stanch-0123456789ab</count><discard/></"
     "then>"
     "</term>",
     VERDICT_DRIFTED},
    {"<term><name>stanch-0123456789ab-in-cut</name><from><source-address><name>192.0.2.10/"
     "32"
     "</name></source-address><protocol>icmp</protocol></"
     "from><then><count>stanch-0123456789ab"
     "</count><discard/></then></term>",
     VERDICT_DRIFTED},
};
/* What is rendered, put into the configuration as a device would, reads back as ours. */
static void compared(void **unused)
{
	static const junos_tag_t tags[] = {"stanch-bbbbbbbbbbbb"};
	static const struct junos_others others = {tags, 1};
	struct junos_cut c = cut_of(one, 1);
	struct err e = {0};
	assert_int_equal(junos_find_places(&c, config, "ge-0/0/0.0", &e), 0);
	c.n_places = 1;
	for (size_t i = 0; i < sizeof standing / sizeof standing[0]; i++) {
		struct buf text = BUF_INIT(16384), drift = BUF_INIT(4096);
		struct junos_reading reading;
		struct xml_doc *d;
		const char *at = strstr(config_text, "<term><name>all");
		buf_add(&text, config_text, (size_t)(at - config_text));
		buf_addf(&text, "%s%s", standing[i].terms, at);
		assert_int_equal(xml_parse(text.data, text.len, &d, &e), 0);
		junos_compare(&c, xml_root(d), &others, &reading, &drift);
		if (reading.verdict != standing[i].verdict)
			fail_msg("case %zu: %s\n%s", i, verdict_str(reading.verdict),
			         buf_str(&drift));
		assert_int_equal(drift.len == 0, reading.verdict == VERDICT_HOLDS);
		xml_free(d);
		buf_free(&text);
		buf_free(&drift);
	}
	junos_cut_free(&c);
}

static void payload_comes_back(void **unused)
{
	static const char *const two[] = {"192.0.2.10", "2001:db8::/48"};
	struct junos_cut c = cut_of(two, 2), back = {0};
	struct err e = {0};
	char *json = NULL, *again = NULL;
	c.permits[c.n_permits++] =
	    (struct permit){.kind = PERMIT_FLOW, .proto = IPPROTO_TCP, .peer_port = 443};
	assert_int_equal(prefix_parse("198.51.100.7", &c.permits[0].peer, &e), 0);
	assert_int_equal(junos_find_places(&c, config, "ge-0/0/3.7", &e), 0);
	assert_int_equal(junos_cut_to_json(&c, &json, &e), 0);
	assert_int_equal(junos_cut_from_json(json, &back, &e), 0);
	assert_int_equal(junos_cut_to_json(&back, &again, &e), 0);
	assert_string_equal(json, again);
	free(json);
	free(again);
	junos_cut_free(&c);
	junos_cut_free(&back);
}

/* A journal may have been written by an enemy. */
static void payloads_that_are_not_ours(void **unused)
{
#define PAYLOAD(tag, prefix, interface, filter, mode)                                              \
	"{\"version\":1,\"tag\":\"" tag "\",\"prefixes\":[\"" prefix "\"],\"permits\":[],"         \
	"\"places\":[{\"family\":4,\"way\":\"input\",\"mode\":\"" mode                             \
	"\",\"interface\":\"" interface "\",\"unit\":\"0\",\"filter\":\"" filter                   \
	"\",\"bare\":false}]}"
	static const char *const bad[] = {
	    "",
	    "{}",
	    "[]",
	    PAYLOAD("evil-0123456789ab", "192.0.2.10", "ge-0/0/0", "f", "terms"),
	    PAYLOAD("stanch-", "192.0.2.10", "ge-0/0/0", "f", "terms"),
	    PAYLOAD("stanch-<x>", "192.0.2.10", "ge-0/0/0", "f", "terms"),
	    PAYLOAD("stanch-01", "192.0.2.10/8", "ge-0/0/0", "f", "terms"),
	    PAYLOAD("stanch-01", "everything", "ge-0/0/0", "f", "terms"),
	    PAYLOAD("stanch-01", "192.0.2.10", "ge<0", "f", "terms"),
	    PAYLOAD("stanch-01", "192.0.2.10", "", "f", "terms"),
	    PAYLOAD("stanch-01", "192.0.2.10", "ge-0/0/0", "", "terms"),
	    PAYLOAD("stanch-01", "192.0.2.10", "ge-0/0/0", "theirs", "own"),
	    PAYLOAD("stanch-01", "192.0.2.10", "ge-0/0/0", "f", "replace"),
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct junos_cut c = {0};
		struct err e = {0};
		int r = junos_cut_from_json(bad[i], &c, &e);
		if (r != -EBADMSG)
			fail_msg("payload %zu gives %d", i, r);
		assert_null(c.prefixes);
	}
	struct junos_cut c = {0};
	struct err e = {0};
	assert_int_equal(junos_cut_from_json(
	                     PAYLOAD("stanch-01", "192.0.2.10", "ge-0/0/0", "f", "terms"), &c, &e),
	                 0);
	junos_cut_free(&c);
}

static void strays_are_found(void **unused)
{
	static const char text[] = "<configuration><firewall><family><inet><filter><name>f</name>"
	                           "<term><name>stanch-aaaaaaaaaaaa-in-cut</name></term>"
	                           "<term><name>stanch-bbbbbbbbbbbb-in-cut</name></"
	                           "term><term><name>x</name></term></filter>"
	                           "<filter><name>stanch-in4-a.0</name><term><name>stanch-rest</"
	                           "name><then><accept/></then>"
	                           "</term></filter></inet></family></firewall></configuration>";
	static const junos_tag_t tags[] = {"stanch-bbbbbbbbbbbb"};
	static const struct junos_others claims = {tags, 1};
	struct buf lines = BUF_INIT(4096), removal = BUF_INIT(4096);
	struct err e = {0};
	struct xml_doc *d;
	assert_int_equal(xml_parse(text, sizeof text - 1, &d, &e), 0);
	assert_int_equal(junos_strays(xml_root(d), &claims, &lines, &removal), 1);
	assert_string_equal(buf_str(&lines),
	                    "firewall family inet filter f term stanch-aaaaaaaaaaaa-in-cut\n");
	assert_non_null(strstr(buf_str(&removal), "aaaaaaaaaaaa"));
	assert_null(strstr(buf_str(&removal), "bbbbbbbbbbbb"));
	xml_free(d);
	buf_free(&lines);
	buf_free(&removal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(places_follow_what_is_bound),
	    cmocka_unit_test(what_is_not_there_is_told),
	    cmocka_unit_test(a_filter_bound_twice_is_cut_once),
	    cmocka_unit_test(rendered),
	    cmocka_unit_test(compared),
	    cmocka_unit_test(payload_comes_back),
	    cmocka_unit_test(payloads_that_are_not_ours),
	    cmocka_unit_test(strays_are_found),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
