/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Guards, and the allow-list that the command line makes. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/table.h"
#include "ui/cut.h"
#include "ui/guard.h"
#include "ui/roundtrip.h"
#include "ui/show.h"

static struct config keeps;
static struct operator_sessions sessions;
static struct surroundings around;

static struct addr address(const char *s)
{
	struct addr a;
	assert_int_equal(addr_parse(s, &a), 0);
	return a;
}

static int make_world(void **state)
{
	static const char resolv[] = "# comment\nnameserver 192.0.2.53\nnameserver 127.0.0.53\n"
	                             "  nameserver 2001:db8::53%eth0\noptions ndots:1\n";
	config_init(&keeps);
	config_key_find("keep")->set(&keeps, "198.51.100.30:8080", NULL);
	config_key_find("keep_in")->set(&keeps, "198.51.100.64/26@22", NULL);
	config_key_find("keep_out")->set(&keeps, "192.0.2.99", NULL);
	config_key_find("break_glass")->set(&keeps, "198.51.100.200", NULL);
	config_key_find("protect")->set(&keeps, "192.0.2.128/25", NULL);
	sessions.v[0].peer = (struct endpoint){address("198.51.100.7"), 50122};
	sessions.v[0].local = (struct endpoint){address("192.0.2.10"), 22};
	sessions.v[0].live = true;
	sessions.n = 1;
	around = (struct surroundings){.keeps = &keeps, .sessions = &sessions};
	around.own[around.n_own++] = address("192.0.2.10");
	around.gateways[around.n_gateways++] = address("192.0.2.1");
	resolvers_parse(resolv, &around);
	return 0;
}

static const char *first_hit(const char *text)
{
	struct prefix p;
	const char *name = "";
	assert_int_equal(prefix_parse(text, &p, NULL), 0);
	for (const struct guard *g = guards; g->name && !*name; g++) {
		struct buf why = BUF_INIT(1024);
		if (g->hit && g->hit(&around, &p, &why)) {
			name = g->name;
			assert_true(why.len > 0);
		}
		buf_free(&why);
	}
	return name;
}

