/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "acquire/memory/fill.h"
#include "base/table.h"

#define P     FILL_PAGE
#define PAGES 64

/* A memory of 64 pages from address `base` on, some of which cannot be read. */
struct memory {
	uint64_t base;
	uint8_t bytes[PAGES * P];
	bool bad[PAGES];
	size_t most; /* bytes of one read; 0: all */
	unsigned reads;
};

static ssize_t read_memory(void *arg, uint64_t at, void *dst, size_t n)
{
	struct memory *m = arg;
	size_t from = (size_t)(at - m->base);
	m->reads++;
	assert_true(from + n <= sizeof(m->bytes));
	for (size_t i = from / P; i <= (from + n - 1) / P; i++)
		if (m->bad[i])
			return -EIO;
	if (m->most && n > m->most)
		n = m->most;
	memcpy(dst, m->bytes + from, n);
	return (ssize_t)n;
}

static struct memory *memory(uint64_t base)
{
	struct memory *m = calloc(1, sizeof(*m));
	assert_non_null(m);
	m->base = base;
	for (size_t i = 0; i < sizeof(m->bytes); i++)
		m->bytes[i] = (uint8_t)(1 + i % 251);
	return m;
}

/* Exactly the bad pages are zeros and listed, whatever their pattern. */
static void only_bad_pages_are_missing(void **state)
{
	struct memory *m = memory(0x100000);
	uint8_t *dst = malloc(sizeof(m->bytes));
	srandom(7);
	for (unsigned round = 0; round < 200; round++) {
		struct fill f = {.read = read_memory, .arg = m};
		size_t n_bad = 0;
		for (size_t i = 0; i < PAGES; i++)
			n_bad += m->bad[i] = random() % 100 < round % 7 * 15;
		m->most = round % 3 ? 0 : (size_t)(random() % 5 + 1) * P;
		size_t from = round % 2 ? (size_t)random() % P : 0;
		assert_int_equal(fill_block(&f, m->base + from, dst, sizeof(m->bytes) - from), 0);
		for (size_t i = from; i < sizeof(m->bytes); i++)
			if (dst[i - from] != (m->bad[i / P] ? 0 : m->bytes[i]))
				fail_msg("round %u, byte %zu", round, i);
		size_t listed = 0;
		for (size_t k = 0; k < f.n_unread; k++) {
			listed += (size_t)phys_range_len(&f.unread[k].range);
			assert_int_equal(f.unread[k].error, -EIO);
			if (k)
				assert_true(f.unread[k].range.first >
				            f.unread[k - 1].range.last + 1);
		}
		assert_int_equal(listed, n_bad * P - (m->bad[0] ? from : 0));
		assert_int_equal(f.bytes_unread, listed);
		assert_int_equal(f.bytes_read + f.bytes_unread, sizeof(m->bytes) - from);
		fill_free(&f);
	}
	free(dst);
	free(m);
}

static void a_good_block_is_one_read(void **state)
{
	struct memory *m = memory(0);
	uint8_t *dst = malloc(sizeof(m->bytes));
	struct fill f = {.read = read_memory, .arg = m};
	memset(m->bytes + 3 * P, 0, 2 * P);
	assert_int_equal(fill_block(&f, 0, dst, sizeof(m->bytes)), 0);
	assert_int_equal(m->reads, 1);
	assert_int_equal(f.pages_zero, 2);
	/* One bad page costs a few reads, not one for each page. */
	m->reads = 0;
	m->bad[17] = true;
	assert_int_equal(fill_block(&f, 0, dst, sizeof(m->bytes)), 0);
	assert_in_range(m->reads, 2, 30);
	fill_free(&f);
	free(dst);
	free(m);
}

static void a_long_list_is_cut_and_says_so(void **state)
{
	struct fill f = {0};
	for (uint64_t i = 0; i < FILL_UNREAD_MAX + 5; i++)
		assert_int_equal(fill_skip(&f, 2 * i * P, P, -EIO), 0);
	assert_int_equal(f.n_unread, FILL_UNREAD_MAX);
	assert_true(f.unread_cut);
	assert_int_equal(f.unread[f.n_unread - 1].range.last,
	                 2 * (uint64_t)(FILL_UNREAD_MAX + 4) * P + P - 1);
	fill_free(&f);
}

static void zero_pages(void **state)
{
	uint8_t b[4 * P + 100] = {0};
	assert_int_equal(fill_zero_pages(b, sizeof(b)), 4 * P);
	b[2 * P + 5] = 1;
	assert_int_equal(fill_zero_pages(b, sizeof(b)), 2 * P);
	b[P - 1] = 1;
	assert_int_equal(fill_zero_pages(b, sizeof(b)), 0);
	assert_int_equal(fill_zero_pages(b, 10), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_bad_pages_are_missing),
	    cmocka_unit_test(a_good_block_is_one_read),
	    cmocka_unit_test(a_long_list_is_cut_and_says_so),
	    cmocka_unit_test(zero_pages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
