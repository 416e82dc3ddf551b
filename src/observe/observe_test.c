/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The pure parts: records over the channel, owners of flows, sums by pair, the score. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "observe/owner.h"
#include "observe/record.h"
#include "observe/upload.h"

static struct endpoint at(const char *text)
{
	struct endpoint e = {0};
	assert_int_equal(endpoint_parse(text, &e, NULL), 0);
	return e;
}

static struct flow flow_of(const char *src, const char *dest, uint8_t proto, uint64_t out,
                           uint64_t in)
{
	return (struct flow){
	    .src = at(src),
	    .dest = at(dest),
	    .proto = proto,
	    .pkts_toserver = out / 1000 + 1,
	    .pkts_toclient = in / 1000 + 1,
	    .bytes_toserver = out,
	    .bytes_toclient = in,
	    .start_nsec = UINT64_C(1700000000000000000),
	    .end_nsec = UINT64_C(1700000010000000000),
	};
}

static void test_records(void **state)
{
	struct flow f = flow_of("[2001:db8::1]:40000", "[2001:db8::2]:443", IPPROTO_TCP, 7, 9), g;
	struct flow_record r;
	struct source_stats s = {.packets = 1, .evicted = 7, .last_nsec = 9, .tier = "file"}, t;
	struct stats_record q;

	f.src_guessed = true;
	f.vlan = 12;
	record_of_flow(&f, &r);
	assert_int_equal(record_to_flow(&r, &g), 0);
	assert_true(addr_equal(&f.src.addr, &g.src.addr) && addr_equal(&f.dest.addr, &g.dest.addr));
	assert_int_equal(g.src.port, 40000);
	assert_int_equal(g.dest.port, 443);
	assert_int_equal(g.bytes_toclient, 9);
	assert_int_equal(g.vlan, 12);
	assert_true(g.src_guessed);
	r.src_guessed = 2;
	assert_int_equal(record_to_flow(&r, &g), -EBADMSG);
	r.src_guessed = 0;
	r.family = 5;
	assert_int_equal(record_to_flow(&r, &g), -EBADMSG);
	r.family = ADDR_V4; /* with the bytes of a v6 address */
	assert_int_equal(record_to_flow(&r, &g), -EBADMSG);

	record_of_stats(&s, &q);
	assert_int_equal(record_to_stats(&q, sizeof(q), &t), 0);
	assert_int_equal(t.packets, 1);
	assert_int_equal(t.evicted, 7);
	assert_int_equal(t.last_nsec, 9);
	assert_int_equal(t.first_nsec, 0);
	assert_int_equal(t.unowned, 0);
	assert_string_equal(t.tier, "file");
	assert_int_equal(record_to_stats(&q, sizeof(q) - 1, &t), -EBADMSG);
	memset(q.tier, 'x', sizeof(q.tier));
	assert_int_equal(record_to_stats(&q, sizeof(q), &t), -EBADMSG);
	memcpy(q.tier, "a\x1b[2J", 6);
	assert_int_equal(record_to_stats(&q, sizeof(q), &t), -EBADMSG);
}

static void test_name_records(void **state)
{
	struct app_event a = {.src = at("192.0.2.10:40000"),
	                      .dest = at("203.0.113.5:443"),
	                      .proto = IPPROTO_TCP,
	                      .nsec = 5,
	                      .app = APP_TLS,
	                      .source = NAME_SNI,
	                      .name = "evil.example"};
	struct app_event b;
	struct app_record r;

	record_of_app(&a, &r);
	assert_int_equal(record_to_app(&r, &b), 0);
	assert_string_equal(b.name, "evil.example");
	assert_int_equal(b.app, APP_TLS);
	assert_int_equal(b.source, NAME_SNI);
	assert_int_equal(b.dest.port, 443);
	/* What could steer a terminal, hide behind the end or run over it is refused. */
	r.name[0] = 0x1b;
	assert_int_equal(record_to_app(&r, &b), -EBADMSG);
	r.name[0] = 'e';
	r.name[20] = 'x';
	assert_int_equal(record_to_app(&r, &b), -EBADMSG);
	memset(r.name, 'x', sizeof(r.name));
	assert_int_equal(record_to_app(&r, &b), -EBADMSG);
	record_of_app(&a, &r);
	r.app = _APP_PROTO_MAX;
	assert_int_equal(record_to_app(&r, &b), -EBADMSG);
	record_of_app(&a, &r);
	r.ends.family = 0;
	assert_int_equal(record_to_app(&r, &b), -EBADMSG);
}

