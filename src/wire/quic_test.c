/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "seal/sha256.h"
#include "wire/quic.h"
#include "wire/quic_vectors.h"
#include "wire/tls.h"

static struct crypt *crypt;
static uint8_t datagram[2048], plain[QUIC_PACKET_MAX], hello[4096];

static int setup(void **state)
{
	return crypt_new(&crypt);
}

static int teardown(void **state)
{
	crypt_free(crypt);
	return 0;
}

static struct cursor load(const char *hex)
{
	size_t n = strlen(hex) / 2;
	assert_int_equal(hex_decode(hex, datagram, n), 0);
	return cursor_of(datagram, n);
}

/* Puts the CRYPTO frames where they belong; returns how far they reach. */
static size_t gather(struct cursor frames)
{
	struct quic_crypto part;
	size_t reach = 0;
	int r;
	while ((r = quic_next_crypto(&frames, &part)) == 1) {
		assert_true(part.offset + part.n <= sizeof hello);
		memcpy(hello + part.offset, part.p, part.n);
		if (part.offset + part.n > reach)
			reach = part.offset + part.n;
	}
	assert_int_equal(r, 0);
	return reach;
}

static size_t open_first(const char *hex, uint32_t version, size_t *ret_left)
{
	struct cursor c = load(hex), frames;
	struct quic_packet p;
	struct quic_keys keys;
	assert_true(quic_next(&c, &p));
	assert_int_equal(p.version, version);
	assert_true(p.initial);
	assert_int_equal(quic_client_keys(crypt, p.version, &p.dcid, &keys), 0);
	assert_int_equal(quic_open(crypt, &keys, &p, plain, &frames), 0);
	*ret_left = cursor_left(&c);
	return gather(frames);
}

