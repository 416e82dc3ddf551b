/* SPDX-License-Identifier: GPL-3.0-or-later */
/* block_desired against a reference that asks every want for every address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "enforce/host/parts.h"

#define FOREVER UINT64_MAX
#define ROUNDS  4000

static uint64_t rank(uint64_t left)
{
	return left ? left : FOREVER;
}

/* The latest time that anybody wants for an address; 0: nobody does. */
static uint64_t reference(const struct block_want *v, size_t n, const struct addr *a)
{
	uint64_t best = 0;
	for (size_t i = 0; i < n; i++)
		if (prefix_has(&v[i].prefix, a) && rank(v[i].left) > best)
			best = rank(v[i].left);
	return best;
}

/* What the kernel would do with these sets. */
static uint64_t looked_up(const struct block_sets *s, const struct addr *a)
{
	enum block_set hot = a->family == ADDR_V4 ? BLOCK_HOT4 : BLOCK_HOT6;
	enum block_set net = a->family == ADDR_V4 ? BLOCK_NET4 : BLOCK_NET6;
	uint64_t best = 0;
	for (size_t i = 0; i < s->n[hot]; i++)
		if (!memcmp(s->v[hot][i].key, a->bytes, 16) && rank(s->v[hot][i].timeout) > best)
			best = rank(s->v[hot][i].timeout);
	for (size_t i = 0; i < s->n[net]; i++) {
		const struct nft_elem *el = &s->v[net][i];
		bool end = i + 1 < s->n[net] && el[1].interval_end;
		if (!el->interval_end && memcmp(el->key, a->bytes, 16) <= 0 &&
		    (!end || memcmp(a->bytes, el[1].key, 16) < 0) && rank(el->timeout) > best)
			best = rank(el->timeout);
	}
	return best;
}

/* Keys ascend, each start has one end but the last, neighbours of one time are joined. */
static void check_form(const struct nft_elem *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (v[i].interval_end) {
			assert_true(i > 0 && !v[i - 1].interval_end);
			assert_true(memcmp(v[i - 1].key, v[i].key, 16) < 0);
			assert_int_equal(v[i].timeout, 0);
			if (i + 1 < n && !memcmp(v[i].key, v[i + 1].key, 16))
				assert_int_not_equal(v[i - 1].timeout, v[i + 1].timeout);
		} else if (i > 0) {
			assert_true(v[i - 1].interval_end);
			assert_true(memcmp(v[i - 1].key, v[i].key, 16) <= 0);
		}
	}
}

static struct block_want random_want(unsigned *seed, bool v6)
{
	unsigned bits = v6 ? 128 : 32;
	unsigned len = bits - (unsigned)rand_r(seed) % (rand_r(seed) % 8 ? 9 : bits + 1);
	struct addr a = {.family = v6 ? ADDR_V6 : ADDR_V4};
	/* Few different addresses, some at the very end, so that they meet. */
	memset(a.bytes, rand_r(seed) % 4 ? 10 : 255, bits / 8);
	a.bytes[bits / 8 - 1] = (uint8_t)rand_r(seed);
	return (struct block_want){.prefix = prefix_of(&a, len),
	                           .left = (uint64_t)(rand_r(seed) % 4) * 1000};
}

static void one_round(unsigned *seed)
{
	struct block_want v[24];
	size_t n = (size_t)rand_r(seed) % 24;
	struct block_sets s;
	for (size_t i = 0; i < n; i++)
		v[i] = random_want(seed, rand_r(seed) % 2);
	assert_int_equal(block_desired(v, n, &s, NULL), 0);
	check_form(s.v[BLOCK_NET4], s.n[BLOCK_NET4]);
	check_form(s.v[BLOCK_NET6], s.n[BLOCK_NET6]);
	for (size_t i = 0; i < 200; i++) {
		struct block_want at = random_want(seed, i % 2);
		at.prefix.addr.bytes[i % 2 ? 15 : 3] = (uint8_t)rand_r(seed);
		assert_int_equal(looked_up(&s, &at.prefix.addr), reference(v, n, &at.prefix.addr));
	}
	for (size_t i = 0; i < n; i++) { /* and around every border */
		struct addr last = prefix_last(&v[i].prefix);
		assert_int_equal(looked_up(&s, &last), reference(v, n, &last));
		assert_int_equal(looked_up(&s, &v[i].prefix.addr),
		                 reference(v, n, &v[i].prefix.addr));
	}
	block_sets_free(&s);
}

static void agrees_with_reference(void **state)
{
	unsigned seed = 20261124;
	for (int i = 0; i < ROUNDS; i++)
		one_round(&seed);
}

static struct block_want want(const char *text, uint64_t left)
{
	struct block_want w = {.left = left};
	assert_int_equal(prefix_parse(text, &w.prefix, NULL), 0);
	return w;
}

static void splits_at_boundaries(void **state)
{
	const struct block_want v[] = {want("10.0.0.0/8", 1000), want("10.1.0.0/16", 2000)};
	struct block_sets s;
	assert_int_equal(block_desired(v, 2, &s, NULL), 0);
	assert_int_equal(s.n[BLOCK_NET4], 6);
	assert_int_equal(s.v[BLOCK_NET4][0].timeout, 1000);
	assert_int_equal(s.v[BLOCK_NET4][2].timeout, 2000);
	assert_int_equal(s.v[BLOCK_NET4][2].key[1], 1);
	assert_int_equal(s.v[BLOCK_NET4][4].timeout, 1000);
	block_sets_free(&s);
}

