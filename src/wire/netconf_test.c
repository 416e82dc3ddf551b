/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/netconf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Feeds text in pieces of `step` bytes; 0 and the message, or the error. */
static int read_all(enum netconf_framing f, const char *text, size_t step, char *dst, size_t *rest)
{
	struct netconf_reader r;
	struct err e = {0};
	size_t n = strlen(text), at = 0;
	bool done = false;
	int x = 0;
	netconf_reader_init(&r, f, 4096);
	while (!x && !done && at < n) {
		size_t used, piece = n - at < step ? n - at : step;
		x = netconf_feed(&r, (const uint8_t *)text + at, piece, &used, &done, &e);
		assert_true(used <= piece);
		assert_true(x || done || used == piece);
		at += used;
	}
	if (!x && !done)
		x = -EAGAIN;
	strcpy(dst, x ? "" : buf_str(&r.message));
	*rest = n - at;
	netconf_reader_free(&r);
	return x;
}

static const struct {
	enum netconf_framing framing;
	const char *text, *message;
	size_t rest;
	int code;
} cases[] = {
    {NETCONF_EOM, "<hello/>]]>]]>", "<hello/>", 0, 0},
    {NETCONF_EOM, "a]]>]]b>]]>]]>next", "a]]>]]b>", 4, 0},
    {NETCONF_EOM, "]]>]]>", "", 0, 0},
    {NETCONF_EOM, "<hello/>]]>]]", "", 0, -EAGAIN},
    {NETCONF_CHUNKED, "\n#4\n<rpc\n#2\n/>\n##\nx", "<rpc/>", 1, 0},
    {NETCONF_CHUNKED, "\n#10\n0123456789\n##\n", "0123456789", 0, 0},
    {NETCONF_CHUNKED, "\n#3\n\n##\n##\n", "\n##", 0, 0}, /* a mark inside a chunk is data */
    {NETCONF_CHUNKED, "\n##\n", "", 0, -EBADMSG},        /* no chunk at all */
    {NETCONF_CHUNKED, "\n#0\n\n##\n", "", 0, -EBADMSG},
    {NETCONF_CHUNKED, "\n#04\n<rpc\n##\n", "", 0, -EBADMSG},
    {NETCONF_CHUNKED, "\n#4294967296\n", "", 0, -EBADMSG},
    {NETCONF_CHUNKED, "\n#-1\n", "", 0, -EBADMSG},
    {NETCONF_CHUNKED, "\n#\n", "", 0, -EBADMSG},
    {NETCONF_CHUNKED, "<rpc/>]]>]]>", "", 0, -EBADMSG},
    {NETCONF_CHUNKED, "\n#4\n<rpcx", "", 0, -EBADMSG},
    {NETCONF_CHUNKED, "\n#4\n<rpc\n##x", "", 0, -EBADMSG},
    {NETCONF_CHUNKED, "\n#4\n<rp", "", 0, -EAGAIN},
};

static void messages(void **unused)
{
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (size_t step = 1; step < 30; step++) {
			char message[4097];
			size_t rest;
			int x = read_all(cases[i].framing, cases[i].text, step, message, &rest);
			assert_int_equal(x, cases[i].code);
			assert_string_equal(message, cases[i].message);
			if (!x && step == 29)
				assert_int_equal(rest, cases[i].rest);
		}
}

static void too_long(void **unused)
{
	struct netconf_reader r;
	struct err e = {0};
	size_t used;
	bool done;
	netconf_reader_init(&r, NETCONF_CHUNKED, 3);
	assert_int_equal(netconf_feed(&r, (const uint8_t *)"\n#4\nabcd", 8, &used, &done, &e),
	                 -EMSGSIZE);
	netconf_reader_free(&r);
}

static void one_after_the_other(void **unused)
{
	static const char text[] = "\n#1\na\n##\n\n#1\nb\n##\n";
	struct netconf_reader r;
	struct err e = {0};
	size_t used, first;
	bool done;
	netconf_reader_init(&r, NETCONF_CHUNKED, 16);
	assert_int_equal(
	    netconf_feed(&r, (const uint8_t *)text, sizeof text - 1, &first, &done, &e), 0);
	assert_true(done);
	netconf_reader_next(&r);
	assert_int_equal(netconf_feed(&r, (const uint8_t *)text + first, sizeof text - 1 - first,
	                              &used, &done, &e),
	                 0);
	assert_true(done);
	assert_string_equal(buf_str(&r.message), "b");
	netconf_reader_free(&r);
}

static void what_is_sent_is_read(void **unused)
{
	static const char message[] = "<rpc>]]>\n##\n#3</rpc>";
	for (int f = NETCONF_EOM; f <= NETCONF_CHUNKED; f++) {
		struct buf out = BUF_INIT(4096);
		struct err e = {0};
		char back[4097];
		size_t rest;
		assert_int_equal(
		    netconf_frame((enum netconf_framing)f, message, sizeof message - 1, &out, &e),
		    0);
		assert_int_equal(read_all((enum netconf_framing)f, buf_str(&out), 7, back, &rest),
		                 0);
		assert_string_equal(back, message);
		buf_free(&out);
	}
	struct buf out = BUF_INIT(4096);
	struct err e = {0};
	assert_int_equal(netconf_frame(NETCONF_EOM, "a]]>]]>b", 8, &out, &e), -EINVAL);
	assert_int_equal(out.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(messages),
	    cmocka_unit_test(too_long),
	    cmocka_unit_test(one_after_the_other),
	    cmocka_unit_test(what_is_sent_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
