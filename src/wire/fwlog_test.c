/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines are written after the vendors' documents, with documentation addresses only. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "wire/fwlog.h"
#include "wire/fwlog_text.h"

#define SEC UINT64_C(1000000000)
#define REF "2026-02-01T00:00:00Z"

static struct fwlog log_state;
static struct fwlog_record r;
static const char *why;

static uint64_t at(const char *rfc3339)
{
	usec_t t;
	struct err e;
	assert_int_equal(time_parse(rfc3339, &t, &e), 0);
	return t * 1000;
}

static void begin(enum fwlog_format format)
{
	memset(&log_state, 0, sizeof(log_state));
	log_state.format = format;
	log_state.clock.ref_nsec = at(REF);
}

/* Exactly its bytes, on the heap, so that reading over the end is seen. */
static enum fwlog_verdict line(const char *text)
{
	size_t n = strlen(text);
	char *copy = malloc(n ? n : 1);
	assert_non_null(copy);
	memcpy(copy, text, n);
	memset(&r, 0, sizeof(r));
	why = NULL;
	enum fwlog_verdict v = fwlog_line(&log_state, cursor_of(copy, n), &r, &why);
	free(copy);
	assert_true(v != FWLOG_BAD || why);
	return v;
}

static void ends(const char *src, const char *dest, unsigned proto)
{
	char a[ENDPOINT_STR_MAX], b[ENDPOINT_STR_MAX];
	assert_string_equal(endpoint_str(&r.src, a), src);
	assert_string_equal(endpoint_str(&r.dest, b), dest);
	assert_int_equal(r.proto, proto);
}

static void formats(void **state)
{
	for (int i = 0; i < _FWLOG_FORMAT_MAX; i++)
		assert_int_equal(fwlog_format_parse(fwlog_format_str(i)), i);
	assert_int_equal(fwlog_format_parse("pix"), -EINVAL);
}

static void stamps(void **state)
{
	static const struct {
		const char *text, *is;
		bool year, zone;
	} cases[] = {
	    {"Jan 15 10:22:01 fw", "2026-01-15T10:22:01Z", true, true},
	    {"<166>Jan  5 10:22:01 fw", "2026-01-05T10:22:01Z", true, true},
	    {"Dec 31 23:59:59 fw", "2025-12-31T23:59:59Z", true, true},
	    {"Feb  1 20:00:00 fw", "2026-02-01T20:00:00Z", true, true},
	    {"Feb  3 20:00:00 fw", "2025-02-03T20:00:00Z", true, true},
	    {"Jan 15 2024 10:22:01: ", "2024-01-15T10:22:01Z", false, true},
	    {"<166>1 2024-01-15T10:22:01.25Z fw", "2024-01-15T10:22:01.25Z", false, false},
	    {"2024-01-15T10:22:01+02:00 fw", "2024-01-15T08:22:01Z", false, false},
	    {"2024-01-15T10:22:01-0530 fw", "2024-01-15T15:52:01Z", false, false},
	    {"2024-01-15 10:22:01 fw", "2024-01-15T10:22:01Z", false, true},
	    {"Mon 2024-02-29 10:22:01 UTC fw", "2024-02-29T10:22:01Z", false, false},
	    {"Jan 15 10:22:01 EDT: %ASA", "2026-01-15T14:22:01Z", true, false},
	    {"Jan 15 2024 10:22:01 CEST fw", "2024-01-15T08:22:01Z", false, false},
	    {"Jan 15 2024 10:22:01 ESTHER fw", "2024-01-15T10:22:01Z", false, true},
	    {"2024/01/15 10:22:01", "2024-01-15T10:22:01Z", false, true},
	    {"1705314121.5 fw kernel:", "2024-01-15T10:22:01.5Z", false, false},
	    {"Jan 15 00:00:00 relay 2024-01-15T10:22:01Z fw", "2024-01-15T10:22:01Z", true, true},
	    {"Jan 15 10:22:01 fw kernel: [12345.678901] ", "2026-01-15T10:22:01Z", true, true},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fwlog_clock k = {.ref_nsec = at(REF)};
		uint64_t nsec = 0;
		const char *t = cases[i].text;
		assert_true(fwlog_header_stamp(cursor_of(t, strlen(t)), &k, &nsec));
		assert_int_equal(nsec, at(cases[i].is));
		assert_int_equal(k.year_taken, cases[i].year);
		assert_int_equal(k.zone_taken, cases[i].zone);
	}
	struct fwlog_clock east = {.ref_nsec = at(REF), .zone_min = 60};
	uint64_t nsec;
	assert_true(fwlog_header_stamp(cursor_of("Jan 15 10:22:01 x", 17), &east, &nsec));
	assert_int_equal(nsec, at("2026-01-15T09:22:01Z"));
}

