/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every kind of finding from generated traffic: what must be found, what must not, and what holds
 * whatever comes in. */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "observe/scores.h"

#define T0      UINT64_C(1700000000000000000)
#define SEC     UINT64_C(1000000000)
#define SYN     0x02
#define FIN     0x01
#define RST     0x04
#define PSH_ACK 0x18
#define SYN_ACK 0x12

static uint64_t state;

static uint64_t draw(void)
{
	uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static double uniform(double low, double high)
{
	return low + (high - low) * (double)(draw() >> 11) / 9007199254740992.0;
}

static double waiting(double mean)
{
	return -mean * log(1 - uniform(0, 1));
}

static struct endpoint at(const char *text)
{
	struct endpoint e = {0};
	assert_int_equal(endpoint_parse(text, &e, NULL), 0);
	return e;
}

static bool is_self(void *arg, const struct addr *a)
{
	const struct endpoint self = at("10.0.0.5");
	return addr_equal(a, &self.addr);
}

static struct scores *scores_with(struct scores_config c)
{
	struct scores *s = NULL;
	assert_int_equal(scores_new(&c, &s, NULL), 0);
	return s;
}

static struct scores *scores_plain(void)
{
	state = 42;
	return scores_with((struct scores_config){0});
}

/* A connection that was answered; `from` gets a port of its own each time. */
static struct flow conn(const char *from, const char *to, uint8_t proto, double when, double lasts,
                        uint64_t out, uint64_t in)
{
	struct flow f = {.src = at(from),
	                 .dest = at(to),
	                 .proto = proto,
	                 .pkts_toserver = out / 600 + 4,
	                 .pkts_toclient = in / 1200 + 3,
	                 .bytes_toserver = out,
	                 .bytes_toclient = in,
	                 .start_nsec = T0 + (uint64_t)(when * 1e9),
	                 .end_nsec = T0 + (uint64_t)((when + lasts) * 1e9)};

	f.src.port = (uint16_t)(32768 + draw() % 28000);
	if (proto == IPPROTO_TCP) {
		f.tcp_toserver = SYN | PSH_ACK | FIN;
		f.tcp_toclient = SYN_ACK | PSH_ACK | FIN;
	}
	return f;
}

static void tcp(struct scores *s, const char *from, const char *to, double when, double lasts,
                uint64_t out, uint64_t in)
{
	struct flow f = conn(from, to, IPPROTO_TCP, when, lasts, out, in);
	scores_flow(s, &f, NULL, true);
}

static void udp(struct scores *s, const char *from, const char *to, double when, double lasts,
                uint64_t out, uint64_t in)
{
	struct flow f = conn(from, to, IPPROTO_UDP, when, lasts, out, in);
	if (!in)
		f.pkts_toclient = 0;
	scores_flow(s, &f, NULL, true);
}

/* A SYN, and nothing or a reset. */
static void refused(struct scores *s, const char *from, const char *to, double when, bool reset)
{
	struct flow f = conn(from, to, IPPROTO_TCP, when, 0, 74, reset ? 54 : 0);
	f.pkts_toserver = 1;
	f.pkts_toclient = reset;
	f.tcp_toserver = SYN;
	f.tcp_toclient = reset ? RST | 0x10 : 0;
	scores_flow(s, &f, NULL, true);
}

static void app(struct scores *s, const char *from, const char *to, uint8_t proto,
                enum app_proto which, const char *name)
{
	struct app_event a = {.src = at(from),
	                      .dest = at(to),
	                      .proto = proto,
	                      .nsec = T0,
	                      .app = which,
	                      .source = name[0] ? NAME_SNI : NAME_NONE};
	snprintf(a.name, sizeof(a.name), "%s", name);
	scores_app(s, &a);
}

static void dns(struct scores *s, const char *client, const char *server, double when,
                uint16_t qtype, const char *name, unsigned answer, const char *addr)
{
	struct dns_event d = {.client = at(client),
	                      .server = at(server),
	                      .proto = IPPROTO_UDP,
	                      .nsec = T0 + (uint64_t)(when * 1e9),
	                      .qtype = qtype,
	                      .size = (uint16_t)(strlen(name) + 18)};
	snprintf(d.qname, sizeof(d.qname), "%s", name);
	scores_dns(s, &d);
	d.response = true;
	d.size = (uint16_t)(d.size + answer);
	if (addr) {
		d.addrs[0] = at(addr).addr;
		d.n_addrs = 1;
	}
	scores_dns(s, &d);
}

/* ---- what comes out ---- */

struct seen {
	struct finding f[SCORES_FINDINGS_MAX];
	size_t n;
};

static void collect(void *arg, const struct finding *f)
{
	struct seen *s = arg;

	assert_true(f->score >= FINDING_SCORE_SAY && f->score <= 1);
	assert_true(f->n_reasons >= 1 && f->n_reasons <= FINDING_REASONS_MAX);
	for (size_t i = 0; i < f->n_reasons; i++) {
		assert_true(strpbrk(f->reasons[i], "0123456789") || strstr(f->reasons[i], "new:") ||
		            strstr(f->reasons[i], "ping"));
		assert_true(strlen(f->reasons[i]) < FINDING_REASON_MAX - 1);
	}
	assert_true(strlen(f->benign) > 20 && strlen(f->benign) < FINDING_REASON_MAX - 1);
	assert_true(f->selector[0] && f->n_orders >= 1);
	assert_true(!strncmp(f->orders[0], "block ", 6) || !strcmp(f->orders[0], "isolate self"));
	assert_true(f->first && f->first <= f->last);
	if (s->n) {
		assert_true(s->f[s->n - 1].score >= f->score);
		for (size_t i = 0; i < s->n; i++)
			assert_false(finding_same(&s->f[i], f));
	}
	s->f[s->n++] = *f;
}

static struct seen seen;

static const struct seen *look(struct scores *s)
{
	seen.n = 0;
	assert_int_equal(scores_findings(s, collect, &seen, NULL), 0);
	return &seen;
}

/* The best score of a kind; 0: none. */
static double best(struct scores *s, enum finding_kind kind)
{
	const struct seen *v = look(s);

	for (size_t i = 0; i < v->n; i++)
		if (v->f[i].kind == kind)
			return v->f[i].score;
	return 0;
}

static double best_of_all(struct scores *s)
{
	const struct seen *v = look(s);
	return v->n ? v->f[0].score : 0;
}

static double finish(struct scores *s, enum finding_kind kind)
{
	double score = best(s, kind);
	scores_free(s);
	return score;
}

static void show(const char *what, double score)
{
	if (getenv("SCORES_SHOW"))
		printf("%-60s %.3f\n", what, score);
}

/* ---- beacons ---- */

enum jitter { BOTH, DOWN, GAUSS };

static double with_jitter(double period, double jitter, enum jitter how)
{
	double g = 0;

	switch (how) {
	case BOTH:
		return period * uniform(1 - jitter, 1 + jitter);
	case DOWN:
		return period * uniform(1 - jitter, 1);
	case GAUSS:
		for (int i = 0; i < 12; i++)
			g += uniform(0, 1);
		return fmax(period * 0.1, period * (1 + (g - 6) * jitter / 2));
	}
	return period;
}

static double beacon(double period, double jitter, enum jitter how, unsigned n, bool sizes_vary,
                     double watched, uint64_t seed)
{
	struct scores *s = scores_plain();
	double t = 5;

	state = seed;
	/* Something else is seen before and after. */
	tcp(s, "10.0.0.5", "198.51.100.7:443", 0, 1, 3000, 90000);
	for (unsigned i = 0; i < n; i++, t += with_jitter(period, jitter, how))
		tcp(s, "10.0.0.5", "203.0.113.5:443", t, 0.3, sizes_vary ? 700 + draw() % 600 : 812,
		    1200);
	tcp(s, "10.0.0.5", "198.51.100.8:443", fmax(watched, t), 1, 3000, 90000);
	return finish(s, FINDING_BEACON);
}

static void test_beacons(void **state_)
{
	static const double periods[] = {2, 10, 60, 600};
	static const double jitters[] = {0, 0.1, 0.3, 0.5};
	double lowest = 1;

	for (size_t p = 0; p < 4; p++)
		for (size_t j = 0; j < 4; j++)
			for (int how = BOTH; how <= GAUSS; how++)
				for (uint64_t seed = 1; seed <= 25; seed++) {
					double score =
					    beacon(periods[p], jitters[j], (enum jitter)how, 31,
					           seed % 2, 0, seed);
					lowest = fmin(lowest, score);
				}
	show("beacon, worst of jitter 0-50 %, 31 connections", lowest);
	assert_true(lowest >= 0.70);
	/* Began late, and was watched for four times as long as it beats. */
	for (uint64_t seed = 1; seed <= 20; seed++)
		assert_true(beacon(60, 0.2, BOTH, 60, true, 4 * 3600, seed) >= 0.70);
	assert_true(beacon(60, 0, BOTH, 1000, false, 0, 3) > 0.95);
	/* Few say little. */
	assert_true(beacon(60, 0, BOTH, 9, false, 0, 1) == 0);
	assert_true(beacon(60, 0, BOTH, 11, false, 0, 1) < 0.70);
}

static void test_beacon_text(void **state_)
{
	struct scores *s = scores_plain();

	for (int i = 0; i < 40; i++)
		tcp(s, "10.0.0.5", "203.0.113.5:8443", i * 10, 0.2, 500, 700);
	assert_int_equal(look(s)->n, 1);
	assert_string_equal(seen.f[0].selector, "203.0.113.5");
	assert_string_equal(seen.f[0].orders[0], "block 203.0.113.5");
	assert_int_equal(seen.f[0].dest.port, 8443);
	assert_non_null(strstr(seen.f[0].reasons[0], "40 connections, one every 10 s"));
	scores_free(s);
}

/* Two connections each time it checks in, a tenth of a second apart. */
static void test_beacon_in_pairs(void **state_)
{
	struct scores *s = scores_plain();
	double t = 0;

	for (int i = 0; i < 40; i++, t += uniform(20, 40)) {
		tcp(s, "10.0.0.5", "203.0.113.5:443", t, 0.1, 400, 700);
		tcp(s, "10.0.0.5", "203.0.113.5:443", t + 0.12, 0.1, 500, 300);
	}
	assert_true(finish(s, FINDING_BEACON) >= 0.70);
}

static struct resume_event pause_of(struct flow f, double up_to, double goes_on, unsigned bursts,
                                    unsigned out, unsigned in)
{
	f.bytes_toserver = bursts * out;
	f.bytes_toclient = bursts * in;
	f.pkts_toserver = bursts * 2;
	f.pkts_toclient = bursts * 2;
	f.end_nsec = T0 + (uint64_t)(up_to * 1e9);
	return (struct resume_event){f, T0 + (uint64_t)(goes_on * 1e9)};
}

static void test_beacon_udp(void **state_)
{
	struct scores *s = scores_plain();

	/* Nobody answers, but it goes on, outside. */
	for (int i = 0; i < 60; i++)
		udp(s, "10.0.0.5", "203.0.113.5:4455", i * 15 + uniform(-2, 2) + 2, 0, 120, 0);
	assert_true(finish(s, FINDING_BEACON) >= 0.70);
	/* TCP that never connects is no beacon. */
	s = scores_plain();
	for (int i = 0; i < 60; i++)
		refused(s, "10.0.0.5", "203.0.113.5:443", i * 15, i % 2);
	assert_true(finish(s, FINDING_BEACON) == 0);
	/* Nor is it where its tries all fall into one flow. */
	s = scores_plain();
	struct flow f = conn("10.0.0.5", "203.0.113.5:443", IPPROTO_TCP, 0, 0, 0, 0);
	f.tcp_toserver = SYN;
	f.tcp_toclient = 0;
	for (unsigned i = 1; i <= 60; i++) {
		struct resume_event r = pause_of(f, i * 60 - 59, i * 60, i, 148, 0);
		r.flow.pkts_toclient = 0;
		scores_resume(s, &r);
	}
	assert_true(finish(s, FINDING_BEACON) == 0);
}

static double in_one_connection(const char *to, double jitter, unsigned out, unsigned in,
                                const char *name)
{
	struct scores *s = scores_plain();
	struct flow f = conn("10.0.0.5", to, IPPROTO_TCP, 0, 1, 0, 0);
	unsigned n = 0;
	double t = 0, next;

	if (name)
		app(s, "10.0.0.5", to, IPPROTO_TCP, APP_TLS, name);
	for (; n < 50; t = next) {
		struct resume_event r;
		next = t + 20 * uniform(1 - jitter, 1 + jitter);
		n++;
		r = pause_of(f, t + 0.2, next, n, out, in);
		scores_resume(s, &r);
		f = r.flow;
	}
	f.end_nsec = T0 + (uint64_t)(t * 1e9);
	scores_flow(s, &f, NULL, true);
	return finish(s, FINDING_BEACON);
}

static void test_beacon_in_one_connection(void **state_)
{
	show("beats in one connection", in_one_connection("203.0.113.5:4444", 0, 300, 400, NULL));
	assert_true(in_one_connection("203.0.113.5:4444", 0, 300, 400, NULL) >= 0.70);
	assert_true(in_one_connection("203.0.113.5:4444", 0.5, 300, 400, NULL) >= 0.70);
	assert_true(in_one_connection("203.0.113.5:443", 0.3, 300, 400, NULL) >= 0.70);
	/* Kept alive: by TCP, by a protocol that does so, by a web page. */
	assert_true(in_one_connection("203.0.113.5:4444", 0, 120, 120, NULL) < 0.40);
	assert_true(in_one_connection("203.0.113.5:8883", 0, 200, 200, NULL) < 0.70);
	assert_true(in_one_connection("203.0.113.5:443", 0, 200, 200, "chat.example.com") < 0.70);
}

static void test_beacon_dns(void **state_)
{
	struct scores *s = scores_plain();
	char name[80];

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "%04x.c.evil.example", (unsigned)(draw() & 0xffff));
		dns(s, "10.0.0.5", "10.0.0.1", i * 30 + uniform(0, 8), 16, name, 60, NULL);
	}
	assert_true(best(s, FINDING_BEACON) >= 0.70);
	assert_string_equal(seen.f[0].domain, "evil.example");
	assert_string_equal(seen.f[0].selector, "evil.example");
	scores_free(s);
	/* A cache that runs out. */
	s = scores_plain();
	for (int i = 0; i < 50; i++)
		dns(s, "10.0.0.5", "10.0.0.1", i * 60, 1, "time.example.com", 16, "198.51.100.1");
	assert_true(finish(s, FINDING_BEACON) < 0.70);
}

