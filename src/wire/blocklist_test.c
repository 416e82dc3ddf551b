/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each format against what it must give; what cannot be read is counted and named, never guessed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "wire/blocklist.h"

#define NOW 1769904000u /* 2026-02-01 */

struct got {
	struct buf text;
};

static void on_entry(void *arg, const struct blocklist_entry *x)
{
	struct got *g = arg;
	char p[PREFIX_STR_MAX];
	buf_addf(&g->text, "%s%s", g->text.len ? " " : "", prefix_str(&x->prefix, p));
	if (x->until)
		buf_addf(&g->text, "=%u", x->until);
	if (x->note[0])
		buf_addf(&g->text, "(%s)", x->note);
}

static void on_domain(void *arg, const char *name, uint32_t line)
{
	struct got *g = arg;
	buf_addf(&g->text, "%s%s", g->text.len ? " " : "", name);
}

static struct blocklist_stats parse(enum blocklist_format f, const char *in, const char *want)
{
	struct got g = {.text = BUF_INIT(1u << 16)};
	const struct blocklist_sink sink = {on_entry, on_domain, &g};
	struct blocklist_stats s;
	struct err e = {0};
	assert_int_equal(blocklist_parse(f, in, strlen(in), NOW, &sink, &s, &e), 0);
	assert_string_equal(buf_str(&g.text), want);
	buf_free(&g.text);
	return s;
}

static void lists(void **state)
{
	struct blocklist_stats s =
	    parse(BLOCKLIST_LIST,
	          "\xef\xbb\xbf# Title\r\n\r\n192.0.2.1\r\n  2001:db8::/32 ; SBL1\n; no\n// no\n"
	          "198.51.100.7#x\n203.0.113.0/24 # all of it\n",
	          "192.0.2.1 2001:db8::/32(SBL1) 198.51.100.7(x) 203.0.113.0/24(all of it)");
	assert_int_equal(s.entries, 4);
	assert_int_equal(s.bad, 0);
	assert_string_equal(s.title, "Title");
}

static void ranges_become_the_fewest_prefixes(void **state)
{
	parse(BLOCKLIST_LIST,
	      "192.0.2.1-192.0.2.6\n192.0.2.8 - 192.0.2.8\n0.0.0.0-255.255.255.255\n"
	      "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\n"
	      "141.98.10.0\t141.98.10.255\t24\t99\n",
	      "192.0.2.1 192.0.2.2/31 192.0.2.4/31 192.0.2.6 192.0.2.8 0.0.0.0/0 ::/0 "
	      "141.98.10.0/24(141.98.10.255\?24\?99)");
}

static void what_is_no_entry_is_told(void **state)
{
	static const char *const bad[] = {
	    "10.0.0.1/8",
	    "192.0.2.1/33",
	    "192.0.2.9-192.0.2.1",
	    "192.0.2.1-2001:db8::1",
	    "http://192.0.2.1/x",
	    "192.0.2.01",
	    "192.0.2.1 192.0.2.9",
	    "::ffff:192.0.2.1/120",
	    "word",
	    "192.0.2.1:x",
	    "192.0.2.1/",
	    "/24",
	    "192.0.2.1-",
	    "2001:db8::1:g",
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct blocklist_stats s = parse(BLOCKLIST_LIST, bad[i], "");
		assert_int_equal(s.bad, 1);
		assert_int_equal(s.bad_line, 1);
		assert_true(s.bad_text[0] && s.bad_why[0]);
	}
}

static void endpoints_domains_and_hosts_files(void **state)
{
	struct blocklist_stats s = parse(
	    BLOCKLIST_LIST,
	    "192.0.2.1:443\n[2001:db8::1]:80\nEvil.Example.\n0.0.0.0 ads.example\n127.0.0.1\n",
	    "192.0.2.1 2001:db8::1 evil.example ads.example 127.0.0.1");
	assert_int_equal(s.domains, 2);
}

static void netsets_say_how_many(void **state)
{
	struct blocklist_stats s =
	    parse(BLOCKLIST_NETSET,
	          "#\n# firehol_test\n#\n# ipv4 hash:net ipset\n# Entries         : 3 subnets, 9 "
	          "unique IPs\n192.0.2.1\n",
	          "192.0.2.1");
	assert_int_equal(s.declared, 3);
	assert_string_equal(s.title, "firehol_test");
}

static void csv(void **state)
{
	struct blocklist_stats s =
	    parse(BLOCKLIST_CSV,
	          "ip,valid_until,comment\n192.0.2.1,2030-01-01T00:00:00Z,\"a, \"\"b\"\"\"\n"
	          "192.0.2.2,1900000000,\n192.0.2.3,2020-01-01T00:00:00Z,ended\n192.0.2.4,never,\n",
	          "192.0.2.1=1893456000(a, \"b\") 192.0.2.2=1900000000");
	assert_int_equal(s.ended, 1);
	assert_int_equal(s.bad, 1);
	assert_int_equal(s.bad_line, 5);
	parse(BLOCKLIST_CSV, "# \"seen\",\"dst_ip\",\"malware\"\n\"x\",\"192.0.2.1\",\"y\nz\"\n",
	      "192.0.2.1(y?z)");
	parse(BLOCKLIST_CSV, "host;x\n1;192.0.2.1\n", "");
	parse(BLOCKLIST_CSV, "1;192.0.2.1;192.0.2.2\n2;word;192.0.2.3\n", "192.0.2.1 192.0.2.3");
}