static void no_stamps(void **state)
{
	static const char *const cases[] = {"",
	                                    "Jan",
	                                    "Jan 32 10:22:01",
	                                    "Foo 15 10:22:01",
	                                    "2024-13-15T10:22:01Z",
	                                    "Jan 15 24:22:01",
	                                    "9999/01/15 10:22:01",
	                                    "1705 fw",
	                                    "[12x] "};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fwlog_clock k = {.ref_nsec = at(REF)};
		uint64_t nsec;
		assert_false(fwlog_header_stamp(cursor_of(cases[i], strlen(cases[i])), &k, &nsec));
	}
}

static void kernel_clock(void **state)
{
	struct fwlog_clock k = {.ref_nsec = at(REF)};
	uint64_t first, second;
	assert_true(fwlog_header_stamp(cursor_of("[  100.5] DROP ", 15), &k, &first));
	assert_true(fwlog_header_stamp(cursor_of("[  102.5] DROP ", 15), &k, &second));
	assert_int_equal(first, at(REF));
	assert_int_equal(second - first, 2 * SEC);
	assert_true(k.uptime_taken);
}

static void asa_built_and_torn_down(void **state)
{
	begin(FWLOG_ASA);
	assert_int_equal(line("<166>Jan 15 2024 10:22:01: %ASA-6-302013: Built outbound TCP "
	                      "connection 4711 for outside:198.51.100.7/443 (198.51.100.7/443) to "
	                      "inside:192.0.2.10/51234 (203.0.113.1/40001)"),
	                 FWLOG_RECORD);
	ends("192.0.2.10:51234", "198.51.100.7:443", IPPROTO_TCP);
	assert_int_equal(r.part, FWLOG_OPENED);
	assert_int_equal(r.action, FWLOG_ALLOWED);
	assert_int_equal(r.id, 4711);
	assert_int_equal(r.start_nsec, at("2024-01-15T10:22:01Z"));
	assert_false(r.src_guessed);
	assert_int_equal(line("<166>Jan 15 2024 10:24:06 fw1 : %ASA-6-302014: Teardown TCP "
	                      "connection 4711 for outside:198.51.100.7/443 to "
	                      "inside:192.0.2.10/51234 duration 0:02:05 bytes 9001 TCP FINs"),
	                 FWLOG_RECORD);
	ends("192.0.2.10:51234", "198.51.100.7:443", IPPROTO_TCP);
	assert_int_equal(r.part, FWLOG_CLOSED);
	assert_true(r.src_guessed);
	assert_true(r.halved);
	assert_int_equal(r.bytes_toserver + r.bytes_toclient, 9001);
	assert_int_equal(r.end_nsec - r.start_nsec, 125 * SEC);
	assert_false(r.unanswered);
}

static void asa_forms(void **state)
{
	begin(FWLOG_ASA);
	assert_int_equal(line("2024-01-15T10:22:01Z fw1 : %FTD-6-302013: Built inbound Probe TCP "
	                      "connection 8 for inside:192.0.2.2/12523(LOCAL\\joe) "
	                      "(192.0.2.2/12523) to NP Identity Ifc:192.0.2.1/22 (192.0.2.1/22) "
	                      "(joe)"),
	                 FWLOG_RECORD);
	ends("192.0.2.2:12523", "192.0.2.1:22", IPPROTO_TCP);
	assert_int_equal(line("<166>1 2024-01-15T10:22:01Z fw1 - - - - %ASA-6-302015: Built "
	                      "outbound UDP connection 9 for outside:2001:db8::53/53 "
	                      "(2001:db8::53/53) to inside:2001:db8:1::9/5353 "
	                      "(2001:db8:1::9/5353)\r"),
	                 FWLOG_RECORD);
	ends("[2001:db8:1::9]:5353", "[2001:db8::53]:53", IPPROTO_UDP);
	assert_int_equal(line("Jan 15 10:22:01 fw1 %ASA-6-302016: Teardown UDP connection 9 for "
	                      "outside:198.51.100.53/53 to inside:192.0.2.9/33333 duration 0:00:01 "
	                      "bytes 0"),
	                 FWLOG_RECORD);
	assert_true(r.unanswered);
	assert_int_equal(line("Jan 15 10:22:01 fw1 %ASA-6-302014: Teardown TCP connection 9 for "
	                      "outside:198.51.100.53/22 to inside:192.0.2.9/33333 duration 0:00:30 "
	                      "bytes 0 SYN Timeout"),
	                 FWLOG_RECORD);
	assert_true(r.unanswered);
	assert_int_equal(line("Jan 15 10:22:01 fw1 %ASA-6-302020: Built outbound ICMP connection "
	                      "for faddr 198.51.100.5/0 gaddr 203.0.113.1/512 laddr 192.0.2.9/512 "
	                      "type 8 code 0"),
	                 FWLOG_RECORD);
	ends("192.0.2.9:8", "198.51.100.5", IPPROTO_ICMP);
}

