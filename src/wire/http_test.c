/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "wire/http.h"

#define H1 " HTTP/1.1\r\n"

static enum http_step ask(const char *s, bool last, struct http_request *r)
{
	return http_request((const uint8_t *)s, strlen(s), last, r);
}

static void requests(void **state)
{
	static const struct {
		const char *in, *method, *host;
		uint16_t port;
	} cases[] = {
	    /* The first three were sent by curl. */
	    {"GET /" H1 "Host: Web.example.net:8080\r\nUser-Agent: curl/7.88.1\r\n\r\n", "GET",
	     "web.example.net", 8080},
	    {"GET http://far.example.net:81/x" H1 "Host: far.example.net:81\r\n\r\n", "GET",
	     "far.example.net", 81},
	    {"GET /" H1 "Host: 127.0.0.1:8080\r\n\r\n", "GET", "", 0},
	    {"GET / HTTP/1.0\r\n\r\n", "GET", "", 0},
	    {"GET / HTTP/1.0\n\n", "GET", "", 0},
	    {"POST /a?b=http://c/" H1 "hOsT:\t a.example \t\r\n\r\nHost: b.example\r\n", "POST",
	     "a.example", 0},
	    {"GET HTTP://u:p@A.example?q" H1 "Host: other.example\r\n\r\n", "GET", "a.example", 0},
	    {"GET http://192.0.2.1/" H1 "Host: other.example\r\n\r\n", "GET", "", 0},
	    {"GET http://a.example:/" H1 "\r\n", "GET", "a.example", 0},
	    {"GET http://a.example:99999/" H1 "\r\n", "GET", "", 0},
	    {"CONNECT a.example:443" H1 "Host: proxy.example\r\n\r\n", "CONNECT", "a.example", 443},
	    {"OPTIONS *" H1 "Host: a.example\r\n\r\n", "OPTIONS", "a.example", 0},
	    {"BREW /pot" H1 "Host: a.example\r\n\r\n", "BREW", "a.example", 0},
	    {"GET /" H1 "Host: [2001:db8::1]:80\r\n\r\n", "GET", "", 0},
	    {"GET /" H1 "Host: a.example\r\nHost: a.example\r\n\r\n", "GET", "", 0},
	    {"GET /" H1 "Host: a.example\r\n b.example\r\n\r\n", "GET", "", 0},
	    {"GET /" H1 "X: y\r\n Host: b.example\r\nHost: a.example\r\n\r\n", "GET", "a.example",
	     0},
	    {"GET /" H1 "Hosts: a.example\r\nXHost: b.example\r\n\r\n", "GET", "", 0},
	    {"GET /" H1 "Host: a b\r\n\r\n", "GET", "", 0},
	    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI", "", 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_request r;
		assert_int_equal(ask(cases[i].in, false, &r), HTTP_HAVE);
		assert_string_equal(r.method, cases[i].method);
		assert_string_equal(r.host, cases[i].host);
		assert_int_equal(r.port, cases[i].port);
	}
}

static void no_requests(void **state)
{
	static const char *const cases[] = {
	    "get / HTTP/1.1\r\n\r\n",
	    "GET /\r\n",
	    "GET  HTTP/1.1\r\n",
	    "GET / HTTP/3.0\r\n",
	    "GET / HTTP/2.0\r\n",
	    "OPTIONS rtsp://a/ RTSP/1.0\r\n",
	    "QUIT\r\n",
	    "QUI",
	    "GETX",
	    "\x16\x03\x01",
	    "SSH-2.0-x\r\n",
	    "GET / HTTP/1.1 \r\n",
	    "\r\n",
	    "ABCDEFGHIJKLMNOP / HTTP/1.1\r\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct http_request r;
		assert_int_equal(ask(cases[i], false, &r), HTTP_NOT);
	}
}

/* Byte by byte: more, until the empty line; told that no more comes, what the whole lines say. */
static void piece_by_piece(void **state)
{
	static const char in[] = "GET /" H1 "Host: a.example\r\nAccept: x\r\n\r\n";
	size_t host_end = strlen("GET /" H1 "Host: a.example\r\n");
	for (size_t n = 0; n < sizeof in - 1; n++) {
		struct http_request r;
		assert_int_equal(http_request((const uint8_t *)in, n, false, &r), HTTP_MORE);
		enum http_step s = http_request((const uint8_t *)in, n, true, &r);
		assert_int_equal(s, n < strlen("GET /" H1) ? HTTP_NOT : HTTP_HAVE);
		if (s == HTTP_HAVE)
			assert_string_equal(r.host, n < host_end ? "" : "a.example");
	}
}

static void bounded(void **state)
{
	static char in[HTTP_HEAD_MAX + 100];
	struct http_request r;
	memset(in, 'x', sizeof in);
	static const char head[] = "GET /" H1 "Host: a.example\r\nCookie: ";
	memcpy(in, head, sizeof head - 1);
	assert_int_equal(http_request((const uint8_t *)in, HTTP_HEAD_MAX - 1, false, &r),
	                 HTTP_MORE);
	assert_int_equal(http_request((const uint8_t *)in, HTTP_HEAD_MAX, false, &r), HTTP_HAVE);
	assert_string_equal(r.host, "a.example");
	memcpy(in, "GET /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 54);
	assert_int_equal(http_request((const uint8_t *)in, sizeof in, false, &r), HTTP_NOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests),
	    cmocka_unit_test(no_requests),
	    cmocka_unit_test(piece_by_piece),
	    cmocka_unit_test(bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