/* By the clock, and harmless. */
static void test_no_beacons(void **state_)
{
	struct scores *s = scores_plain();
	char to[64], from[64];
	double score;

	for (int i = 0; i < 200; i++) {
		udp(s, "10.0.0.5", "203.0.113.9:123", i * 64, 0.05, 90, 90);
		udp(s, "10.0.0.7", "239.255.255.250:1900", i * 30, 0, 500, 0);
		udp(s, "10.0.0.7", "224.0.0.251:5353", i * 20, 0, 200, 0);
		udp(s, "10.0.0.7", "10.0.0.255:137", i * 20, 0, 200, 0);
		udp(s, "10.0.0.5", "10.0.0.1:53", i * 5, 0.02, 80, 140);
		udp(s, "10.0.0.5", "198.51.100.53:53", i * 5, 0.02, 80, 140);
		udp(s, "10.0.0.5", "10.0.0.1:67", i * 300, 0.02, 342, 342);
		udp(s, "10.0.0.5", "10.0.0.8:161", i * 60, 0.02, 90, 110);     /* SNMP */
		tcp(s, "10.0.0.9", "10.0.0.5:9100", i * 15, 0.02, 500, 20000); /* metrics */
	}
	score = best_of_all(s);
	show("NTP, SSDP, mDNS, NetBIOS, DNS, DHCP, monitoring", score);
	assert_true(score < 0.70);
	scores_free(s);
	/* The same service from all of ten hosts. */
	s = scores_plain();
	for (int h = 0; h < 10; h++)
		for (int i = 0; i < 60; i++) {
			snprintf(from, sizeof(from), "10.0.0.%d", h + 10);
			tcp(s, from, "203.0.113.20:443", i * 60 + h, 0.3, 900, 1500);
		}
	assert_true(finish(s, FINDING_BEACON) < 0.71);
	/* Connections by chance, all of one size. */
	for (uint64_t seed = 1; seed < 20; seed++) {
		double t = 0;
		s = scores_plain();
		state = seed;
		for (int i = 0; i < 100; i++, t += waiting(30))
			tcp(s, "10.0.0.5", "203.0.113.20:443", t, 0.3, 900, 1500);
		assert_true(finish(s, FINDING_BEACON) < 0.60);
	}
	/* People who read pages: bursts of connections, then time to think. */
	s = scores_plain();
	state = 9;
	double t = 0;
	for (int page = 0; page < 400; page++, t += 3 + waiting(20)) {
		unsigned site = (unsigned)(draw() % 12);
		snprintf(to, sizeof(to), "198.51.100.%u:443", site + 1);
		for (unsigned k = 0; k < 2 + draw() % 5; k++)
			tcp(s, "10.0.0.5", to, t + uniform(0, 0.4), uniform(0.1, 5),
			    1500 + draw() % 4000, 20000 + draw() % 500000);
	}
	score = best_of_all(s);
	show("browsing", score);
	assert_true(score < 0.70);
	scores_free(s);
	/* A stream in pieces, one connection each. */
	s = scores_plain();
	for (int i = 0; i < 200; i++)
		tcp(s, "10.0.0.5", "203.0.113.30:443", i * 6, 1, 9000 + draw() % 500, 2500000);
	assert_true(finish(s, FINDING_BEACON) < 0.70);
}