static void test_dns_records(void **state)
{
	struct dns_event d = {.client = at("192.0.2.10:40000"),
	                      .server = at("192.0.2.53:53"),
	                      .proto = IPPROTO_UDP,
	                      .response = true,
	                      .qtype = 28,
	                      .size = 99,
	                      .qname = "a.example",
	                      .n_addrs = 2,
	                      .addrs = {at("203.0.113.5:1").addr, at("[2001:db8::1]:1").addr}};
	struct dns_event g;
	struct dns_record r;

	record_of_dns(&d, &r);
	assert_int_equal(record_to_dns(&r, &g), 0);
	assert_string_equal(g.qname, "a.example");
	assert_true(g.response && g.qtype == 28 && g.size == 99 && g.n_addrs == 2);
	assert_true(addr_equal(&g.addrs[0], &d.addrs[0]) && addr_equal(&g.addrs[1], &d.addrs[1]));
	r.n_addrs = DNS_EVENT_ADDRS + 1;
	assert_int_equal(record_to_dns(&r, &g), -EBADMSG);
	r.n_addrs = 3; /* of no family */
	assert_int_equal(record_to_dns(&r, &g), -EBADMSG);
	r.n_addrs = 2;
	r.response = 2;
	assert_int_equal(record_to_dns(&r, &g), -EBADMSG);
}

static void test_resume_records(void **state)
{
	struct flow f = flow_of("192.0.2.10:40000", "203.0.113.5:443", IPPROTO_TCP, 7, 9);
	struct resume_event e;
	struct resume_record r;

	f.tcp_toserver = 0x1a;
	f.tcp_toclient = 0x12;
	record_of_resume(&f, f.end_nsec + 5, &r);
	assert_int_equal(record_to_resume(&r, &e), 0);
	assert_int_equal(e.at_nsec, f.end_nsec + 5);
	assert_int_equal(e.flow.bytes_toclient, 9);
	assert_int_equal(e.flow.tcp_toserver, 0x1a);
	assert_int_equal(e.flow.tcp_toclient, 0x12);
	r.flow.family = 0;
	assert_int_equal(record_to_resume(&r, &e), -EBADMSG);
}

static void add(struct owners *o, uint8_t proto, struct endpoint local, const char *peer,
                bool v6only, uint64_t inode)
{
	struct owner_socket s = {.proto = proto, .local = local, .v6only = v6only, .inode = inode};

	if (peer)
		s.peer = at(peer);
	assert_int_equal(owners_add(o, &s), 0);
}

static uint64_t match(const struct owners *o, const char *src, const char *dest, uint8_t proto)
{
	struct flow f = flow_of(src, dest, proto, 1, 1);
	const struct owner_socket *s = owners_match(o, &f);

	return s ? s->inode : 0;
}

static void test_owner_match(void **state)
{
	const struct endpoint any4 = {{.family = ADDR_V4}, 53}, any6 = {{.family = ADDR_V6}, 5353};
	const struct endpoint any6only = {{.family = ADDR_V6}, 547},
	                      web = {{.family = ADDR_V6}, 80};
	struct endpoint self = at("192.0.2.10:1"), self6 = at("[2001:db8::10]:1");
	struct owners *o = NULL;

	assert_int_equal(owners_new(&o, NULL), 0);
	assert_int_equal(owners_add_self(o, &self.addr), 0);
	assert_int_equal(owners_add_self(o, &self6.addr), 0);
	add(o, IPPROTO_TCP, at("192.0.2.10:40000"), "203.0.113.5:443", false, 1);
	add(o, IPPROTO_UDP, any4, NULL, true, 2);
	add(o, IPPROTO_UDP, any6, NULL, false, 3);
	add(o, IPPROTO_UDP, any6only, NULL, true, 4);
	add(o, IPPROTO_TCP, web, NULL, false, 5);
	add(o, IPPROTO_TCP, at("192.0.2.10:80"), "203.0.113.9:5000", false, 6);
	add(o, IPPROTO_UDP, at("[2001:db8::10]:6000"), "[2001:db8::5]:53", false, 7);

	/* Both directions of a connected one; the protocol counts. */
	assert_int_equal(match(o, "192.0.2.10:40000", "203.0.113.5:443", IPPROTO_TCP), 1);
	assert_int_equal(match(o, "203.0.113.5:443", "192.0.2.10:40000", IPPROTO_TCP), 1);
	assert_int_equal(match(o, "192.0.2.10:40000", "203.0.113.5:443", IPPROTO_UDP), 0);
	assert_int_equal(match(o, "192.0.2.10:40000", "203.0.113.5:444", IPPROTO_TCP), 0);
	/* Bound to any address: only where the address is ours. */
	assert_int_equal(match(o, "203.0.113.5:999", "192.0.2.10:53", IPPROTO_UDP), 2);
	assert_int_equal(match(o, "192.0.2.10:999", "203.0.113.5:53", IPPROTO_UDP), 0);
	/* v6 sockets take v4 unless they say they do not. */
	assert_int_equal(match(o, "192.0.2.10:5353", "203.0.113.5:5353", IPPROTO_UDP), 3);
	assert_int_equal(match(o, "192.0.2.10:547", "203.0.113.5:546", IPPROTO_UDP), 0);
	assert_int_equal(match(o, "[2001:db8::10]:547", "[2001:db8::9]:546", IPPROTO_UDP), 4);
	/* Accepted beats the listener; a listener owns only what comes in. */
	assert_int_equal(match(o, "203.0.113.9:5000", "192.0.2.10:80", IPPROTO_TCP), 6);
	assert_int_equal(match(o, "203.0.113.9:5001", "192.0.2.10:80", IPPROTO_TCP), 5);
	assert_int_equal(match(o, "192.0.2.10:80", "203.0.113.9:5001", IPPROTO_TCP), 0);
	assert_int_equal(match(o, "[2001:db8::5]:53", "[2001:db8::10]:6000", IPPROTO_UDP), 7);
	/* Connected and not accepted: its listener's. Closed already: nobody's. */
	struct owner_socket q = {IPPROTO_TCP, at("192.0.2.10:80"), at("203.0.113.9:5002"),
	                         .waiting = true};
	assert_int_equal(owners_add(o, &q), 0);
	assert_int_equal(match(o, "203.0.113.9:5002", "192.0.2.10:80", IPPROTO_TCP), 5);
	q.peer.port = 5003;
	q.waiting = false;
	assert_int_equal(owners_add(o, &q), 0);
	assert_int_equal(match(o, "203.0.113.9:5003", "192.0.2.10:80", IPPROTO_TCP), 0);
	owners_free(o);
	owners_free(NULL);
}

