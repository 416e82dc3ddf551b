/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "wire/pcapng.h"

/* A file being written; block() … end() frame what is put between them. */
static uint8_t file[65536];
static size_t len, begun;
static bool big;
static struct pcapng f;
static struct capture_record r;

static void put(uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		file[len++] = (uint8_t)(v >> (big ? 8 * (n - 1 - i) : 8 * i));
}

static void block(uint32_t type)
{
	begun = len;
	put(type, 4);
	put(0, 4);
}

static void end(void)
{
	while ((len - begun) % 4)
		put(0, 1);
	size_t total = len - begun + 4, at = len;
	put(total, 4);
	len = begun + 4;
	put(total, 4);
	len = at + 4;
}

static void option(unsigned code, uint64_t v, unsigned n)
{
	put(code, 2);
	put(n, 2);
	put(v, n);
	while (len % 4)
		put(0, 1);
}

static void section(void)
{
	block(0x0a0d0d0a);
	put(0x1a2b3c4d, 4);
	put(1, 2);
	put(0, 2);
	put(UINT64_MAX, 8);
	end();
}

static void interface(unsigned link, unsigned resol, int64_t offset)
{
	block(1);
	put(link, 2);
	put(0, 2);
	put(96, 4);
	option(2, 0x656e7030, 4);
	if (resol)
		option(9, resol, 1);
	if (offset)
		option(14, (uint64_t)offset, 8);
	option(0, 0, 0);
	end();
}

static void enhanced(uint32_t iface, uint64_t ticks, uint32_t cap, uint32_t wire)
{
	block(6);
	put(iface, 4);
	put(ticks >> 32, 4);
	put(ticks & 0xffffffff, 4);
	put(cap, 4);
	put(wire, 4);
	for (uint32_t i = 0; i < cap; i++)
		put(i + 1, 1);
	end();
}

static void fresh(bool big_endian)
{
	memset(&f, 0, sizeof f);
	len = 0;
	big = big_endian;
}

/* Steps over all; stops at the first packet, or at what is no progress. */
static enum capture_step next(struct cursor *c)
{
	enum capture_step s;
	do
		s = pcapng_next(&f, c, &r);
	while (s == CAPTURE_SKIP && !r.need && cursor_left(c));
	return s;
}

static void sections_of_both_orders(void **state)
{
	fresh(false);
	section();
	interface(1, 0, 0);
	interface(113, 9, 0);
	enhanced(1, UINT64_C(7000000001), 5, 5);
	big = true;
	section();
	interface(101, 6, 3600);
	enhanced(0, 1000000, 6, 90);
	struct cursor c = cursor_of(file, len);
	assert_true(pcapng_magic(file));
	assert_int_equal(next(&c), CAPTURE_PACKET);
	assert_int_equal(r.linktype, 113);
	assert_int_equal(r.nsec, UINT64_C(7000000001));
	assert_int_equal(r.cap_len, 5);
	assert_int_equal(r.data[4], 5);
	assert_int_equal(next(&c), CAPTURE_PACKET);
	assert_int_equal(r.linktype, 101);
	assert_int_equal(r.nsec, UINT64_C(3601000000000));
	assert_int_equal(r.wire_len, 90);
	assert_int_equal(cursor_left(&c), 0);
}

static void resolutions(void **state)
{
	static const struct {
		unsigned resol;
		uint64_t ticks, nsec;
		bool contradicts;
	} cases[] = {
	    {6, 3, 3000, false},
	    {3, 3, 3000000, false},
	    {9, 3, 3, false},
	    {12, 3999, 3, false},
	    {0x80 | 10, 1536, 1500000000, false},
	    {0x80 | 40, UINT64_MAX, UINT64_C(16777215999999999), false},
	    {0x80 | 20, UINT64_MAX, 0, true},
	    {1, UINT64_MAX, 0, true},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fresh(i & 1);
		section();
		interface(1, cases[i].resol, 0);
		enhanced(0, cases[i].ticks, 4, 4);
		struct cursor c = cursor_of(file, len);
		assert_int_equal(next(&c), CAPTURE_PACKET);
		assert_int_equal(r.contradicts, cases[i].contradicts);
		assert_int_equal(r.nsec, cases[i].nsec);
	}
	fresh(false);
	section();
	interface(1, 6, -10);
	enhanced(0, 15000000, 4, 4);
	enhanced(0, 5000000, 4, 4);
	struct cursor c = cursor_of(file, len);
	assert_int_equal(next(&c), CAPTURE_PACKET);
	assert_int_equal(r.nsec, UINT64_C(5000000000));
	/* Before the epoch: the stamp of the packet before stands in. */
	assert_int_equal(next(&c), CAPTURE_PACKET);
	assert_true(r.contradicts);
	assert_int_equal(r.nsec, UINT64_C(5000000000));
}