/* ---- upload ---- */

static void test_upload(void **state_)
{
	struct scores *s = scores_plain();

	tcp(s, "10.0.0.5", "203.0.113.5:443", 0, 60, 120000000, 3000000);
	assert_true(best(s, FINDING_UPLOAD) >= 0.70);
	assert_string_equal(seen.f[0].orders[0], "block 203.0.113.5");
	scores_free(s);
	/* In pieces, over several ports: one finding of one address. */
	s = scores_plain();
	for (int i = 0; i < 200; i++)
		tcp(s, "10.0.0.5", i % 2 ? "203.0.113.5:443" : "203.0.113.5:80", i, 1, 300000,
		    6000);
	assert_true(best(s, FINDING_UPLOAD) >= 0.70);
	assert_int_equal(look(s)->n >= 1, 1);
	scores_free(s);
	/* A call in both directions, one with little back, a backup inside, a download. */
	s = scores_plain();
	udp(s, "10.0.0.5", "198.51.100.1:8801", 0, 1800, 400000000, 380000000);
	show("call", best(s, FINDING_UPLOAD));
	assert_true(finish(s, FINDING_UPLOAD) < 0.70);
	s = scores_plain();
	udp(s, "10.0.0.5", "198.51.100.1:3478", 0, 1800, 400000000, 100000000);
	show("call, four times as much out", best(s, FINDING_UPLOAD));
	assert_true(best_of_all(s) < 0.70);
	scores_free(s);
	s = scores_plain();
	tcp(s, "10.0.0.5", "10.0.0.20:445", 0, 1800, UINT64_C(40000000000), 400000000);
	tcp(s, "10.0.0.5", "198.51.100.9:443", 0, 600, 20000000, 900000000);
	assert_true(best_of_all(s) < 0.40);
	scores_free(s);
}

