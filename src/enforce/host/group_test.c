/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names of groups, payloads, places; and the programs at a cgroup against permit_matches_flow, the
 * one definition of a permit, over generated packets (BPF_PROG_TEST_RUN).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/if_ether.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/table.h"
#include "enforce/host/group.h"

#define TOKEN "00112233445566778899aabbccddeeff"
#define HEX64 "3f2a9c51e07b0123456789abcdef0123456789abcdef0123456789abcdefbeef"

/* ---- names ---- */

static void containers_by_name(void **state)
{
	static const struct {
		const char *component, *name;
		bool is;
	} cases[] = {
	    {"docker-" HEX64 ".scope", "3f2a9c51e07b", true},
	    {"docker-" HEX64 ".scope", "docker:3f2a9c51e07b", true},
	    {"docker-" HEX64 ".scope", HEX64, true},
	    {"docker-" HEX64 ".scope", "podman:3f2a9c51e07b", false},
	    {"docker-" HEX64 ".scope", "3f2a9", false}, /* too short to mean one */
	    {"docker-" HEX64 ".scope", "3f2a9d", false},
	    {"docker-" HEX64 ".scope", HEX64 "0", false},
	    {"libpod-" HEX64 ".scope", "3f2a9c", true},
	    {"libpod-conmon-" HEX64 ".scope", "3f2a9c", false}, /* its monitor, on the host */
	    {"cri-containerd-" HEX64 ".scope", "3f2a9c51", true},
	    {"crio-" HEX64 ".scope", "3f2a9c51", true},
	    {HEX64, "3f2a9c51", true},
	    {"3f2a9c51e07b", "3f2a9c51e07b", false}, /* no id: they have 64 digits */
	    {"machine-web\\x2d1.scope", "web-1", true},
	    {"machine-web\\x2d1.scope", "web", false},
	    {"machine-web.scope", "web-1", false},
	    {"systemd-nspawn@web.service", "web", true},
	    {"systemd-nspawn@web.service", "machine:web", true},
	    {"lxc.payload.web", "web", true},
	    {"lxc.payload.web", "we", false},
	    {"lxc.monitor.web", "web", false},
	    {"kubepods-burstable-pod1234abcd_56.slice", "pod1234abcd-56", true},
	    {"kubepods-pod1234abcd_56.slice", "pod1234abcd_56", true},
	    {"pod1234abcd-56", "pod1234abcd-56", true},
	    {"kubepods-pod1234abcd_567.slice", "pod1234abcd-56", false},
	    {"podman.service", "pod", false},
	    {"nginx.service", "nginx", false},
	    {"", "", false},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (group_is_container(cases[i].component, cases[i].name) != cases[i].is)
			fail_msg("%s, %s", cases[i].component, cases[i].name);
}

static void uids_by_name(void **state)
{
	static const char passwd[] = "root:x:0:0::/root:/bin/sh\n"
	                             "alice:x:1000:1000::/:\n"
	                             "al:x:1001:\n"
	                             "broken\n"
	                             "odd::x:1\n"
	                             "last:x:65534:65534";
	uint32_t uid;
	assert_int_equal(group_uid_of(passwd, "alice", &uid), 0);
	assert_int_equal(uid, 1000);
	assert_int_equal(group_uid_of(passwd, "al", &uid), 0);
	assert_int_equal(uid, 1001);
	assert_int_equal(group_uid_of(passwd, "last", &uid), 0);
	assert_int_equal(uid, 65534);
	assert_int_equal(group_uid_of(passwd, "4294967294", &uid), 0);
	assert_int_equal(uid, 4294967294u);
	static const char *const none[] = {"", "ali", "broken", "odd", "x", "4294967295", "-1"};
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		assert_int_equal(group_uid_of(passwd, none[i], &uid), -ENOENT);
}

static void raw_by_rights(void **state)
{
#define STATUS(prm, bnd, nnp)                                                                      \
	"Name:\tx\nCapPrm:\t" prm "\nCapEff:\t0\nCapBnd:\t" bnd "\nNoNewPrivs:\t" nnp "\n"
	assert_true(group_status_can_raw(STATUS("000001ffffffffff", "000001ffffffffff", "0")));
	assert_true(group_status_can_raw(STATUS("0000000000002000", "0000000000002000", "1")));
	assert_true(group_status_can_raw(STATUS("0000000000000000", "000001ffffffffff", "0")));
	assert_false(group_status_can_raw(STATUS("0000000000000000", "000001ffffffffff", "1")));
	assert_false(group_status_can_raw(STATUS("00000000a80405fb", "00000000a80405fb", "0")));
	assert_true(group_status_can_raw("")); /* what cannot be read is not told as good */
}

/* ---- payloads ---- */

static void payload_round_trip(void **state)
{
	struct group_member v[] = {{.pid = 7, .start_ticks = 99, .comm = "sh"},
	                           {.pid = 8, .comm = "x", .cgroup = strdup("/b/\xff")}};
	struct group *g = calloc(2, sizeof *g), *back = g + 1;
	char *json;
	*g = (struct group){.kind = TARGET_PROCESS,
	                    .path = "/system.slice/a\xfe.service",
	                    .id = UINT64_C(1) << 40,
	                    .pid = 7,
	                    .start_ticks = 99,
	                    .members = v,
	                    .n_members = 2,
	                    .n_unnamed = 3};
	group_leaf_name(TOKEN, g->leaf);
	assert_string_equal(g->leaf, "stanch-001122334455");
	assert_int_equal(group_to_json(g, &json, NULL), 0);
	assert_int_equal(group_from_json(json, back, NULL), 0);
	assert_int_equal(back->kind, TARGET_PROCESS);
	assert_string_equal(back->path, g->path);
	assert_string_equal(back->leaf, g->leaf);
	assert_true(back->id == g->id && back->pid == 7 && back->start_ticks == 99);
	assert_int_equal(back->n_unnamed, 3);
	assert_int_equal(back->n_members, 2);
	assert_int_equal(back->members[0].start_ticks, 99);
	assert_null(back->members[0].cgroup);
	assert_string_equal(back->members[1].cgroup, "/b/\xff");
	group_free(back);
	group_free(NULL);
	free(v[1].cgroup);
	free(json);
	free(g);
}

#define PAYLOAD(kind, cgroup, uid, pid, leaf, members)                                             \
	"{\"version\":1,\"kind\":\"" kind "\",\"cgroup\":\"" cgroup "\",\"id\":1,\"uid\":" uid     \
	",\"pid\":" pid ",\"start\":1,\"leaf\":\"" leaf                                            \
	"\",\"follows\":false,\"members\":" members ",\"unnamed\":0}"

static void payload_refused(void **state)
{
	static const char *const bad[] = {
	    "",
	    "{}",
	    PAYLOAD("host", "/a", "0", "0", "", "[]"),
	    PAYLOAD("unit", "/", "0", "0", "", "[]"), /* the whole host */
	    PAYLOAD("unit", "/a/../..", "0", "0", "", "[]"),
	    PAYLOAD("unit", "a", "0", "0", "", "[]"),
	    PAYLOAD("unit", "2f6", "0", "0", "", "[]"),
	    PAYLOAD("unit", "2f2e2e", "0", "0", "", "[]"), /* "/.." */
	    PAYLOAD("unit", "/a", "0", "0", "stanch-001122334455", "[]"),
	    PAYLOAD("account", "/", "0", "0", "", "[]"),
	    PAYLOAD("account", "/", "-1", "0", "", "[]"),
	    PAYLOAD("account", "/", "4294967295", "0", "", "[]"),
	    PAYLOAD("process", "/a", "0", "1", "stanch-001122334455", "[]"),
	    PAYLOAD("process", "/a", "0", "7", "", "[]"),
	    PAYLOAD("process", "/a", "0", "7", "../b", "[]"),
	    PAYLOAD("process", "/a", "0", "7", "stanch-00112233445g", "[]"),
	    PAYLOAD("unit", "/a", "0", "0", "", "{}"),
	    PAYLOAD("unit", "/a", "0", "0", "", "[{\"pid\":0}]"),
	    PAYLOAD("unit", "/a", "0", "0", "",
	            "[{\"pid\":0,\"start\":1,\"comm\":\"\",\"cgroup\":null}]"),
	    PAYLOAD("unit", "/a", "0", "0", "",
	            "[{\"pid\":5,\"start\":1,\"comm\":\"\",\"cgroup\":\"/..\"}]"),
	};
	struct group *g = calloc(1, sizeof *g);
	assert_int_equal(group_from_json(PAYLOAD("unit", "/a", "0", "0", "", "[]"), g, NULL), 0);
	group_free(g);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (group_from_json(bad[i], g, NULL) != -EBADMSG)
			fail_msg("%s", bad[i]);
	free(g);
}

/* ---- places ---- */

static void places_of_kinds(void **state)
{
	struct group_place v[GROUP_PLACES_MAX];
	struct group *g = calloc(1, sizeof *g);
	*g = (struct group){.kind = TARGET_UNIT, .path = "/s/a.service", .follows = true};
	assert_int_equal(group_places(g, v), 2);
	assert_int_equal(v[0].match, GROUP_ALL);
	assert_string_equal(v[0].path, "/s/a.service");
	assert_int_equal(v[1].match, GROUP_PATH);
	assert_string_equal(v[1].path, "/");
	g->follows = false;
	assert_int_equal(group_places(g, v), 1);
	*g = (struct group){.kind = TARGET_ACCOUNT, .path = "/", .uid = 7};
	assert_int_equal(group_places(g, v), 1);
	assert_int_equal(v[0].match, GROUP_UID);
	assert_string_equal(v[0].path, "/");
	*g = (struct group){.kind = TARGET_PROCESS, .path = "/", .leaf = "stanch-001122334455"};
	assert_int_equal(group_places(g, v), 2);
	assert_string_equal(v[0].path, "/stanch-001122334455");
	assert_int_equal(v[1].match, GROUP_COOKIE);
	free(g);
}

static void config_of_path(void **state)
{
	const struct order o = {.verb = VERB_ISOLATE};
	struct cut_permit p[CUT_PERMITS_MAX];
	struct group_config c;
	struct group *g = calloc(1, sizeof *g);
	*g = (struct group){.kind = TARGET_UNIT, .path = "/system.slice/a.service"};
	assert_int_equal(group_config_of(g, &o, TOKEN, GROUP_PATH, &c, p, NULL), 0);
	assert_int_equal(c.levels, 2);
	assert_string_equal((char *)c.path[0], "system.slice");
	assert_string_equal((char *)c.path[1], "a.service");
	assert_int_equal(c.token[0], 0);
	assert_int_equal(c.token[15], 0xff);
	strcpy(g->path, "/1/2/3/4/5/6/7/8");
	assert_int_equal(group_config_of(g, &o, TOKEN, GROUP_PATH, &c, p, NULL), 0);
	strcpy(g->path, "/1/2/3/4/5/6/7/8/9");
	assert_int_equal(group_config_of(g, &o, TOKEN, GROUP_PATH, &c, p, NULL), -EOPNOTSUPP);
	memset(g->path + 1, 'a', GROUP_NAME_MAX);
	g->path[GROUP_NAME_MAX + 1] = 0;
	assert_int_equal(group_config_of(g, &o, TOKEN, GROUP_PATH, &c, p, NULL), -EOPNOTSUPP);
	assert_int_equal(group_config_of(g, &o, "00", GROUP_ALL, &c, p, NULL), -EBADMSG);
	free(g);
}

/* ---- the programs ---- */

static int device; /* 0: no right to load programs, or to make one */

static int make_device(void **state)
{
	static const char command[] = "ip link add va type veth peer name vb && ip link set va up";
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		return 0;
	int r = system(command); /* NOLINT(cert-env33-c) */
	if (r == 0 && group_probe(GROUP_ALL, NULL) == 0)
		device = (int)if_nametoindex("va");
	return 0;
}

#define NEEDS_BPF()                                                                                \
	do {                                                                                       \
		if (!device)                                                                       \
			skip();                                                                    \
	} while (0)

static uint32_t seed = 12345;

static unsigned rnd(unsigned n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

static struct addr rnd_addr(bool v6)
{
	uint8_t b[16] = {0x20, 1, 0xd, 0xb8};
	uint8_t b4[4] = {192, 0, 2, 0};
	b[15] = b4[3] = (uint8_t)rnd(4);
	return v6 ? addr_v6(b) : addr_v4(b4);
}

static uint16_t rnd_port(void)
{
	static const uint16_t ports[] = {0, 22, 53, 443};
	return ports[rnd(ARRAY_SIZE(ports))];
}

static struct permit rnd_permit(void)
{
	static const uint8_t protos[] = {0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
	bool v6 = rnd(2);
	struct addr a = rnd_addr(v6);
	unsigned bits = v6 ? 128 : 32, len = bits - rnd(3);
	struct permit p = {.kind = PERMIT_FLOW, .proto = protos[rnd(4)]};
	p.peer = prefix_of(&a, len);
	if (p.proto != IPPROTO_ICMP && rnd(2)) {
		p.local_port = rnd_port();
		p.peer_port = rnd_port();
	}
	return p;
}

struct shape {
	struct addr peer;
	uint8_t proto;
	uint16_t local_port, peer_port;
	bool later, options; /* a later fragment; with what no permit fits */
	uint8_t tcp_flags;
};

/* Each writes the header of its family at ip and returns where the next one begins. */
static uint8_t *build_v6(const struct shape *s, bool out, uint8_t *ip)
{
	uint8_t *up = ip + 40;
	ip[0] = 0x60;
	ip[6] = s->options ? 60 : s->later ? 44 : s->proto;
	memcpy(ip + (out ? 24 : 8), s->peer.bytes, 16);
	if (!s->options && !s->later)
		return up;
	up[0] = s->proto;
	if (s->later && !s->options)
		up[3] = 8;
	return up + 8;
}

static uint8_t *build_v4(const struct shape *s, bool out, uint8_t *ip)
{
	ip[0] = s->options ? 0x46 : 0x45;
	ip[9] = s->proto;
	ip[7] = s->later;
	memcpy(ip + (out ? 16 : 12), s->peer.bytes, 4);
	return ip + (s->options ? 24 : 20);
}

static size_t build(const struct shape *s, bool out, uint8_t b[static 200])
{
	bool v6 = s->peer.family == ADDR_V6;
	memset(b, 0, 200);
	b[12] = v6 ? 0x86 : 0x08;
	b[13] = v6 ? 0xdd : 0x00;
	uint8_t *up = (v6 ? build_v6 : build_v4)(s, out, b + ETH_HLEN);
	uint16_t from = out ? s->local_port : s->peer_port, to = out ? s->peer_port : s->local_port;
	up[0] = (uint8_t)(from >> 8);
	up[1] = (uint8_t)from;
	up[2] = (uint8_t)(to >> 8);
	up[3] = (uint8_t)to;
	up[13] = s->tcp_flags;
	return (size_t)(up + 20 - b);
}

static struct shape rnd_shape(void)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_SCTP};
	return (struct shape){
	    .peer = rnd_addr(rnd(2)),
	    .proto = protos[rnd(4)],
	    .local_port = rnd_port(),
	    .peer_port = rnd_port(),
	    .later = rnd(8) == 0,
	    .options = rnd(8) == 0,
	};
}

static bool expected(const struct permit *p, size_t n, const struct shape *s)
{
	bool ports = s->proto != IPPROTO_ICMP && !s->later;
	for (size_t i = 0; i < n && !s->options; i++)
		if ((ports || (!p[i].local_port && !p[i].peer_port)) &&
		    permit_matches_flow(&p[i], &s->peer, s->proto, s->local_port, s->peer_port))
			return true;
	return false;
}

static struct groupprog load(const struct permit *p, size_t n, enum group_match match, usec_t armed,
                             usec_t drain)
{
	struct order o = {.verb = VERB_ISOLATE};
	struct group *g = calloc(1, sizeof *g);
	struct cut_permit list[CUT_PERMITS_MAX];
	struct group_config c;
	struct groupprog set;
	struct err e = {0};
	*g = (struct group){.kind = TARGET_UNIT, .path = "/a"};
	for (size_t i = 0; i < n; i++)
		order_add_permit(&o, &p[i], NULL);
	assert_int_equal(group_config_of(g, &o, TOKEN, match, &c, list, NULL), 0);
	c.armed_until = armed * 1000;
	c.drain_until = drain * 1000;
	if (groupprog_load(&c, list, &set, &e) < 0)
		fail_msg("%s", e.text);
	order_free(&o);
	free(g);
	return set;
}

static bool passes(const struct groupprog *set, const struct shape *s, bool out, int ifindex)
{
	uint8_t frame[200];
	struct err e = {0};
	bool pass = false;
	size_t n = build(s, out, frame);
	if (groupprog_try(set, out ? GROUP_OUT : GROUP_IN, ifindex, frame, n, &pass, &e) < 0)
		fail_msg("%s", e.text);
	return pass;
}

static void agrees_with_the_model(void **state)
{
	NEEDS_BPF();
	unsigned passed = 0, dropped = 0;
	for (unsigned list = 0; list < 30; list++) {
		struct permit p[PERMIT_MAX];
		size_t n = list == 0 ? 0 : list == 1 ? PERMIT_MAX : rnd(6) + 1;
		for (size_t i = 0; i < n; i++)
			p[i] = rnd_permit();
		struct groupprog set = load(p, n, GROUP_ALL, 0, 0);
		for (unsigned k = 0; k < 400; k++) {
			struct shape s = rnd_shape();
			bool out = rnd(2), want = expected(p, n, &s);
			if (passes(&set, &s, out, device) != want)
				fail_msg("list %u, packet %u: not %d", list, k, want);
			passed += want;
			dropped += !want;
		}
		groupprog_close(&set);
	}
	assert_true(passed > 500 && dropped > 500);
}

static void clocks_loopback_and_resets(void **state)
{
	NEEDS_BPF();
	struct shape s = {.peer = rnd_addr(false), .proto = IPPROTO_TCP, .tcp_flags = 0x10};
	struct shape reset = s;
	uint64_t counts[GROUP_COUNTERS];
	reset.tcp_flags = 0x14;
	struct groupprog set = load(NULL, 0, GROUP_ALL, 0, boot_now() + 60 * USEC_PER_SEC);
	assert_false(passes(&set, &s, true, device));
	assert_true(passes(&set, &reset, true, device));
	assert_true(passes(&set, &s, true, 1)); /* lo */
	assert_int_equal(groupprog_set_timers(&set, 0, 0, 0, NULL), 0);
	assert_false(passes(&set, &reset, true, device));
	/* A deadline that has passed. */
	assert_int_equal(groupprog_set_timers(&set, 1000, 0, 0, NULL), 0);
	assert_true(passes(&set, &s, true, device));
	assert_int_equal(groupprog_counts(&set, counts, NULL), 0);
	assert_true(counts[GROUP_DROPPED] == 2 && counts[GROUP_PASSED] == 1);
	groupprog_close(&set);
}

static void breakglass_waits(void **state)
{
	NEEDS_BPF();
	struct shape s = {
	    .peer = rnd_addr(false), .proto = IPPROTO_TCP, .local_port = 22, .peer_port = 5};
	struct permit p = {
	    .kind = PERMIT_FLOW, .proto = IPPROTO_TCP, .local_port = 22, .breakglass = true};
	p.peer = prefix_of(&s.peer, 32);
	struct groupprog set = load(&p, 1, GROUP_ALL, 0, 0);
	assert_false(passes(&set, &s, false, device));
	assert_int_equal(groupprog_set_timers(&set, 0, 1000, 0, NULL), 0);
	assert_true(passes(&set, &s, false, device));
	groupprog_close(&set);
}

/* Who is not meant is not judged: the socket of a test run has no owner, cookie or cgroup. */
static void others_are_left_alone(void **state)
{
	NEEDS_BPF();
	static const enum group_match kinds[] = {GROUP_COOKIE, GROUP_PATH};
	struct shape s = {.peer = rnd_addr(false), .proto = IPPROTO_TCP};
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct groupprog set = load(NULL, 0, kinds[i], 0, 0);
		assert_true(passes(&set, &s, true, device));
		groupprog_close(&set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(containers_by_name),
	    cmocka_unit_test(uids_by_name),
	    cmocka_unit_test(raw_by_rights),
	    cmocka_unit_test(payload_round_trip),
	    cmocka_unit_test(payload_refused),
	    cmocka_unit_test(places_of_kinds),
	    cmocka_unit_test(config_of_path),
	    cmocka_unit_test(agrees_with_the_model),
	    cmocka_unit_test(clocks_loopback_and_resets),
	    cmocka_unit_test(breakglass_waits),
	    cmocka_unit_test(others_are_left_alone),
	};
	return cmocka_run_group_tests(tests, make_device, NULL);
}