static void asa_denied(void **state)
{
	begin(FWLOG_ASA);
	assert_int_equal(line("Jan 15 10:22:01 fw1 %ASA-4-106023: Deny tcp src "
	                      "outside:203.0.113.5/51234 dst inside:192.0.2.5/22 by access-group "
	                      "\"outside_in\" [0x0, 0x0]"),
	                 FWLOG_RECORD);
	ends("203.0.113.5:51234", "192.0.2.5:22", IPPROTO_TCP);
	assert_int_equal(r.action, FWLOG_DENIED);
	assert_int_equal(r.part, FWLOG_WHOLE);
	assert_int_equal(
	    line("Jan 15 10:22:01 fw1 %ASA-4-106023: Deny icmp src outside:203.0.113.5 "
	         "dst inside:192.0.2.5 (type 8, code 0) by access-group \"x\""),
	    FWLOG_RECORD);
	ends("203.0.113.5:8", "192.0.2.5", IPPROTO_ICMP);
	assert_int_equal(
	    line("Jan 15 10:22:01 fw1 %ASA-session-6-106100: access-list in denied tcp "
	         "for user 'joe' o/203.0.113.5(51234)(joe) -> i/192.0.2.5(22) hit-cnt "
	         "1 first hit [0x0, 0x0]"),
	    FWLOG_RECORD);
	ends("203.0.113.5:51234", "192.0.2.5:22", IPPROTO_TCP);
	assert_int_equal(r.action, FWLOG_DENIED);
	assert_int_equal(line("Jan 15 10:22:01 fw1 %ASA-6-106100: access-list in permitted udp "
	                      "o/203.0.113.5(51234) -> i/192.0.2.5(53) hit-cnt 1 first hit"),
	                 FWLOG_SKIP);
	assert_int_equal(
	    line("Jan 15 10:22:01 fw1 %ASA-4-106023: Deny udp src v1:o:203.0.113.5/51234 "
	         "dst v2:i:2001:db8::5/22 by access-group \"x\""),
	    FWLOG_BAD);
	assert_int_equal(line("Jan 15 10:22:01 fw1 %ASA-4-106023: Deny udp src v1:o:2001:db8::1/9 "
	                      "dst v2:i:2001:db8::5/22 by access-group \"x\""),
	                 FWLOG_RECORD);
	ends("[2001:db8::1]:9", "[2001:db8::5]:22", IPPROTO_UDP);
	assert_int_equal(line("Jan 15 10:22:01 fw1 %ASA-4-106023: Deny protocol 47 src "
	                      "outside:203.0.113.5 dst inside:192.0.2.5 by access-group \"x\""),
	                 FWLOG_RECORD);
	ends("203.0.113.5", "192.0.2.5", IPPROTO_GRE);
}

