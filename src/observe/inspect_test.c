/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/table.h"
#include "observe/inspect.h"
#include "seal/sha256.h"
#include "wire/quic_vectors.h"

#define MEMORY (8u << 20)

static struct inspect *in;
static unsigned n_apps, n_dns;
static struct app_event app;
static struct dns_event dns[16];
static uint8_t buf[70000], hello[400];
static size_t hello_n;

static void on_app(void *arg, const struct app_event *e)
{
	app = *e;
	n_apps++;
}

static void on_dns(void *arg, const struct dns_event *e)
{
	if (n_dns < ARRAY_SIZE(dns))
		dns[n_dns] = *e;
	n_dns++;
}

static const struct inspect_sinks sinks = {on_app, on_dns, NULL};

/* A ClientHello in one record: www.example.org, and perhaps the extension for an encrypted one. */
static size_t make_hello(uint8_t *to, bool ech)
{
	static const char name[] = "www.Example.org";
	uint8_t *p = to + 9;
	size_t len = sizeof name - 1;
	*p++ = 3, *p++ = 3;
	memset(p, 0x11, 32), p += 32;
	memcpy(p, (uint8_t[]){0, 0, 2, 0x13, 1, 1, 0, 0, 0}, 9), p += 9;
	uint8_t *list = p;
	memcpy(p,
	       (uint8_t[]){0, 0, 0, (uint8_t)(len + 5), 0, (uint8_t)(len + 3), 0, 0, (uint8_t)len},
	       9),
	    p += 9;
	memcpy(p, name, len), p += len;
	if (ech)
		memcpy(p, (uint8_t[]){0xfe, 0x0d, 0, 1, 0}, 5), p += 5;
	/* Filled up, so that it can be cut at many places. */
	memcpy(p, (uint8_t[]){0, 21, 0, 200}, 4), p += 4;
	memset(p, 0, 200), p += 200;
	list[-1] = (uint8_t)(p - list), list[-2] = (uint8_t)((p - list) >> 8);
	size_t n = (size_t)(p - to);
	memcpy(to,
	       (uint8_t[]){22, 3, 1, (uint8_t)((n - 5) >> 8), (uint8_t)(n - 5), 1, 0,
	                   (uint8_t)((n - 9) >> 8), (uint8_t)(n - 9)},
	       9);
	return n;
}

static struct flow flow_of(uint8_t proto, uint16_t sport, uint16_t dport)
{
	struct flow f = {.proto = proto, .src.port = sport, .dest.port = dport};
	addr_parse("192.0.2.1", &f.src.addr);
	addr_parse("198.51.100.7", &f.dest.addr);
	return f;
}

static bool give(const struct flow *f, bool to_server, uint32_t seq, const void *p, size_t n)
{
	const struct packet k = {
	    .seq = seq, .payload = p, .payload_len = (uint32_t)n, .payload_wire = (uint32_t)n};
	return inspect_packet(in, f, 77, to_server, false, &k);
}

static bool give_text(const struct flow *f, bool to_server, const char *s)
{
	return give(f, to_server, 1, s, strlen(s));
}

static size_t hex(const char *s)
{
	char digits[8192];
	size_t n = 0;
	for (; *s; s++)
		if (*s != ' ')
			digits[n++] = *s;
	digits[n] = 0;
	assert_int_equal(hex_decode(digits, buf, n / 2), 0);
	return n / 2;
}

static int setup(void **state)
{
	n_apps = n_dns = 0;
	memset(&app, 0, sizeof app);
	hello_n = make_hello(hello, false);
	return inspect_new(MEMORY, &sinks, &in, NULL);
}

static int teardown(void **state)
{
	inspect_free(in);
	return 0;
}

static void is_app(unsigned n, enum app_proto proto, enum name_source source, const char *name)
{
	assert_int_equal(n_apps, n);
	assert_int_equal(app.app, proto);
	assert_int_equal(app.source, source);
	assert_string_equal(app.name, name);
}

