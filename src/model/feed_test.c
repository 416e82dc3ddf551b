/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A feed's bytes: what is built reads back sorted, and nothing else reads as a feed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "model/feed.h"
#include "model/order.h"

static void put(struct feed_builder *b, const char *text, uint32_t line, uint32_t until,
                const char *note)
{
	struct prefix p;
	assert_int_equal(prefix_parse(text, &p, NULL), 0);
	feed_add(b, &p, line, until, note);
}

static struct feed some(void)
{
	struct feed_builder b = {0};
	struct feed f = {.fd = -1};
	put(&b, "2001:db8::/32", 4, 0, "six");
	put(&b, "192.0.2.0/24", 3, 7, "");
	put(&b, "192.0.2.0/25", 2, 0, "same");
	put(&b, "192.0.2.0/24", 1, 9, "same");
	assert_int_equal(b.n_text, 1 + 4 + 5); /* the same note again takes no room */
	assert_int_equal(feed_build(&b, &f.fd, NULL), 0);
	feed_builder_free(&b);
	return f;
}

static void what_is_built_reads_back(void **state)
{
	static const struct {
		const char *prefix, *note;
		uint32_t line, until;
	} want[] = {{"192.0.2.0/24", "same", 1, 9},
	            {"192.0.2.0/24", "", 3, 7},
	            {"192.0.2.0/25", "same", 2, 0},
	            {"2001:db8::/32", "six", 4, 0}};
	struct feed f = some();
	struct feed_view v;
	assert_int_equal(feed_open(&f, &v, NULL), 0);
	assert_int_equal(v.n, ARRAY_SIZE(want));
	for (size_t i = 0; i < v.n; i++) {
		char text[PREFIX_STR_MAX];
		struct prefix p = feed_prefix(&v.v[i]);
		assert_string_equal(prefix_str(&p, text), want[i].prefix);
		assert_string_equal(v.text + v.v[i].note, want[i].note);
		assert_int_equal(v.v[i].line, want[i].line);
		assert_int_equal(v.v[i].until, want[i].until);
	}
	struct addr a;
	assert_int_equal(addr_parse("192.0.2.0", &a), 0);
	assert_int_equal(feed_lower(&v, &a), 0);
	assert_int_equal(addr_parse("192.0.2.1", &a), 0);
	assert_int_equal(feed_lower(&v, &a), 3);
	assert_int_equal(addr_parse("ffff::", &a), 0);
	assert_int_equal(feed_lower(&v, &a), 4);
	feed_close(&v);
	close(f.fd);
}

static void an_empty_one_too(void **state)
{
	struct feed_builder b = {0};
	struct feed f = {.fd = -1};
	struct feed_view v;
	assert_int_equal(feed_open(&f, &v, NULL), -ENOENT);
	assert_int_equal(feed_build(&b, &f.fd, NULL), 0);
	assert_int_equal(feed_open(&f, &v, NULL), 0);
	assert_int_equal(v.n, 0);
	feed_close(&v);
	close(f.fd);
}

/* Each byte of it changed in turn: it reads as a feed with sound entries, or not at all. */
static void what_is_no_feed_is_refused(void **state)
{
	struct feed f = some();
	uint8_t bytes[4096];
	ssize_t n = pread(f.fd, bytes, sizeof bytes, 0);
	assert_true(n > 0);
	unsigned refused = 0;
	for (ssize_t at = 0; at < n; at++) {
		struct feed_view v;
		uint8_t other = bytes[at] ^ 0x81;
		assert_int_equal(pwrite(f.fd, &other, 1, at), 1);
		int r = feed_open(&f, &v, NULL);
		if (r == 0) {
			for (size_t i = 0; i < v.n; i++) {
				struct prefix p = feed_prefix(&v.v[i]),
				              q = prefix_of(&p.addr, p.len);
				assert_true(addr_equal(&p.addr, &q.addr));
				assert_true(strlen(v.text + v.v[i].note) < (size_t)n);
			}
			feed_close(&v);
		} else {
			assert_int_equal(r, -EBADMSG);
			refused++;
		}
		assert_int_equal(pwrite(f.fd, &bytes[at], 1, at), 1);
	}
	assert_true(refused > 60);
	for (ssize_t cut = n - 1; cut >= 0; cut--) {
		struct feed_view v;
		assert_int_equal(ftruncate(f.fd, cut), 0);
		assert_int_equal(feed_open(&f, &v, NULL), -EBADMSG);
	}
	close(f.fd);
}

static void orders_keep_their_feeds(void **state)
{
	struct order o = {.verb = VERB_BLOCK}, back;
	struct buf a = BUF_INIT(1u << 16), b = BUF_INIT(1u << 16);
	struct feed f = {.role = FEED_ALLOW,
	                 .source = "this host",
	                 .format = "spared",
	                 .n = 7,
	                 .read_at = 5,
	                 .fd = -1};
	memset(f.sha256, 'a', FEED_SHA256_MAX - 1);
	assert_int_equal(order_add_feed(&o, &f, NULL), 0);
	f.fd = memfd_create("x", 0);
	f.role = FEED_BLOCK;
	assert_int_equal(order_add_feed(&o, &f, NULL), 0);
	assert_int_equal(order_to_json(&o, &a), 0);
	assert_int_equal(order_from_json(buf_str(&a), &back, NULL), 0);
	assert_int_equal(back.n_feeds, 2);
	assert_int_equal(back.feeds[0].role, FEED_ALLOW);
	assert_int_equal(back.feeds[1].fd, -1);
	assert_int_equal(order_to_json(&back, &b), 0);
	assert_string_equal(buf_str(&a), buf_str(&b));
	char *hash = strstr((char *)a.data, "aaaa");
	assert_non_null(hash);
	*hash = '/'; /* it becomes the name of a file */
	struct order bad;
	assert_int_equal(order_from_json(buf_str(&a), &bad, NULL), -EBADMSG);
	order_free(&o);
	assert_int_equal(fcntl(f.fd, F_GETFD), -1); /* it was the order's */
	order_free(&back);
	buf_free(&a);
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_built_reads_back),
	    cmocka_unit_test(an_empty_one_too),
	    cmocka_unit_test(what_is_no_feed_is_refused),
	    cmocka_unit_test(orders_keep_their_feeds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
