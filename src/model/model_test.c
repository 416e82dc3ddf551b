/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "model/finding.h"
#include "model/flow.h"
#include "model/order.h"
#include "model/step.h"

#define ROUND_TRIP(name, type, max)                                                                \
	for (int i = 0; i < (max); i++) {                                                          \
		assert_string_not_equal(name##_str((type)i), "invalid");                           \
		assert_int_equal(name##_parse(name##_str((type)i)), i);                            \
	}                                                                                          \
	assert_string_equal(name##_str((type)(max)), "invalid");                                   \
	assert_int_equal(name##_parse("no such name"), -EINVAL)

static void string_tables_round_trip(void **state)
{
	ROUND_TRIP(verb, enum verb, _VERB_MAX);
	ROUND_TRIP(target_kind, enum target_kind, _TARGET_MAX);
	ROUND_TRIP(permit_kind, enum permit_kind, _PERMIT_MAX);
	ROUND_TRIP(on_expiry, enum on_expiry, _EXPIRY_MAX);
	ROUND_TRIP(order_state, enum order_state, _ORDER_STATE_MAX);
	ROUND_TRIP(step_state, enum step_state, _STEP_STATE_MAX);
	ROUND_TRIP(verdict, enum verdict, _VERDICT_MAX);
	ROUND_TRIP(dimension, enum dimension, _DIM_MAX);
	ROUND_TRIP(dim_state, enum dim_state, _DIM_STATE_MAX);
	ROUND_TRIP(finding_kind, enum finding_kind, _FINDING_MAX);
	ROUND_TRIP(app_proto, enum app_proto, _APP_PROTO_MAX);
	ROUND_TRIP(name_source, enum name_source, _NAME_SOURCE_MAX);
}

static struct order sample(void)
{
	struct order o = {
	    .id = 7,
	    .verb = VERB_ISOLATE,
	    .state = ORDER_UNCONFIRMED,
	    .reason = "\"quoted\" reason",
	    .deadlines = {.confirm_by_boot = 5, .boot = "b", .on_expiry = EXPIRY_WIDEN}};
	struct target t = {.kind = TARGET_HOST, .name = "self"};
	struct permit p = {.kind = PERMIT_FLOW, .proto = IPPROTO_TCP, .local_port = 22, .why = "w"};
	prefix_parse("2001:db8::/64", &p.peer, NULL);
	order_add_target(&o, &t, NULL);
	order_add_permit(&o, &p, NULL);
	order_add_permit(&o, &p, NULL); /* no duplicate */
	p = (struct permit){.kind = PERMIT_RA};
	order_add_permit(&o, &p, NULL);
	return o;
}

static void orders_round_trip(void **state)
{
	struct order o = sample(), back;
	struct buf a = BUF_INIT(4096), b = BUF_INIT(4096);
	assert_int_equal(o.n_permits, 2);
	assert_int_equal(order_to_json(&o, &a), 0);
	assert_int_equal(order_from_json(buf_str(&a), &back, NULL), 0);
	assert_int_equal(order_to_json(&back, &b), 0);
	assert_string_equal(buf_str(&a), buf_str(&b));
	assert_int_equal(back.permits[0].local_port, 22);
	assert_int_equal(back.deadlines.on_expiry, EXPIRY_WIDEN);
	order_free(&o);
	order_free(&back);
	buf_free(&a);
	buf_free(&b);
}

/* Replaces the first `from` of a good order's text by `to`. */
static int parse_mutated(const char *from, const char *to, struct err *e)
{
	struct order o = sample(), back = {0};
	struct buf a = BUF_INIT(4096), m = BUF_INIT(8192);
	order_to_json(&o, &a);
	const char *at = strstr(buf_str(&a), from);
	assert_non_null(at);
	buf_addf(&m, "%.*s%s%s", (int)(at - buf_str(&a)), buf_str(&a), to, at + strlen(from));
	int r = order_from_json(buf_str(&m), &back, e);
	order_free(&o);
	order_free(&back);
	buf_free(&a);
	buf_free(&m);
	return r;
}

static void tampered_orders_are_refused(void **state)
{
	static const struct {
		const char *from, *to;
	} rows[] = {
	    {"\"isolate\"", "\"erase\""},
	    {"\"local_port\":22", "\"local_port\":70000"},
	    {"\"local_port\":22", "\"local_port\":\"22\""},
	    {"\"proto\":6", "\"proto\":-1"},
	    {"2001:db8::/64", "2001:db8::1/64"},
	    {"\"2001:db8::/64\"", "null"},
	    {"\"verb\":", "\"extra\":1,\"verb\":"},
	    {"\"verb\":", "\"id\":1,\"verb\":"},
	    {"\"confirm_by_boot\":5", "\"confirm_by_boot\":-5"},
	    {"\"id\":7", "\"id\":99999999999"},
	    {"{", "[1] {"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct err e = {0};
		assert_int_equal(parse_mutated(rows[i].from, rows[i].to, &e), -EBADMSG);
		assert_true(e.text[0]);
	}
}

static void permits_match_what_they_say(void **state)
{
	struct permit p = {.kind = PERMIT_FLOW, .local_port = 22};
	struct addr in, out;
	prefix_parse("192.0.2.0/30", &p.peer, NULL);
	addr_parse("192.0.2.3", &in);
	addr_parse("192.0.2.30", &out);
	assert_true(permit_matches_flow(&p, &in, IPPROTO_TCP, 22, 5000));
	assert_true(permit_matches_flow(&p, &in, IPPROTO_UDP, 22, 5000));
	assert_false(permit_matches_flow(&p, &in, IPPROTO_SCTP, 22, 5000));
	assert_false(permit_matches_flow(&p, &in, IPPROTO_TCP, 5000, 22));
	assert_false(permit_matches_flow(&p, &out, IPPROTO_TCP, 22, 5000));
	p.local_port = 0;
	assert_true(permit_matches_flow(&p, &in, IPPROTO_ICMP, 0, 0));
	p.kind = PERMIT_ARP;
	assert_false(permit_matches_flow(&p, &in, IPPROTO_TCP, 22, 5000));
}

static void plans_own_their_parts(void **state)
{
	struct plan p = {0};
	struct step *a = plan_add_step(&p, "self", "host.cut");
	assert_non_null(a);
	a->forward = strdup("{}");
	struct step *b = plan_add_step(&p, "self", "host.raw");
	assert_int_equal(b->seq, 2);
	assert_string_not_equal(p.steps[0].token, p.steps[1].token);
	assert_int_equal(strlen(b->token), STEP_TOKEN_MAX - 1);
	assert_null(plan_add_step(&p, "self", "a kind with a name that is far too long to be one"));
	assert_int_equal(plan_note(&p, "raw is %s", "partial"), 0);
	assert_string_equal(p.notes[0], "raw is partial");
	plan_set_dim(&p, DIM_RAW, DIM_PARTIAL, "no tc");
	plan_set_dim(&p, DIM_RAW, DIM_PARTIAL, "no BPF");
	assert_string_equal(p.dim_reasons[DIM_RAW], "no BPF");
	plan_free(&p);
	plan_free(&p);
	plan_free(NULL);
}

static void test_finding_same(void **state)
{
	struct finding a = {.kind = FINDING_BEACON, .proto = 6}, b;

	assert_int_equal(endpoint_parse("192.0.2.10", &a.src, NULL), 0);
	assert_int_equal(endpoint_parse("203.0.113.5:443", &a.dest, NULL), 0);
	b = a;
	b.score = 0.5;
	b.src.port = 4000;
	strcpy(b.domain, "name.example"); /* of the far end: may become known later */
	assert_true(finding_same(&a, &b));
	b.dest.port = 80;
	assert_false(finding_same(&a, &b));
	a.kind = b.kind = FINDING_UPLOAD;
	assert_true(finding_same(&a, &b));
	a.kind = b.kind = FINDING_DNS_TUNNEL;
	assert_false(finding_same(&a, &b));
	strcpy(a.domain, b.domain);
	assert_true(finding_same(&a, &b));
	b.kind = FINDING_SCAN;
	assert_false(finding_same(&a, &b));
	for (int i = 0; i < 100; i++)
		finding_reason(&a, "%d of %0300d", i, 0);
	assert_int_equal(a.n_reasons, FINDING_REASONS_MAX);
	assert_int_equal(strlen(a.reasons[FINDING_REASONS_MAX - 1]), FINDING_REASON_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(string_tables_round_trip),
	    cmocka_unit_test(orders_round_trip),
	    cmocka_unit_test(tampered_orders_are_refused),
	    cmocka_unit_test(permits_match_what_they_say),
	    cmocka_unit_test(plans_own_their_parts),
	    cmocka_unit_test(test_finding_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
