/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "observe/flowtab.h"
#include "wire/packet.h"

#define SYN    2
#define ACK    16
#define SYNACK 18
#define FIN    17

/* What came out, and its sums. */
static struct flow out[4096];
static size_t n_out;
static uint64_t out_pkts, out_bytes;

static void keep(void *arg, const struct flow *f)
{
	if (n_out < sizeof out / sizeof *out)
		out[n_out] = *f;
	n_out++;
	out_pkts += f->pkts_toserver + f->pkts_toclient;
	out_bytes += f->bytes_toserver + f->bytes_toclient;
}

static struct flowtab *table(size_t max)
{
	struct flowtab *t;
	n_out = 0;
	out_pkts = out_bytes = 0;
	assert_int_equal(flowtab_new(max, keep, NULL, &t, NULL), 0);
	return t;
}

/* Raw IPv4, 40 bytes of headers. frag as in the header; id 7. */
static void ip4(struct flowtab *t, uint64_t nsec, uint32_t src, uint32_t dst, uint16_t sport,
                uint16_t dport, uint8_t proto, uint8_t flags, uint16_t frag, uint32_t wire)
{
	uint8_t p[40] = {0x45, 0, 0, 40, 0, 7, (uint8_t)(frag >> 8), (uint8_t)frag, 64, proto};
	for (unsigned i = 0; i < 4; i++) {
		p[12 + i] = (uint8_t)(src >> (24 - 8 * i));
		p[16 + i] = (uint8_t)(dst >> (24 - 8 * i));
	}
	p[20] = (uint8_t)(sport >> 8);
	p[21] = (uint8_t)sport;
	p[22] = (uint8_t)(dport >> 8);
	p[23] = (uint8_t)dport;
	if (proto == 17) {
		p[25] = 20;
	} else {
		p[32] = 0x50;
		p[33] = flags;
	}
	flowtab_frame(t, nsec, LINK_RAW, p, sizeof p, wire);
}

static void tcp(struct flowtab *t, uint64_t nsec, int from_client, uint8_t flags)
{
	if (from_client)
		ip4(t, nsec, 0x0a000001, 0x0a000002, 40000, 443, 6, flags, 0, 100);
	else
		ip4(t, nsec, 0x0a000002, 0x0a000001, 443, 40000, 6, flags, 0, 1000);
}

static void is(const struct flow *f, uint16_t sport, uint64_t to, uint64_t back, int guessed)
{
	assert_int_equal(f->src.port, sport);
	assert_int_equal(f->pkts_toserver, to);
	assert_int_equal(f->pkts_toclient, back);
	assert_int_equal(f->bytes_toserver, to * 100);
	assert_int_equal(f->bytes_toclient, back * 1000);
	assert_int_equal(f->src_guessed, guessed);
}

static void who_opened_it(void **state)
{
	static const struct {
		struct {
			uint8_t from_client, flags;
		} seq[3];
		int guessed;
	} cases[] = {
	    {{{1, SYN}, {0, SYNACK}, {1, ACK}}, 0},
	    {{{0, SYNACK}, {1, ACK}, {1, ACK}}, 0},
	    {{{0, ACK}, {1, ACK}, {1, ACK}}, 1}, /* the lower port serves */
	    {{{0, ACK}, {1, SYN}, {1, ACK}}, 0}, /* a late SYN decides */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct flowtab *t = table(10);
		unsigned back = 0;
		for (unsigned k = 0; k < 3; k++) {
			tcp(t, 5 + k, cases[i].seq[k].from_client, cases[i].seq[k].flags);
			back += !cases[i].seq[k].from_client;
		}
		flowtab_flush(t);
		assert_int_equal(n_out, 1);
		is(&out[0], 40000, 3 - back, back, cases[i].guessed);
		assert_int_equal(out[0].start_nsec, 5);
		assert_int_equal(out[0].end_nsec, 7);
		flowtab_free(t);
	}
}

/* Guesses of a high port: a SYN the other way round turns the flow. */
static void a_syn_turns_a_guess(void **state)
{
	struct flowtab *t = table(10);
	ip4(t, 1, 0x0a000009, 0x0a000001, 50000, 40000, 6, ACK, 0, 100);
	ip4(t, 2, 0x0a000001, 0x0a000009, 40000, 50000, 6, SYN, 0, 1000);
	flowtab_flush(t);
	assert_int_equal(n_out, 1);
	assert_int_equal(out[0].src.port, 40000);
	assert_int_equal(out[0].bytes_toserver, 1000);
	assert_int_equal(out[0].bytes_toclient, 100);
	assert_false(out[0].src_guessed);
	flowtab_free(t);
}