static void test_upload_known_service(void **state_)
{
	struct scores *s = scores_plain();

	dns(s, "10.0.0.5", "10.0.0.1", 0, 1, "content.dropboxapi.com", 16, "198.51.100.44");
	app(s, "10.0.0.5", "198.51.100.44:443", IPPROTO_TCP, APP_TLS, "content.dropboxapi.com");
	app(s, "10.0.0.5", "203.0.113.5:443", IPPROTO_TCP, APP_TLS, "content.dropboxapi.com");
	tcp(s, "10.0.0.5", "198.51.100.44:443", 1, 60, 80000000, 2000000);
	assert_true(best(s, FINDING_UPLOAD) >= 0.40 && best(s, FINDING_UPLOAD) < 0.70);
	assert_string_equal(seen.f[0].domain, "content.dropboxapi.com");
	/* The same name on an address that DNS never gave for it. */
	tcp(s, "10.0.0.5", "203.0.113.5:443", 1, 60, 80000000, 2000000);
	assert_true(best(s, FINDING_UPLOAD) >= 0.70);
	assert_string_equal(seen.f[0].selector, "203.0.113.5");
	scores_free(s);
}

static void test_baseline_lowers(void **state_)
{
	struct owner o = {.pid = 7, .exe = "/usr/bin/backup"}, other = {.pid = 8, .exe = "/tmp/x"};
	struct scores_config c = {0};
	struct baseline *b = NULL;
	struct scores *s;
	double known = 1, unknown = 0;

	assert_int_equal(baseline_new(0, &b), 0);
	for (unsigned day = 0; day < 10; day++)
		baseline_seen(b, o.exe, "203.0.113.5", (T0 - (10 - day) * 86400 * SEC) / 1000,
		              90000000);
	c.baseline = b;
	for (int i = 0; i < 2; i++) {
		struct flow f =
		    conn("10.0.0.5", "203.0.113.5:443", IPPROTO_TCP, 0, 60, 120000000, 3000000);
		s = scores_with(c);
		scores_flow(s, &f, i ? &other : &o, true);
		*(i ? &unknown : &known) = finish(s, FINDING_UPLOAD);
	}
	show("upload of a program that does it daily", known);
	assert_true(known < 0.40 && unknown >= 0.70);
	baseline_free(b);
}