static void nft_sets(void **state)
{
	struct blocklist_stats s =
	    parse(BLOCKLIST_NFT,
	          "table inet t { # {\n set s { type ipv4_addr; flags interval\n elements = { "
	          "192.0.2.1 timeout 1h expires 59m3s comment \"a, }\",\n 198.51.100.0/24 counter "
	          "packets 0 bytes 0, 203.0.113.1-203.0.113.2 } } }\nadd element inet t s { "
	          "2001:db8::1 timeout 1d500ms }\n",
	          "192.0.2.1=1769907543(a, }) 198.51.100.0/24 203.0.113.1 203.0.113.2 "
	          "2001:db8::1=1769990401");
	assert_int_equal(s.rows, 4);
	assert_string_equal(s.title, "s");
	struct err e = {0};
	struct got g = {.text = BUF_INIT(1024)};
	const struct blocklist_sink sink = {on_entry, NULL, &g};
	assert_int_equal(blocklist_parse(BLOCKLIST_NFT, "table x { }", 11, NOW, &sink, &s, &e),
	                 -EBADMSG);
	assert_true(e.text[0]);
}

#define INDICATOR(pattern, more)                                                                   \
	"[{\"type\":\"indicator\",\"id\":\"indicator--1\",\"name\":\"n\",\"pattern\":\"" pattern   \
	"\"" more "}]"

