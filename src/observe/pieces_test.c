/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "observe/pieces.h"

/* The same, a byte and a flag at a time. */
struct plain {
	bool have[PIECES_MAX];
	uint8_t bytes[PIECES_MAX];
};

static void plain_put(struct plain *s, size_t at, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n && at + i < PIECES_MAX; i++) {
		if (!s->have[at + i])
			s->bytes[at + i] = p[i];
		s->have[at + i] = true;
	}
}

static void plain_move(struct plain *s, long by)
{
	struct plain old = *s;
	memset(s, 0, sizeof *s);
	for (long i = 0; i < PIECES_MAX; i++) {
		if (i + by < 0 || i + by >= PIECES_MAX)
			continue;
		s->have[i + by] = old.have[i];
		s->bytes[i + by] = old.bytes[i];
	}
}

static void same(const struct pieces *s, const struct plain *want)
{
	size_t prefix = 0;
	while (prefix < PIECES_MAX && want->have[prefix])
		prefix++;
	assert_int_equal(pieces_prefix(s), prefix);
	for (size_t i = 0; i < PIECES_MAX; i++) {
		assert_int_equal(s->have[i / 64] >> i % 64 & 1, want->have[i]);
		if (want->have[i])
			assert_int_equal(s->bytes[i], want->bytes[i]);
	}
}

static void against_the_plain_way(void **state)
{
	static struct pieces s;
	static struct plain want;
	static uint8_t noise[5000];
	srandom(1);
	for (int round = 0; round < 3000; round++) {
		size_t at = (size_t)random() % 4200,
		       n = (size_t)random() % (round % 2 ? 100 : 1500);
		size_t by = (size_t)random() % (round % 3 ? 300 : 4500);
		for (size_t i = 0; i < n; i++)
			noise[i] = (uint8_t)random();
		switch (random() % 8) {
		case 0:
			pieces_drop(&s, by);
			plain_move(&want, -(long)by);
			break;
		case 1:
			pieces_unshift(&s, by);
			plain_move(&want, (long)by);
			break;
		default:
			pieces_put(&s, at, noise, n);
			plain_put(&want, at, noise, n);
		}
		same(&s, &want);
		if (pieces_prefix(&s) == PIECES_MAX) {
			pieces_clear(&s);
			memset(&want, 0, sizeof want);
		}
	}
	pieces_put(&s, UINT64_MAX, noise, 10);
	same(&s, &want);
}

static void first_come_stays(void **state)
{
	static struct pieces s;
	pieces_put(&s, 3, (const uint8_t *)"def", 3);
	assert_int_equal(pieces_prefix(&s), 0);
	pieces_put(&s, 0, (const uint8_t *)"abcXXXg", 7);
	assert_int_equal(pieces_prefix(&s), 7);
	assert_memory_equal(s.bytes, "abcdefg", 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(against_the_plain_way),
	    cmocka_unit_test(first_come_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