static void a_closed_port_pair_comes_again(void **state)
{
	struct flowtab *t = table(10);
	struct source_stats s = {0};
	tcp(t, 1, 1, SYN);
	tcp(t, 2, 0, FIN);
	tcp(t, 3, 1, ACK);
	tcp(t, 4, 1, SYN);
	flowtab_stats(t, &s);
	assert_int_equal(n_out, 1);
	is(&out[0], 40000, 2, 1, 0);
	flowtab_flush(t);
	assert_int_equal(n_out, 2);
	is(&out[1], 40000, 1, 0, 0);
	assert_int_equal(out[1].start_nsec, 4);
	assert_int_equal(s.flows, 2);
	assert_int_equal(s.evicted, 0);
	flowtab_free(t);
}

static struct flow paused[4];
static uint64_t resumed_at[4];
static size_t n_paused;

static void keep_pause(void *arg, const struct flow *f, uint64_t at)
{
	assert_true(n_paused < 4);
	resumed_at[n_paused] = at;
	paused[n_paused++] = *f;
}

static void pauses_and_flags(void **state)
{
	struct flowtab *t = table(10);
	const uint64_t p = FLOW_PAUSE_NSEC;

	n_paused = 0;
	flowtab_on_resume(t, keep_pause);
	tcp(t, 10, 1, SYN);
	tcp(t, 11, 0, SYNACK);
	tcp(t, 11 + p, 1, ACK); /* as long, not longer */
	tcp(t, 12 + 2 * p, 0, ACK | 8);
	tcp(t, 14 + 3 * p, 0, ACK | 8); /* behind a talk of one end: no exchange */
	flowtab_flush(t);
	assert_int_equal(n_out, 1);
	is(&out[0], 40000, 2, 3, 0);
	assert_int_equal(out[0].tcp_toserver, SYN | ACK);
	assert_int_equal(out[0].tcp_toclient, SYN | ACK | 8);
	assert_int_equal(n_paused, 1);
	assert_int_equal(resumed_at[0], 12 + 2 * p);
	is(&paused[0], 40000, 2, 1, 0);
	assert_int_equal(paused[0].end_nsec, 11 + p);
	flowtab_free(t);
}

static void icmp_is_one_flow(void **state)
{
	struct flowtab *t = table(10);
	uint8_t p[28] = {0x45, 0, 0, 28, 0, 7, 0, 0, 64, 1, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1, 0, 0};
	flowtab_frame(t, 1, LINK_RAW, p, sizeof p, sizeof p); /* the reply, first */
	uint8_t q[28] = {0x45, 0, 0, 28, 0, 7, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 8, 0};
	flowtab_frame(t, 2, LINK_RAW, q, sizeof q, sizeof q);
	flowtab_flush(t);
	assert_int_equal(n_out, 1);
	assert_int_equal(out[0].src.addr.bytes[3], 1);
	assert_int_equal(out[0].src.port, 8);
	assert_int_equal(out[0].dest.port, 0);
	assert_int_equal(out[0].pkts_toserver, 1);
	assert_int_equal(out[0].pkts_toclient, 1);
	assert_false(out[0].src_guessed);
	flowtab_free(t);
}

static void fragment(struct flowtab *t, uint64_t nsec, uint16_t frag)
{
	ip4(t, nsec, 0x0a000001, 0x0a000002, 40000, 443, 17, 0, frag, 100);
}

static void fragments_join_in_any_order(void **state)
{
	static const uint16_t order[][3] = {
	    {0x2000, 0x2001, 0x0002}, {0x0002, 0x2001, 0x2000}, {0x2001, 0x2000, 0x0002}};
	for (unsigned i = 0; i < 3; i++) {
		struct flowtab *t = table(10);
		struct source_stats s = {0};
		for (unsigned k = 0; k < 3; k++)
			fragment(t, 10 + k, order[i][k]);
		flowtab_flush(t);
		flowtab_stats(t, &s);
		assert_int_equal(n_out, 1);
		is(&out[0], 40000, 3, 0, 1);
		assert_int_equal(out[0].start_nsec, 10);
		assert_int_equal(out[0].end_nsec, 12);
		assert_int_equal(s.truncated, 0);
		flowtab_free(t);
	}
}

static void fragments_without_a_first_are_told(void **state)
{
	struct flowtab *t = table(10);
	struct source_stats s = {0};
	fragment(t, 1, 0x2001);
	fragment(t, 2, 0x0002);
	/* The same id a minute later is another datagram, with the ports at hand. */
	fragment(t, UINT64_C(60000000000), 0x2000);
	flowtab_flush(t);
	flowtab_stats(t, &s);
	assert_int_equal(n_out, 2);
	assert_int_equal(out_pkts, 3);
	assert_int_equal(s.truncated, 2);
	is(&out[out[0].src.port ? 1 : 0], 0, 2, 0, 1);
	flowtab_free(t);
}