static bool is_self(void *arg, const struct addr *a)
{
	const struct endpoint self = at("192.0.2.10:1");
	return addr_equal(a, &self.addr);
}

static struct pairs *pairs_for(bool (*self)(void *arg, const struct addr *a), size_t max)
{
	struct pairs *p = NULL;
	assert_int_equal(pairs_new(max, self, NULL, &p), 0);
	return p;
}

static void put(struct pairs *p, const char *src, const char *dest, uint64_t out, uint64_t in)
{
	struct flow f = flow_of(src, dest, IPPROTO_TCP, out, in);
	pairs_add(p, &f, NULL);
}

/* Space-Saving: who sends much is there in the end, from before, amid and behind a flood, and no
 * byte is lost in the sums. */
static void test_pairs_under_a_flood(void **state)
{
	struct pairs *p = pairs_for(is_self, 500);
	const struct pair *top[3];
	uint64_t sum = 0;
	char text[64];

	put(p, "192.0.2.10:4000", "203.0.113.1:443", 100000, 0);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(text, sizeof(text), "11.%u.%u.%u:443", i >> 16, i >> 8 & 255, i & 255);
		put(p, "192.0.2.10:4000", text, 60 + i % 3, 0);
		if (i % 100 ==
		    99) /* a little at a time, so that it has to be kept to become much */
			put(p, "192.0.2.10:4000", "203.0.113.2:443", 1500, 0);
	}
	put(p, "192.0.2.10:4000", "203.0.113.3:443", 90000, 0);
	assert_int_equal(pairs_count(p), 500);
	assert_int_equal(pairs_top(p, PAIRS_BYTES_OUT, 3, top), 3);
	assert_in_range(top[0]->bytes_out, 1490000, 1500000);
	assert_int_equal(top[1]->bytes_out, 100000);
	assert_int_equal(top[2]->bytes_out, 90000);
	for (size_t i = 0; i < pairs_count(p); i++)
		sum += pairs_at(p, i)->bytes_out;
	assert_int_equal(sum + pairs_rest(p)->bytes_out, pairs_bytes_out(p));
	assert_in_range(pairs_floor(p), 60, 1500);
	pairs_free(p);
}

