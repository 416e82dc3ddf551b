/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parts of the guard that need no kernel: patience, rate, what a change says of its culprit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "guard/blame.h"
#include "guard/notify.h"
#include "guard/patience.h"
#include "guard/rate.h"
#include "guard/scout.h"

/* --- rate --- */

static void rate_counts_what_it_holds_back(void **unused)
{
	unsigned missed = 99;
	struct rate r = rate_of(3, 1000, 0);
	for (int i = 0; i < 3; i++)
		assert_true(rate_take(&r, 10, &missed));
	for (int i = 0; i < 5; i++)
		assert_false(rate_take(&r, 20, &missed));
	assert_true(rate_take(&r, 1010, &missed));
	assert_int_equal(missed, 5);
	assert_false(rate_take(&r, 2009, &missed));
	assert_true(rate_take(&r, 2010, &missed));
	assert_int_equal(missed, 1);
}

/* An attacker who changes something every millisecond for a day. */
static void rate_is_bounded_in_a_storm(void **unused)
{
	unsigned missed, passed = 0;
	struct rate r = rate_of(40, 5 * USEC_PER_SEC, 0);
	for (usec_t now = 0; now < 86400 * USEC_PER_SEC; now += 100 * USEC_PER_MSEC)
		passed += rate_take(&r, now, &missed);
	assert_in_range(passed, 86400 / 5, 86400 / 5 + 41);
}

static void rate_refills_to_the_burst_only(void **unused)
{
	unsigned missed, passed = 0;
	struct rate r = rate_of(2, 10, 0);
	while (rate_take(&r, 0, &missed))
		;
	for (int i = 0; i < 10; i++)
		passed += rate_take(&r, 1000000, &missed);
	assert_int_equal(passed, 2);
}

/* --- patience --- */

static void patience_grows_and_starts_afresh(void **unused)
{
	struct patience p = {0};
	usec_t now = 1000000, before = 0;
	assert_true(patience_may(&p, 1, 1, "table is gone", now, false));
	for (int i = 0; i < 20; i++) {
		patience_failed(&p, 1, 1, "foreign program 17 is ahead", now);
		assert_false(patience_may(&p, 1, 1, "foreign program 18 is ahead", now, false));
		usec_t next = patience_next(&p, now);
		assert_true(next > now && next - now <= PATIENCE_LAST && next - now >= before);
		before = next - now;
		now = next;
		assert_true(patience_may(&p, 1, 1, "foreign program 19 is ahead", now, false));
	}
	assert_true(patience_known(&p, 1, 1));
	patience_failed(&p, 1, 1, "foreign program is ahead", now);
	/* Something else: at once. */
	assert_true(patience_may(&p, 1, 1, "our program is gone", now, false));
	assert_false(patience_known(&p, 1, 1));
	patience_mended(&p, 1, 1);
	assert_int_equal(p.n, 0);
	assert_int_equal(patience_next(&p, now), 0);
}

static void patience_lets_the_other_guard_go_first(void **unused)
{
	struct patience p = {0};
	assert_false(patience_may(&p, 1, 1, "gone", 1000, true));
	assert_int_equal(patience_next(&p, 1000), 1000 + PATIENCE_GRACE);
	assert_true(patience_may(&p, 1, 1, "gone", 1000 + PATIENCE_GRACE, true));
}

static void patience_is_bounded(void **unused)
{
	struct patience p = {0};
	for (unsigned i = 1; i < 2 * PATIENCE_MAX; i++) {
		assert_true(patience_may(&p, i, 1, "gone", 1000, false));
		patience_failed(&p, i, 1, "gone", 1000);
	}
	assert_int_equal(p.n, PATIENCE_MAX);
	patience_sweep(&p, 2000);
	assert_int_equal(p.n, 0);
}

/* --- culprits --- */

static char bytes[4096] __attribute__((aligned(16)));

static struct nlmsghdr *message(uint16_t type, uint32_t port, size_t extra)
{
	memset(bytes, 0, sizeof bytes);
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	h->nlmsg_type = type;
	h->nlmsg_pid = port;
	mnl_nlmsg_put_extra_header(h, extra);
	return h;
}

static struct nlmsghdr *nft_message(uint8_t type, const char *table)
{
	struct nlmsghdr *h =
	    message((uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), 77, sizeof(struct nfgenmsg));
	if (table)
		mnl_attr_put_strz(h, NFTA_TABLE_NAME, table);
	return h;
}