static void test_learn(void **state_)
{
	struct owner o = {.pid = 7, .exe = "/usr/bin/agent"};
	struct flow f = conn("10.0.0.5", "203.0.113.5:443", IPPROTO_TCP, 0, 60, 5000000, 30000);
	struct scores *s = scores_plain();
	struct baseline *b = NULL;
	struct usual u;
	usec_t tomorrow = (T0 + 86400 * SEC) / 1000;

	assert_int_equal(baseline_new(0, &b), 0);
	scores_flow(s, &f, &o, false);
	scores_learn(s, b);
	scores_learn(s, b);
	scores_flow(s, &f, &o, true);
	scores_learn(s, b);
	refused(s, "10.0.0.5", "203.0.113.6:443", 0, false);
	tcp(s, "203.0.113.8", "10.0.0.5:80", 0, 1, 500, 5000);
	scores_learn(s, b);
	assert_int_equal(baseline_count(b), 1);
	assert_true(baseline_usual(b, o.exe, "203.0.113.5", tomorrow, &u));
	assert_int_equal(u.day_bytes, 5000000);
	assert_int_equal(u.days, 1);
	/* Today does not make itself usual. */
	assert_false(baseline_usual(b, o.exe, "203.0.113.5", T0 / 1000, &u));
	baseline_freeze(b, true);
	tcp(s, "10.0.0.5", "203.0.113.7:443", 0, 1, 500, 5000);
	scores_learn(s, b);
	assert_int_equal(baseline_count(b), 1);
	baseline_free(b);
	scores_free(s);
}

/* ---- tunnels ---- */

static void random_name(char *dst, const char *alphabet, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		dst[i] = alphabet[draw() % strlen(alphabet)];
	dst[n] = '\0';
}

static double dns_tunnel(unsigned n, const char *alphabet, unsigned len, uint16_t qtype,
                         unsigned answer)
{
	struct scores *s = scores_plain();
	char label[64], name[254];

	for (unsigned i = 0; i < n; i++) {
		random_name(label, alphabet, len);
		snprintf(name, sizeof(name), "%s.t.evil.example", label);
		dns(s, "10.0.0.5", "10.0.0.1", i * 0.3, qtype, name, answer, NULL);
	}
	return finish(s, FINDING_DNS_TUNNEL);
}

static const char hex[] = "0123456789abcdef", base32[] = "abcdefghijklmnopqrstuvwxyz234567";

static void test_dns_tunnels(void **state_)
{
	show("dns tunnel, hex, A, 100 names of 60", dns_tunnel(100, hex, 60, 1, 16));
	show("dns tunnel, base32, TXT, 60 names of 50", dns_tunnel(60, base32, 50, 16, 200));
	assert_true(dns_tunnel(500, base32, 60, 10, 500) > 0.90);
	assert_true(dns_tunnel(100, hex, 60, 1, 16) >= 0.70);
	assert_true(dns_tunnel(100, base32, 50, 16, 200) >= 0.70);
	assert_true(dns_tunnel(200, hex, 30, 16, 150) >= 0.70);
	assert_true(dns_tunnel(9, base32, 60, 16, 200) == 0);
}

static void test_no_dns_tunnels(void **state_)
{
	static const char *const hosts[] = {"www",    "static", "img",  "api",
	                                    "cdn-17", "login",  "fonts"};
	struct scores *s = scores_plain();
	char name[254], hash[64];
	double score;

	for (int i = 0; i < 600; i++) {
		/* A mail filter's lists, a scanner's hashes, a content network, reverse look-ups.
		 */
		snprintf(name, sizeof(name), "%u.%u.%u.%u.zen.spamhaus.org", (unsigned)draw() % 256,
		         (unsigned)draw() % 256, (unsigned)draw() % 256, (unsigned)draw() % 256);
		dns(s, "10.0.0.6", "10.0.0.1", i, 1, name, 16, i % 3 ? NULL : "127.0.0.2");
		random_name(hash, base32, 26);
		snprintf(name, sizeof(name), "0.0.0.0.1.0.0.4e.%s.avqs.mcafee.com", hash);
		dns(s, "10.0.0.6", "10.0.0.1", i, 1, name, 16, "127.4.0.8");
		snprintf(name, sizeof(name), "%s.example.com", hosts[draw() % 7]);
		dns(s, "10.0.0.6", "10.0.0.1", i, i % 2 ? 1 : 28, name, 100, "198.51.100.3");
		random_name(hash, hex, 14);
		snprintf(name, sizeof(name), "d%s.cloudfront.net", hash);
		dns(s, "10.0.0.6", "10.0.0.1", i, 1, name, 80, "198.51.100.4");
		snprintf(name, sizeof(name), "%u.%u.0.10.in-addr.arpa", (unsigned)draw() % 256,
		         (unsigned)i % 256);
		dns(s, "10.0.0.6", "10.0.0.1", i, 12, name, 60, NULL);
	}
	score = best(s, FINDING_DNS_TUNNEL);
	show("mail filter, virus scanner, content network", score);
	assert_true(score < 0.70);
	scores_free(s);
}

