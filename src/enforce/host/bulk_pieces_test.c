/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The pieces of the bulk tier against a plain reference: for each address the latest time of all
 * entries that hold it, and nothing where an allowed prefix holds it. Where the kernel can be asked
 * (root), its tries answer each question, too, and are brought from one set to the next by deltas.
 *
 * STANCH_TEST_LOOKUPS: how many look-ups (default 200,000; the bench asks for 10,000,000).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h> // before cmocka.h
#include <stdarg.h>
#include <cmocka.h>

#include "base/sys.h"
#include "enforce/host/bulk.h"

#define LOOKUPS   200000
#define A_ROUND   20000
#define WANTS_MAX 400
#define ALLOW_MAX 40

static struct prefix prefix(const char *text)
{
	struct prefix p;
	assert_int_equal(prefix_parse(text, &p, NULL), 0);
	return p;
}

static struct bulk_want want(const char *text, uint64_t until)
{
	return (struct bulk_want){.prefix = prefix(text), .until = until};
}

/* "192.0.2.0/25:7 …" */
static void check(const struct bulk_sets *s, const char *expected)
{
	struct buf out = BUF_INIT(1u << 16);
	for (size_t t = 0; t < _BULK_TRIE_MAX; t++)
		for (size_t i = 0; i < s->n[t]; i++) {
			struct prefix p = {.addr = {.family = bulk_family((enum bulk_trie)t)},
			                   .len = s->v[t][i].len};
			char text[PREFIX_STR_MAX];
			memcpy(p.addr.bytes, s->v[t][i].addr, 16);
			buf_addf(&out, "%s%s=%llu", out.len ? " " : "", prefix_str(&p, text),
			         (unsigned long long)s->v[t][i].until);
		}
	assert_string_equal(buf_str(&out), expected);
	buf_free(&out);
}

static void desired(struct bulk_want *v, size_t n, struct prefix *allow, size_t n_allow,
                    const char *expected)
{
	struct bulk_sets s;
	assert_int_equal(bulk_desired(v, n, allow, n_allow, &s, NULL), 0);
	check(&s, expected);
	bulk_sets_free(&s);
}

static void neighbours_become_one(void **state)
{
	struct bulk_want v[] = {want("192.0.2.0/25", 0), want("192.0.2.128/25", 0),
	                        want("192.0.3.0", 0), want("2001:db8::1", 0),
	                        want("2001:db8::", 0)};
	desired(v, 5, NULL, 0, "192.0.2.0/24=0 192.0.3.0=0 2001:db8::/127=0");
}

static void each_keeps_its_own_time(void **state)
{
	struct bulk_want v[] = {want("10.0.0.0/8", 5), want("10.128.0.0/9", 9),
	                        want("10.128.0.0/10", 7)};
	desired(v, 3, NULL, 0, "10.0.0.0/9=5 10.128.0.0/9=9");
	struct bulk_want again[] = {want("192.0.2.1", 5), want("192.0.2.1", 0),
	                            want("192.0.2.1", 3)};
	desired(again, 3, NULL, 0, "192.0.2.1=0");
}

static void the_allowed_is_cut_out(void **state)
{
	struct bulk_want v[] = {want("192.0.2.0/24", 0), want("198.51.100.7", 0)};
	struct prefix allow[] = {prefix("192.0.2.64/26"), prefix("192.0.2.70"),
	                         prefix("198.51.100.0/24")};
	desired(v, 2, allow, 3, "192.0.2.0/26=0 192.0.2.128/25=0");
	struct bulk_want all[] = {want("0.0.0.0/0", 0), want("::/0", 4)};
	struct prefix most[] = {prefix("0.0.0.0/1"), prefix("8000::/1")};
	desired(all, 2, most, 2, "128.0.0.0/1=0 ::/1=4");
}