static void of_the_rfcs(void **state)
{
	static const struct {
		const char *hex;
		uint32_t version;
		const char *key, *iv, *hp;
	} cases[] = {
	    {rfc9001_a2, QUIC_V1, "1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c",
	     "9f50449e04a0e810283a1e9933adedd2"},
	    {rfc9369_a2, QUIC_V2, "8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f",
	     "45b95e15235d6f45a6b19cbcb0294ba9"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		static const struct quic_cid dcid = {
		    8, {0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08}};
		struct quic_keys keys;
		uint8_t want[16];
		struct tls_hello h;
		size_t left;
		assert_int_equal(quic_client_keys(crypt, cases[i].version, &dcid, &keys), 0);
		hex_decode(cases[i].key, want, 16);
		assert_memory_equal(keys.key, want, 16);
		hex_decode(cases[i].iv, want, 12);
		assert_memory_equal(keys.iv, want, 12);
		hex_decode(cases[i].hp, want, 16);
		assert_memory_equal(keys.hp, want, 16);
		size_t n = open_first(cases[i].hex, cases[i].version, &left);
		assert_int_equal(n, 241);
		assert_int_equal(left, 0);
		assert_int_equal(tls_client_hello(hello, n, &h), TLS_HAVE);
		assert_string_equal(h.sni, "example.com");
		assert_string_equal(h.alpn, "alpn");
	}
}

/* The server's packet of RFC 9001 A.3, at whose sight the client's keys do not fit. */
static void of_the_server(void **state)
{
	static const char hex[] =
	    "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c6979"
	    "7554780bb38cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f"
	    "3bded74b562bfb19fb84022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc421"
	    "58407dd074ee";
	static const struct quic_cid dcid = {8, {0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08}};
	struct cursor c = load(hex), frames;
	struct quic_packet p;
	struct quic_keys keys;
	assert_true(quic_next(&c, &p));
	assert_int_equal(p.dcid.n, 0);
	assert_int_equal(quic_client_keys(crypt, QUIC_V1, &dcid, &keys), 0);
	assert_int_equal(quic_open(crypt, &keys, &p, plain, &frames), -EBADMSG);
}

static void over_two_datagrams(void **state)
{
	struct tls_hello h;
	size_t left, first = open_first(aioquic_1, QUIC_V1, &left);
	assert_int_equal(tls_client_hello(hello, first, &h), TLS_MORE);
	size_t n = open_first(aioquic_2, QUIC_V1, &left);
	assert_true(n > first);
	assert_int_equal(tls_client_hello(hello, n, &h), TLS_HAVE);
	assert_string_equal(h.sni, "media.example.net");
	assert_memory_equal(h.alpn, "h3,hq-interop,proto-000", 23);
}

static void shuffled_and_coalesced(void **state)
{
	struct tls_hello h;
	size_t left, n = open_first(chaos, QUIC_V1, &left);
	assert_int_equal(n, 241);
	assert_int_equal(tls_client_hello(hello, n, &h), TLS_HAVE);
	assert_string_equal(h.sni, "example.com");

	struct cursor rest = cursor_of(datagram + sizeof chaos / 2 - left, left), frames;
	struct quic_packet p;
	struct quic_keys keys;
	struct quic_crypto part;
	assert_true(quic_next(&rest, &p));
	assert_int_equal(cursor_left(&rest), 0);
	assert_int_equal(quic_client_keys(crypt, p.version, &p.dcid, &keys), 0);
	assert_int_equal(quic_open(crypt, &keys, &p, plain, &frames), 0);
	assert_int_equal(quic_next_crypto(&frames, &part), 0);
}

/* A bit changed anywhere: no packet, or one that does not open. */
static void every_bit_counts(void **state)
{
	for (size_t bit = 0; bit < 8 * 60; bit++) {
		struct cursor c = load(rfc9001_a2), frames;
		struct quic_packet p;
		struct quic_keys keys;
		datagram[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (!quic_next(&c, &p) || !p.initial)
			continue;
		assert_int_equal(quic_client_keys(crypt, p.version, &p.dcid, &keys), 0);
		assert_int_equal(quic_open(crypt, &keys, &p, plain, &frames), -EBADMSG);
	}
}

static void no_packets(void **state)
{
	static const char *const cases[] = {
	    "",
	    "40000000010000",                                           /* short header */
	    "80000000010000",                                           /* no fixed bit */
	    "c0000000000000",                                           /* version negotiation */
	    "c0ff00001d0000",                                           /* a draft */
	    "c00000000115",                                             /* an ID of 21 bytes */
	    "c0000000010000004013000000000000000000000000000000000000", /* shorter than a sample */
	    "c000000001000000401400",                                   /* not all there */
	    "c00000000100004014",                                       /* token not all there */
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cursor c = load(cases[i]);
		struct quic_packet p;
		assert_false(quic_next(&c, &p));
		assert_int_equal(cursor_left(&c), strlen(cases[i]) / 2);
	}
	struct cursor whole = load(rfc9001_a2);
	for (size_t n = 0; n < 1200; n++) {
		struct cursor c = cursor_of(whole.p, n);
		struct quic_packet p;
		assert_false(quic_next(&c, &p));
	}
}

/* The types of long headers: Retry takes all, the others their length. */
static void other_types(void **state)
{
	static const struct {
		const char *hex;
		bool initial;
	} cases[] = {
	    {"d0000000010000150000000000000000000000000000000000000000000000", false}, /* 0-RTT */
	    {"e0000000010000150000000000000000000000000000000000000000000000", false},
	    {"f000000001000074657374", false}, /* Retry */
	    {"c06b3343cf000074657374", false},
	    {"d06b3343cf000000150000000000000000000000000000000000000000000000", true},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cursor c = load(cases[i].hex);
		struct quic_packet p;
		assert_true(quic_next(&c, &p));
		assert_int_equal(p.initial, cases[i].initial);
	}
}

static void frames(void **state)
{
	static const struct {
		const char *hex;
		int first;
		uint64_t offset;
		size_t n;
	} cases[] = {
	    {"", 0, 0, 0},
	    {"000001010000", 0, 0, 0},
	    {"060003616263", 1, 0, 3},
	    {"0001064123030102", -EBADMSG, 0, 0},
	    {"01000640100201020003", 1, 16, 2},
	    {"0207000000060001ff", 1, 0, 1},       /* ACK of one range */
	    {"0207000103000001060501ff", 1, 5, 1}, /* of two */
	    {"030700000001020306000100", 1, 0, 1}, /* with ECN */
	    {"02ff", -EBADMSG, 0, 0},
	    {"0207007fff00", -EBADMSG, 0, 0}, /* more ranges than bytes */
	    {"1c0100023132", 0, 0, 0},
	    {"1c01000331", -EBADMSG, 0, 0},
	    {"08", -EBADMSG, 0, 0}, /* STREAM */
	    {"06c0000000ffffffff0100", 1, 0xffffffff, 1},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cursor c = load(cases[i].hex);
		struct quic_crypto part = {0};
		assert_int_equal(quic_next_crypto(&c, &part), cases[i].first);
		assert_int_equal(part.offset, cases[i].offset);
		assert_int_equal(part.n, cases[i].n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(of_the_rfcs),        cmocka_unit_test(of_the_server),
	    cmocka_unit_test(over_two_datagrams), cmocka_unit_test(shuffled_and_coalesced),
	    cmocka_unit_test(every_bit_counts),   cmocka_unit_test(no_packets),
	    cmocka_unit_test(other_types),        cmocka_unit_test(frames),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
