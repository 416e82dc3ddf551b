/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole screens from made-up data, and keys: without curses, without a terminal. */
#include <locale.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ui/screen_draw.h"

#define WALL (UINT64_C(1700000000) * USEC_PER_SEC)

struct bench {
	struct screen_data *data;
	struct screen_state state;
	struct canvas canvas;
	char text[32768];
};

static const struct owner curl = {.pid = 812, .comm = "curl", .exe = "/usr/bin/curl"};
static const struct owner evil = {
    .pid = 4711, .uid = 33, .comm = "e\x1b[31mvil", .unit = "x.service"};
static const struct owner none = {.why_unknown = "the process has gone"};

static struct seen_flow flow(unsigned n, uint64_t rate, const struct owner *o)
{
	struct seen_flow f = {.owner = o, .rate_out = rate, .rate_in = rate / 2};

	addr_parse("10.0.0.5", &f.flow.src.addr);
	addr_parse("198.51.100.1", &f.flow.dest.addr);
	f.flow.dest.addr.bytes[3] = (uint8_t)n;
	f.flow.src.port = (uint16_t)(40000 + n);
	f.flow.dest.port = 443;
	f.flow.proto = IPPROTO_TCP;
	f.flow.bytes_toserver = rate * 10;
	f.flow.bytes_toclient = rate;
	f.flow.start_nsec = (WALL + n) * 1000;
	f.flow.end_nsec = f.flow.start_nsec + UINT64_C(61000000000);
	return f;
}

/* One second in which flow 1..n have these rates. */
static void second(struct bench *b, const uint64_t *rates, unsigned n)
{
	static const struct owner *const owners[] = {&curl, &evil, &none};
	const struct source_stats s = {.tier = "tpacket_v3", .dropped = 12345};
	const struct watch_losses l = {.flows = 7};

	screen_data_begin(b->data);
	for (unsigned i = 0; i < n; i++) {
		const struct seen_flow f = flow(i + 1, rates[i], owners[i % 3]);
		screen_data_living(b->data, &f, true);
	}
	screen_data_end(b->data, &s, &l, WALL);
	screen_data_forget_findings(b->data);
	screen_state_order(&b->state, b->data);
}

static void open_bench(struct bench *b, unsigned width, unsigned height)
{
	static const struct screen_about about = {.live = true, .blind = "the far side"};

	assert_int_equal(screen_data_new(&about, &b->data), 0);
	screen_state_init(&b->state);
	assert_int_equal(canvas_new(width, height, true, &b->canvas), 0);
}

static void close_bench(struct bench *b)
{
	screen_data_free(b->data);
	screen_state_free(&b->state);
	canvas_free(&b->canvas);
}

static const char *drawn(struct bench *b)
{
	size_t at = 0;

	screen_draw(&b->canvas, &b->state, b->data);
	for (unsigned y = 0; y < b->canvas.height; y++) {
		canvas_row(&b->canvas, y, b->text + at, sizeof(b->text) - at - 1);
		at += strlen(b->text + at);
		b->text[at++] = '\n';
	}
	b->text[at] = 0;
	return b->text;
}

static void press(struct bench *b, const char *keys)
{
	for (; *keys; keys++)
		screen_state_key(&b->state, b->data, *keys);
}

static const uint64_t rates[] = {1000, 5000, 3000, 2000};

static void test_sorted(void **state)
{
	struct bench b = {0};
	const char *t;

	open_bench(&b, 80, 24);
	second(&b, rates, 4);
	t = drawn(&b);
	assert_non_null(strstr(t, "[1 flows (4)]"));
	assert_true(strstr(t, "198.51.100.2 ") < strstr(t, "198.51.100.3 "));
	assert_true(strstr(t, "198.51.100.3 ") < strstr(t, "198.51.100.4 "));
	press(&b, "r");
	t = drawn(&b);
	assert_true(strstr(t, "198.51.100.2 ") > strstr(t, "198.51.100.3 "));
	assert_non_null(strstr(t, "OUT/s▲"));
	close_bench(&b);
}