static void everything_is_one_prefix(void **state)
{
	struct bulk_want v[] = {want("0.0.0.0/1", 0), want("128.0.0.0/1", 0), want("::/0", 3),
	                        want("ffff::/16", 9),
	                        want("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 9)};
	struct bulk_sets s;
	assert_int_equal(bulk_desired(v, 5, NULL, 0, &s, NULL), 0);
	assert_int_equal(s.n[BULK_V4], 1);
	assert_int_equal(s.v[BULK_V4][0].len, 0);
	assert_int_equal(s.n[BULK_V6], 17);
	bulk_sets_free(&s);
	desired(NULL, 0, NULL, 0, "");
}

static void a_delta_is_what_changed(void **state)
{
	struct bulk_want v[] = {want("192.0.2.1", 10), want("192.0.2.3", 100),
	                        want("192.0.2.5", 0)};
	struct bulk_want w[] = {want("192.0.2.1", 12), want("192.0.2.3", 200),
	                        want("192.0.2.8", 0)};
	struct bulk_sets a, b;
	struct bulk_delta d;
	assert_int_equal(bulk_desired(v, 3, NULL, 0, &a, NULL), 0);
	assert_int_equal(bulk_desired(w, 3, NULL, 0, &b, NULL), 0);
	assert_int_equal(bulk_diff(b.v[0], b.n[0], a.v[0], a.n[0], 5, &d, NULL), 0);
	assert_int_equal(d.n_put, 2);
	assert_int_equal(d.put[0].until, 200);
	assert_int_equal(d.put[1].addr[3], 8);
	assert_int_equal(d.n_del, 1);
	assert_int_equal(d.del[0].addr[3], 5);
	bulk_delta_free(&d);
	bulk_sets_free(&a);
	bulk_sets_free(&b);
}

/* ---- at random ---- */

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t any(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % below;
}

static struct addr any_addr(void)
{
	struct addr a = {.family = any(2) ? ADDR_V4 : ADDR_V6};
	unsigned bytes = addr_bits(&a) / 8;
	/* Few values in the upper bytes, so that prefixes meet. */
	for (unsigned i = 0; i < bytes; i++)
		a.bytes[i] = (uint8_t)(any(8) ? any(2) * 0xff : any(256));
	return a;
}

static struct prefix any_prefix(void)
{
	struct addr a = any_addr();
	return prefix_of(&a, (unsigned)any(addr_bits(&a) + 1));
}

static void step_by(struct addr *a, int by)
{
	for (int i = (int)addr_bits(a) / 8; i-- > 0;) {
		int x = a->bytes[i] + by;
		a->bytes[i] = (uint8_t)x;
		if (x >= 0 && x < 256)
			return;
	}
}

/* The edges of prefixes, one beside them, and anywhere. */
static struct addr any_question(const struct bulk_want *v, size_t n, const struct prefix *allow,
                                size_t n_allow)
{
	if (any(4) == 0)
		return any_addr();
	const struct prefix *p = n_allow && any(4) == 0 ? &allow[any(n_allow)] : &v[any(n)].prefix;
	struct addr a = any(2) ? p->addr : prefix_last(p);
	step_by(&a, (int)any(3) - 1);
	return a;
}

/* 0: not blocked. */
static uint64_t reference(const struct bulk_want *v, size_t n, const struct prefix *allow,
                          size_t n_allow, const struct addr *a)
{
	uint64_t time = 0;
	for (size_t i = 0; i < n_allow; i++)
		if (prefix_has(&allow[i], a))
			return 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t t = v[i].until ? v[i].until : UINT64_MAX;
		if (t > time && prefix_has(&v[i].prefix, a))
			time = t;
	}
	return time;
}

static uint64_t ours(const struct bulk_sets *s, const struct addr *a)
{
	const struct bulk_entry *x = bulk_find(s, a);
	return !x ? 0 : x->until ? x->until : UINT64_MAX;
}

static uint64_t kernels(const struct bulkprog *b, const struct addr *a)
{
	uint64_t until = 0;
	int r = bulkprog_find(b, a, &until, NULL);
	assert_true(r == 0 || r == -ENOENT);
	return r ? 0 : until ? until : UINT64_MAX;
}

/* To what is wanted by what has changed, and read back. */
static void bring_to(const struct bulkprog *b, const struct bulk_sets *want)
{
	for (size_t t = 0; t < _BULK_TRIE_MAX; t++) {
		enum addr_family f = bulk_family((enum bulk_trie)t);
		struct bulk_entry *have;
		struct bulk_delta d;
		size_t n, done;
		assert_int_equal(bulkprog_read(b, f, &have, &n, NULL), 0);
		assert_int_equal(bulk_diff(want->v[t], want->n[t], have, n, 0, &d, NULL), 0);
		free(have);
		assert_int_equal(bulkprog_put(b, f, d.put, d.n_put, &done, NULL), 0);
		assert_int_equal(bulkprog_del(b, f, d.del, d.n_del, &done, NULL), 0);
		bulk_delta_free(&d);
		assert_int_equal(bulkprog_read(b, f, &have, &n, NULL), 0);
		assert_int_equal(n, want->n[t]);
		for (size_t i = 0; i < n; i++) {
			assert_memory_equal(have[i].addr, want->v[t][i].addr, 16);
			assert_int_equal(have[i].len, want->v[t][i].len);
			assert_int_equal(have[i].until, want->v[t][i].until);
		}
		free(have);
	}
}

static void fewest(const struct bulk_sets *s)
{
	for (size_t t = 0; t < _BULK_TRIE_MAX; t++)
		for (size_t i = 1; i < s->n[t]; i++) {
			const struct bulk_entry *a = &s->v[t][i - 1], *b = &s->v[t][i];
			struct addr x = {.family = bulk_family((enum bulk_trie)t)}, y = x;
			memcpy(x.bytes, a->addr, 16);
			memcpy(y.bytes, b->addr, 16);
			struct prefix p = prefix_of(&x, a->len ? a->len - 1u : 0),
			              q = prefix_of(&y, b->len ? b->len - 1u : 0);
			assert_false(a->len == b->len && a->until == b->until &&
			             addr_equal(&p.addr, &q.addr));
		}
}

static unsigned long one_round(const struct bulkprog *kernel, unsigned long lookups)
{
	struct bulk_want v[WANTS_MAX], sorted[WANTS_MAX];
	struct prefix allow[ALLOW_MAX] = {0}, sorted_allow[ALLOW_MAX];
	size_t n = 1 + any(WANTS_MAX), n_allow = any(3) ? 0 : any(ALLOW_MAX);
	struct bulk_sets s;
	for (size_t i = 0; i < n; i++)
		v[i] = (struct bulk_want){any_prefix(), any(4)};
	for (size_t i = 0; i < n_allow; i++)
		allow[i] = any_prefix();
	memcpy(sorted, v, n * sizeof *v);
	memcpy(sorted_allow, allow, n_allow * sizeof *allow);
	assert_int_equal(bulk_desired(sorted, n, sorted_allow, n_allow, &s, NULL), 0);
	fewest(&s);
	if (kernel)
		bring_to(kernel, &s);
	for (unsigned long i = 0; i < lookups; i++) {
		struct addr a = any_question(v, n, allow, n_allow);
		uint64_t truth = reference(v, n, allow, n_allow, &a);
		assert_true(ours(&s, &a) == truth);
		if (kernel)
			assert_true(kernels(kernel, &a) == truth);
	}
	bulk_sets_free(&s);
	return lookups;
}

static void look_ups_equal_the_reference(void **state)
{
	const char *text = getenv("STANCH_TEST_LOOKUPS");
	unsigned long left = text ? strtoul(text, NULL, 10) : LOOKUPS, all = left;
	struct bulkprog b;
	struct err e = {0};
	bool kernel = bulkprog_load(&b, &e) == 0;
	while (left)
		left -= one_round(kernel ? &b : NULL, left < A_ROUND ? left : A_ROUND);
	printf("%lu look-ups equal the reference%s%s\n", all,
	       kernel ? ", the kernel's too" : "; the kernel was not asked: ", e.text);
	if (kernel)
		bulkprog_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(neighbours_become_one),
	    cmocka_unit_test(each_keeps_its_own_time),
	    cmocka_unit_test(the_allowed_is_cut_out),
	    cmocka_unit_test(everything_is_one_prefix),
	    cmocka_unit_test(a_delta_is_what_changed),
	    cmocka_unit_test(look_ups_equal_the_reference),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