static void stix_patterns(void **state)
{
	static const struct {
		const char *in, *want;
		unsigned not_for_us, ended, bad;
	} cases[] = {
	    {INDICATOR("[ipv4-addr:value = '192.0.2.1']", ""), "192.0.2.1(indicator--1 n)", 0, 0,
	     0},
	    {INDICATOR("[ipv6-addr:value='2001:db8::/32' OR domain-name:value = 'evil.example']",
	               ""),
	     "2001:db8::/32(indicator--1 n) evil.example", 0, 0, 0},
	    {INDICATOR("[ipv4-addr:value IN ('192.0.2.1', '192.0.2.2')] OR [ipv4-addr:value "
	               "ISSUBSET '198.51.100.0/24']",
	               ""),
	     "192.0.2.1(indicator--1 n) 192.0.2.2(indicator--1 n) 198.51.100.0/24(indicator--1 n)",
	     0, 0, 0},
	    {INDICATOR("[network-traffic:dst_ref.type = 'ipv4-addr' AND "
	               "network-traffic:dst_ref.value = '192.0.2.1']",
	               ""),
	     "192.0.2.1(indicator--1 n)", 0, 0, 0},
	    {INDICATOR("[ipv4-addr:value = '192.0.2.1' AND network-traffic:dst_port = 443]", ""),
	     "", 1, 0, 0},
	    {INDICATOR("[ipv4-addr:value = '192.0.2.1'] FOLLOWEDBY [ipv4-addr:value = "
	               "'192.0.2.2']",
	               ""),
	     "", 1, 0, 0},
	    {INDICATOR("[ipv4-addr:value = '192.0.2.1'] REPEATS 5 TIMES WITHIN 60 SECONDS", ""), "",
	     1, 0, 0},
	    {INDICATOR("[ipv4-addr:value != '192.0.2.1']", ""), "", 1, 0, 0},
	    {INDICATOR("[ipv4-addr:value NOT = '192.0.2.1']", ""), "", 1, 0, 0},
	    {INDICATOR("[file:hashes.'SHA-256' = 'aa']", ""), "", 1, 0, 0},
	    {INDICATOR("[ipv4-addr:value = '192.0.2.1", ""), "", 0, 0, 1},
	    {INDICATOR("[ipv4-addr:value = '192.0.2.1']", ",\"revoked\":true"), "", 0, 1, 0},
	    {INDICATOR("[ipv4-addr:value = '192.0.2.1']",
	               ",\"valid_until\":\"2026-01-31T00:00:00.000Z\""),
	     "", 0, 1, 0},
	    {INDICATOR("[ipv4-addr:value = '192.0.2.1']",
	               ",\"valid_until\":\"2026-02-01T00:00:01Z\""),
	     "192.0.2.1=1769904001(indicator--1 n)", 0, 0, 0},
	    {INDICATOR("[ipv4-addr:value = '192.0.2.1']",
	               ",\"valid_from\":\"2027-01-01T00:00:00Z\""),
	     "", 0, 1, 0},
	    {INDICATOR("[ipv4-addr:value = '192.0.2.1']", ",\"indicator_types\":[\"benign\"]"), "",
	     1, 0, 0},
	    {INDICATOR("alert", ",\"pattern_type\":\"snort\""), "", 1, 0, 0},
	    {"{\"type\":\"bundle\",\"objects\":[{\"type\":\"ipv4-addr\",\"value\":\"192.0.2.1\"}]}",
	     "", 0, 0, 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct blocklist_stats s = parse(BLOCKLIST_STIX, cases[i].in, cases[i].want);
		assert_int_equal(s.not_for_us, cases[i].not_for_us);
		assert_int_equal(s.ended, cases[i].ended);
		assert_int_equal(s.bad, cases[i].bad);
	}
}

static void misp_events(void **state)
{
	struct blocklist_stats s = parse(
	    BLOCKLIST_MISP,
	    "{\"Event\":{\"info\":\"campaign\",\"Attribute\":[{\"type\":\"ip-dst\",\"value\":"
	    "\"192.0.2.1\",\"to_ids\":true,\"uuid\":\"u1\",\"comment\":\"c2\"},{\"type\":\"ip-"
	    "src\","
	    "\"value\":\"192.0.2.2\",\"to_ids\":false},{\"type\":\"ip-src\",\"value\":\"192.0.2."
	    "3\","
	    "\"to_ids\":true,\"deleted\":true},{\"type\":\"md5\",\"value\":\"0\",\"to_ids\":true}],"
	    "\"Object\":[{\"Attribute\":[{\"type\":\"domain|ip\",\"value\":\"evil.example|"
	    "192.0.2.4\",\"to_ids\":true},{\"type\":\"ip-dst|port\",\"value\":\"192.0.2.5|443\","
	    "\"to_ids\":true}]}],\"RelatedEvent\":[{\"Event\":{\"Attribute\":[{\"type\":\"ip-dst\","
	    "\"value\":\"192.0.2.9\",\"to_ids\":true}]}}]}}",
	    "192.0.2.1(u1 c2) evil.example 192.0.2.4 192.0.2.5");
	assert_int_equal(s.not_for_us, 2);
	assert_int_equal(s.ended, 1);
	assert_string_equal(s.title, "campaign");
}

static void warning_lists(void **state)
{
	struct blocklist_stats s = parse(
	    BLOCKLIST_WARNINGLIST,
	    "{\"name\":\"DNS\",\"type\":\"cidr\",\"list\":[\"192.0.2.0/24\",\"2001:db8::1\",7]}",
	    "192.0.2.0/24(DNS) 2001:db8::1(DNS)");
	assert_int_equal(s.not_for_us, 1);
	s = parse(BLOCKLIST_WARNINGLIST, "{\"type\":\"regex\",\"list\":[\"192.0.2.0/24\"]}", "");
	assert_int_equal(s.not_for_us, 1);
}

static void formats_are_known_by_their_looks(void **state)
{
	static const struct {
		const char *in;
		enum blocklist_format f;
	} cases[] = {
	    {"", BLOCKLIST_LIST},
	    {"192.0.2.1\n", BLOCKLIST_LIST},
	    {"# ipv4 hash:net ipset\n# Entries : 3 subnets\n192.0.2.1\n", BLOCKLIST_NETSET},
	    {"ip,comment\n", BLOCKLIST_CSV},
	    {"#c\n192.0.2.1,2\n", BLOCKLIST_CSV},
	    {"add element inet t s { 192.0.2.1 }", BLOCKLIST_NFT},
	    {"table ip t {\n", BLOCKLIST_NFT},
	    {" {\"type\": \"bundle\", \"objects\": []}", BLOCKLIST_STIX},
	    {"{\"Event\": {}}", BLOCKLIST_MISP},
	    {"{\"list\": [], \"name\": \"x\"}", BLOCKLIST_WARNINGLIST},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(blocklist_guess(cases[i].in, strlen(cases[i].in)), cases[i].f);
	for (int f = 0; f < _BLOCKLIST_MAX; f++)
		assert_int_equal(blocklist_format_parse(blocklist_format_str(f)), f);
	assert_int_equal(blocklist_format_parse("json"), -EINVAL);
}

static void what_is_too_large_is_refused(void **state)
{
	struct got g = {.text = BUF_INIT(64)};
	const struct blocklist_sink sink = {on_entry, NULL, &g};
	struct blocklist_stats s;
	struct err e = {0};
	assert_int_equal(
	    blocklist_parse(BLOCKLIST_STIX, "[]", BLOCKLIST_JSON_MAX + 1u, NOW, &sink, &s, &e),
	    -EFBIG);
	assert_int_equal(blocklist_parse(BLOCKLIST_STIX, "{]", 2, NOW, &sink, &s, &e), -EBADMSG);
	assert_int_equal(blocklist_parse(BLOCKLIST_MISP, "{}", 2, NOW, &sink, &s, &e), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lists),
	    cmocka_unit_test(ranges_become_the_fewest_prefixes),
	    cmocka_unit_test(what_is_no_entry_is_told),
	    cmocka_unit_test(endpoints_domains_and_hosts_files),
	    cmocka_unit_test(netsets_say_how_many),
	    cmocka_unit_test(csv),
	    cmocka_unit_test(nft_sets),
	    cmocka_unit_test(stix_patterns),
	    cmocka_unit_test(misp_events),
	    cmocka_unit_test(warning_lists),
	    cmocka_unit_test(formats_are_known_by_their_looks),
	    cmocka_unit_test(what_is_too_large_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