static void tls_at_once(void **state)
{
	struct flow f = flow_of(IPPROTO_TCP, 40000, 8443);
	assert_true(give(&f, true, 1000, hello, hello_n));
	is_app(1, APP_TLS, NAME_SNI, "www.example.org");
	assert_int_equal(app.nsec, 77);
	assert_int_equal(app.src.port, 40000);
	assert_int_equal(app.dest.port, 8443);
	assert_int_equal(app.proto, IPPROTO_TCP);

	f.src.port++;
	assert_true(give(&f, true, 1000, buf, make_hello(buf, true)));
	is_app(2, APP_TLS, NAME_OUTER, "www.example.org");
}

/* In two segments cut anywhere, in either order, with sequence numbers that wrap. */
static void tls_in_two(void **state)
{
	struct flow f = flow_of(IPPROTO_TCP, 1, 443);
	for (size_t at = 1; at < hello_n; at++) {
		for (int order = 0; order < 2; order++) {
			unsigned before = n_apps;
			uint32_t seq = UINT32_MAX - (uint32_t)at / 2;
			f.src.port++;
			if (order)
				assert_false(
				    give(&f, true, seq + (uint32_t)at, hello + at, hello_n - at));
			bool done = give(&f, true, seq, hello, at);
			assert_int_equal(done, order);
			if (!order)
				assert_true(
				    give(&f, true, seq + (uint32_t)at, hello + at, hello_n - at));
			is_app(before + 1, APP_TLS, NAME_SNI, "www.example.org");
		}
	}
}

/* Byte by byte, each sent twice, with a keep-alive's rubbish between. */
static void tls_in_bytes(void **state)
{
	struct flow f = flow_of(IPPROTO_TCP, 1, 443);
	for (uint32_t i = 0; i < hello_n; i++) {
		bool last = i == hello_n - 1;
		if (i)
			assert_false(give(&f, true, 50 + i - 1, "\xff", 1));
		assert_int_equal(give(&f, true, 50 + i, hello + i, 1), last);
		if (!last)
			assert_false(give(&f, true, 50 + i, hello + i, 1));
	}
	is_app(1, APP_TLS, NAME_SNI, "www.example.org");
}

static void tls_without_the_end(void **state)
{
	struct flow f = flow_of(IPPROTO_TCP, 1, 443);
	/* Lost on the way, and the server answers all the same. */
	assert_false(give(&f, true, 1, hello, 100));
	assert_int_equal(n_apps, 0);
	assert_true(give(&f, false, 9, buf, hex("16 0303 007a 02 000076 0303 00")));
	is_app(1, APP_TLS, NAME_NONE, "");
	/* Not captured. */
	f.src.port++;
	struct packet p = {.payload = hello, .payload_len = 100, .payload_wire = 300};
	assert_true(inspect_packet(in, &f, 1, true, false, &p));
	is_app(2, APP_TLS, NAME_NONE, "");
	/* The ports are used again before it was whole. */
	f.src.port++;
	assert_false(give(&f, true, 1, hello, 100));
	assert_true(give(&f, true, 3000000000u, hello, hello_n));
	is_app(3, APP_TLS, NAME_SNI, "www.example.org");
	/* Longer than any window. */
	f.src.port++;
	memset(buf, 0, sizeof buf);
	memcpy(buf, (uint8_t[]){22, 3, 1, 0x3f, 0, 1, 0, 0x3e, 0xfc, 3, 3}, 11);
	assert_false(give(&f, true, 1, buf, 4000));
	assert_true(give(&f, true, 4001, buf + 4000, 1000));
	is_app(4, APP_TLS, NAME_NONE, "");
}

/* Data with SYN, whose number is one before that of the data. */
static void tls_fast_open(void **state)
{
	struct flow f = flow_of(IPPROTO_TCP, 1, 443);
	struct packet syn = {
	    .seq = 7, .tcp_flags = 2, .payload = hello, .payload_len = 90, .payload_wire = 90};
	assert_false(inspect_packet(in, &f, 1, true, false, &syn));
	assert_true(give(&f, true, 98, hello + 90, hello_n - 90));
	is_app(1, APP_TLS, NAME_SNI, "www.example.org");
}

