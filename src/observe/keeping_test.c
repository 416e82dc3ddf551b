/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/keeping.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/table.h"
#include "observe/frames_in.h"
#include "wire/capture.h"

#define SIZE 90

/* An Ethernet frame of UDP from 10.0.0.`from` port 1000 to 192.0.2.`to` port `port`. */
static void make_frame(uint8_t dst[static SIZE], uint8_t from, uint8_t to, uint16_t port)
{
	static const uint8_t head[] = {2, 0, 0,    0, 0, 1,  2,   0, 0, 0, 0,  2,
	                               8, 0, 0x45, 0, 0, 76, 0,   0, 0, 0, 64, 17,
	                               0, 0, 10,   0, 0, 0,  192, 0, 2, 0, 3,  232};

	memset(dst, 0, SIZE);
	memcpy(dst, head, sizeof(head));
	dst[29] = from;
	dst[33] = to;
	dst[36] = (uint8_t)(port >> 8);
	dst[37] = (uint8_t)port;
	dst[39] = 56;
}

static struct frame frame_of(const uint8_t *bytes, uint64_t nsec)
{
	return (struct frame){.nsec = nsec,
	                      .cap_len = SIZE,
	                      .wire_len = SIZE,
	                      .linktype = LINK_ETHERNET,
	                      .data = bytes};
}

static struct pick pick_of(const char *a, const char *b, uint16_t b_port, uint8_t proto)
{
	struct pick p = {.b_port = b_port, .proto = proto, .first_nsec = 1};

	assert_int_equal(prefix_parse(a, &p.a, NULL), 0);
	if (b)
		assert_int_equal(prefix_parse(b, &p.b, NULL), 0);
	return p;
}

struct seen {
	uint64_t nsec[64];
	size_t why[64], n;
};

static void see(void *arg, const struct frame *f, size_t why)
{
	struct seen *s = arg;
	uint8_t want[SIZE];

	make_frame(want, f->data[29], f->data[33], (uint16_t)(f->data[36] << 8 | f->data[37]));
	assert_int_equal(f->cap_len, SIZE);
	assert_memory_equal(f->data, want, SIZE);
	s->nsec[s->n] = f->nsec;
	s->why[s->n++] = why;
}

static void put(void *arg, const void *p, size_t n)
{
	buf_add(arg, p, n);
}

/* What comes out of a stream, fed in pieces of `piece` bytes. */
static struct seen read_stream(const struct buf *b, size_t piece, size_t n_picks)
{
	struct frames_in *in;
	struct seen s = {.n = 0};

	assert_int_equal(frames_in_new(1, &in), 0);
	for (size_t at = 0; at < b->len; at += piece)
		assert_int_equal(frames_in_take(in, b->data + at,
		                                b->len - at < piece ? b->len - at : piece, n_picks,
		                                see, &s),
		                 0);
	assert_true(frames_in_whole(in));
	frames_in_free(in);
	return s;
}

static void what_is_wanted_comes_out_in_order(void **state)
{
	static const size_t pieces[] = {1, 7, 100, 100000};
	struct buf b = BUF_INIT(1 << 20);
	struct keeping *k;
	struct kept_record report;
	struct pick p = pick_of("10.0.0.1", "192.0.2.9", 53, 17),
	            q = pick_of("192.0.2.8/30", NULL, 0, 0);
	uint8_t bytes[SIZE];

	assert_int_equal(keeping_new(4096, put, &b, &k, NULL), 0);
	for (uint64_t i = 1; i <= 10; i++) {
		struct frame f = frame_of(bytes, i);
		make_frame(bytes, i < 9 ? 1 : 2, i % 3 ? 7 : 9, i % 2 ? 53 : 54);
		keeping_frame(k, &f);
	}
	assert_int_equal(b.len, 0); /* nothing had to leave yet, so nothing was judged */
	assert_true(keeping_pick(k, &p));
	assert_true(keeping_pick(k, &q));
	keeping_end(k);
	keeping_report(k, &report);
	assert_int_equal(report.frames, 3);
	assert_int_equal(report.late, 0);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct seen s = read_stream(&b, pieces[i], 2);
		assert_int_equal(s.n, 3);
		/* 3 fits both, so the first pick has it; 6 goes to another port: the second's. */
		assert_int_equal(s.nsec[0], 3);
		assert_int_equal(s.why[0], 0);
		assert_int_equal(s.nsec[1], 6);
		assert_int_equal(s.why[1], 1);
		assert_int_equal(s.nsec[2], 9);
	}
	buf_free(&b);
	keeping_free(k);
}

