/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "wire/tls.h"

/* Sent by openssl s_client -servername Www.Example.ORG -alpn h2,http/1.1 (OpenSSL 3.0); what is
 * expected of it is what tshark says of it. */
static const char openssl_hello[] =
    "160301014e0100014a03037cdac08fca29ae5ebf6cd36be4a0a83ccd918984b1bc997a4a9a6afb68"
    "6db10820660303776487c3cd4dd9d7a091a35287776962e113fe7cbd1127a03a2c8f1885003e1302"
    "13031301c02cc030009fcca9cca8ccaac02bc02f009ec024c028006bc023c0270067c00ac0140039"
    "c009c0130033009d009c003d003c0035002f00ff010000c300000014001200000f5777772e457861"
    "6d706c652e4f5247000b000403000102000a00160014001d0017001e001900180100010101020103"
    "0104002300000010000e000c02683208687474702f312e310016000000170000000d002a00280403"
    "05030603080708080809080a080b080408050806040105010601030303010302040205020602002b"
    "0009080304030303020301002d00020101003300260024001d0020a405f7159f3a562c8f561a3415"
    "72ba1c9b0022a9a3672ec5c2dd11629650c031";

static uint8_t stream[70000];

static size_t bytes(const char *hex, uint8_t *out)
{
	size_t n = 0;
	for (const char *p = hex; *p; p += 2) {
		if (*p == ' ') {
			p--;
			continue;
		}
		char two[3] = {p[0], p[1], 0};
		out[n++] = (uint8_t)strtoul(two, NULL, 16);
	}
	return n;
}

/* A ClientHello in one record with these extensions; returns its length. */
static size_t hello(const char *extensions)
{
	static const char head[] =
	    "16 0301 0000 01 000000 0303 "
	    "0000000000000000000000000000000000000000000000000000000000000000 "
	    "00 0002 1301 01 00 0000 ";
	size_t h = bytes(head, stream), n = h + bytes(extensions, stream + h);
	stream[h - 1] = (uint8_t)(n - h);
	stream[h - 2] = (uint8_t)((n - h) >> 8);
	stream[4] = (uint8_t)(n - 5);
	stream[3] = (uint8_t)((n - 5) >> 8);
	stream[8] = (uint8_t)(n - 9);
	stream[7] = (uint8_t)((n - 9) >> 8);
	return n;
}

static void of_openssl(void **state)
{
	struct tls_hello h;
	size_t n = bytes(openssl_hello, stream);
	assert_int_equal(n, 339);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(tls_hello(stream, i, &h), TLS_MORE);
	assert_int_equal(tls_hello(stream, n, &h), TLS_HAVE);
	assert_true(h.client);
	assert_false(h.ech);
	assert_string_equal(h.sni, "www.example.org");
	assert_string_equal(h.alpn, "h2,http/1.1");
	assert_int_equal(tls_client_hello(stream + 5, n - 5, &h), TLS_HAVE);
	assert_string_equal(h.sni, "www.example.org");
	assert_int_equal(tls_client_hello(stream + 5, n - 6, &h), TLS_MORE);
	assert_int_equal(tls_client_hello(stream + 5, n, &h), TLS_HAVE);
}

/* The same message in records of every size. */
static void spread_over_records(void **state)
{
	uint8_t one[400];
	size_t n = bytes(openssl_hello, one) - 5;
	for (size_t size = 1; size <= n; size++) {
		struct tls_hello h = {0};
		size_t out = 0;
		for (size_t at = 0; at < n; at += size) {
			size_t len = n - at < size ? n - at : size;
			memcpy(stream + out,
			       (uint8_t[]){22, 3, 1, (uint8_t)(len >> 8), (uint8_t)len}, 5);
			memcpy(stream + out + 5, one + 5 + at, len);
			out += 5 + len;
		}
		assert_int_equal(tls_hello(stream, out - 1, &h), TLS_MORE);
		assert_int_equal(tls_hello(stream, out, &h), TLS_HAVE);
		assert_string_equal(h.sni, "www.example.org");
		/* A record of another type between them. */
		if (size < n) {
			stream[5 + size] = 21;
			assert_int_equal(tls_hello(stream, out, &h), TLS_NOT);
		}
	}
}