static void test_untrusted(void **state)
{
	struct bench b = {0};

	open_bench(&b, 80, 24);
	second(&b, rates, 4);
	assert_null(strchr(drawn(&b), 0x1b));
	assert_non_null(strstr(b.text, "…[31mvil[4711]"));
	press(&b, "2");
	assert_null(strchr(drawn(&b), 0x1b));
	assert_non_null(strstr(b.text, "? the process"));
	close_bench(&b);
}

static void test_losses_are_told(void **state)
{
	struct bench b = {0};

	open_bench(&b, 132, 24);
	second(&b, rates, 4);
	/* flow 3 has no owner: 30,000 out and 3,000 in */
	assert_non_null(strstr(drawn(&b), "dropped 12.3k  unowned 33.0kB  not kept 7 │ tpacket_v3, "
	                                  "blind: the far side"));
	press(&b, "?");
	assert_non_null(strstr(drawn(&b), "unowned 33.0kB"));
	close_bench(&b);
}

static void test_totals_outlive_flows(void **state)
{
	struct bench b = {0};
	const struct seen_flow ended = flow(9, 1000, &curl);

	open_bench(&b, 80, 24);
	screen_data_final(b.data, &ended, true);
	second(&b, rates, 1);
	assert_int_equal(b.data->n_procs, 1);
	assert_int_equal(b.data->procs[0].out, 20000);
	assert_int_equal(b.data->procs[0].in, 2000);
	assert_int_equal(b.data->procs[0].rate_out, 1000);
	assert_int_equal(b.data->procs[0].living, 1);
	assert_int_equal(b.data->procs[0].flows, 2);
	/* out is from our side */
	screen_data_final(b.data, &ended, false);
	second(&b, rates, 1);
	assert_int_equal(b.data->procs[0].out, 21000);
	assert_int_equal(b.data->procs[0].in, 12000);
	close_bench(&b);
}

static uint16_t selected_port(struct bench *b)
{
	const struct flow_row *r = screen_state_selected(&b->state, b->data);
	return r ? r->f.flow.src.port : 0;
}

static void test_selection(void **state)
{
	static const uint64_t later[] = {9000, 5000, 10000, 2000};
	struct bench b = {0};

	open_bench(&b, 80, 24);
	second(&b, rates, 4);
	drawn(&b);
	assert_int_equal(selected_port(&b), 40002);
	second(&b, later, 4); /* nobody moved it: it is the first row */
	assert_int_equal(selected_port(&b), 40003);
	second(&b, rates, 4);
	press(&b, "j");
	assert_int_equal(selected_port(&b), 40003);
	second(&b, later, 4); /* it follows its row */
	assert_int_equal(selected_port(&b), 40003);
	assert_int_equal(b.state.place[VIEW_FLOWS].cursor, 0);
	/* in full, a flow that ends stays to be read */
	screen_state_key(&b.state, b.data, SKEY_ENTER);
	second(&b, later, 2);
	assert_int_equal(selected_port(&b), 40003);
	assert_non_null(strstr(drawn(&b), "It has ended"));
	screen_state_key(&b.state, b.data, SKEY_ESCAPE);
	drawn(&b);
	assert_int_not_equal(selected_port(&b), 40003);
	close_bench(&b);
}

static void test_filter(void **state)
{
	struct bench b = {0};

	open_bench(&b, 80, 24);
	second(&b, rates, 4);
	press(&b, "/CURL"); /* 1 and 4 are curl's; keys are text here */
	assert_int_equal(b.state.place[VIEW_FLOWS].n_order, 2);
	screen_state_key(&b.state, b.data, SKEY_BACKSPACE);
	assert_string_equal(b.state.filter, "CUR");
	screen_state_key(&b.state, b.data, SKEY_ENTER);
	assert_non_null(strstr(drawn(&b), "filter: CUR (Esc clears)"));
	screen_state_key(&b.state, b.data, SKEY_ESCAPE);
	assert_int_equal(b.state.place[VIEW_FLOWS].n_order, 4);
	press(&b, "/nothing like it");
	assert_non_null(strstr(drawn(&b), "Nothing matches the filter"));
	screen_state_key(&b.state, b.data, SKEY_ESCAPE); /* as it was before */
	assert_string_equal(b.state.filter, "");
	for (int i = 0; i < 200; i++)
		press(&b, i ? "x" : "/");
	assert_int_equal(strlen(b.state.filter), FILTER_MAX - 1);
	close_bench(&b);
}