/* What waited and has been counted at expiry is not counted again when its place is taken. */
static void waiting_fragments_expire_once(void **state)
{
	struct flowtab *t = table(10);
	fragment(t, 1, 0x2001);
	flowtab_expire(t, 5);
	assert_int_equal(out_pkts, 1);
	fragment(t, 6, 0x2001);
	fragment(t, 7, 0x2000);
	flowtab_flush(t);
	assert_int_equal(out_pkts, 3);
	flowtab_free(t);
}

/* More datagrams in pieces than the table of fragments holds: sums still fit. */
static void many_fragments(void **state)
{
	struct flowtab *t = table(1000);
	struct source_stats s = {0};
	for (uint32_t i = 0; i < 20000; i++)
		ip4(t, i, 0x0a000000 + i, 0x0b000000, 1, 2, 17, 0, 0x2001, 50);
	flowtab_flush(t);
	flowtab_stats(t, &s);
	assert_int_equal(out_pkts, 20000);
	assert_int_equal(out_bytes, 1000000);
	assert_int_equal(s.truncated, 20000);
	assert_int_equal(s.evicted, 19000);
	flowtab_free(t);
}

static uint8_t v6[60] = {0x60, [5] = 20, [6] = 6, [7] = 64, [52] = 0x50};

static void ip6(struct flowtab *t, uint64_t nsec, uint8_t src, uint8_t dst, uint8_t sport,
                uint8_t dport)
{
	v6[8 + 15] = src;
	v6[24 + 15] = dst;
	v6[41] = sport;
	v6[43] = dport;
	v6[53] = ACK;
	flowtab_frame(t, nsec, LINK_RAW, v6, sizeof v6, 60);
}

/* Every packet between few ends against a count kept the simple way. */
static void counts_are_exact(void **state)
{
	static uint64_t want[2][8][8][4][4];
	struct flowtab *t = table(100000);
	uint32_t r = 7;
	memset(want, 0, sizeof want);
	for (unsigned i = 0; i < 300000; i++) {
		r = r * 1103515245 + 12345;
		unsigned fam = r >> 8 & 1, s = r >> 9 & 7, d = r >> 12 & 7;
		unsigned sp = r >> 15 & 3, dp = r >> 17 & 3;
		want[fam][s][d][sp][dp]++;
		if (fam)
			ip6(t, i, (uint8_t)s, (uint8_t)d, (uint8_t)sp, (uint8_t)dp);
		else
			ip4(t, i, s, d, (uint16_t)sp, (uint16_t)dp, 6, ACK, 0, 40);
	}
	flowtab_flush(t);
	for (size_t i = 0; i < n_out; i++) {
		const struct flow *f = &out[i];
		unsigned fam = f->src.addr.family == ADDR_V6, last = fam ? 15 : 3;
		unsigned s = f->src.addr.bytes[last], d = f->dest.addr.bytes[last];
		uint64_t *to = &want[fam][s][d][f->src.port][f->dest.port];
		uint64_t *back = &want[fam][d][s][f->dest.port][f->src.port];
		assert_int_equal(f->pkts_toserver, *to);
		assert_int_equal(f->bytes_toserver, *to * (fam ? 60 : 40));
		*to = 0;
		assert_int_equal(f->pkts_toclient, *back);
		*back = 0;
	}
	for (size_t i = 0; i < sizeof want / sizeof(uint64_t); i++)
		assert_int_equal(((uint64_t *)want)[i], 0);
	flowtab_free(t);
}

static bool count_flow(void *arg, const struct flow *f)
{
	++*(size_t *)arg;
	return true;
}

static void it_grows_and_keeps_all(void **state)
{
	struct flowtab *t = table(200000);
	struct source_stats s = {0};
	size_t n = 0;
	for (unsigned round = 0; round < 2; round++)
		for (uint32_t i = 0; i < 150000; i++) {
			ip4(t, i, i * 2654435761u, 0x08080808, 1, 2, 17, 0, 0, 40);
			if (i % 3 == 0)
				ip6(t, i, (uint8_t)i, (uint8_t)(i >> 8), 1, (uint8_t)(i >> 16));
		}
	flowtab_each(t, count_flow, &n);
	flowtab_stats(t, &s);
	assert_int_equal(n, s.flows);
	assert_true(n >= 150000);
	assert_int_equal(s.evicted, 0);
	flowtab_flush(t);
	assert_int_equal(n_out, n);
	assert_int_equal(out_pkts, 2 * 200000);
	n = 0;
	flowtab_each(t, count_flow, &n);
	assert_int_equal(n, 0);
	flowtab_free(t);
}