static void extensions_told(void **state)
{
	static const struct {
		const char *hex, *sni, *alpn;
		bool ech;
	} cases[] = {
	    {"", "", "", false},
	    {"0000 0006 0004 00 0001 41", "a", "", false},
	    {"0000 0006 0004 00 0001 41 fe0d 0001 00", "a", "", true},
	    {"fe0d 0000 0010 0005 0003 02 6832", "", "h2", true},
	    /* Not the name of a host: an address, a blank, UTF-8. */
	    {"0000 000e 000c 00 0009 3139322e302e322e31", "", "", false},
	    {"0000 0008 0006 00 0003 61 20 62", "", "", false},
	    {"0000 0007 0005 00 0002 c3bc", "", "", false},
	    /* Another type of name. */
	    {"0000 0006 0004 01 0001 41", "", "", false},
	    /* Grease and a comma are left out. */
	    {"0010 000e 000c 02 0a0a 02 6832 02 612c 02 6833", "", "h2,h3", false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tls_hello h;
		assert_int_equal(tls_hello(stream, hello(cases[i].hex), &h), TLS_HAVE);
		assert_true(h.client);
		assert_string_equal(h.sni, cases[i].sni);
		assert_string_equal(h.alpn, cases[i].alpn);
		assert_int_equal(h.ech, cases[i].ech);
	}
}

static void no_hellos(void **state)
{
	static const char *const cases[] = {
	    "0000 0006 0004 00 0001 41 0000 0006 0004 00 0001 42", /* the extension twice */
	    "0000 000a 0008 00 0001 41 00 0001 42",                /* two names */
	    "0000 0006 0003 00 0001 41",                           /* bytes behind the list */
	    "0000 0006 0004 00 0002 41",
	    "0000 0007 0004 00 0001 41",
	    "0000 00",
	    "0010 0003 0001 00",
	    "0010 0004 0002 02 61",
	};
	struct tls_hello h, before;
	memset(&h, 0x5a, sizeof h);
	before = h;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(tls_hello(stream, hello(cases[i]), &h), TLS_NOT);

	static const char *const streams[] = {
	    "47",
	    "1602",
	    "16 04",
	    "16 0305",
	    "17 0303 0020",
	    "16 0301 0000",
	    "16 0301 4001",
	    "16 0301 0100 03",
	    "16 0301 0100 01 000010 0303",
	    "16 0301 0100 01 020000 0303",
	    "16 0301 0100 01 0000fc 0203",
	};
	for (size_t i = 0; i < ARRAY_SIZE(streams); i++)
		assert_int_equal(tls_hello(stream, bytes(streams[i], stream), &h), TLS_NOT);
	assert_memory_equal(&h, &before, sizeof h);
	assert_int_equal(tls_hello(NULL, 0, &h), TLS_MORE);
}

static void server_hello(void **state)
{
	struct tls_hello h;
	size_t n = bytes("16 0303 007a 02 000076 0303 00", stream);
	assert_int_equal(tls_hello(stream, n, &h), TLS_HAVE);
	assert_false(h.client);
	assert_string_equal(h.sni, "");
	assert_int_equal(tls_client_hello(stream + 5, n - 5, &h), TLS_NOT);
}

/* Longer than what is looked at: told as such, without a name. */
static void giant(void **state)
{
	struct tls_hello h;
	size_t n = bytes("16 0301 4000 01 005000 0303", stream);
	assert_int_equal(tls_hello(stream, n, &h), TLS_HAVE);
	assert_true(h.client);
	assert_string_equal(h.sni, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(of_openssl),      cmocka_unit_test(spread_over_records),
	    cmocka_unit_test(extensions_told), cmocka_unit_test(no_hellos),
	    cmocka_unit_test(server_hello),    cmocka_unit_test(giant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