static void add_generation(struct changes *c, int pid, const char *comm)
{
	struct nlmsghdr *h = nft_message(NFT_MSG_NEWGEN, NULL);
	mnl_attr_put_u32(h, 1, htonl(5));
	mnl_attr_put_u32(h, 2, htonl((uint32_t)pid));
	mnl_attr_put_strz(h, 3, comm);
	change_add(c, NETLINK_NETFILTER, h);
}

static void add_link(struct changes *c, uint16_t type, unsigned change, const char *name)
{
	struct nlmsghdr *h = message(type, 4242, sizeof(struct ifinfomsg));
	struct ifinfomsg *i = mnl_nlmsg_get_payload(h);
	i->ifi_change = change;
	mnl_attr_put_strz(h, IFLA_IFNAME, name);
	change_add(c, NETLINK_ROUTE, h);
}

static void a_generation_names_its_process(void **unused)
{
	struct changes c = {0};
	struct culprit who;
	change_add(&c, NETLINK_NETFILTER, nft_message(NFT_MSG_DELTABLE, "stanch_isolate"));
	assert_int_equal(c.n[CHANGE_RULES], 1);
	add_generation(&c, 0x7ffffff0, "nft\x1b[31m");
	assert_int_equal(c.n_who, 1);
	assert_int_equal(c.who[0].pid, 0x7ffffff0);
	assert_null(strchr(c.who[0].comm, 0x1b));
	assert_true(blame_pick(&c, "host.cut", &who));
	assert_int_equal(who.pid, 0x7ffffff0);
	/* Rules do not move programs. */
	assert_false(blame_pick(&c, "host.raw", &who));
}

static void tc_is_blamed_before_links(void **unused)
{
	struct changes c = {0};
	struct culprit who;
	add_link(&c, RTM_NEWLINK, 1, "v0");
	assert_true(blame_pick(&c, "host.raw", &who));
	assert_int_equal(who.port, 4242);
	change_add(&c, NETLINK_ROUTE, message(RTM_DELTFILTER, 9, sizeof(struct tcmsg)));
	assert_true(blame_pick(&c, "host.raw", &who));
	assert_int_equal(who.port, 9);
	assert_true(blame_pick(&c, "host.cut", &who));
	assert_int_equal(who.port, 4242);
}

static void a_suspect_is_described(void **unused)
{
	char text[SUSPECT_TEXT_MAX];
	const struct culprit c = {.port = 812};
	struct suspect s = {0};
	suspect_text(NULL, &s, text);
	assert_non_null(strstr(text, "did not tell"));
	suspect_text(&c, &s, text);
	assert_non_null(strstr(text, "netlink port 812"));
	s = (struct suspect){
	    .pid = 812, .comm = "nft", .exe = "/usr/sbin/nft", .unit = "x.service"};
	suspect_text(&c, &s, text);
	assert_string_equal(text, "by process 812 (nft, /usr/sbin/nft, x.service)");
}

static void the_scout_knows_a_live_process(void **unused)
{
	struct scout s;
	struct suspect is;
	const struct culprit c = {.kind = CHANGE_RULES, .pid = getpid(), .comm = "x"};
	assert_int_equal(scout_start(&s, NULL), 0);
	scout_point(&s, &c);
	if (scout_ask(&s, &c, &is)) { /* without rights it gives up */
		assert_int_equal(is.pid, getpid());
		assert_non_null(strstr(is.exe, "guard"));
	}
	scout_stop(&s);
	assert_int_equal(s.fd, -1);
}

static void foreign_tables_and_we_ourselves_are_told_apart(void **unused)
{
	struct changes c = {0};
	change_add(&c, NETLINK_NETFILTER, nft_message(NFT_MSG_NEWRULE, "firewalld"));
	change_add(&c, NETLINK_NETFILTER, nft_message(NFT_MSG_NEWRULE, "sta"));
	add_generation(&c, getpid(), "stanch");
	assert_int_equal(c.n[CHANGE_OTHER], 2);
	assert_int_equal(c.n[CHANGE_RULES], 0);
	assert_int_equal(c.n_who, 0);
}

static void a_device_that_comes_is_no_tampering(void **unused)
{
	struct changes c = {0};
	add_link(&c, RTM_NEWLINK, ~0u, "veth1\n");
	assert_int_equal(c.n[CHANGE_LINK_NEW], 1);
	assert_true(blame_is_arrival(&c));
	add_link(&c, RTM_NEWLINK, 1, "veth1");
	assert_int_equal(c.n[CHANGE_LINK], 1);
	change_add(&c, NETLINK_ROUTE, message(RTM_DELTFILTER, 9, sizeof(struct tcmsg)));
	assert_false(blame_is_arrival(&c));
}