static void junos_structured(void **state)
{
	begin(FWLOG_JUNOS);
	assert_int_equal(
	    line("<14>1 2024-01-15T10:22:01.123Z srx RT_FLOW - RT_FLOW_SESSION_CLOSE "
	         "[junos@2636.1.1.1.2.40 reason=\"TCP \\\"FIN\\\"\" source-address=\"192.0.2.10\" "
	         "source-port=\"51234\" destination-address=\"198.51.100.7\" "
	         "destination-port=\"443\" service-name=\"junos-https\" "
	         "nat-source-address=\"203.0.113.1\" nat-source-port=\"40001\" protocol-id=\"6\" "
	         "policy-name=\"out\" session-id-32=\"77\" packets-from-client=\"12\" "
	         "bytes-from-client=\"1500\" packets-from-server=\"10\" "
	         "bytes-from-server=\"9000\" elapsed-time=\"4\" username=\"N/A\"]"),
	    FWLOG_RECORD);
	ends("192.0.2.10:51234", "198.51.100.7:443", IPPROTO_TCP);
	assert_int_equal(r.part, FWLOG_CLOSED);
	assert_int_equal(r.id, 77);
	assert_int_equal(r.pkts_toserver, 12);
	assert_int_equal(r.bytes_toserver, 1500);
	assert_int_equal(r.bytes_toclient, 9000);
	assert_int_equal(r.end_nsec, at("2024-01-15T10:22:01.123Z"));
	assert_int_equal(r.end_nsec - r.start_nsec, 4 * SEC);
	assert_int_equal(
	    line("<14>1 2024-01-15T10:22:01.123Z srx RT_FLOW - RT_FLOW_SESSION_DENY_LS "
	         "[junos@2636.1.1.1.2.40 source-address=\"2001:db8::1\" "
	         "source-port=\"8\" destination-address=\"2001:db8::2\" "
	         "destination-port=\"0\" protocol-id=\"58\" icmp-type=\"128\"]"),
	    FWLOG_RECORD);
	ends("[2001:db8::1]:128", "2001:db8::2", IPPROTO_ICMPV6);
	assert_int_equal(r.action, FWLOG_DENIED);
}

static void junos_plain(void **state)
{
	static const char *const closes[] = {
	    "None 203.0.113.1/40001->198.51.100.7/443 r1 None 6 out trust untrust 77 12(1500) "
	    "10(9000) 4",
	    "0x0 junos-https 203.0.113.1/40001->198.51.100.7/443 0x0 source rule 1 N/A N/A 6 out "
	    "trust untrust 77 12(1500) 10(9000) 4 UNKNOWN UNKNOWN N/A(N/A) ge-0/0/1.0 UNKNOWN",
	};
	char text[512];
	begin(FWLOG_JUNOS);
	for (size_t i = 0; i < ARRAY_SIZE(closes); i++) {
		snprintf(text, sizeof(text),
		         "Jan 15 10:22:05 srx RT_FLOW: RT_FLOW_SESSION_CLOSE: session closed idle "
		         "Timeout N/A: 192.0.2.10/51234->198.51.100.7/443 %s",
		         closes[i]);
		assert_int_equal(line(text), FWLOG_RECORD);
		ends("192.0.2.10:51234", "198.51.100.7:443", IPPROTO_TCP);
		assert_int_equal(r.id, 77);
		assert_int_equal(r.bytes_toserver, 1500);
		assert_int_equal(r.bytes_toclient, 9000);
		assert_int_equal(r.start_nsec, at("2026-01-15T10:22:01Z"));
	}
	assert_int_equal(
	    line("Jan 15 10:22:05 srx RT_FLOW: RT_FLOW_SESSION_CREATE: session created "
	         "192.0.2.10/51234->198.51.100.7/443 0x0 None "
	         "192.0.2.10/51234->198.51.100.7/443 0x0 N/A N/A N/A N/A 6 1 V40 V30 "
	         "1047 N/A(N/A) reth2.0 UNKNOWN"),
	    FWLOG_RECORD);
	assert_int_equal(r.part, FWLOG_OPENED);
	assert_int_equal(r.id, 1047);
	assert_int_equal(
	    line("Jan 15 10:22:05 srx RT_FLOW: RT_FLOW_SESSION_CREATE: session created "
	         "192.0.2.10/51234->198.51.100.7/443 None "
	         "192.0.2.10/51234->198.51.100.7/443 None None 6 1 trust untrust 99"),
	    FWLOG_RECORD);
	assert_int_equal(r.id, 99);
	assert_int_equal(line("Jan 15 10:22:05 srx RT_FLOW: RT_FLOW_SESSION_DENY: session denied "
	                      "192.0.2.10/8->198.51.100.7/0 0x0 icmp 1(8) deny-all trust untrust "
	                      "UNKNOWN UNKNOWN N/A(N/A) ge-0/0/1.0"),
	                 FWLOG_RECORD);
	ends("192.0.2.10:8", "198.51.100.7", IPPROTO_ICMP);
	assert_int_equal(r.action, FWLOG_DENIED);
}

#define PANOS_HEAD "1,2024/01/15 10:22:09,0011,TRAFFIC,"
static const char panos_tail[] =
    ",2560,2024/01/15 10:22:08,192.0.2.10,198.51.100.7,203.0.113.1,198.51.100.7,\"out, all\","
    "\"corp\\joe, \"\"j\"\"\",,ssl,vsys1,trust,untrust,ethernet1/1,ethernet1/2,fwd,2024/01/15 "
    "10:22:08,7001,1,51234,443,40001,443,0x400053,tcp,%s,10500,1500,9000,22,2024/01/15 "
    "10:21:53,15,any,0,123,0x0,US,DE,0,12,10,tcp-fin,0,0";