static void each_guard_knows_its_own(void **state)
{
	static const char *const cases[][2] = {
	    {"203.0.113.5", ""},          {"203.0.113.0/24", ""},
	    {"2001:db8:1::/48", ""},      {"0.0.0.0/0", "everything"},
	    {"::/0", "everything"},       {"0.0.0.0/1", "everything"},
	    {"2000::/3", "everything"},   {"127.0.0.1", "loopback"},
	    {"127.0.0.0/8", "loopback"},  {"::1", "loopback"},
	    {"198.51.100.7", "operator"}, {"198.51.100.0/28", "operator"},
	    {"198.51.100.30", "kept"},    {"198.51.100.70", "kept"},
	    {"192.0.2.99", "kept"},       {"198.51.100.200", "kept"},
	    {"192.0.2.200", "protected"}, {"192.0.2.10", "own"},
	    {"192.0.2.1", "gateway"},     {"192.0.2.53", "resolver"},
	    {"2001:db8::53", "resolver"}, {"192.0.2.100", ""}, /* 192.0.2.10 is not a text prefix */
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (strcmp(first_hit(cases[i][0]), cases[i][1]) != 0)
			fail_msg("%s: hit \"%s\", expected \"%s\"", cases[i][0],
			         first_hit(cases[i][0]), cases[i][1]);
	assert_int_equal(around.n_resolvers, 2);
}

static bool lets(const struct order *o, const char *peer, uint8_t proto, uint16_t local,
                 uint16_t remote)
{
	struct addr a = address(peer);
	for (size_t i = 0; i < o->n_permits; i++)
		if (!o->permits[i].breakglass &&
		    permit_matches_flow(&o->permits[i], &a, proto, local, remote))
			return true;
	return false;
}

static void keeps_become_permits(void **state)
{
	struct order o = {.verb = VERB_ISOLATE};
	struct err e = {0};
	assert_int_equal(cut_add_permits(&keeps, &sessions, EXPIRY_WIDEN, &o, &e), 0);
	/* own session, a new one from there, no other port */
	assert_true(lets(&o, "198.51.100.7", IPPROTO_TCP, 22, 50122));
	assert_true(lets(&o, "198.51.100.7", IPPROTO_TCP, 22, 50999));
	assert_false(lets(&o, "198.51.100.7", IPPROTO_TCP, 80, 50999));
	assert_false(lets(&o, "198.51.100.7", IPPROTO_UDP, 22, 50122));
	/* keep ADDR:PORT: the port on either side */
	assert_true(lets(&o, "198.51.100.30", IPPROTO_TCP, 40000, 8080));
	assert_true(lets(&o, "198.51.100.30", IPPROTO_UDP, 8080, 40000));
	assert_false(lets(&o, "198.51.100.30", IPPROTO_TCP, 40000, 443));
	assert_false(lets(&o, "198.51.100.30", IPPROTO_ICMP, 0, 0));
	/* keep-in, keep-out */
	assert_true(lets(&o, "198.51.100.100", IPPROTO_TCP, 22, 1));
	assert_false(lets(&o, "198.51.100.100", IPPROTO_TCP, 23, 22));
	assert_true(lets(&o, "192.0.2.99", IPPROTO_ICMP, 0, 0));
	/* break glass waits for the deadline */
	assert_false(lets(&o, "198.51.100.200", IPPROTO_TCP, 22, 1));
	assert_true(o.permits[o.n_permits - 1].breakglass);
	order_free(&o);

	assert_int_equal(cut_add_permits(&keeps, &sessions, EXPIRY_OPEN, &o, &e), 0);
	for (size_t i = 0; i < o.n_permits; i++)
		assert_false(o.permits[i].breakglass);
	order_free(&o);
}

static void clocks_agree(void **state)
{
	struct cut k = {.confirm_within = 600 * USEC_PER_SEC, .on_expiry = EXPIRY_WIDEN};
	struct deadlines d;
	cut_set_clocks(&k, &d);
	assert_true(d.confirm_by_boot > boot_now() + 599 * USEC_PER_SEC);
	assert_true(d.confirm_by_wall > wall_now() + 599 * USEC_PER_SEC);
	assert_int_equal(d.until_boot, 0);
	assert_int_equal(d.until_wall, 0);
	assert_int_equal(d.on_expiry, EXPIRY_WIDEN);
	assert_string_equal(d.boot, boot_id());
}

static void times_are_read_at_a_glance(void **state)
{
	char t[TIME_STR_MAX], c[CLOCK_TEXT_MAX];
	usec_t now = 1795493220 * USEC_PER_SEC;
	assert_string_equal(left_text(now, now, t), "passed");
	assert_string_equal(left_text(now + 59 * USEC_PER_SEC, now, t), "59s");
	assert_string_equal(left_text(now + 598 * USEC_PER_SEC, now, t), "9m 58s");
	assert_string_equal(left_text(now + 7260 * USEC_PER_SEC, now, t), "2h 01m");
	assert_string_equal(left_text(now + 200000 * USEC_PER_SEC, now, t), "2d 07h");
	assert_string_equal(clock_text(now + 600 * USEC_PER_SEC, now, c),
	                    "04:17:00 UTC (in 10m 00s)");
}

/* A refused connect proves the path as well as an accepted one; silence proves nothing. */
static void connects_tell_apart(void **state)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof sa;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
	struct endpoint v[2] = {{address("127.0.0.1"), ntohs(sa.sin_port)},
	                        {address("127.0.0.1"), ntohs(sa.sin_port)}};
	bool up[2] = {false, false};
	roundtrip_connect(v, 1, 1000, up); /* bound, not listening: refused */
	assert_true(up[0]);
	assert_int_equal(listen(fd, 1), 0);
	roundtrip_connect(v, 2, 1000, up);
	assert_true(up[0] && up[1]);
	v[0].addr = address("255.255.255.255"); /* TCP never connects there */
	up[0] = true;
	roundtrip_connect(v, 1, 200, up);
	assert_false(up[0]);
	close(fd);
}

/* A way in that answered before the cut and does not now takes the order back; one that never did
 * says nothing. */
static void silence_after_the_cut_counts(void **state)
{
	struct operator_sessions none = {0};
	struct ctx c = {.out = {.to = stdout, .json = true}};
	struct order o = {.id = 1};
	struct err e = {0};
	struct roundtrip t = {.c = &c, .sessions = &none, .n_paths = 1};
	t.paths[0] = (struct endpoint){address("255.255.255.255"), 9};
	assert_int_equal(roundtrip_check(&t, &o, &e), 0);
	assert_int_equal(t.possible, 0);
	t.answered[0] = true;
	assert_int_equal(roundtrip_check(&t, &o, &e), -EHOSTUNREACH);
	assert_true(t.possible == 1 && t.passed == 0 && e.text[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_guard_knows_its_own),
	    cmocka_unit_test(keeps_become_permits),
	    cmocka_unit_test(clocks_agree),
	    cmocka_unit_test(times_are_read_at_a_glance),
	    cmocka_unit_test(connects_tell_apart),
	    cmocka_unit_test(silence_after_the_cut_counts),
	};
	return cmocka_run_group_tests(tests, make_world, NULL);
}