static void http(void **state)
{
	struct flow f = flow_of(IPPROTO_TCP, 1, 8080);
	assert_false(give(&f, true, 1, "GET / HT", 8));
	assert_false(give(&f, true, 9, "TP/1.1\r\nHost: A.exam", 20));
	assert_true(give(&f, true, 29, "ple\r\n\r\n", 7));
	is_app(1, APP_HTTP, NAME_HTTP, "a.example");
	f.src.port++;
	assert_true(give_text(&f, false, "HTTP/1.1 200 OK\r\n"));
	is_app(2, APP_HTTP, NAME_NONE, "");
}

static void others(void **state)
{
	struct flow f = flow_of(IPPROTO_TCP, 1, 443);
	assert_true(give_text(&f, false, "SSH-2.0-OpenSSH_9.2\r\n"));
	is_app(1, APP_SSH, NAME_NONE, "");
	f.src.port++;
	assert_false(give_text(&f, false, "220 ready\r\n"));
	assert_true(give_text(&f, true, "EHLO me.example\r\n"));
	is_app(2, APP_SMTP, NAME_NONE, "");
	f.src.port++;
	for (uint32_t i = 0; i < 20; i++)
		assert_false(give(&f, true, 1 + i * 30, "\x01\x02 something of its own....", 27));
	assert_int_equal(n_apps, 2);
	f = flow_of(IPPROTO_ICMP, 8, 0);
	assert_false(give_text(&f, true, "GET / HTTP/1.1\r\n\r\n"));
}

static void quic(void **state)
{
	struct flow f = flow_of(IPPROTO_UDP, 1, 443);
	assert_true(give(&f, true, 0, buf, hex(rfc9001_a2)));
	is_app(1, APP_QUIC, NAME_QUIC, "example.com");
	f.src.port++;
	assert_true(give(&f, true, 0, buf, hex(rfc9369_a2)));
	is_app(2, APP_QUIC, NAME_QUIC, "example.com");
	f.src.port++;
	/* Padded behind its packets; as short as it is by itself no server would take it. */
	size_t n = hex(chaos);
	assert_true(n < 1200);
	memset(buf + n, 0, 1200 - n);
	assert_false(give(&f, true, 0, buf, n));
	assert_true(give(&f, true, 0, buf, 1200));
	is_app(3, APP_QUIC, NAME_QUIC, "example.com");
}

static void quic_in_two(void **state)
{
	struct flow f = flow_of(IPPROTO_UDP, 1, 443);
	static const char server[] =
	    "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c6979"
	    "7554780bb38cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f"
	    "3bded74b562bfb19fb84022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc421"
	    "58407dd074ee";
	for (int order = 0; order < 2; order++) {
		f.src.port++;
		assert_false(give(&f, true, 0, buf, hex(order ? aioquic_2 : aioquic_1)));
		assert_false(give(&f, true, 0, buf, hex(order ? aioquic_2 : aioquic_1)));
		/* The server acknowledges the one before the other is there. */
		assert_false(give(&f, false, 0, buf, hex(server)));
		assert_true(give(&f, true, 0, buf, hex(order ? aioquic_1 : aioquic_2)));
		is_app(1u + (unsigned)order, APP_QUIC, NAME_QUIC, "media.example.net");
	}
	/* The ports are used again: another connection ID. */
	f.src.port++;
	assert_false(give(&f, true, 0, buf, hex(aioquic_1)));
	assert_true(give(&f, true, 0, buf, hex(rfc9001_a2)));
	is_app(3, APP_QUIC, NAME_QUIC, "example.com");
	/* Only the server was seen; only the middle. */
	f.src.port++;
	assert_true(give(&f, false, 0, buf, hex(server)));
	is_app(4, APP_QUIC, NAME_NONE, "");
	f.src.port++;
	size_t n = hex(server);
	memset(buf + n, 0, 1200 - n);
	assert_true(give(&f, true, 0, buf, 1200));
	is_app(5, APP_QUIC, NAME_NONE, "");
}

#define QUESTION "03777777 076578616d706c65 036f7267 00 0001 0001"
#define QUERY    "1234 0100 0001 0000 0000 0000 " QUESTION
#define ANSWER   "1234 8180 0001 0001 0000 0000 " QUESTION "c00c 0001 0001 0000003c 0004 cb007105"