static void panos(void **state)
{
	static const struct {
		const char *subtype, *action;
		enum fwlog_part part;
		enum fwlog_action is;
	} cases[] = {{"start", "allow", FWLOG_OPENED, FWLOG_ALLOWED},
	             {"end", "allow", FWLOG_CLOSED, FWLOG_ALLOWED},
	             {"end", "reset-both", FWLOG_CLOSED, FWLOG_DENIED},
	             {"drop", "deny", FWLOG_WHOLE, FWLOG_DENIED},
	             {"drop", "allow", FWLOG_WHOLE, FWLOG_DENIED},
	             {"deny", "drop ICMP", FWLOG_WHOLE, FWLOG_DENIED}};
	char text[1024];
	begin(FWLOG_PANOS);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n =
		    (size_t)snprintf(text, sizeof(text), "<14>Jan 15 10:22:10 pa " PANOS_HEAD "%s",
		                     cases[i].subtype);
		snprintf(text + n, sizeof(text) - n, panos_tail, cases[i].action);
		assert_int_equal(line(text), FWLOG_RECORD);
		ends("192.0.2.10:51234", "198.51.100.7:443", IPPROTO_TCP);
		assert_int_equal(r.part, cases[i].part);
		assert_int_equal(r.action, cases[i].is);
		assert_int_equal(r.id, 7001);
		assert_int_equal(r.bytes_toserver, 1500);
		assert_int_equal(r.bytes_toclient, 9000);
		assert_int_equal(r.pkts_toserver, 12);
		assert_int_equal(r.pkts_toclient, 10);
		assert_int_equal(r.start_nsec, at("2024-01-15T10:21:53Z"));
		assert_int_equal(r.end_nsec, at("2024-01-15T10:22:08Z"));
	}
}

static void aws_default(void **state)
{
	begin(FWLOG_AWS);
	assert_int_equal(line("version account-id interface-id srcaddr dstaddr srcport dstport "
	                      "protocol packets bytes start end action log-status"),
	                 FWLOG_SKIP);
	assert_int_equal(line("2 123456789010 eni-1235b8ca 192.0.2.10 198.51.100.7 51234 443 6 20 "
	                      "4249 1705314121 1705314181 ACCEPT OK"),
	                 FWLOG_RECORD);
	ends("192.0.2.10:51234", "198.51.100.7:443", IPPROTO_TCP);
	assert_int_equal(r.part, FWLOG_WINDOW);
	assert_int_equal(r.action, FWLOG_ALLOWED);
	assert_true(r.src_guessed);
	assert_int_equal(r.pkts_toserver, 20);
	assert_int_equal(r.bytes_toserver, 4249);
	assert_int_equal(r.start_nsec, at("2024-01-15T10:22:01Z"));
	assert_int_equal(r.end_nsec, at("2024-01-15T10:23:01Z"));
	assert_int_equal(line("2024-01-15T10:25:00.000Z 2 123456789010 eni-1235b8ca 198.51.100.7 "
	                      "192.0.2.10 443 51234 6 20 4249 1705314121 1705314181 REJECT OK"),
	                 FWLOG_RECORD);
	ends("192.0.2.10:51234", "198.51.100.7:443", IPPROTO_TCP);
	assert_int_equal(r.action, FWLOG_DENIED);
	assert_int_equal(r.bytes_toclient, 4249);
	assert_int_equal(line("2 123456789010 eni-1235b8ca - - - - - - - 1705314121 1705314181 - "
	                      "NODATA"),
	                 FWLOG_SKIP);
	assert_int_equal(line("2 123456789010 eni-1235b8ca - - - - - - - 1705314121 1705314181 - "
	                      "SKIPDATA"),
	                 FWLOG_LOST);
}

static void aws_all_fields_without_header(void **state)
{
	begin(FWLOG_AWS);
	assert_int_equal(line("5 123456789010 eni-1 192.0.2.1 192.0.2.2 50041 33004 6 52 100 "
	                      "1705314121 1705314181 ACCEPT OK vpc-1 subnet-1 i-1 2 IPv4 "
	                      "192.0.2.1 198.51.100.80 us-east-1 use1-az5 - - - - egress 1"),
	                 FWLOG_RECORD);
	ends("192.0.2.1:50041", "198.51.100.80:33004", IPPROTO_TCP);
	assert_false(r.src_guessed);
}

