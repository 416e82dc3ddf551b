/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is refused before anything is sent, and what a bad server does; certificates are tried
 * against real servers in tests/points. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/table.h"
#include "io/https.h"

/* A server for one connection: reads once, answers with these bytes, closes. */
struct server {
	int fd;
	unsigned port;
	const char *says; /* NULL: nothing, and stays */
	char heard[4096];
	pthread_t thread;
};

static void *serve(void *arg)
{
	struct server *s = arg;
	int c = accept(s->fd, NULL, NULL);
	ssize_t n = recv(c, s->heard, sizeof s->heard - 1, 0);
	if (n > 0 && s->says)
		send(c, s->says, strlen(s->says), MSG_NOSIGNAL);
	if (n > 0 && !s->says) /* until the other side has had enough */
		recv(c, s->heard, sizeof s->heard - 1, 0);
	close(c);
	return NULL;
}

static void start(struct server *s, const char *says)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof a;
	*s = (struct server){.fd = socket(AF_INET, SOCK_STREAM, 0), .says = says};
	assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(s->fd, 1), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &n), 0);
	s->port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static int ask(struct server *s, struct https_request q, struct https_answer *ret, struct err *e)
{
	struct https_options o = {.plain = true, .timeout = USEC_PER_SEC / 4, .answer_max = 64};
	struct https *h = NULL;
	char url[64];
	assert_int_equal(https_open(&o, &h, e), 0);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/x", s->port);
	q.url = url;
	int r = https_do(h, &q, ret, e);
	https_close(h);
	pthread_join(s->thread, NULL);
	close(s->fd);
	return r;
}

static void a_post_is_answered(void **state)
{
	static const char *const headers[] = {"X-Token: t", NULL};
	struct https_answer a = {0};
	struct server s;
	struct err e = {0};
	start(&s, "HTTP/1.1 503 Later\r\nContent-Length: 2\r\n\r\nok");
	struct https_request q = {.headers = headers, .body = "a=b", .n = 3};
	setenv("http_proxy", "http://127.0.0.1:1/", 1); /* not looked at */
	assert_int_equal(ask(&s, q, &a, &e), 0);
	assert_int_equal(a.status, 503);
	assert_string_equal(buf_str(&a.body), "ok");
	assert_non_null(strstr(s.heard, "POST /x HTTP/1.1\r\n"));
	assert_non_null(strstr(s.heard, "X-Token: t\r\n"));
	assert_non_null(strstr(s.heard, "\r\n\r\na=b"));
	buf_free(&a.body);
}

static void signed_by_sigv4(void **state)
{
	static const char *const headers[] = {"X-Amz-Security-Token: session", NULL};
	struct https_answer a = {0};
	struct server s;
	struct err e = {0};
	start(&s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	struct https_request q = {.headers = headers,
	                          .body = "a=b",
	                          .n = 3,
	                          .sigv4 = "aws:amz:eu-west-1:ec2",
	                          .key = "AKIDEXAMPLE",
	                          .secret = "very-secret"};
	assert_int_equal(ask(&s, q, &a, &e), 0);
	assert_non_null(strstr(s.heard, "Credential=AKIDEXAMPLE/"));
	assert_non_null(strstr(s.heard, "/eu-west-1/ec2/aws4_request"));
	assert_non_null(strstr(s.heard, "x-amz-security-token")); /* is signed, too */
	assert_null(strstr(s.heard, "very-secret"));
	buf_free(&a.body);
}

static void bad_servers(void **state)
{
	static const struct {
		const char *says;
		int code;
	} cases[] = {
	    {"", -ECONNRESET},
	    {NULL, -ETIMEDOUT},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", -ECONNRESET},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\n"
	     "0123456789012345678901234567890123456789012345678901234567890123456789",
	     -EMSGSIZE},
	    {"\x16\x03\x01 what", -EPROTO},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct https_answer a = {0};
		struct server s;
		struct err e = {0};
		start(&s, cases[i].says);
		assert_int_equal(ask(&s, (struct https_request){.once = true}, &a, &e),
		                 cases[i].code);
		assert_null(a.body.data);
		assert_non_null(strstr(e.text, "127.0.0.1"));
	}
}

/* Where it says Location, nobody goes. */
static void a_redirect_is_an_answer(void **state)
{
	struct https_answer a = {0};
	struct server s;
	struct err e = {0};
	start(&s,
	      "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(ask(&s, (struct https_request){0}, &a, &e), 0);
	assert_int_equal(a.status, 302);
	buf_free(&a.body);
}

static void refused_before_anything_is_sent(void **state)
{
	static const struct {
		const char *url;
		bool plain;
		int code;
	} cases[] = {
	    {"http://127.0.0.1:1/", false, -EINVAL},
	    {"http://192.0.2.1/", true, -EINVAL},
	    {"http://localhost:1/", true, -EINVAL},
	    {"http://127.0.0.1.example/", true, -EINVAL},
	    {"http://169.254.169.253/", true, -EINVAL},
	    {"http://[::2]/", true, -EINVAL},
	    {"ftp://127.0.0.1/", true, -EINVAL},
	    {"file:///etc/passwd", true, -EINVAL},
	    {"https://user@127.0.0.1/", true, -EINVAL},
	    {"", true, -EINVAL},
	    {"https://127.0.0.1:1/", false, -ECONNREFUSED},
	    {"http://127.0.0.1:1/", true, -ECONNREFUSED},
	    {"http://[::1]:1/", true, -ECONNREFUSED},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct https_options o = {.plain = cases[i].plain, .timeout = USEC_PER_SEC};
		struct https_request q = {.url = cases[i].url};
		struct https_answer a = {0};
		struct https *h = NULL;
		struct err e = {0};
		assert_int_equal(https_open(&o, &h, &e), 0);
		int r = https_do(h, &q, &a, &e);
		if (r != cases[i].code)
			fail_msg("%s: %d %s", cases[i].url, r, e.text);
		assert_true(https_was_not_sent(r));
		https_close(h);
	}
	assert_false(https_was_not_sent(-ETIMEDOUT));
	assert_false(https_was_not_sent(-ECONNRESET));
}

static void forms(void **state)
{
	struct buf b = BUF_INIT(64);
	assert_int_equal(form_add(&b, "Action", "Do It"), 0);
	assert_int_equal(form_add(&b, "A.1", "a&b=\xc3\xa4/\n~"), 0);
	assert_string_equal(buf_str(&b), "Action=Do%20It&A.1=a%26b%3D%C3%A4%2F%0A~");
	assert_int_equal(form_add(&b, "B", "0123456789012345678901234567890"), -EMSGSIZE);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_post_is_answered),
	    cmocka_unit_test(signed_by_sigv4),
	    cmocka_unit_test(bad_servers),
	    cmocka_unit_test(a_redirect_is_an_answer),
	    cmocka_unit_test(refused_before_anything_is_sent),
	    cmocka_unit_test(forms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