static void test_orders(void **state)
{
	struct finding f = {.id = 3, .kind = FINDING_BEACON, .score = 0.9};
	struct bench b = {0};

	open_bench(&b, 80, 24);
	b.data->about.contain = true;
	finding_reason(&f, "a reason");
	finding_order(&f, "block 192.0.2.1");
	screen_data_finding(b.data, &f);
	second(&b, rates, 1);
	assert_int_equal(screen_state_key(&b.state, b.data, 'o'), ACTION_NONE);
	assert_non_null(strstr(drawn(&b), "o works on a finding"));
	press(&b, "3");
	assert_non_null(strstr(drawn(&b), "1 to act on"));
	/* one: its plan at once */
	assert_int_equal(screen_state_key(&b.state, b.data, 'o'), ACTION_ORDER);
	assert_string_equal(b.state.order, "block 192.0.2.1");
	/* several: which? */
	finding_order(&f, "block c2.example");
	screen_data_finding(b.data, &f);
	second(&b, rates, 1);
	assert_int_equal(screen_state_key(&b.state, b.data, 'o'), ACTION_NONE);
	assert_non_null(strstr(drawn(&b), "stanch contain f3"));
	press(&b, "j");
	assert_int_equal(screen_state_key(&b.state, b.data, SKEY_ENTER), ACTION_ORDER);
	assert_string_equal(b.state.order, "block c2.example");
	close_bench(&b);
}

static void test_interfaces(void **state)
{
	struct link l = {.ifindex = 2, .name = "eth0", .flags = IFF_UP, .type = ARPHRD_ETHER};
	struct bench b = {0};

	open_bench(&b, 200, 24);
	for (unsigned i = 0; i <= 3; i++) {
		screen_data_links(b.data, &l, 1, (i + 1) * USEC_PER_SEC);
		l.counters.tx_bytes += 1000 * (i + 1);
		l.counters.rx_bytes += 500;
	}
	second(&b, rates, 1);
	assert_non_null(strstr(drawn(&b), "eth0       out   3.0k"));
	assert_non_null(strstr(b.text, "▄▆█  in 500   "));
	assert_non_null(strstr(b.text, "peak   3.0k"));
	/* graphs of a minute in a narrow screen: steps of some seconds, the greatest of each */
	b.canvas.width = 80;
	assert_non_null(strstr(drawn(&b), "█  in 500   "));
	close_bench(&b);
}

/* No size, view or page writes where it should not, or cuts without a mark. */
static void test_all_sizes(void **state)
{
	static const char *const keys[] = {"", "2", "3", "?", "\xff"};
	struct finding f = {.kind = FINDING_SCAN, .score = 0.5};
	struct bench b = {0};

	for (unsigned w = 1; w <= 260; w += w < 90 ? 7 : 23)
		for (unsigned h = 1; h <= 60; h += 6)
			for (size_t k = 0; k < 5; k++) {
				open_bench(&b, w, h);
				finding_reason(&f, "many ports");
				screen_data_finding(b.data, &f);
				second(&b, rates, 4);
				press(&b, keys[k]);
				if (k == 4)
					screen_state_key(&b.state, b.data, SKEY_ENTER);
				for (char *line = strtok((char *)(uintptr_t)drawn(&b), "\n"); line;
				     line = strtok(NULL, "\n"))
					assert_in_range(canvas_columns(true, line), 0, w);
				screen_state_key(&b.state, b.data, SKEY_END);
				screen_state_key(&b.state, b.data, SKEY_PAGE_UP);
				drawn(&b);
				close_bench(&b);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sorted),          cmocka_unit_test(test_untrusted),
	    cmocka_unit_test(test_losses_are_told), cmocka_unit_test(test_totals_outlive_flows),
	    cmocka_unit_test(test_selection),       cmocka_unit_test(test_filter),
	    cmocka_unit_test(test_orders),          cmocka_unit_test(test_interfaces),
	    cmocka_unit_test(test_all_sizes),
	};

	/* wcwidth() asks the locale. */
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
