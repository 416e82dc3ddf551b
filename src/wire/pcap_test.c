/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "wire/pcap.h"

static uint8_t file[1024];
static size_t len;
static bool big;

static void put32(uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		file[len++] = (uint8_t)(v >> (big ? 24 - 8 * i : 8 * i));
}

static void put16(uint16_t v)
{
	for (unsigned i = 0; i < 2; i++)
		file[len++] = (uint8_t)(v >> (big ? 8 - 8 * i : 8 * i));
}

static void header(uint32_t magic, uint16_t minor, uint32_t link)
{
	len = 0;
	put32(magic);
	put16(2);
	put16(minor);
	put32(0);
	put32(0);
	put32(65535);
	put32(link);
}

static void record(uint32_t sec, uint32_t frac, uint32_t cap, uint32_t wire, size_t extra)
{
	put32(sec);
	put32(frac);
	put32(cap);
	put32(wire);
	for (size_t i = 0; i < extra + (cap < 64 ? cap : 64); i++)
		file[len++] = (uint8_t)(i + 1);
}

static void every_variant(void **state)
{
	static const struct {
		uint32_t magic;
		uint64_t nsec;
		size_t extra;
	} cases[] = {
	    {0xa1b2c3d4, UINT64_C(5000007000), 0},
	    {0xa1b23c4d, UINT64_C(5000000007), 0},
	    {0xa1b2cd34, UINT64_C(5000007000), 8},
	};
	for (unsigned i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		struct pcap f;
		struct capture_record r;
		big = i & 1;
		header(cases[i / 2].magic, 4, 0xf4000071);
		record(5, 7, 3, 60, cases[i / 2].extra);
		assert_true(pcap_magic(file));
		struct cursor c = cursor_of(file, len);
		assert_int_equal(pcap_header(&c, &f, NULL), 0);
		assert_int_equal(pcap_next(&f, &c, &r), CAPTURE_PACKET);
		assert_int_equal(r.nsec, cases[i / 2].nsec);
		assert_int_equal(r.cap_len, 3);
		assert_int_equal(r.wire_len, 60);
		assert_int_equal(r.linktype, 0x71);
		assert_int_equal(r.data[0], cases[i / 2].extra + 1);
		assert_false(r.contradicts);
		assert_int_equal(cursor_left(&c), 0);
	}
}

static void needs_are_exact(void **state)
{
	struct pcap f;
	struct capture_record r;
	big = false;
	header(0xa1b2c3d4, 4, 1);
	record(1, 1, 10, 10, 0);
	struct cursor c = cursor_of(file, len);
	assert_int_equal(pcap_header(&c, &f, NULL), 0);
	for (size_t n = 0; n < 26; n++) {
		struct cursor part = {c.p, c.p + n};
		assert_int_equal(pcap_next(&f, &part, &r), CAPTURE_MORE);
		assert_int_equal(r.need, n < 16 ? 16 : 26);
		assert_ptr_equal(part.p, c.p);
	}
}

static void what_contradicts_itself(void **state)
{
	struct pcap f;
	struct capture_record r;
	big = false;
	header(0xa1b2c3d4, 4, 1);
	record(1, 1000000, 10, 4, 0);
	record(1, 1, CAPTURE_FRAME_MAX + 1, 10, 0);
	struct cursor c = cursor_of(file, len);
	assert_int_equal(pcap_header(&c, &f, NULL), 0);
	assert_int_equal(pcap_next(&f, &c, &r), CAPTURE_PACKET);
	assert_true(r.contradicts);
	assert_int_equal(r.wire_len, 10);
	const uint8_t *before = c.p;
	assert_int_equal(pcap_next(&f, &c, &r), CAPTURE_BAD);
	assert_non_null(r.why);
	assert_ptr_equal(c.p, before);

	/* Version 2.3 may have the lengths in the other order. */
	header(0xa1b2c3d4, 3, 1);
	record(1, 1, 60, 10, 0);
	c = cursor_of(file, len);
	assert_int_equal(pcap_header(&c, &f, NULL), 0);
	assert_int_equal(pcap_next(&f, &c, &r), CAPTURE_PACKET);
	assert_int_equal(r.cap_len, 10);
	assert_int_equal(r.wire_len, 60);
}

static void headers_that_are_refused(void **state)
{
	struct pcap f;
	struct err e = {0};
	big = true;
	header(0xa1b2c3d4, 4, 1);
	struct cursor c = cursor_of(file, len - 1);
	assert_int_equal(pcap_header(&c, &f, &e), -EBADMSG);
	file[5] = 3;
	c = cursor_of(file, len);
	assert_int_equal(pcap_header(&c, &f, &e), -EBADMSG);
	assert_non_null(strstr(e.text, "version 3.4"));
	file[0] = 0;
	c = cursor_of(file, len);
	assert_false(pcap_magic(file));
	assert_int_equal(pcap_header(&c, &f, &e), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_variant),
	    cmocka_unit_test(needs_are_exact),
	    cmocka_unit_test(what_contradicts_itself),
	    cmocka_unit_test(headers_that_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