static double icmp(const char *to, unsigned n, double every, unsigned low, unsigned high,
                   int answer)
{
	struct scores *s = scores_plain();
	struct flow f = {.src = at("10.0.0.5"), .dest = at(to), .proto = IPPROTO_ICMP};

	f.src.port = 8;
	f.start_nsec = T0;
	f.end_nsec = T0 + (uint64_t)(n * every * 1e9);
	for (unsigned i = 0; i < n; i++) {
		unsigned size = low + (unsigned)(draw() % (high - low + 1));
		f.pkts_toserver++;
		f.bytes_toserver += size;
		if (answer > 0 && answer < 100) {
			f.pkts_toclient++;
			f.bytes_toclient += size;
		} else if (answer) {
			f.pkts_toclient++;
			f.bytes_toclient += (unsigned)answer + draw() % 300;
		}
	}
	scores_flow(s, &f, NULL, true);
	return finish(s, FINDING_ICMP_TUNNEL);
}

static void test_icmp_tunnels(void **state_)
{
	show("icmp: 200 of 100 to 1000, mirrored", icmp("203.0.113.5", 200, 0.1, 100, 1000, 1));
	show("icmp: 1400 once a second, an hour", icmp("203.0.113.5", 3600, 1, 1442, 1442, 1));
	assert_true(icmp("203.0.113.5", 2000, 0.02, 60, 1400, 200) >= 0.90);
	assert_true(icmp("203.0.113.5", 200, 0.1, 100, 1000, 1) >= 0.70);
	assert_true(icmp("203.0.113.5", 150, 0.5, 300, 600, 0) >= 0.70);
	/* Pings: for long, big, fast. */
	assert_true(icmp("203.0.113.5", 86400, 1, 98, 98, 1) < 0.40);
	assert_true(icmp("203.0.113.5", 3600, 1, 1442, 1442, 1) < 0.70);
	assert_true(icmp("203.0.113.5", 5000, 0.01, 98, 98, 1) < 0.70);
}

/* ---- sessions, scans, ports ---- */

static void test_sessions(void **state_)
{
	struct scores *s = scores_plain();

	tcp(s, "10.0.0.5", "203.0.113.5:4444", 0, 4000, 90000, 30000);
	assert_true(finish(s, FINDING_LONG_SESSION) >= 0.70);
	s = scores_plain();
	tcp(s, "10.0.0.5", "203.0.113.5:22", 0, 40000, 90000, 30000);
	tcp(s, "10.0.0.5", "203.0.113.6:993", 0, 40000, 90000, 30000);
	udp(s, "10.0.0.5", "203.0.113.7:51820", 0, 40000, 9000000, 30000000);
	udp(s, "10.0.0.5", "203.0.113.7:27015", 0, 7000, 900000, 3000000); /* a game */
	tcp(s, "10.0.0.5", "10.0.0.9:4444", 0, 4000, 90000, 30000);
	tcp(s, "10.0.0.5", "203.0.113.8:4444", 0, 400, 90000, 30000);
	assert_true(best(s, FINDING_LONG_SESSION) < 0.70);
	scores_free(s);
	/* A device that calls its maker: the name was looked up. */
	s = scores_plain();
	dns(s, "10.0.0.5", "10.0.0.1", 0, 1, "mq.maker.example", 16, "198.51.100.77");
	tcp(s, "10.0.0.5", "198.51.100.77:6668", 0, 40000, 900000, 300000);
	assert_true(best(s, FINDING_LONG_SESSION) < 0.70);
	scores_free(s);
}

static void test_scans(void **state_)
{
	struct scores *s = scores_plain();
	char to[64];

	for (int i = 1; i < 60; i++) {
		snprintf(to, sizeof(to), "10.0.1.%d:445", i);
		if (i % 10)
			refused(s, "10.0.0.5", to, i * 0.1, i % 3);
		else
			tcp(s, "10.0.0.5", to, i * 0.1, 0.1, 500, 500);
	}
	assert_true(best(s, FINDING_SCAN) >= 0.70);
	assert_string_equal(seen.f[0].selector, "10.0.0.5");
	assert_int_equal(seen.f[0].dest.port, 445);
	scores_free(s);
	/* One host, many ports; this host does it. */
	s = scores_with((struct scores_config){.is_self = is_self});
	for (int i = 1; i < 200; i++) {
		snprintf(to, sizeof(to), "10.0.1.9:%d", i);
		refused(s, "10.0.0.5", to, i * 0.01, true);
	}
	assert_true(best(s, FINDING_SCAN) >= 0.70);
	assert_string_equal(seen.f[0].orders[0], "isolate self");
	scores_free(s);
	/* Peer to peer: as many ports as hosts; and a few that are down. */
	s = scores_plain();
	for (int i = 0; i < 300; i++) {
		snprintf(to, sizeof(to), "198.18.%d.%d:%d", i % 7, i % 251 + 1,
		         (int)(1024 + draw() % 60000));
		if (i % 3)
			udp(s, "10.0.0.5", to, i, 0, 130, 0);
		else
			tcp(s, "10.0.0.5", to, i, 30, 30000, 900000);
	}
	for (int i = 1; i < 7; i++) {
		snprintf(to, sizeof(to), "10.0.1.%d:443", i);
		refused(s, "10.0.0.6", to, i, false);
	}
	assert_true(best(s, FINDING_SCAN) < 0.40);
	scores_free(s);
}