static void simple_and_obsolete(void **state)
{
	fresh(true);
	section();
	interface(1, 0, 0);
	block(3);
	put(200, 4);
	for (unsigned i = 0; i < 96; i++)
		put(i, 1);
	end();
	block(2);
	put(0, 2);
	put(3, 2);
	put(0, 4);
	put(9, 4);
	put(5, 4);
	put(60, 4);
	put(0x0102030405, 5);
	end();
	struct cursor c = cursor_of(file, len);
	assert_int_equal(next(&c), CAPTURE_PACKET);
	assert_int_equal(r.cap_len, 96);
	assert_int_equal(r.wire_len, 200);
	assert_int_equal(next(&c), CAPTURE_PACKET);
	assert_int_equal(r.cap_len, 5);
	assert_int_equal(r.nsec, 9000);
	assert_int_equal(r.data[0], 1);
}

static void drops_are_summed(void **state)
{
	fresh(false);
	for (unsigned s = 0; s < 2; s++) {
		section();
		interface(1, 0, 0);
		for (unsigned n = 1; n < 3; n++) {
			block(5);
			put(0, 4);
			put(0, 8);
			option(4, 1000, 8);
			option(5, 10 * n, 8);
			option(7, n, 8);
			end();
		}
	}
	struct cursor c = cursor_of(file, len);
	assert_int_equal(next(&c), CAPTURE_SKIP);
	assert_int_equal(pcapng_dropped(&f), 44);
}

static void unknown_blocks_are_passed_over(void **state)
{
	fresh(false);
	section();
	size_t at = len;
	block(0x0bad);
	for (unsigned i = 0; i < 1000; i++)
		put(i, 1);
	end();
	struct cursor c = cursor_of(file, at + 100);
	assert_int_equal(next(&c), CAPTURE_SKIP);
	assert_int_equal(cursor_left(&c), 0);
	assert_int_equal(r.need, 1012 - 100);
}

static void what_is_refused(void **state)
{
	static const struct {
		size_t at; /* from an interface of 32 bytes, before a packet */
		uint32_t value;
	} cases[] = {
	    {4, 37}, {4, 8}, {28, 40}, {4, CAPTURE_BLOCK_MAX + 4}, {4, 16}, {40, 1}, {52, 400},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fresh(false);
		section();
		size_t second = len;
		interface(1, 0, 0);
		assert_int_equal(len - second, 32);
		enhanced(0, 1, 4, 4);
		uint32_t v = cases[i].value;
		uint8_t le[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
		                 (uint8_t)(v >> 24)};
		memcpy(file + second + cases[i].at, le, 4);
		struct cursor c = cursor_of(file, len);
		assert_int_equal(next(&c), CAPTURE_BAD);
		assert_non_null(r.why);
	}
	fresh(false);
	enhanced(0, 1, 4, 4);
	struct cursor c = cursor_of(file, len);
	assert_int_equal(next(&c), CAPTURE_BAD);

	fresh(false);
	section();
	for (unsigned i = 0; i <= PCAPNG_IFACES_MAX; i++)
		interface(1, 0, 0);
	c = cursor_of(file, len);
	assert_int_equal(next(&c), CAPTURE_BAD);
	assert_non_null(strstr(r.why, "1024"));
}

static void needs_are_exact(void **state)
{
	fresh(false);
	section();
	for (size_t n = 0; n < len; n++) {
		struct cursor c = cursor_of(file, n);
		assert_int_equal(pcapng_next(&f, &c, &r), CAPTURE_MORE);
		assert_int_equal(r.need, n < 12 ? 12 : len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sections_of_both_orders),
	    cmocka_unit_test(resolutions),
	    cmocka_unit_test(simple_and_obsolete),
	    cmocka_unit_test(drops_are_summed),
	    cmocka_unit_test(unknown_blocks_are_passed_over),
	    cmocka_unit_test(what_is_refused),
	    cmocka_unit_test(needs_are_exact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