static void aws_custom(void **state)
{
	begin(FWLOG_AWS);
	assert_int_equal(
	    line("${version} ${srcaddr} ${dstaddr} ${srcport} ${dstport} ${protocol} "
	         "${tcp-flags} ${type} ${pkt-srcaddr} ${pkt-dstaddr} ${bytes} ${start} "
	         "${end} ${flow-direction} ${traffic-path} ${action} ${log-status}"),
	    FWLOG_SKIP);
	/* The SYN-ACK is the server's, whatever the ports. */
	assert_int_equal(line("5 192.0.2.1 192.0.2.2 51234 8 6 18 IPv4 192.0.2.10 198.51.100.7 100 "
	                      "1705314121 1705314181 egress 8 ACCEPT OK"),
	                 FWLOG_RECORD);
	ends("198.51.100.7:8", "192.0.2.10:51234", IPPROTO_TCP);
	assert_false(r.src_guessed);
	assert_int_equal(r.bytes_toclient, 100);
	assert_int_equal(r.tcp_toclient, FWLOG_SYN_ACK);
	assert_int_equal(line("5 192.0.2.1 192.0.2.2 51234 8 6 3 IPv4 192.0.2.10 198.51.100.7 100 "
	                      "1705314121 1705314181 egress 8 ACCEPT OK"),
	                 FWLOG_RECORD);
	ends("192.0.2.10:51234", "198.51.100.7:8", IPPROTO_TCP);
}

static void netfilter(void **state)
{
	begin(FWLOG_NETFILTER);
	assert_int_equal(line("Jan 15 10:22:01 gw kernel: [12345.678901] [UFW BLOCK] IN=eth0 OUT= "
	                      "MAC=02:00:00:00:00:01:02:00:00:00:00:02:08:00 SRC=203.0.113.5 "
	                      "DST=192.0.2.5 LEN=60 TOS=0x00 PREC=0x00 TTL=51 ID=4711 DF PROTO=TCP "
	                      "SPT=51234 DPT=22 WINDOW=29200 RES=0x00 SYN URGP=0 "),
	                 FWLOG_RECORD);
	ends("203.0.113.5:51234", "192.0.2.5:22", IPPROTO_TCP);
	assert_int_equal(r.action, FWLOG_DENIED);
	assert_int_equal(r.part, FWLOG_PACKET);
	assert_int_equal(r.bytes_toserver, 60);
	assert_int_equal(r.tcp_toserver, FWLOG_SYN);
	assert_false(r.src_guessed);
	assert_int_equal(line("2024-01-15T10:22:01.5+00:00 gw kernel: fwd accept: IN=eth1 OUT=eth0 "
	                      "SRC=2001:0db8:0000:0000:0000:0000:0000:0009 "
	                      "DST=2001:0db8:0000:0000:0000:0000:0000:0053 LEN=80 TC=0 HOPLIMIT=63 "
	                      "FLOWLBL=0 PROTO=UDP SPT=33333 DPT=53 LEN=40"),
	                 FWLOG_RECORD);
	ends("[2001:db8::9]:33333", "[2001:db8::53]:53", IPPROTO_UDP);
	assert_int_equal(r.action, FWLOG_ALLOWED);
	assert_int_equal(r.bytes_toserver, 80);
	assert_int_equal(line("Jan 15 10:22:01 gw kernel: [WAN_IN-20-R]IN=eth1 OUT=eth0 "
	                      "SRC=192.0.2.9 DST=192.0.2.53 LEN=80 TOS=0x00 PREC=0x00 TTL=63 ID=1 "
	                      "PROTO=UDP SPT=33333 DPT=53 LEN=60"),
	                 FWLOG_RECORD);
	assert_int_equal(r.action, FWLOG_DENIED);
	/* A reply belongs to the request; what an error quotes is not read. */
	assert_int_equal(line("Jan 15 10:22:01 gw kernel: fwIN=eth0 new: IN=eth0 OUT= "
	                      "SRC=192.0.2.1 DST=192.0.2.2 LEN=84 TOS=0x00 PREC=0x00 TTL=64 ID=1 "
	                      "PROTO=ICMP TYPE=0 CODE=0 ID=7 SEQ=1"),
	                 FWLOG_RECORD);
	ends("192.0.2.2:8", "192.0.2.1", IPPROTO_ICMP);
	assert_int_equal(r.action, FWLOG_NOT_TOLD);
	assert_int_equal(r.bytes_toclient, 84);
	assert_int_equal(line("Jan 15 10:22:01 gw kernel: IN=eth0 OUT= SRC=192.0.2.1 DST=192.0.2.2 "
	                      "LEN=88 TOS=0x00 PREC=0xC0 TTL=64 ID=1 PROTO=ICMP TYPE=3 CODE=3 "
	                      "[SRC=192.0.2.2 DST=192.0.2.1 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=2 "
	                      "PROTO=UDP SPT=1 DPT=2 LEN=40 ]"),
	                 FWLOG_RECORD);
	ends("192.0.2.1:3", "192.0.2.2:3", IPPROTO_ICMP);
	assert_int_equal(line("Jan 15 10:22:01 gw kernel: IN=eth0 OUT= MACSRC=02:00:00:00:00:01 "
	                      "MACDST=ff:ff:ff:ff:ff:ff MACPROTO=0806 ARP HTYPE=1"),
	                 FWLOG_SKIP);
	assert_int_equal(line("Jan 15 10:22:01 gw kernel: IN=eth0 OUT= SRC=192.0.2.1 DST=192.0.2.2 "
	                      "LEN=88 TOS=0x00 PREC=0xC0 TTL=64 ID=1 FRAG:185 PROTO=UDP "),
	                 FWLOG_RECORD);
	ends("192.0.2.1", "192.0.2.2", IPPROTO_UDP);
}