static void test_lateral(void **state_)
{
	struct scores *s = scores_plain();
	char to[64];

	for (int i = 1; i <= 12; i++) {
		snprintf(to, sizeof(to), "10.0.1.%d:3389", i);
		tcp(s, "10.0.0.5", to, i * 60, 30, 50000, 90000);
	}
	assert_true(best(s, FINDING_LATERAL) >= 0.70);
	scores_free(s);
	s = scores_plain();
	for (int i = 1; i <= 3; i++) {
		snprintf(to, sizeof(to), "10.0.1.%d:445", i);
		tcp(s, "10.0.0.5", to, i * 60, 30, 50000, 90000);
	}
	for (int i = 1; i <= 30; i++) { /* many web servers inside are none */
		snprintf(to, sizeof(to), "10.0.2.%d:443", i);
		tcp(s, "10.0.0.5", to, i * 60, 30, 5000, 90000);
	}
	assert_true(best_of_all(s) < 0.40);
	scores_free(s);
}

static double mismatch(const char *to, uint8_t proto, enum app_proto which, uint64_t bytes)
{
	struct scores *s = scores_plain();

	app(s, "10.0.0.5", "198.51.100.1:80", IPPROTO_TCP, APP_HTTP, "");
	if (which)
		app(s, "10.0.0.5", to, proto, which, "");
	(proto == IPPROTO_TCP ? tcp : udp)(s, "10.0.0.5", to, 0, 20, bytes / 2, bytes / 2);
	return finish(s, FINDING_MISMATCH);
}

static void test_mismatch(void **state_)
{
	assert_true(mismatch("203.0.113.5:443", IPPROTO_TCP, APP_SSH, 100000) >= 0.70);
	assert_true(mismatch("203.0.113.5:53", IPPROTO_TCP, APP_HTTP, 100000) >= 0.70);
	assert_true(mismatch("203.0.113.5:53", IPPROTO_TCP, APP_TLS, 100000) >= 0.70);
	assert_true(mismatch("203.0.113.5:53", IPPROTO_UDP, APP_UNKNOWN, 20000000) >= 0.70);
	assert_true(mismatch("203.0.113.5:443", IPPROTO_TCP, APP_UNKNOWN, 20000000) >= 0.40);
	assert_true(mismatch("203.0.113.5:9443", IPPROTO_TCP, APP_TLS, 20000000) == 0);
	assert_true(mismatch("203.0.113.5:8000", IPPROTO_TCP, APP_HTTP, 20000000) == 0);
	assert_true(mismatch("203.0.113.5:443", IPPROTO_TCP, APP_TLS, 20000000) == 0);
	assert_true(mismatch("203.0.113.5:853", IPPROTO_TCP, APP_TLS, 20000000) == 0);
	assert_true(mismatch("203.0.113.5:2222", IPPROTO_TCP, APP_SSH, 20000000) == 0);
	assert_true(mismatch("203.0.113.5:443", IPPROTO_UDP, APP_QUIC, 20000000) == 0);
}

/* ---- what always holds ---- */

/* Open flows come again and again and count once. */
static void test_no_double_counting(void **state_)
{
	struct scores *live = scores_plain(), *file = scores_plain();
	struct finding a, b;

	for (int k = 0; k < 40; k++) {
		struct flow f = conn("10.0.0.5", "203.0.113.5:443", IPPROTO_TCP, k * 30, 20, 400000,
		                     9000),
		            part = f;
		scores_flow(file, &f, NULL, true);
		for (uint64_t i = 1; i <= 10; i++) {
			part.bytes_toserver = f.bytes_toserver * i / 10;
			part.bytes_toclient = f.bytes_toclient * i / 10;
			part.pkts_toserver = f.pkts_toserver * i / 10;
			part.pkts_toclient = (f.pkts_toclient * i + 9) / 10;
			part.end_nsec = f.start_nsec + (f.end_nsec - f.start_nsec) * i / 10;
			scores_flow(live, &part, NULL, false);
			scores_flow(live, &part, NULL, false);
			if (k == 39 && i == 10) { /* still open: all but the end is known */
				look(live);
				assert_true(seen.n == 2);
			}
		}
		scores_flow(live, &f, NULL, true);
	}
	assert_int_equal(look(file)->n, 2);
	a = seen.f[0];
	b = seen.f[1];
	assert_int_equal(look(live)->n, 2);
	assert_memory_equal(&a, &seen.f[0], sizeof(a));
	assert_memory_equal(&b, &seen.f[1], sizeof(b));
	assert_int_equal(a.bytes_out, 40 * 400000);
	scores_free(live);
	scores_free(file);
}

/* The same traffic in another order gives the same findings. */
static void test_order(void **state_)
{
	enum { N = 3000 };
	struct flow *v = calloc(N, sizeof(*v));
	struct seen first;
	char to[64];

	state = 3;
	for (int i = 0; i < N; i++) {
		snprintf(to, sizeof(to), "203.0.113.%u:443", (unsigned)(draw() % 20));
		v[i] = i % 10
		           ? conn("10.0.0.5", to, i % 3 ? IPPROTO_TCP : IPPROTO_UDP,
		                  uniform(0, 9000), 3, draw() % 90000, draw() % 9000)
		           : conn("10.0.0.6", "203.0.113.99:8443", IPPROTO_TCP, i * 3, 1, 700, 800);
	}
	for (int round = 0; round < 4; round++) {
		struct scores *s = scores_plain();
		for (int i = N - 1; round && i > 0; i--) {
			int j = (int)(draw() % (unsigned)(i + 1));
			struct flow x = v[i];
			v[i] = v[j];
			v[j] = x;
		}
		for (int i = 0; i < N; i++)
			scores_flow(s, &v[i], NULL, true);
		look(s);
		assert_true(seen.n > 1);
		if (!round)
			first = seen;
		assert_int_equal(first.n, seen.n);
		assert_memory_equal(&first, &seen, sizeof(seen.f[0]) * seen.n);
		scores_free(s);
	}
	free(v);
}