static void dns_over_udp(void **state)
{
	struct flow f = flow_of(IPPROTO_UDP, 5000, 53);
	assert_true(give(&f, true, 0, buf, hex(QUERY)));
	assert_true(give(&f, false, 0, buf, hex(ANSWER)));
	assert_int_equal(n_dns, 2);
	is_app(2, APP_DNS, NAME_NONE, "");
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(dns[i].response, i);
		assert_string_equal(dns[i].qname, "www.example.org");
		assert_int_equal(dns[i].client.port, 5000);
		assert_int_equal(dns[i].server.port, 53);
		assert_int_equal(dns[i].size, i ? 49 : 33);
		assert_int_equal(dns[i].n_addrs, i);
	}
	char s[ADDR_STR_MAX];
	assert_string_equal(addr_str(&dns[1].addrs[0], s), "203.0.113.5");
	/* Seen from the wrong end, the client is who asked. */
	f = flow_of(IPPROTO_UDP, 53, 5000);
	assert_true(give(&f, false, 0, buf, hex(QUERY)));
	assert_int_equal(dns[2].client.port, 5000);
	/* Rubbish is none, and another protocol on that port is told. */
	f.src.port = 53, f.dest.port = 1;
	assert_false(give_text(&f, true, "hello"));
	assert_true(give(&f, true, 0, buf, hex(rfc9001_a2)));
	assert_int_equal(app.app, APP_QUIC);
	assert_int_equal(n_dns, 3);
	/* On another port: the protocol is known all the same. */
	f = flow_of(IPPROTO_UDP, 1, 5300);
	assert_true(give(&f, true, 0, buf, hex(QUERY)));
	assert_int_equal(app.app, APP_DNS);
}

/* n messages, each with its length in front; returns the bytes. */
static size_t messages(unsigned n)
{
	static uint8_t all[4096];
	size_t len = hex(ANSWER), out = 0;
	for (unsigned i = 0; i < n; i++) {
		all[out] = 0, all[out + 1] = (uint8_t)len;
		memcpy(all + out + 2, buf, len);
		out += 2 + len;
	}
	memcpy(buf, all, out);
	return out;
}

static void dns_over_tcp(void **state)
{
	struct flow f = flow_of(IPPROTO_TCP, 5000, 53);
	for (uint32_t size = 1; size < 200; size++) {
		size_t n = messages(3);
		n_dns = 0;
		f.src.port++;
		for (uint32_t at = 0; at < n; at += size) {
			uint32_t len = n - at < size ? (uint32_t)n - at : size;
			give(&f, false, 900 + at, buf + at, len);
			give(&f, false, 900 + at, buf + at, len);
		}
		assert_int_equal(n_dns, 3);
		assert_int_equal(dns[2].n_addrs, 1);
	}
	/* More messages in one segment than the window holds. */
	size_t one = messages(1), n = 0;
	static uint8_t many[51 * 500];
	for (; n < sizeof many; n += one)
		memcpy(many + n, buf, one);
	n_dns = 0;
	f.src.port++;
	assert_true(give(&f, true, 1, many, sizeof many));
	assert_int_equal(n_dns, 500);
}

/* A message longer than the window is told once and passed over, and the next is found. */
static void dns_giant(void **state)
{
	struct flow f = flow_of(IPPROTO_TCP, 5000, 53);
	static uint8_t all[9000];
	size_t one = messages(1);
	memcpy(all, (uint8_t[]){8000 >> 8, 8000 & 255}, 2);
	memcpy(all + 2, buf + 2, one - 2);
	memcpy(all + 8002, buf, one);
	for (uint32_t at = 0; at < 8002 + one; at += 1000)
		give(&f, false, 7 + at, all + at, 8002 + one - at < 1000 ? 8002 + one - at : 1000);
	assert_int_equal(n_dns, 2);
	assert_int_equal(dns[0].size, 8000);
	assert_int_equal(dns[1].size, 49);
	assert_int_equal(dns[0].n_addrs, 1);
	/* Cut by the capture: the same, by one segment. */
	f.src.port++;
	n_dns = 0;
	struct packet p = {.seq = 1, .payload = all, .payload_len = 60, .payload_wire = 8002};
	assert_true(inspect_packet(in, &f, 1, false, false, &p));
	give(&f, false, 8003, all + 8002, one);
	assert_int_equal(n_dns, 2);
	assert_int_equal(dns[0].size, 8000);
}