/* Other messages are skipped, broken ones are bad, and cutting a line anywhere is never a crash. */
static void skipped_and_bad(void **state)
{
	static const struct {
		enum fwlog_format format;
		const char *text;
		enum fwlog_verdict v;
	} cases[] = {
	    {FWLOG_ASA, "", FWLOG_SKIP},
	    {FWLOG_ASA, "Jan 15 10:22:01 fw1 %ASA-5-111008: User 'x' executed", FWLOG_SKIP},
	    {FWLOG_ASA, "Jan 15 10:22:01 web1 sshd[7]: session opened", FWLOG_SKIP},
	    {FWLOG_ASA, "rubbish", FWLOG_BAD},
	    {FWLOG_ASA, "Jan 15 10:22:01 fw1 %ASA-6-302013: Built outbound TCP connection 7",
	     FWLOG_BAD},
	    {FWLOG_ASA,
	     "Jan 15 10:22:01 fw1 %ASA-4-106023: Deny tcp src outside:mail/25 dst inside:web/80",
	     FWLOG_BAD},
	    {FWLOG_ASA, "%ASA-4-106023: Deny tcp src outside:192.0.2.1/25 dst inside:192.0.2.2/80",
	     FWLOG_BAD},
	    {FWLOG_ASA,
	     "Jan 15 10:22:01 fw1 %ASA-4-106023: Deny tcp src a:192.0.2.1/70000 dst b:192.0.2.2/80",
	     FWLOG_BAD},
	    {FWLOG_ASA,
	     "Jan 15 10:22:01 fw1 %ASA-4-106023: Deny tcp src a:192.0.2.1/7 dst b:2001:db8::1/80",
	     FWLOG_BAD},
	    {FWLOG_JUNOS, "Jan 15 10:22:01 srx RT_FLOW: APPTRACK_SESSION_CLOSE: x", FWLOG_SKIP},
	    {FWLOG_JUNOS,
	     "Jan 15 10:22:01 srx RT_FLOW: RT_FLOW_SESSION_CLOSE: session closed: "
	     "192.0.2.1/1->192.0.2.2/2 None",
	     FWLOG_BAD},
	    {FWLOG_JUNOS,
	     "<14>1 2024-01-15T10:22:01Z srx RT_FLOW - RT_FLOW_SESSION_DENY [junos@1 "
	     "source-address=\"192.0.2.1\"]",
	     FWLOG_BAD},
	    {FWLOG_PANOS, "1,2024/01/15 10:22:09,0011,SYSTEM,general,0", FWLOG_SKIP},
	    {FWLOG_PANOS, "1,2024/01/15 10:22:09,0011,TRAFFIC,end,0", FWLOG_BAD},
	    {FWLOG_PANOS, "1,2024/01/15 10:22:09,\"0011,TRAFFIC,end,0", FWLOG_BAD},
	    {FWLOG_AWS, "2 1 eni 192.0.2.1 192.0.2.2 1 2 6 1 1 1 1 ACCEPT", FWLOG_BAD},
	    {FWLOG_AWS, "2 1 eni 192.0.2.1 x 1 2 6 1 1 1 1 ACCEPT OK", FWLOG_BAD},
	    {FWLOG_AWS, "2 1 eni 192.0.2.1 192.0.2.2 1 2 6 1 1 now 1 ACCEPT OK", FWLOG_BAD},
	    {FWLOG_NETFILTER, "Jan 15 10:22:01 gw kernel: eth0: link up", FWLOG_SKIP},
	    {FWLOG_NETFILTER,
	     "Jan 15 10:22:01 gw kernel: IN=eth0 OUT= SRC=192.0.2.1 DST=192.0.2.2 "
	     "LEN=60 PROTO=TCP SPT=1",
	     FWLOG_BAD},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(cases[i].format);
		assert_int_equal(line(cases[i].text), cases[i].v);
		char *cut = strdup(cases[i].text);
		assert_non_null(cut);
		for (size_t n = strlen(cut); n > 0; n--) {
			cut[n - 1] = 0;
			line(cut);
		}
		free(cut);
	}
}