static void test_pairs(void **state)
{
	struct pairs *p = pairs_for(is_self, 1000);
	const struct pair *top[3];
	char text[64];

	for (unsigned i = 0; i < 2000; i++) {
		snprintf(text, sizeof(text), "198.18.%u.%u:443", i >> 8, i & 255);
		put(p, "192.0.2.10:4000", text, i, 5000 - i);
	}
	assert_int_equal(pairs_count(p), 1000);
	assert_int_equal(pairs_rest(p)->flows, 1000);
	assert_int_equal(pairs_bytes_out(p), 1999 * 1000);
	assert_int_equal(pairs_top(p, PAIRS_BYTES_OUT, 3, top), 3);
	/* Of equals the oldest made room. */
	assert_int_equal(top[0]->bytes_out, 1999);
	assert_int_equal(top[2]->bytes_out, 1997);
	assert_int_equal(pairs_floor(p), 5000);
	assert_int_equal(pairs_top(p, PAIRS_BYTES_IN, 3, top), 3);
	assert_int_equal(top[0]->bytes_in, 4000);
	assert_int_equal(pairs_top(p, PAIRS_PACKETS, 0, top), 0);
	/* Who opened it does not decide what is out: this host's side does. */
	pairs_clear(p);
	put(p, "203.0.113.5:50000", "192.0.2.10:8000", 10, 900);
	put(p, "192.0.2.10:4000", "203.0.113.5:443", 100, 1);
	assert_int_equal(pairs_count(p), 1);
	assert_int_equal(pairs_top(p, PAIRS_BYTES_OUT, 3, top), 1);
	assert_int_equal(top[0]->bytes_out, 1000);
	assert_int_equal(top[0]->bytes_in, 11);
	assert_int_equal(top[0]->main_port, 8000);
	assert_false(top[0]->we_opened);
	pairs_free(p);
	pairs_free(NULL);
}

/* Score of one pair besides `other` bytes that went elsewhere; 0: no finding. */
static double score(const char *src, const char *dest, uint64_t out, uint64_t in, uint64_t other)
{
	struct pairs *p = pairs_for(is_self, 10);
	const struct pair *top[1];
	struct finding f = {0};

	put(p, src, dest, out, in);
	assert_int_equal(pairs_top(p, PAIRS_PACKETS, 1, top), 1);
	const struct pair pair = *top[0];
	if (other)
		put(p, src, "198.51.100.99:80", other, other);
	if (!upload_score(p, &pair, &f))
		f.score = 0;
	pairs_free(p);
	return f.score;
}

static void test_upload(void **state)
{
	const char *self = "192.0.2.10:40000", *bad = "203.0.113.5:443";
	uint64_t mb = 1000000;

	assert_true(score(self, bad, 200 * mb, 4 * mb, 0) > 0.95);
	assert_true(score(self, bad, 20 * mb, mb / 2, 5 * mb) >= 0.70);
	/* Never on ratio, rate and share alone. */
	assert_true(score(self, bad, mb - 1, 1, 0) == 0);
	assert_true(score(self, bad, mb + mb / 2, 1, 0) == 0);
	/* A call: much, but as much back. A download: nothing. */
	assert_true(score(self, bad, 50 * mb, 50 * mb, 50 * mb) < 0.70);
	assert_true(score(self, bad, 20 * mb, 900 * mb, 0) == 0);
	/* Inside is no upload to the outside; and who answers with data uploads, too. */
	assert_true(score(self, "10.1.2.3:443", 200 * mb, mb, 0) == 0);
	assert_true(score("203.0.113.5:5000", self, mb, 200 * mb, 0) > 0.90);
	/* More of it never lowers the score. */
	double last = 0;
	for (uint64_t n = mb; n < 1000 * mb; n += 3 * mb) {
		double now = score(self, bad, n, n / 50, 10 * mb);
		assert_true(now >= last);
		last = now;
	}
	assert_true(last <= 1);
}

static void test_upload_text(void **state)
{
	struct pairs *p = pairs_for(NULL, 10); /* a file: inside decides, else who opened it */
	const struct pair *top[1];
	struct finding f = {0};

	put(p, "10.0.0.5:4000", "203.0.113.5:443", 300000000, 3000000);
	assert_int_equal(pairs_top(p, PAIRS_BYTES_OUT, 1, top), 1);
	assert_true(upload_score(p, top[0], &f));
	assert_string_equal(f.selector, "203.0.113.5");
	assert_int_equal(f.dest.port, 443);
	assert_int_equal(f.n_reasons, 4);
	assert_non_null(strstr(f.reasons[0], "300.0 MB sent to 203.0.113.5"));
	assert_true(strlen(f.benign) > 20 && strlen(f.benign) < FINDING_REASON_MAX - 1);
	pairs_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_records),     cmocka_unit_test(test_name_records),
	    cmocka_unit_test(test_dns_records), cmocka_unit_test(test_resume_records),
	    cmocka_unit_test(test_owner_match), cmocka_unit_test(test_pairs_under_a_flood),
	    cmocka_unit_test(test_pairs),       cmocka_unit_test(test_upload),
	    cmocka_unit_test(test_upload_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
