/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "wire/app.h"
#include "wire/quic_vectors.h"

enum { UP = 1, DOWN = 2, UDP = 4 };

/* Text up to the first "\x", behind it hex: "220 x\r\n", "|0300". */
static size_t bytes(const char *s, uint8_t *out)
{
	if (*s != '|') {
		memcpy(out, s, strlen(s));
		return strlen(s);
	}
	size_t n = 0;
	for (const char *p = s + 1; *p; p += *p == ' ' ? 1 : 2) {
		if (*p == ' ')
			continue;
		char two[3] = {p[0], p[1], 0};
		out[n++] = (uint8_t)strtoul(two, NULL, 16);
	}
	return n;
}

#define Z8     "0000000000000000"
#define Z32    Z8 Z8 Z8 Z8
#define NTP_UP "|23 00 06 20 00000000 00000000 00000000 " Z8 Z8 Z8 "83aa7e80 12345678"
#define NTP_DOWN                                                                                   \
	"|24 02 06 e8 00000a00 00000f00 c0000201 e5f00000 00000000 " Z8                            \
	"e5f00001 00000000 e5f00001 00010000"

static const struct {
	const char *in;
	unsigned where; /* where it is known; elsewhere it is not */
	enum speech speech;
} cases[] = {
    {"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", UP | DOWN, SPEECH_SSH},
    {"SSH-1.99-x", UP | DOWN, SPEECH_SSH},
    {"SSH-3", 0, SPEECH_SSH},
    {"220 mx.example ESMTP Postfix\r\n", DOWN, SPEECH_SMTP},
    {"220-mx.example Smtp\r\n220 x\r\n", DOWN, SPEECH_SMTP},
    {"220 (vsFTPd 3.0.3)\r\n", DOWN, SPEECH_FTP},
    {"220 ProFTPD Server (smtp and ftp)\r\n", 0, SPEECH_UNKNOWN},
    {"220 ready\r\nFTP", 0, SPEECH_UNKNOWN},
    {"331 Please specify the password.\r\n", DOWN, SPEECH_FTP},
    {"EHLO a.example\r\n", UP, SPEECH_SMTP},
    {"EHLO", 0, SPEECH_UNKNOWN},
    {"USER me\r\n", 0, SPEECH_UNKNOWN},
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", UP, SPEECH_HTTP},
    {"HTTP/1.1 200 OK\r\n", DOWN, SPEECH_HTTP},
    {"HTTP/1.1 900 OK\r\n", 0, SPEECH_HTTP},
    {"|16 0303 007a 02 000076 0303 00", UP | DOWN, SPEECH_TLS},
    {"|15 0303 0002 0228", 0, SPEECH_UNKNOWN},
    /* mstsc: negotiation alone, with a cookie; the confirm; S7 asks with the same code. */
    {"|0300 0013 0e e0 0000 0000 00 01 00 0800 03000000", UP, SPEECH_RDP},
    {"|0300 0021 1c e0 0000 0000 00 436f6f6b69653a206d737473686173683d61 62630d0a", UP, SPEECH_RDP},
    {"|0300 0013 0e d0 0000 1234 00 02 1f 0800 02000000", DOWN, SPEECH_RDP},
    {"|0300 0016 11 e0 0000 0001 00 c1020100 c2020102 c0010a", 0, SPEECH_UNKNOWN},
    {"|0300 0013 0e e0 0000 0000 00 01 00 0900 03000000", 0, SPEECH_UNKNOWN},
    {"|00000024 fe534d42 " Z32, UP | DOWN, SPEECH_SMB},
    {"|00000024 ff534d42 " Z32, UP | DOWN, SPEECH_SMB},
    {"|00000008 fe534d42 " Z32, 0, SPEECH_SMB},
    {"|1234 0100 0001 0000 0000 0000 0161 00 0001 0001", UDP | UP, SPEECH_DNS},
    {NTP_UP, UDP | UP, SPEECH_NTP},
    {NTP_DOWN, UDP | DOWN, SPEECH_NTP},
    {NTP_UP "00", 0, SPEECH_NTP},
    {"|23 " Z8 Z8 Z8 Z8 Z8 "00000000000000", 0, SPEECH_UNKNOWN},
    {"", 0, SPEECH_UNKNOWN},
    {"hello, world\r\n", 0, SPEECH_UNKNOWN},
    {"|00", 0, SPEECH_UNKNOWN},
};

static void everything_in_its_place(void **state)
{
	static uint8_t buf[512];
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = bytes(cases[i].in, buf);
		/* A copy of that size, so that a checker sees a read beyond it. */
		uint8_t *p = malloc(n ? n : 1);
		assert_non_null(p);
		memcpy(p, buf, n);
		for (int k = 0; k < 4; k++) {
			bool udp = k & 1, up = k & 2;
			bool known = cases[i].where && udp == !!(cases[i].where & UDP) &&
			             cases[i].where & (up ? UP : DOWN);
			enum speech s = speech_of(udp, up, p, n);
			if (s != (known ? cases[i].speech : SPEECH_UNKNOWN))
				fail_msg("case %zu, udp %d, up %d: %d", i, udp, up, (int)s);
		}
		free(p);
	}
}

static void quic(void **state)
{
	char hex[sizeof rfc9369_a2 + 1] = "|";
	uint8_t p[1200];
	strcpy(hex + 1, rfc9369_a2);
	assert_int_equal(bytes(hex, p), 1200);
	assert_int_equal(speech_of(true, true, p, 1200), SPEECH_QUIC);
	assert_int_equal(speech_of(true, false, p, 1200), SPEECH_QUIC);
	assert_int_equal(speech_of(false, true, p, 1200), SPEECH_UNKNOWN);
	assert_int_equal(speech_of(true, true, p, 1199), SPEECH_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(everything_in_its_place),
	    cmocka_unit_test(quic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