static void a_device_that_is_taken_away_is_named(void **unused)
{
	struct changes c = {0};
	for (int i = 0; i < 2 * CHANGE_LINKS_MAX; i++) {
		struct nlmsghdr *h = message(RTM_DELLINK, 4242, sizeof(struct ifinfomsg));
		mnl_attr_put_strz(h, IFLA_IFNAME, "eth0\n");
		mnl_attr_put_u32(h, 45, 3);
		change_add(&c, NETLINK_ROUTE, h);
	}
	assert_int_equal(c.n[CHANGE_LINK_AWAY], 2 * CHANGE_LINKS_MAX);
	assert_int_equal(c.n_links, CHANGE_LINKS_MAX);
	assert_string_equal(c.links[0], "eth0?");
	add_link(&c, RTM_DELLINK, ~0u, "eth1");
	assert_int_equal(c.n[CHANGE_LINK_GONE], 1);
}

static void a_storm_takes_no_memory(void **unused)
{
	struct changes c = {0};
	for (int i = 0; i < 100000; i++) {
		char name[16];
		snprintf(name, sizeof name, "v%d", i);
		add_link(&c, RTM_NEWLINK, ~0u, name);
		add_generation(&c, 1000000 + i, "evil");
	}
	assert_int_equal(c.n[CHANGE_LINK_NEW], 100000);
	assert_int_equal(c.n_links, 0);
	assert_int_equal(c.n_who, CHANGE_CULPRITS_MAX);
	assert_int_equal(c.who_more, 100000 + 1 - CHANGE_CULPRITS_MAX);
}

/* Cut off, empty, of other kinds: nothing is read beyond the message. */
static void broken_messages_are_taken(void **unused)
{
	struct changes c = {0};
	for (unsigned type = 0; type < 128; type++) {
		change_add(&c, NETLINK_ROUTE, message((uint16_t)type, 1, 0));
		change_add(&c, NETLINK_NETFILTER,
		           message((uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), 1, 0));
	}
	struct nlmsghdr *h = nft_message(NFT_MSG_NEWGEN, NULL);
	mnl_attr_put(h, 2, 2, "xx");
	mnl_attr_put(h, 3, 0, "");
	change_add(&c, NETLINK_NETFILTER, h);
	assert_true(c.n_who <= CHANGE_CULPRITS_MAX);
}

static void a_live_port_leads_to_its_process(void **unused)
{
	struct nl nl;
	assert_int_equal(nl_open(&nl, NETLINK_ROUTE, NULL), 0);
	assert_int_equal(change_port_owner(NETLINK_ROUTE, nl.portid), getpid());
	nl_close(&nl);
	assert_int_equal(change_port_owner(NETLINK_ROUTE, 0), 0);
}

/* --- systemd --- */

static void systemd_hears_of_it(void **unused)
{
	char dir[] = "/tmp/stanch-notify-XXXXXX", got[64] = "";
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	assert_non_null(mkdtemp(dir));
	snprintf(at.sun_path, sizeof at.sun_path, "%s/s", dir);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	struct notify n = notify_open(at.sun_path, "5000000");
	assert_int_equal(n.watchdog, 5000000);
	notify_say(&n, "READY=1");
	assert_int_equal(recv(fd, got, sizeof got - 1, 0), 7);
	assert_string_equal(got, "READY=1");
	close(n.fd);
	close(fd);
	unlink(at.sun_path);
	rmdir(dir);
	assert_int_equal(notify_open(NULL, NULL).fd, -1);
	assert_int_equal(notify_open("relative", NULL).fd, -1);
	assert_int_equal(notify_open("/nowhere/at/all", "1").fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rate_counts_what_it_holds_back),
	    cmocka_unit_test(rate_is_bounded_in_a_storm),
	    cmocka_unit_test(rate_refills_to_the_burst_only),
	    cmocka_unit_test(patience_grows_and_starts_afresh),
	    cmocka_unit_test(patience_lets_the_other_guard_go_first),
	    cmocka_unit_test(patience_is_bounded),
	    cmocka_unit_test(a_generation_names_its_process),
	    cmocka_unit_test(tc_is_blamed_before_links),
	    cmocka_unit_test(a_suspect_is_described),
	    cmocka_unit_test(the_scout_knows_a_live_process),
	    cmocka_unit_test(foreign_tables_and_we_ourselves_are_told_apart),
	    cmocka_unit_test(a_device_that_comes_is_no_tampering),
	    cmocka_unit_test(a_device_that_is_taken_away_is_named),
	    cmocka_unit_test(a_storm_takes_no_memory),
	    cmocka_unit_test(broken_messages_are_taken),
	    cmocka_unit_test(a_live_port_leads_to_its_process),
	    cmocka_unit_test(systemd_hears_of_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