/* A flood through a small table: sums stay exact, and what is used all the time stays in. */
static void evictions_are_told(void **state)
{
	struct flowtab *t = table(1000);
	struct source_stats s = {0};
	for (uint32_t i = 0; i < 50000; i++) {
		ip4(t, i, i + 1000, 0x08080808, 1, 2, 17, 0, 0, 40);
		if (i % 20 == 0)
			tcp(t, i, 1, i ? ACK : SYN);
	}
	flowtab_stats(t, &s);
	assert_int_equal(s.flows, 50001);
	assert_int_equal(s.evicted, 49001);
	assert_int_equal(n_out, 49001);
	flowtab_flush(t);
	assert_int_equal(out_pkts, 52500);
	assert_int_equal(out_bytes, 50000 * 40 + 2500 * 100);
	flowtab_free(t);
}

static void idle_flows_leave(void **state)
{
	struct flowtab *t = table(10000);
	size_t n = 0;
	for (uint32_t i = 0; i < 5000; i++)
		ip4(t, i, i, 0x08080808, 1, 2, 17, 0, 0, 40);
	flowtab_expire(t, 3000);
	assert_int_equal(n_out, 3000);
	for (size_t i = 0; i < 3000; i++)
		assert_true(out[i].end_nsec < 3000);
	flowtab_each(t, count_flow, &n);
	assert_int_equal(n, 2000);
	/* All that stayed can still be found. */
	for (uint32_t i = 3000; i < 5000; i++)
		ip4(t, i, i, 0x08080808, 1, 2, 17, 0, 0, 40);
	n = 0;
	flowtab_each(t, count_flow, &n);
	assert_int_equal(n, 2000);
	flowtab_free(t);
}

static void what_is_not_counted_is_told(void **state)
{
	static const uint8_t arp[42] = {[12] = 8, [13] = 6};
	static const uint8_t ip[34] = {[12] = 8, [14] = 0x45, [17] = 20};
	static const uint8_t bad[34] = {[12] = 8, [14] = 0x42};
	struct flowtab *t = table(10);
	struct source_stats s = {0};
	flowtab_frame(t, 3, LINK_ETHERNET, arp, sizeof arp, sizeof arp);
	flowtab_frame(t, 4, LINK_ETHERNET, ip, 20, 34);
	flowtab_frame(t, 5, LINK_ETHERNET, bad, sizeof bad, sizeof bad);
	flowtab_stats(t, &s);
	assert_int_equal(s.undecoded, 1);
	assert_int_equal(s.truncated, 1);
	assert_int_equal(s.malformed, 1);
	assert_int_equal(s.first_nsec, 3);
	assert_int_equal(s.last_nsec, 5);
	assert_int_equal(s.flows, 0);
	flowtab_free(t);
}

static void sizes(void **state)
{
	struct flowtab *t = NULL;
	struct err e = {0};
	assert_int_equal(flowtab_new(0, keep, NULL, &t, &e), -EINVAL);
	assert_int_equal(flowtab_new(SIZE_MAX, keep, NULL, &t, &e), -EINVAL);
	assert_true(e.text[0]);
	flowtab_free(NULL);
	t = table(1);
	tcp(t, 1, 1, SYN);
	tcp(t, 2, 0, SYNACK);
	ip4(t, 3, 9, 8, 1, 2, 17, 0, 0, 40);
	flowtab_flush(t);
	assert_int_equal(n_out, 2);
	is(&out[0], 40000, 1, 1, 0);
	flowtab_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(who_opened_it),
	    cmocka_unit_test(a_syn_turns_a_guess),
	    cmocka_unit_test(a_closed_port_pair_comes_again),
	    cmocka_unit_test(pauses_and_flags),
	    cmocka_unit_test(icmp_is_one_flow),
	    cmocka_unit_test(fragments_join_in_any_order),
	    cmocka_unit_test(fragments_without_a_first_are_told),
	    cmocka_unit_test(waiting_fragments_expire_once),
	    cmocka_unit_test(many_fragments),
	    cmocka_unit_test(counts_are_exact),
	    cmocka_unit_test(it_grows_and_keeps_all),
	    cmocka_unit_test(evictions_are_told),
	    cmocka_unit_test(idle_flows_leave),
	    cmocka_unit_test(what_is_not_counted_is_told),
	    cmocka_unit_test(sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