static void a_full_ring_lets_the_oldest_go_and_says_so(void **state)
{
	struct buf b = BUF_INIT(1 << 20);
	struct pick p = pick_of("10.0.0.1", NULL, 0, 0);
	struct kept_record report;
	struct keeping *k;
	uint8_t bytes[SIZE];

	make_frame(bytes, 1, 9, 53);
	assert_int_equal(keeping_new(1000, put, &b, &k, NULL), 0);
	for (uint64_t i = 1; i <= 50; i++) {
		struct frame f = frame_of(bytes, i);
		keeping_frame(k, &f);
	}
	p.first_nsec = 2;
	assert_true(keeping_pick(k, &p));
	p.first_nsec = 50;
	assert_true(keeping_pick(k, &p));
	keeping_end(k);
	keeping_report(k, &report);
	assert_int_equal(report.late, 1);
	struct seen s = read_stream(&b, 64, 2);
	/* A record takes 24 bytes of head and 96 of frame; one place is lost to where it wraps. */
	assert_in_range(s.n, 6, 8);
	assert_int_equal(s.nsec[s.n - 1], 50);
	for (size_t i = 1; i < s.n; i++)
		assert_int_equal(s.nsec[i], s.nsec[i - 1] + 1);
	buf_free(&b);
	keeping_free(k);
}

struct order {
	uint64_t next, n;
};

static void in_order(void *arg, const struct frame *f)
{
	struct order *o = arg;

	assert_int_equal(f->nsec, o->next++);
	for (uint32_t i = 0; i < f->cap_len; i++)
		assert_int_equal(f->data[i], (uint8_t)(f->nsec + i));
	o->n += f->cap_len;
}

/* The same each time. */
static uint64_t draw(void)
{
	static uint64_t state = 7;

	state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return state >> 33;
}

static void the_ring_keeps_frames_of_any_size(void **state)
{
	struct order o = {0};
	struct recent *r;
	uint8_t bytes[5000];
	uint64_t sum = 0;

	assert_int_equal(recent_new(4096, in_order, &o, &r, NULL), 0);
	for (uint64_t i = 0; i < 20000; i++) {
		struct frame f = {.nsec = i, .data = bytes};
		f.cap_len = f.wire_len = (uint32_t)(draw() % (i % 50 ? 700 : 5000));
		for (uint32_t k = 0; k < f.cap_len; k++)
			bytes[k] = (uint8_t)(i + k);
		sum += f.cap_len;
		recent_put(r, &f);
		if (i % 997 == 0)
			recent_flush(r);
	}
	recent_flush(r);
	assert_int_equal(o.next, 20000);
	assert_int_equal(o.n, sum);
	recent_free(r);
}

static void nonsense_of_the_child_is_refused(void **state)
{
	static const struct frame_record bad[] = {
	    {.cap_len = CAPTURE_FRAME_MAX + 1, .wire_len = UINT32_MAX},
	    {.cap_len = 10, .wire_len = 9},
	    {.cap_len = 10, .wire_len = 10, .source = 1},
	    {.cap_len = 10, .wire_len = 10, .pick = 2},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct frames_in *in;
		struct seen s = {.n = 0};
		assert_int_equal(frames_in_new(1, &in), 0);
		assert_int_equal(
		    frames_in_take(in, (const uint8_t *)&bad[i], sizeof(bad[i]), 2, see, &s),
		    -EBADMSG);
		frames_in_free(in);
	}
}

static void picks_are_bounded(void **state)
{
	struct pick p = pick_of("10.0.0.1", NULL, 0, 0);
	struct picks *s;

	assert_int_equal(picks_new(&s), 0);
	for (size_t i = 0; i < PICKS_MAX; i++)
		assert_int_equal(picks_add(s, &p), 0);
	assert_int_equal(picks_add(s, &p), -ENOSPC);
	picks_free(s);
}

static void a_pick_comes_over_the_channel_as_it_was(void **state)
{
	struct pick p = pick_of("2001:db8::/32", "192.0.2.1", 443, 6), q;
	struct pick_record r;

	snprintf(p.text, sizeof(p.text), "f3 beacon");
	record_of_pick(&p, &r);
	assert_int_equal(record_to_pick(&r, sizeof(r), &q), 0);
	assert_memory_equal(&p, &q, sizeof(p));
	assert_int_equal(record_to_pick(&r, sizeof(r) - 1, &q), -EBADMSG);
	memset(r.text, 'x', sizeof(r.text));
	assert_int_equal(record_to_pick(&r, sizeof(r), &q), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_wanted_comes_out_in_order),
	    cmocka_unit_test(a_full_ring_lets_the_oldest_go_and_says_so),
	    cmocka_unit_test(the_ring_keeps_frames_of_any_size),
	    cmocka_unit_test(nonsense_of_the_child_is_refused),
	    cmocka_unit_test(picks_are_bounded),
	    cmocka_unit_test(a_pick_comes_over_the_channel_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