/* TLS and nothing known on the port of DNS. */
static void wrong_port(void **state)
{
	struct flow f = flow_of(IPPROTO_TCP, 5000, 53);
	assert_true(give(&f, true, 1, hello, hello_n));
	is_app(1, APP_TLS, NAME_SNI, "www.example.org");
	f.src.port++;
	assert_true(give_text(&f, true, "SSH-2.0-x\r\n"));
	is_app(2, APP_SSH, NAME_NONE, "");
	assert_int_equal(n_dns, 0);
}

/* 200,000 half-seen ClientHellos: memory stays, what went is told, the last ones are still there.
 */
static void flood(void **state)
{
	struct inspect_stats s;
	struct flow f = flow_of(IPPROTO_TCP, 1, 443);
	for (uint32_t i = 0; i < 200000; i++) {
		memcpy(f.src.addr.bytes, &i, 4);
		assert_false(give(&f, true, 1, hello, 100));
	}
	inspect_stats(in, &s);
	assert_true(s.evicted > 200000 - 2000 && s.evicted < 200000 - 1000);
	assert_true(give(&f, true, 101, hello + 100, hello_n - 100));
	is_app(1, APP_TLS, NAME_SNI, "www.example.org");
	inspect_stats(in, &s);
	assert_int_equal(s.names, 1);
	assert_int_equal(s.apps, 1);
}

static void too_little_memory(void **state)
{
	struct inspect *none = NULL;
	struct err e = {0};
	assert_int_equal(inspect_new(1000, &sinks, &none, &e), -ENOMEM);
	assert_null(none);
	assert_true(strlen(e.text) > 0);
}

static void wants(void **state)
{
	assert_true(inspect_wants(IPPROTO_TCP, 1, 2, INSPECT_PACKETS, false));
	assert_false(inspect_wants(IPPROTO_TCP, 1, 2, INSPECT_PACKETS + 1, false));
	assert_false(inspect_wants(IPPROTO_TCP, 1, 2, 1, true));
	assert_true(inspect_wants(IPPROTO_UDP, 53, 2, 1000000, true));
	assert_true(inspect_wants(IPPROTO_UDP, 2, 5353, 1000000, true));
	assert_false(inspect_wants(IPPROTO_ICMP, 53, 2, 1, false));
}

/* Everything above needs no call into the kernel once inspect_new has returned: in the strictest
 * mode there is, any but read, write and exit would kill. */
static void no_calls(void **state)
{
#if !defined(__SANITIZE_ADDRESS__)
	const char *preload = getenv("LD_PRELOAD");
	int status;
	/* valgrind's own calls would die of it. */
	if (preload && strstr(preload, "vgpreload"))
		skip();
	pid_t pid = fork();
	if (!pid) {
		struct flow tcp = flow_of(IPPROTO_TCP, 1, 443), udp = flow_of(IPPROTO_UDP, 1, 443);
		struct flow ask = flow_of(IPPROTO_TCP, 1, 53);
		static uint8_t q[1200], q1[1200], q2[1200], d[4096];
		memcpy(q, buf, hex(rfc9001_a2));
		memcpy(q1, buf, hex(aioquic_1));
		memcpy(q2, buf, hex(aioquic_2));
		size_t n = messages(3);
		memcpy(d, buf, n);
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
			syscall(SYS_exit, 9);
		give(&tcp, true, 1, hello, 100);
		give(&tcp, true, 101, hello + 100, hello_n - 100);
		give(&udp, true, 0, q, 1200);
		give(&udp, true, 0, q1, 1200);
		give(&udp, true, 0, q2, 1200);
		give(&ask, true, 1, d, n);
		syscall(SYS_exit, n_apps == 4 && n_dns == 3 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
#endif
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	    T(tls_at_once),
	    T(tls_in_two),
	    T(tls_in_bytes),
	    T(tls_without_the_end),
	    T(tls_fast_open),
	    T(http),
	    T(others),
	    T(quic),
	    T(quic_in_two),
	    T(dns_over_udp),
	    T(dns_over_tcp),
	    T(dns_giant),
	    T(wrong_port),
	    T(flood),
	    T(no_calls),
	    cmocka_unit_test(too_little_memory),
	    cmocka_unit_test(wants),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