/* The shorter time inside of the longer one changes nothing. */
static void inner_that_ends_sooner_vanishes(void **state)
{
	const struct block_want v[] = {want("10.0.0.0/8", 0), want("10.1.0.0/16", 2000)};
	struct block_sets s;
	assert_int_equal(block_desired(v, 2, &s, NULL), 0);
	assert_int_equal(s.n[BLOCK_NET4], 2);
	assert_int_equal(s.v[BLOCK_NET4][0].timeout, 0);
	block_sets_free(&s);
}

static void hosts_are_exact_and_latest(void **state)
{
	const struct block_want v[] = {want("10.0.0.1", 1000), want("10.0.0.1", 5000),
	                               want("10.0.0.10", 1000), want("2001:db8::1", 0)};
	struct block_sets s;
	assert_int_equal(block_desired(v, 4, &s, NULL), 0);
	assert_int_equal(s.n[BLOCK_HOT4], 2);
	assert_int_equal(s.v[BLOCK_HOT4][0].timeout, 5000);
	assert_int_equal(s.n[BLOCK_HOT6], 1);
	assert_int_equal(s.n[BLOCK_NET4] + s.n[BLOCK_NET6], 0);
	block_sets_free(&s);
}

static void everything_has_no_end(void **state)
{
	const struct block_want v[] = {want("0.0.0.0/1", 0), want("128.0.0.0/1", 0),
	                               want("::/0", 1000)};
	struct block_sets s;
	assert_int_equal(block_desired(v, 3, &s, NULL), 0);
	assert_int_equal(s.n[BLOCK_NET4], 1);
	assert_int_equal(s.n[BLOCK_NET6], 1);
	assert_false(s.v[BLOCK_NET4][0].interval_end);
	block_sets_free(&s);
}

static void nothing_is_nothing(void **state)
{
	struct block_sets s;
	assert_int_equal(block_desired(NULL, 0, &s, NULL), 0);
	for (size_t i = 0; i < _BLOCK_SET_MAX; i++)
		assert_int_equal(s.n[i], 0);
	block_sets_free(&s);
}

/* Every length of both families nested into one another: as deep as the walk can get. */
static void nested_to_the_last_bit(void **state)
{
	struct block_want v[129];
	struct block_sets s;
	for (unsigned i = 0; i < 129; i++) {
		struct addr a = {.family = ADDR_V6};
		v[i] = (struct block_want){.prefix = prefix_of(&a, i), .left = 1000 + i};
	}
	assert_int_equal(block_desired(v, 129, &s, NULL), 0);
	check_form(s.v[BLOCK_NET6], s.n[BLOCK_NET6]);
	assert_int_equal(s.n[BLOCK_NET6], 2 * 128 - 1);
	assert_int_equal(s.n[BLOCK_HOT6], 1);
	block_sets_free(&s);
}

static void times_left(void **state)
{
	struct deadlines d = {0};
	uint64_t left = 7;
	assert_int_equal(block_left(&d, 5000000, &left), 0);
	assert_int_equal(left, 0);
	d.confirm_by_boot = 6000000;
	assert_int_equal(block_left(&d, 5000000, &left), 0);
	assert_int_equal(left, 1000);
	d.until_boot = 5000001; /* rounded up: a running clock is never "for good" */
	strcpy(d.boot, boot_id());
	assert_int_equal(block_left(&d, 5000000, &left), 0);
	assert_int_equal(left, 1);
	assert_int_equal(block_left(&d, 5000001, &left), -ETIME);
	d = (struct deadlines){.confirm_by_boot = 6000000, .on_expiry = EXPIRY_WIDEN};
	assert_int_equal(block_left(&d, 7000000, &left), -ETIME);
	strcpy(d.boot, "another");
	assert_int_equal(block_left(&d, 5000000, &left), -ETIME);
}

static void hold_times(void **state)
{
	struct hold_time t;
	struct deadlines d = {.confirm_by_boot = 6000000, .on_expiry = EXPIRY_WIDEN};
	assert_int_equal(hold_time_of(&d, 5000000, &t), 0);
	assert_int_equal(t.armed, 0);
	assert_int_equal(t.narrow, 1000000);
	assert_int_equal(hold_time_of(&d, 7000000, &t), 0); /* widened, and still a cut */
	assert_int_equal(t.armed, 0);
	assert_true(t.narrow > 0);
	d.on_expiry = EXPIRY_OPEN;
	assert_int_equal(hold_time_of(&d, 5000000, &t), 0);
	assert_int_equal(t.armed, 1000000);
	assert_int_equal(t.narrow, 0);
	assert_int_equal(hold_time_of(&d, 6000000, &t), -ETIME);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(agrees_with_reference),
	    cmocka_unit_test(splits_at_boundaries),
	    cmocka_unit_test(inner_that_ends_sooner_vanishes),
	    cmocka_unit_test(hosts_are_exact_and_latest),
	    cmocka_unit_test(everything_has_no_end),
	    cmocka_unit_test(nothing_is_nothing),
	    cmocka_unit_test(nested_to_the_last_bit),
	    cmocka_unit_test(times_left),
	    cmocka_unit_test(hold_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
