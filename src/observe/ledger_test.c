/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/ledger.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

struct told {
	struct flow last[8];
	bool final[8];
	size_t n, resumed;
};

static void on_flow(void *arg, const struct flow *f, const struct owner *owner, bool final)
{
	struct told *t = arg;

	assert_null(owner);
	assert_true(t->n < 8);
	t->last[t->n] = *f;
	t->final[t->n++] = final;
}

static void on_resume(void *arg, const struct resume_event *r)
{
	((struct told *)arg)->resumed++;
}

static struct flow counts(uint64_t packets, uint64_t bytes)
{
	return (struct flow){
	    .proto = IPPROTO_TCP, .pkts_toserver = packets, .bytes_toserver = bytes};
}

static void list(struct ledger *l, uint64_t nsec, uint64_t key, uint64_t packets, uint64_t bytes)
{
	const struct ledger_key k = {{key}};
	struct flow f = counts(packets, bytes);

	ledger_begin(l, nsec);
	if (packets)
		ledger_count(l, &k, &f);
	ledger_end(l, true);
}

static struct ledger *make(struct told *t, size_t max)
{
	/* Static: the ledger keeps it. */
	static struct observe_job job;
	struct ledger *l;

	job = (struct observe_job){.arg = t, .max_flows = max, .resume = on_resume};
	assert_int_equal(ledger_new(&job, on_flow, &l, NULL), 0);
	return l;
}

static void what_was_there_before_counts_from_now_on(void **state)
{
	struct told t = {.n = 0};
	struct ledger *l = make(&t, 4);
	struct source_stats s;

	list(l, SECOND, 1, 100, 5000);
	list(l, 2 * SECOND, 1, 100, 5000);
	assert_int_equal(t.n, 0);
	list(l, 3 * SECOND, 1, 103, 5300);
	assert_int_equal(t.n, 1);
	assert_int_equal(t.last[0].bytes_toserver, 300);
	assert_int_equal(t.resumed, 0);
	list(l, 5 * SECOND, 1, 104, 5400);
	assert_int_equal(t.resumed, 1);
	list(l, 6 * SECOND, 1, 0, 0); /* gone */
	assert_int_equal(t.n, 3);
	assert_true(t.final[2]);
	assert_int_equal(t.last[2].bytes_toserver, 400);
	assert_int_equal(t.last[2].end_nsec, 5 * SECOND);
	ledger_stats(l, &s);
	assert_int_equal(s.bytes, 400);
	assert_int_equal(s.packets, 4);
	assert_int_equal(s.flows, 1);
	ledger_free(l);
}

static void one_between_two_lists_is_told_whole(void **state)
{
	const struct ledger_key k = {{7}};
	struct told t = {.n = 0};
	struct ledger *l = make(&t, 4);
	struct flow f = counts(5, 700);

	list(l, SECOND, 0, 0, 0);
	ledger_over(l, &k, &f);
	assert_int_equal(t.n, 0); /* it may have begun before we came */
	list(l, 2 * SECOND, 0, 0, 0);
	ledger_over(l, &k, &f);
	assert_int_equal(t.n, 1);
	assert_true(t.final[0]);
	assert_int_equal(t.last[0].bytes_toserver, 700);
	ledger_free(l);
}

static void what_does_not_fit_is_told(void **state)
{
	struct told t = {.n = 0};
	struct ledger *l = make(&t, 2);
	struct source_stats s;

	ledger_begin(l, SECOND);
	ledger_end(l, true);
	ledger_begin(l, 2 * SECOND);
	for (uint64_t i = 1; i <= 5; i++) {
		const struct ledger_key k = {{i}};
		struct flow f = counts(1, 60);
		ledger_count(l, &k, &f);
	}
	ledger_end(l, true);
	ledger_stats(l, &s);
	assert_int_equal(t.n, 2);
	assert_int_equal(s.evicted, 3);
	ledger_flush(l);
	assert_int_equal(t.n, 4);
	ledger_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_there_before_counts_from_now_on),
	    cmocka_unit_test(one_between_two_lists_is_told_whole),
	    cmocka_unit_test(what_does_not_fit_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