/* A million sources: bounded, told, and what beats is still found. */
static void test_flood(void **state_)
{
	struct scores *s = scores_with((struct scores_config){
	    .max_channels = 4096, .max_open = 1024, .max_samples = 8192, .max_domains = 256});
	struct scores_stats stats;

	state = 5;
	for (unsigned i = 0; i < 1000000; i++) {
		struct flow f = {.proto = i % 3 ? IPPROTO_TCP : IPPROTO_UDP,
		                 .start_nsec = T0 + i * (SEC / 1000),
		                 .end_nsec = T0 + i * (SEC / 1000),
		                 .pkts_toserver = 1,
		                 .bytes_toserver = 60,
		                 .tcp_toserver = SYN};
		uint32_t a = (uint32_t)draw() | 0x80000000u;
		f.src.addr = addr_v4(&a);
		f.src.port = (uint16_t)draw();
		f.dest = (struct endpoint){{.family = ADDR_V4, .bytes = {10, 0, 0, 5}}, 443};
		scores_flow(s, &f, NULL, i % 2);
		if (i % 10000 == 0)
			tcp(s, "10.0.0.5", "203.0.113.5:443", i / 1000.0, 0.2, 700, 900);
		if (i % 20 == 0) {
			char name[64];
			snprintf(name, sizeof(name), "x%u.example", i);
			dns(s, "10.0.0.6", "10.0.0.1", i / 1000.0, 1, name, 16, NULL);
		}
	}
	scores_stats(s, &stats);
	assert_int_equal(stats.channels.channels, 4096);
	assert_true(stats.channels.open <= 1024);
	assert_true(stats.channels.samples <= 8192);
	assert_true(stats.channels.evicted > 400000);
	assert_int_equal(stats.domains, 256);
	assert_true(stats.domains_evicted > 40000);
	assert_true(best(s, FINDING_BEACON) >= 0.70);
	scores_free(s);
}

/* Whatever comes: scores stay within 0 and 1 (collect asserts it), nothing breaks. */
static void test_anything(void **state_)
{
	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct scores *s = scores_with((struct scores_config){
		    .max_channels = 64, .max_open = 32, .max_samples = 256, .max_domains = 16});
		state = seed;
		for (int i = 0; i < 3000; i++) {
			static const uint8_t protos[] = {IPPROTO_TCP,    IPPROTO_UDP, IPPROTO_ICMP,
			                                 IPPROTO_ICMPV6, 132,         0};
			static const uint16_t ports[] = {0, 22, 53, 80, 443, 445, 8 << 8, 40000};
			struct flow f = {.proto = protos[draw() % 6],
			                 .start_nsec =
			                     draw() % 4 ? T0 + draw() % (9000 * SEC) : draw(),
			                 .pkts_toserver = draw() % 3 ? draw() % 100 : draw(),
			                 .pkts_toclient = draw() % 3 ? draw() % 100 : draw(),
			                 .bytes_toserver = draw() % 3 ? draw() % 100000 : draw(),
			                 .bytes_toclient = draw() % 3 ? draw() % 100000 : draw(),
			                 .tcp_toserver = (uint8_t)draw(),
			                 .tcp_toclient = (uint8_t)draw(),
			                 .src_guessed = draw() % 4 == 0};
			uint32_t a = htonl(0x0a000000u + (uint32_t)(draw() % 4)),
			         b = htonl((draw() % 2 ? 0x0a000100u : 0xcb007100u) +
			                   (uint32_t)(draw() % 20));
			f.src = (struct endpoint){addr_v4(&a), (uint16_t)(draw() % 8)};
			f.dest = (struct endpoint){addr_v4(&b), ports[draw() % 8]};
			f.end_nsec = draw() % 4 ? f.start_nsec + draw() % (4000 * SEC) : draw();
			struct resume_event r = {f, draw() % 4 ? f.end_nsec + SEC : draw()};
			struct app_event e = {.src = f.src,
			                      .dest = f.dest,
			                      .proto = f.proto,
			                      .nsec = T0,
			                      .app = (enum app_proto)(draw() % _APP_PROTO_MAX)};
			scores_flow(s, &f, NULL, draw() % 2);
			if (draw() % 2)
				scores_resume(s, &r);
			if (draw() % 4 == 0)
				scores_app(s, &e);
			if (draw() % 300 == 0)
				look(s);
		}
		look(s);
		scores_free(s);
	}
	scores_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_beacons),
	    cmocka_unit_test(test_beacon_text),
	    cmocka_unit_test(test_beacon_in_pairs),
	    cmocka_unit_test(test_beacon_udp),
	    cmocka_unit_test(test_beacon_in_one_connection),
	    cmocka_unit_test(test_beacon_dns),
	    cmocka_unit_test(test_no_beacons),
	    cmocka_unit_test(test_upload),
	    cmocka_unit_test(test_upload_known_service),
	    cmocka_unit_test(test_baseline_lowers),
	    cmocka_unit_test(test_learn),
	    cmocka_unit_test(test_dns_tunnels),
	    cmocka_unit_test(test_no_dns_tunnels),
	    cmocka_unit_test(test_icmp_tunnels),
	    cmocka_unit_test(test_sessions),
	    cmocka_unit_test(test_scans),
	    cmocka_unit_test(test_lateral),
	    cmocka_unit_test(test_mismatch),
	    cmocka_unit_test(test_no_double_counting),
	    cmocka_unit_test(test_order),
	    cmocka_unit_test(test_flood),
	    cmocka_unit_test(test_anything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