static void detected(void **state)
{
	static const struct {
		const char *text;
		int format;
	} cases[] = {
	    {"Jan 15 10:22:01 fw last message repeated\nJan 15 10:22:01 fw1 %ASA-5-111008: x\n",
	     FWLOG_ASA},
	    {"Jan 15 10:22:01 srx RT_FLOW: RT_FLOW_SESSION_DENY: session denied\n", FWLOG_JUNOS},
	    {"<14>Jan 15 10:22:10 pa 1,2024/01/15 10:22:09,0011,THREAT,url,0\n", FWLOG_PANOS},
	    {"version account-id interface-id srcaddr dstaddr\n", FWLOG_AWS},
	    {"2 1 eni 192.0.2.1 192.0.2.2 1 2 6 1 1 1 1 ACCEPT OK\n", FWLOG_AWS},
	    {"2 1 eni - - - - - - - 1705314121 1705314181 - NODATA\n", FWLOG_AWS},
	    {"Jan 15 10:22:01 gw kernel: x IN=eth0 OUT= SRC=192.0.2.1 DST=192.0.2.2 PROTO=2\n",
	     FWLOG_NETFILTER},
	    {"Jan 15 10:22:01 web1 sshd[7]: session opened\n", -EINVAL},
	    {"%ASA-5-111008: without an end", -EINVAL},
	    {"", -EINVAL},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(fwlog_detect(cursor_of(cases[i].text, strlen(cases[i].text))),
		                 cases[i].format);
}

static void guesses(void **state)
{
	static const struct {
		uint16_t sport, dport;
		uint8_t flags;
		bool turned, guessed;
	} cases[] = {
	    {51234, 443, 0, false, true},          {443, 51234, 0, true, true},
	    {8443, 51234, 0, true, true},          {40000, 50000, 0, true, true},
	    {50000, 40000, 0, false, true},        {123, 123, 0, false, true},
	    {443, 51234, FWLOG_SYN, false, false}, {51234, 443, FWLOG_SYN_ACK, true, false},
	    {443, 51234, FWLOG_ACK, true, true},   {0, 0, 0, false, true},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fwlog_record g = {.proto = IPPROTO_TCP,
		                         .src.port = cases[i].sport,
		                         .dest.port = cases[i].dport,
		                         .tcp_toserver = cases[i].flags,
		                         .bytes_toserver = 7};
		fwlog_guess(&g);
		assert_int_equal(g.src_guessed, cases[i].guessed);
		assert_int_equal(g.src.port, cases[i].turned ? cases[i].dport : cases[i].sport);
		assert_int_equal(g.bytes_toclient, cases[i].turned ? 7 : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(formats),
	    cmocka_unit_test(stamps),
	    cmocka_unit_test(no_stamps),
	    cmocka_unit_test(kernel_clock),
	    cmocka_unit_test(asa_built_and_torn_down),
	    cmocka_unit_test(asa_forms),
	    cmocka_unit_test(asa_denied),
	    cmocka_unit_test(junos_structured),
	    cmocka_unit_test(junos_plain),
	    cmocka_unit_test(panos),
	    cmocka_unit_test(aws_default),
	    cmocka_unit_test(aws_custom),
	    cmocka_unit_test(aws_all_fields_without_header),
	    cmocka_unit_test(netfilter),
	    cmocka_unit_test(skipped_and_bad),
	    cmocka_unit_test(detected),
	    cmocka_unit_test(guesses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
