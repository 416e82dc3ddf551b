/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The programs at tc egress and XDP against permit_matches_flow, the one definition of a permit,
 * over generated packets (BPF_PROG_TEST_RUN); then both layers on devices of a network namespace of
 * the test's own, judged by `tc`, `ip` and by what arrives at the far end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/table.h"
#include "enforce/host/inbound.h"
#include "kern/tc.h"

/* ---- packets ---- */

struct frame {
	uint8_t b[400];
	size_t n;
};

static void add(struct frame *f, const void *p, size_t n)
{
	assert_true(f->n + n <= sizeof f->b);
	memcpy(f->b + f->n, p, n);
	f->n += n;
}

static void add16(struct frame *f, unsigned v)
{
	add(f, (uint8_t[]){(uint8_t)(v >> 8), (uint8_t)v}, 2);
}

/* What a packet is to be, and so what a permit is to say of it. */
struct shape {
	struct addr peer;
	uint8_t proto;
	uint16_t local_port, peer_port;
	unsigned vlans, options, extensions;
	bool fragmented, later; /* with a fragment header or field; not the first */
	bool source_route;
	uint8_t tcp_flags;
	unsigned payload;
	bool arrives; /* from the peer */
};

static void add_upper(struct frame *f, const struct shape *s)
{
	static const uint8_t zero[64];
	uint16_t from = s->arrives ? s->peer_port : s->local_port;
	uint16_t to = s->arrives ? s->local_port : s->peer_port;
	if (s->proto == IPPROTO_TCP) {
		add16(f, from);
		add16(f, to);
		add(f, zero, 8);
		add(f, (uint8_t[]){0x50, s->tcp_flags, 0, 0, 0, 0, 0, 0}, 8);
	} else if (s->proto == IPPROTO_UDP) {
		add16(f, from);
		add16(f, to);
		add16(f, 8 + s->payload);
		add16(f, 0);
	} else if (s->proto == IPPROTO_SCTP) {
		add16(f, from);
		add16(f, to);
		add(f, zero, 8);
	} else {
		add(f, "\x08\x00\x00\x00\x12\x34\x00\x01", 8);
	}
	add(f, zero, s->payload);
}

static void add_ends(struct frame *f, const struct shape *s, const uint8_t *self, size_t n)
{
	add(f, s->arrives ? s->peer.bytes : self, n);
	add(f, s->arrives ? self : s->peer.bytes, n);
}

static void add_v4(struct frame *f, const struct shape *s, const struct frame *upper)
{
	static const uint8_t self[4] = {192, 0, 2, 10};
	unsigned header = 20 + s->options * 4;
	add(f, (uint8_t[]){(uint8_t)(0x40 | header / 4), 0}, 2);
	add16(f, header + (unsigned)upper->n);
	add16(f, 77);
	add16(f, s->later ? 185 : s->fragmented ? 0x2000 : 0x4000);
	add(f, (uint8_t[]){64, s->proto, 0, 0}, 4);
	add_ends(f, s, self, 4);
	for (unsigned i = 0; i < s->options; i++)
		add(f, i == 0 && s->source_route ? "\x83\x04\x04\x00" : "\x01\x01\x01\x01", 4);
}

static void add_v6(struct frame *f, const struct shape *s, const struct frame *upper)
{
	static const uint8_t kinds[] = {0, 60, 43};
	static const uint8_t self[16] = {0x20, 1, 0xd, 0xb8, [15] = 10};
	unsigned n = s->extensions + (s->fragmented || s->later), at = 0;
	uint8_t chain[8] = {0};
	for (unsigned i = 0; i < s->extensions; i++)
		chain[at++] = kinds[i % 3];
	if (n > s->extensions)
		chain[at++] = 44;
	chain[at] = s->proto;
	add(f, (uint8_t[]){0x60, 0, 0, 0}, 4);
	add16(f, n * 8 + (unsigned)upper->n);
	add(f, (uint8_t[]){chain[0], 64}, 2);
	add_ends(f, s, self, 16);
	for (unsigned i = 0; i < n; i++) {
		uint8_t h[8] = {chain[i + 1], 0, 1, 4};
		if (chain[i] == 43)
			h[3] = s->source_route;
		if (chain[i] == 44) {
			h[2] = s->later ? 5 : 0;
			h[3] = s->later ? 0xb8 : 1;
		}
		add(f, h, 8);
	}
}

static struct frame build(const struct shape *s)
{
	struct frame f = {0}, upper = {0};
	add_upper(&upper, s);
	add(&f, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02", 12);
	for (unsigned i = 0; i < s->vlans; i++) {
		add16(&f, i + 1 < s->vlans ? ETH_P_8021AD : ETH_P_8021Q);
		add16(&f, 5);
	}
	add16(&f, s->peer.family == ADDR_V4 ? ETH_P_IP : ETH_P_IPV6);
	if (s->peer.family == ADDR_V4)
		add_v4(&f, s, &upper);
	else
		add_v6(&f, s, &upper);
	add(&f, upper.b, upper.n);
	return f;
}

/* ---- generation: small worlds, so that hits are as common as misses ---- */

static uint32_t seed = 20261124;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static struct addr rnd_addr(void)
{
	struct addr a = {.family = rnd(2) ? ADDR_V4 : ADDR_V6};
	if (a.family == ADDR_V4) {
		memcpy(a.bytes, (uint8_t[]){203, 0, 113, (uint8_t)rnd(8)}, 4);
	} else {
		memcpy(a.bytes, (uint8_t[]){0x20, 1, 0xd, 0xb8, 0, 1}, 6);
		a.bytes[6] = (uint8_t)rnd(2);
		a.bytes[15] = (uint8_t)rnd(4);
	}
	return a;
}

static uint8_t rnd_proto(enum addr_family family)
{
	const uint8_t protos[] = {IPPROTO_TCP,
	                          IPPROTO_UDP,
	                          IPPROTO_TCP,
	                          IPPROTO_UDP,
	                          family == ADDR_V4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
	                          IPPROTO_SCTP};
	return protos[rnd(6)];
}

static uint16_t rnd_port(void)
{
	static const uint16_t ports[] = {22, 443, 53, 5000};
	return ports[rnd(4)];
}

static struct permit rnd_permit(void)
{
	struct addr a = rnd_addr();
	unsigned bits = addr_bits(&a);
	struct permit p = {.kind = PERMIT_FLOW};
	p.peer = prefix_of(&a, rnd(3) ? bits : bits - rnd(bits + 1));
	p.proto = rnd(2) ? 0 : rnd_proto((enum addr_family)a.family);
	p.local_port = rnd(3) ? 0 : rnd_port();
	p.peer_port = rnd(3) ? 0 : rnd_port();
	p.breakglass = rnd(8) == 0;
	return p;
}

static struct shape rnd_shape(void)
{
	struct shape s = {.peer = rnd_addr(), .local_port = rnd_port(), .peer_port = rnd_port()};
	s.proto = rnd_proto((enum addr_family)s.peer.family);
	if (s.proto == IPPROTO_ICMP || s.proto == IPPROTO_ICMPV6)
		s.local_port = s.peer_port = 0;
	s.vlans = rnd(3) ? 0 : rnd(3);
	s.options = rnd(3) ? 0 : rnd(11);
	s.extensions = rnd(3) ? 0 : rnd(4);
	s.fragmented = rnd(6) == 0;
	s.later = s.fragmented && rnd(2);
	s.source_route = rnd(10) == 0;
	s.payload = rnd(60);
	return s;
}

static bool routed_elsewhere(const struct shape *s)
{
	return s->source_route && (s->peer.family == ADDR_V4 ? s->options > 0 : s->extensions >= 3);
}

static bool expected(const struct permit *p, size_t n, const struct shape *s, bool broken_glass)
{
	if (routed_elsewhere(s))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s->later && (p[i].local_port || p[i].peer_port))
			continue;
		if (p[i].breakglass && !broken_glass)
			continue;
		if (permit_matches_flow(&p[i], &s->peer, s->proto, s->local_port, s->peer_port))
			return true;
	}
	return false;
}

/* ---- a namespace of our own with two cables: va–vb and wa–wb ---- */

static bool can_bpf;
static int va, vb, wa, wb;

static int shell(const char *command)
{
	return system(command); /* NOLINT(cert-env33-c): tc and nft are the oracles here */
}

/* First line of a command's output. */
static const char *output_of(const char *command)
{
	static char text[4096];
	FILE *f = popen(command, "r"); /* NOLINT(cert-env33-c) */
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
	text[n] = 0;
	if (f)
		pclose(f);
	return text;
}

static int set_up(void **state)
{
	struct err e = {0};
	if (raw_probe(NULL, &e) < 0) {
		fprintf(stderr, "skipped: %s\n", e.text);
		return 0;
	}
	if (unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "skipped: no network namespace: %s\n", strerror(errno));
		return 0;
	}
	if (shell("ip link set lo up && ip link add va type veth peer name vb && "
	          "ip link add wa type veth peer name wb && "
	          "for d in va vb wa wb; do sysctl -qw net.ipv6.conf.$d.disable_ipv6=1 && "
	          "ip link set $d up || exit 1; done"))
		return -1;
	va = (int)if_nametoindex("va");
	vb = (int)if_nametoindex("vb");
	wa = (int)if_nametoindex("wa");
	wb = (int)if_nametoindex("wb");
	can_bpf = va && vb && wa && wb;
	return can_bpf ? 0 : -1;
}

#define NEEDS_BPF()                                                                                \
	do {                                                                                       \
		if (!can_bpf)                                                                      \
			skip();                                                                    \
	} while (0)

static const struct hold_time for_good = {0};

/* The permits as a loaded program that is attached to va. */
static struct cutprog attach(const struct permit *p, size_t n, const struct hold_time *t)
{
	struct raw_report r;
	struct cutprog c;
	struct err e = {0};
	if (raw_attach(NULL, va, p, n, t, &r, &e) < 0 ||
	    cutprog_open(CUTPROG_OUT, r.prog_id, &c, &e) < 0)
		fail_msg("%s", e.text);
	return c;
}

static void detach(struct cutprog *c)
{
	cutprog_close(c);
	assert_int_equal(raw_detach(va, true, NULL), 0);
}

static bool passes(const struct cutprog *c, const struct frame *f)
{
	bool pass = false;
	struct err e = {0};
	if (cutprog_try(c, f->b, f->n, &pass, &e) < 0)
		fail_msg("%s", e.text);
	return pass;
}

/* ---- tests of the program ---- */

/* The same as a loaded XDP program that is attached to va. */
static struct cutprog attach_in(const struct permit *p, size_t n, const struct hold_time *t)
{
	struct cut_programs *ps = cut_programs_new(CUTPROG_IN);
	struct inbound_report r = {0};
	struct cutprog c;
	struct err e = {0};
	if (inbound_attach(ps, va, p, n, t, INBOUND_SPARE_ALL, &r, &e) < 0 ||
	    cutprog_open(CUTPROG_IN, r.prog_id, &c, &e) < 0)
		fail_msg("%s", e.text);
	cut_programs_free(ps);
	return c;
}

static void check_one(const struct cutprog *c, const struct permit *p, size_t n, bool arrives,
                      unsigned ret_n[static 2])
{
	struct shape s = rnd_shape();
	s.arrives = arrives;
	struct frame f = build(&s);
	bool want = expected(p, n, &s, false);
	if (passes(c, &f) != want)
		fail_msg("%s: family %u proto %u ports %u %u vlans %u options %u ext %u frag %d "
		         "later %d route %d: should %s",
		         arrives ? "in" : "out", s.peer.family, s.proto, s.local_port, s.peer_port,
		         s.vlans, s.options, s.extensions, s.fragmented, s.later, s.source_route,
		         want ? "pass" : "be dropped");
	ret_n[want]++;
}

static void agrees_with_the_model(void **state)
{
	NEEDS_BPF();
	unsigned out[2] = {0}, in[2] = {0};
	for (unsigned list = 0; list < 60; list++) {
		struct permit p[PERMIT_MAX];
		size_t n = list == 0 ? 0 : list == 1 ? PERMIT_MAX : rnd(6) + 1;
		for (size_t i = 0; i < n; i++)
			p[i] = rnd_permit();
		struct cutprog c = attach(p, n, &for_good), d = attach_in(p, n, &for_good);
		for (unsigned k = 0; k < 500; k++) {
			check_one(&c, p, n, false, out);
			check_one(&d, p, n, true, in);
		}
		cutprog_close(&c);
		cutprog_close(&d);
	}
	assert_int_equal(raw_detach(va, true, NULL), 0);
	assert_int_equal(inbound_detach(va, NULL), 0);
	assert_true(out[0] > 3000 && out[1] > 3000 && in[0] > 3000 && in[1] > 3000);
}

/* Whatever the bytes are: cut short, overwritten, it ends and lets nothing out that names no kept
 * peer. */
static void survives_broken_frames(void **state)
{
	NEEDS_BPF();
	struct permit none = {.kind = PERMIT_FLOW};
	none.peer = (struct prefix){.addr = {.family = ADDR_V4, .bytes = {10, 9, 8, 7}}, .len = 32};
	struct cutprog c = attach(&none, 1, &for_good);
	unsigned tried = 0;
	for (unsigned k = 0; k < 5000; k++) {
		struct shape s = rnd_shape();
		struct frame f = build(&s);
		f.n = 15 + rnd((uint32_t)f.n - 14);
		for (unsigned i = rnd(4); i > 0; i--)
			f.b[12 + rnd((uint32_t)f.n - 12)] = (uint8_t)rnd(256);
		bool pass = false;
		int r = cutprog_try(&c, f.b, f.n, &pass, NULL);
		assert_false(pass);
		/* Some kernels make no packet of less than an IP header. */
		assert_true(r == 0 || (r == -EINVAL && f.n < 14 + 40));
		tried += r == 0;
	}
	assert_true(tried > 2500);
	detach(&c);
}

struct case_of_kind {
	const char *name;
	bool pass;
	const char *hex; /* from the Ethernet type on */
};

static struct frame from_hex(const char *hex)
{
	struct frame f = {0};
	add(&f, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02", 12);
	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		const char digits[3] = {hex[0], hex[1], 0};
		add(&f, (uint8_t[]){(uint8_t)strtoul(digits, NULL, 16)}, 1);
		hex++;
	}
	while (f.n < 60)
		add(&f, "", 1);
	return f;
}

#define ARP_ABOUT(op, target)                                                                      \
	"0806 0001 0800 06 04 " op " 020000000002 c000020a 000000000000 " target
#define V6(hop, src, dst, type, target)                                                            \
	"86dd 60000000 0018 3a " hop src dst type " 00 0000 00000000 " target
#define SELF6 " 20010db8000000000000000000000010 "
#define PEER6 " 20010db8000000000000000000000001 "
#define FAR6  " 20010db8ffff00000000000000000001 "
#define SOLI6 " ff0200000000000000000001ff000001 "
#define LINK6 " fe800000000000000000000000000001 "
#define ALLR6 " ff020000000000000000000000000002 "
#define NONE6 " 00000000000000000000000000000000 "
#define UDP4(dst, ports)                                                                           \
	"0800 45000024 00000000 40 11 0000 c000020a " dst " " ports " 0010 0000 0000000000000000"

static const struct case_of_kind kinds[] = {
    {"arp request about the gateway", true, ARP_ABOUT("0001", "c0000201")},
    {"arp reply to the gateway", true, ARP_ABOUT("0002", "c0000201")},
    {"arp about somebody else", false, ARP_ABOUT("0001", "c0000202")},
    {"another operation", false, ARP_ABOUT("0003", "c0000201")},
    {"solicitation about the peer", true, V6("ff", SELF6, SOLI6, "87", PEER6)},
    {"solicitation about another", false, V6("ff", SELF6, SOLI6, "87", FAR6)},
    {"solicitation about the peer, sent afar", false, V6("ff", SELF6, FAR6, "87", PEER6)},
    {"hop limit of 254", false, V6("fe", SELF6, SOLI6, "87", PEER6)},
    {"is my address taken", true, V6("ff", NONE6, SOLI6, "87", SELF6)},
    {"advertisement to the peer", true, V6("ff", SELF6, PEER6, "88", SELF6)},
    {"advertisement to a link-local one", true, V6("ff", SELF6, LINK6, "88", SELF6)},
    {"advertisement sent afar", false, V6("ff", SELF6, FAR6, "88", SELF6)},
    {"router solicitation", true, V6("ff", LINK6, ALLR6, "85", NONE6)},
    {"router solicitation sent afar", false, V6("ff", LINK6, FAR6, "85", NONE6)},
    {"router advertisement, outwards", false, V6("ff", LINK6, ALLR6, "86", NONE6)},
    {"packet too big, outwards", false, V6("ff", SELF6, PEER6, "02", NONE6)},
    {"lease renewed at its server", true, UDP4("c0000203", "00440043")},
    {"lease asked for", true, UDP4("ffffffff", "00440043")},
    {"the same ports, sent afar", false, UDP4("cb007105", "00440043")},
    {"another port", false, UDP4("c0000203", "00440035")},
    {"spanning tree", false, "0026 424203 0000000000"},
    {"unknown type", false, "88b5 00000000"},
    {"four tags", false,
     "8100 0001 8100 0002 8100 0003 8100 0004 0806 0001 0800 06 04 0001 020000000002 c000020a "
     "000000000000 c0000201"},
};

#define ARP_FROM(op, sender)                                                                       \
	"0806 0001 0800 06 04 " op " 020000000001 " sender " 000000000000 c000020a"
#define UDP4_FROM(src, ports)                                                                      \
	"0800 45000024 00000000 40 11 0000 " src " c000020a " ports " 0010 0000 0000000000000000"
#define ICMP4(type, code)                                                                          \
	"0800 45000024 00000000 40 01 0000 cb007105 c000020a " type code " 0000 00000000 "         \
	"0000000000000000"

static const struct case_of_kind kinds_in[] = {
    {"arp request by the gateway", true, ARP_FROM("0001", "c0000201")},
    {"arp reply by the gateway", true, ARP_FROM("0002", "c0000201")},
    {"arp by somebody else", false, ARP_FROM("0001", "c0000202")},
    {"another operation", false, ARP_FROM("0003", "c0000201")},
    {"somebody asks about us", true, V6("ff", FAR6, SOLI6, "87", SELF6)},
    {"the same, from afar", false, V6("fe", FAR6, SOLI6, "87", SELF6)},
    {"advertisement of the peer", true, V6("ff", PEER6, SELF6, "88", PEER6)},
    {"advertisement of another", false, V6("ff", FAR6, SELF6, "88", FAR6)},
    {"router advertisement", true, V6("ff", LINK6, ALLR6, "86", NONE6)},
    {"router advertisement from afar", false, V6("ff", FAR6, ALLR6, "86", NONE6)},
    {"router solicitation, inwards", false, V6("ff", LINK6, ALLR6, "85", NONE6)},
    {"packet too big", true, V6("40", FAR6, SELF6, "02", NONE6)},
    {"destination unreachable", false, V6("40", FAR6, SELF6, "01", NONE6)},
    {"fragmentation needed", true, ICMP4("03", "04")},
    {"port unreachable", false, ICMP4("03", "03")},
    {"echo request", false, ICMP4("08", "00")},
    {"lease offered", true, UDP4_FROM("c0000203", "00430044")},
    {"another port", false, UDP4_FROM("c0000203", "00350044")},
    {"magic packet", false, "0842 ffffffffffff 020000000001020000000001"},
};

static struct permit kind_permit(enum permit_kind kind, const char *peer)
{
	struct permit p = {.kind = kind};
	if (peer)
		assert_int_equal(prefix_parse(peer, &p.peer, NULL), 0);
	return p;
}

static void kinds_of_permits(void **state)
{
	NEEDS_BPF();
	const struct permit p[] = {
	    kind_permit(PERMIT_ARP, "192.0.2.1"), kind_permit(PERMIT_ND, "2001:db8::1"),
	    kind_permit(PERMIT_RA, NULL),         kind_permit(PERMIT_DHCP4, "192.0.2.3"),
	    kind_permit(PERMIT_DHCP6, NULL),      kind_permit(PERMIT_TOOBIG, NULL),
	};
	struct cutprog c = attach(p, ARRAY_SIZE(p), &for_good);
	struct cutprog none = attach(NULL, 0, &for_good),
	               d = attach_in(p, ARRAY_SIZE(p), &for_good);
	cutprog_close(&c);
	cutprog_close(&none);
	c = attach(p, ARRAY_SIZE(p), &for_good);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct frame f = from_hex(kinds[i].hex);
		if (passes(&c, &f) != kinds[i].pass)
			fail_msg("%s", kinds[i].name);
	}
	detach(&c);
	for (size_t i = 0; i < ARRAY_SIZE(kinds_in); i++) {
		struct frame f = from_hex(kinds_in[i].hex);
		if (passes(&d, &f) != kinds_in[i].pass)
			fail_msg("in: %s", kinds_in[i].name);
	}
	cutprog_close(&d);
	assert_int_equal(inbound_detach(va, NULL), 0);
}

static struct shape upload(void)
{
	struct shape s = {.proto = IPPROTO_TCP, .local_port = 5000, .peer_port = 443};
	assert_int_equal(addr_parse("203.0.113.5", &s.peer), 0);
	return s;
}

static void timers(void **state)
{
	NEEDS_BPF();
	struct shape s = upload();
	struct frame data = build(&s), reset, talking;
	s.tcp_flags = 4;
	reset = build(&s);
	s.payload = 12;
	talking = build(&s);
	struct permit glass = kind_permit(PERMIT_FLOW, "203.0.113.0/24");
	glass.breakglass = true;

	struct hold_time t = {.armed = 300000, .drain = USEC_PER_SEC * 60};
	struct cutprog c = attach(&glass, 1, &t);
	assert_false(passes(&c, &data));
	assert_true(passes(&c, &reset));
	assert_false(passes(&c, &talking)); /* a reset that carries data is no reset */
	usleep(350000);
	assert_true(passes(&c, &data)); /* nobody did anything: the kernel's clock did */

	/* What has run out is not wound up again; it is ordered again. */
	struct raw_report r;
	t = (struct hold_time){.narrow = 300000};
	assert_int_equal(raw_rearm(va, &t, NULL), -ETIME);
	assert_true(passes(&c, &data));
	assert_int_equal(raw_attach(NULL, va, &glass, 1, &t, &r, NULL), 0);
	assert_false(passes(&c, &data));
	assert_false(passes(&c, &reset));
	usleep(350000);
	assert_true(passes(&c, &data)); /* the glass is broken */
	s = upload();
	assert_int_equal(addr_parse("198.51.100.20", &s.peer), 0);
	data = build(&s);
	assert_false(passes(&c, &data));
	detach(&c);
}

/* ---- tests of the layer ---- */

static void attach_reads_back(void **state)
{
	NEEDS_BPF();
	struct permit p[2] = {kind_permit(PERMIT_FLOW, "192.0.2.15"),
	                      kind_permit(PERMIT_FLOW, "2001:db8::/32")};
	struct raw_report r, again;
	struct hold_time t = {.armed = 600 * USEC_PER_SEC};
	bool same = false;
	assert_int_equal(raw_read(va, &r, NULL), 0);
	assert_false(r.attached);
	assert_int_equal(raw_attach(NULL, va, p, 2, &t, &r, NULL), 0);
	assert_true(r.attached && r.made_clsact && !r.foreign_ahead);
	assert_true(r.armed_left > 590 * USEC_PER_SEC && r.armed_left <= 600 * USEC_PER_SEC);
	assert_int_equal(r.narrow_left, 0);
	assert_non_null(strstr(output_of("tc filter show dev va egress"), "stanch_cut"));

	/* Once more: the same program, and still our qdisc. */
	assert_int_equal(raw_attach(NULL, va, p, 2, &for_good, &again, NULL), 0);
	assert_int_equal(again.prog_id, r.prog_id);
	assert_true(again.made_clsact && again.armed_left == 0);
	assert_int_equal(raw_compare(va, p, 2, &r, &same, NULL), 0);
	assert_true(same);
	assert_int_equal(raw_compare(va, p, 1, &r, &same, NULL), 0);
	assert_false(same);

	/* Another list: another program, one filter. */
	assert_int_equal(raw_attach(NULL, va, p, 1, &for_good, &again, NULL), 0);
	assert_true(again.prog_id != r.prog_id && again.made_clsact);
	assert_string_equal(output_of("tc filter show dev va egress | grep -c 'direct-action'"),
	                    "1\n");

	assert_int_equal(raw_detach(va, again.made_clsact, NULL), 0);
	assert_int_equal(raw_detach(va, again.made_clsact, NULL), 0);
	assert_null(strstr(output_of("tc qdisc show dev va"), "clsact"));
	assert_int_equal(raw_rearm(va, &for_good, NULL), -ENOENT);
}

/* One verification by the kernel does for all devices of a kind. */
static void devices_share(void **state)
{
	NEEDS_BPF();
	struct permit p = kind_permit(PERMIT_FLOW, "192.0.2.15");
	struct hold_time t = {.armed = 600 * USEC_PER_SEC};
	struct cut_programs *ps = cut_programs_new(CUTPROG_OUT);
	struct raw_report a, b;
	assert_int_equal(raw_probe(ps, NULL), 0);
	assert_int_equal(raw_attach(ps, va, &p, 1, &t, &a, NULL), 0);
	assert_int_equal(raw_attach(ps, vb, &p, 1, &t, &b, NULL), 0);
	assert_int_equal(a.prog_id, b.prog_id);
	assert_true(a.made_clsact && b.made_clsact);
	cut_programs_done(ps);

	/* Without permits it is another program; the device that keeps the old one keeps it whole.
	 */
	bool same = false;
	assert_int_equal(raw_attach(ps, vb, NULL, 0, &for_good, &b, NULL), 0);
	assert_int_not_equal(a.prog_id, b.prog_id);
	assert_int_equal(raw_compare(va, &p, 1, &a, &same, NULL), 0);
	assert_true(same && a.armed_left > 590 * USEC_PER_SEC);
	assert_int_equal(raw_detach(vb, b.made_clsact, NULL), 0);
	assert_int_equal(raw_read(va, &a, NULL), 0);
	assert_true(a.attached);
	assert_int_equal(raw_detach(va, a.made_clsact, NULL), 0);
	cut_programs_free(ps);
}

static void leaves_others_alone(void **state)
{
	NEEDS_BPF();
	struct raw_report r;
	assert_int_equal(
	    shell("tc qdisc add dev va clsact && "
	          "tc filter add dev va egress prio 1 protocol ip u32 match u32 0 0 flowid 1:1"),
	    0);
	assert_int_equal(raw_attach(NULL, va, NULL, 0, &for_good, &r, NULL), 0);
	assert_true(r.attached && !r.made_clsact && r.foreign_ahead);
	assert_int_equal(raw_detach(va, true, NULL), 0);
	assert_non_null(strstr(output_of("tc filter show dev va egress"), "u32"));
	assert_int_equal(shell("tc filter del dev va egress prio 1"), 0);

	/* The qdisc is the other one's even when it is empty. */
	assert_int_equal(raw_attach(NULL, va, NULL, 0, &for_good, &r, NULL), 0);
	assert_true(!r.made_clsact && !r.foreign_ahead);
	assert_int_equal(raw_detach(va, r.made_clsact, NULL), 0);
	assert_non_null(strstr(output_of("tc qdisc show dev va"), "clsact"));

	/* An ingress filter of somebody who came later keeps our qdisc. */
	assert_int_equal(shell("tc qdisc del dev va clsact"), 0);
	assert_int_equal(raw_attach(NULL, va, NULL, 0, &for_good, &r, NULL), 0);
	assert_int_equal(
	    shell("tc filter add dev va ingress protocol ip u32 match u32 0 0 flowid 1:1"), 0);
	assert_int_equal(raw_detach(va, r.made_clsact, NULL), 0);
	assert_non_null(strstr(output_of("tc qdisc show dev va"), "clsact"));
	assert_int_equal(shell("tc qdisc del dev va clsact"), 0);
}

/* An ingress qdisc sits in clsact's place: refused with a reason, nothing left behind. */
static void refuses_what_it_cannot_do(void **state)
{
	NEEDS_BPF();
	struct raw_report r;
	struct err e = {0};
	assert_int_equal(shell("tc qdisc add dev va ingress"), 0);
	assert_int_equal(raw_attach(NULL, va, NULL, 0, &for_good, &r, &e), -EBUSY);
	assert_non_null(strstr(e.text, "ingress"));
	assert_int_equal(shell("tc qdisc del dev va ingress"), 0);
	assert_true(raw_attach(NULL, 9999, NULL, 0, &for_good, &r, &e) < 0);
	assert_int_equal(raw_detach(9999, true, &e), 0);
	assert_true(raw_attach(NULL, (int)if_nametoindex("lo"), NULL, 0, &for_good, &r, &e) < 0);
}

/* A program of ours goes in front of a BPF filter that has the first place already. */
static int load_insns(enum bpf_prog_type type, const struct bpf_insn *insns, unsigned n,
                      const char *name)
{
	union bpf_attr a = {0};
	a.prog_type = type;
	a.insns = (uintptr_t)insns;
	a.insn_cnt = n;
	a.license = (uintptr_t) "Dual BSD/GPL";
	snprintf(a.prog_name, sizeof a.prog_name, "%s", name);
	int fd = (int)sys->bpf(BPF_PROG_LOAD, &a, sizeof a);
	assert_true(fd >= 0);
	return fd;
}

static const struct bpf_insn return_ok[] = {
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = TC_ACT_OK},
    {.code = BPF_JMP | BPF_EXIT},
};

static void goes_in_front(void **state)
{
	NEEDS_BPF();
	struct raw_report r;
	int fd = load_insns(BPF_PROG_TYPE_SCHED_CLS, return_ok, 2, "somebody");
	assert_int_equal(shell("tc qdisc add dev va clsact"), 0);
	assert_int_equal(tc_bpf_add(NULL, va, TC_HOOK_EGRESS, 1, fd, "somebody", NULL), 0);
	assert_int_equal(raw_attach(NULL, va, NULL, 0, &for_good, &r, NULL), 0);
	assert_true(r.attached && !r.foreign_ahead);

	/* Who comes later into the first place is told. */
	assert_int_equal(tc_bpf_add(NULL, va, TC_HOOK_EGRESS, 1, fd, "later", NULL), 0);
	assert_int_equal(raw_read(va, &r, NULL), 0);
	assert_true(r.attached && r.foreign_ahead);

	/* Our name alone makes nobody ours. */
	assert_int_equal(raw_detach(va, false, NULL), 0);
	int forged = load_insns(BPF_PROG_TYPE_SCHED_CLS, return_ok, 2, CUTPROG_NAME);
	assert_int_equal(tc_bpf_add(NULL, va, TC_HOOK_EGRESS, 1, forged, CUTPROG_NAME, NULL), 0);
	assert_int_equal(raw_read(va, &r, NULL), 0);
	assert_false(r.attached);
	assert_string_equal(output_of("tc filter show dev va egress | grep -c direct-action"),
	                    "3\n");
	close(fd);
	close(forged);
	assert_int_equal(shell("tc qdisc del dev va clsact"), 0);
}

/* ---- the leak that the program is for ---- */

static int packet_socket(int ifindex, int protocol)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
	                         .sll_protocol = htons((uint16_t)protocol),
	                         .sll_ifindex = ifindex};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons((uint16_t)protocol));
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	return fd;
}

/* Sends n frames into wb; those that come out at vb within 300 ms. */
static unsigned leak(unsigned n)
{
	struct shape s = upload();
	struct frame f = build(&s);
	int out = packet_socket(wb, 0), in = packet_socket(vb, ETH_P_IP);
	uint8_t got[2048];
	unsigned seen = 0;
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(send(out, f.b, f.n, 0), (ssize_t)f.n);
	struct pollfd p = {.fd = in, .events = POLLIN};
	while (poll(&p, 1, 300) > 0) {
		ssize_t k = recv(in, got, sizeof got, 0);
		seen += k == (ssize_t)f.n && !memcmp(got, f.b, f.n);
	}
	close(out);
	close(in);
	return seen;
}

static void stops_a_redirect(void **state)
{
	NEEDS_BPF();
	const struct bpf_insn redirect[] = {
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = va},
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 0},
	    {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect},
	    {.code = BPF_JMP | BPF_EXIT},
	};
	struct raw_report r;
	int fd = load_insns(BPF_PROG_TYPE_SCHED_CLS, redirect, 4, "redirect");
	assert_int_equal(tc_clsact_add(NULL, wa, NULL), 0);
	assert_int_equal(tc_bpf_add(NULL, wa, TC_HOOK_INGRESS, 1, fd, "redirect", NULL), 0);
	assert_int_equal(leak(5), 5);
	if (shell("nft 'table netdev t { chain c { type filter hook egress device va priority 0; "
	          "policy drop; }; }'") == 0)
		assert_int_equal(leak(5), 5);
	assert_int_equal(raw_attach(NULL, va, NULL, 0, &for_good, &r, NULL), 0);
	assert_int_equal(leak(5), 0);

	struct cutprog c;
	uint64_t counts[CUT_COUNTERS];
	assert_int_equal(cutprog_open(CUTPROG_OUT, r.prog_id, &c, NULL), 0);
	assert_int_equal(cutprog_counts(&c, counts, NULL), 0);
	assert_int_equal(counts[CUT_DROPPED], 5);
	cutprog_close(&c);
	assert_int_equal(raw_detach(va, true, NULL), 0);
	assert_int_equal(leak(5), 5);
	close(fd);
}

/* ---- the XDP layer ---- */

static void inbound_reads_back(void **state)
{
	NEEDS_BPF();
	struct permit p[2] = {kind_permit(PERMIT_FLOW, "192.0.2.15"),
	                      kind_permit(PERMIT_FLOW, "2001:db8::/32")};
	struct cut_programs *ps = cut_programs_new(CUTPROG_IN);
	struct inbound_report r, again;
	struct hold_time t = {.armed = 600 * USEC_PER_SEC};
	bool same = false;
	char before[4096];
	snprintf(before, sizeof before, "%s",
	         output_of("ip -d link show va; ethtool -k va; ethtool -k vb"));
	assert_int_equal(inbound_attach(ps, va, p, 2, &t, INBOUND_SPARE_ALL, &r, NULL), 0);
	assert_true(r.attached && !r.foreign && r.mode == XDP_NATIVE);
	assert_true(r.armed_left > 590 * USEC_PER_SEC && r.armed_left <= 600 * USEC_PER_SEC);
	assert_non_null(strstr(output_of("ip link show va"), "xdp"));
	assert_int_equal(inbound_attach(ps, va, p, 2, &for_good, INBOUND_SPARE_ALL, &again, NULL),
	                 0);
	assert_int_equal(again.prog_id, r.prog_id);
	assert_true(again.armed_left == 0);
	assert_int_equal(inbound_rearm(va, &t, NULL), 0);
	cut_programs_done(ps);
	assert_int_equal(inbound_attach(ps, va, p, 1, &for_good, INBOUND_SPARE_ALL, &again, NULL),
	                 0);
	assert_true(again.attached && again.prog_id != r.prog_id);
	assert_int_equal(inbound_compare(va, p, 1, &r, &same, NULL), 0);
	assert_true(same && r.prog_id == again.prog_id);
	assert_int_equal(inbound_detach(va, NULL), 0);
	assert_int_equal(inbound_detach(va, NULL), 0);
	assert_string_equal(output_of("ip -d link show va; ethtool -k va; ethtool -k vb"), before);
	assert_int_equal(inbound_rearm(va, &for_good, NULL), -ENOENT);
	cut_programs_free(ps);
}

static void inbound_leaves_others_alone(void **state)
{
	NEEDS_BPF();
	const struct bpf_insn pass[] = {
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = XDP_PASS},
	    {.code = BPF_JMP | BPF_EXIT},
	};
	struct cut_programs *ps = cut_programs_new(CUTPROG_IN);
	struct inbound_report r;
	int fd = load_insns(BPF_PROG_TYPE_XDP, pass, 2, "somebody");
	assert_int_equal(xdp_attach(NULL, va, XDP_GENERIC, fd, -1, NULL), 0);
	assert_int_equal(inbound_attach(ps, va, NULL, 0, &for_good, INBOUND_SPARE_ALL, &r, NULL),
	                 0);
	assert_true(!r.attached && r.foreign && r.mode == XDP_GENERIC);
	assert_int_equal(inbound_detach(va, NULL), 0);
	assert_int_equal(inbound_read(va, &r, NULL), 0);
	assert_true(r.foreign && !r.named);
	/* Spared by its number, or not: on a link of its own neither. */
	assert_int_equal(inbound_attach(ps, va, NULL, 0, &for_good, r.prog_id, &r, NULL), 0);
	assert_true(r.foreign);
	uint32_t theirs = r.prog_id;
	assert_int_equal(inbound_attach(ps, va, NULL, 0, &for_good, 0, &r, NULL), 0);
	assert_true(r.attached && r.displaced == theirs && r.mode == XDP_GENERIC);
	assert_int_equal(inbound_detach(va, NULL), 0);
	union bpf_attr a = {0};
	a.link_create.prog_fd = (uint32_t)fd;
	a.link_create.target_ifindex = (uint32_t)va;
	a.link_create.attach_type = BPF_XDP;
	int held = (int)sys->bpf(BPF_LINK_CREATE, &a, sizeof a);
	assert_true(held >= 0);
	assert_int_equal(inbound_attach(ps, va, NULL, 0, &for_good, 0, &r, NULL), 0);
	assert_true(r.attached && r.displaced == theirs);
	assert_int_equal(inbound_detach(va, NULL), 0);
	close(held);
	assert_int_equal(xdp_attach(NULL, va, XDP_GENERIC, fd, -1, NULL), 0);
	assert_int_equal(xdp_detach(NULL, va, XDP_GENERIC, fd, NULL), 0);

	/* While ours is there nobody sits down beside it, in another mode neither. */
	assert_int_equal(inbound_attach(ps, va, NULL, 0, &for_good, INBOUND_SPARE_ALL, &r, NULL),
	                 0);
	assert_true(r.attached);
	assert_true(xdp_attach(NULL, va, XDP_GENERIC, fd, -1, NULL) < 0);
	assert_true(xdp_attach(NULL, va, XDP_NATIVE, fd, -1, NULL) < 0);
	/* Another version of ours makes room. */
	assert_int_equal(inbound_detach(va, NULL), 0);
	int older = load_insns(BPF_PROG_TYPE_XDP, pass, 2, CUTPROG_NAME_IN);
	assert_int_equal(xdp_attach(NULL, va, XDP_GENERIC, older, -1, NULL), 0);
	assert_int_equal(inbound_attach(ps, va, NULL, 0, &for_good, INBOUND_SPARE_ALL, &r, NULL),
	                 0);
	assert_true(r.attached && r.mode == XDP_GENERIC);
	assert_int_equal(inbound_detach(va, NULL), 0);
	close(older);
	close(fd);
	cut_programs_free(ps);
}

/* Frames of a stranger that a packet socket on va hears. */
static unsigned heard(unsigned n)
{
	struct shape s = upload();
	s.arrives = true;
	struct frame f = build(&s);
	int out = packet_socket(vb, 0), in = packet_socket(va, ETH_P_ALL);
	uint8_t got[2048];
	unsigned seen = 0;
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(send(out, f.b, f.n, 0), (ssize_t)f.n);
	struct pollfd p = {.fd = in, .events = POLLIN};
	while (poll(&p, 1, 300) > 0) {
		ssize_t k = recv(in, got, sizeof got, 0);
		seen += k == (ssize_t)f.n && !memcmp(got, f.b, f.n);
	}
	close(out);
	close(in);
	return seen;
}

static void a_sniffer_hears_nothing(void **state)
{
	NEEDS_BPF();
	struct hold_time t = {.armed = 1500000};
	assert_int_equal(heard(5), 5);
	struct cutprog c = attach_in(NULL, 0, &t);
	assert_int_equal(heard(5), 0);
	usleep(1300000);
	assert_int_equal(heard(5), 5); /* its own clock */
	cutprog_close(&c);
	assert_int_equal(inbound_detach(va, NULL), 0);
	assert_int_equal(heard(5), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(agrees_with_the_model),
	    cmocka_unit_test(survives_broken_frames),
	    cmocka_unit_test(kinds_of_permits),
	    cmocka_unit_test(timers),
	    cmocka_unit_test(attach_reads_back),
	    cmocka_unit_test(devices_share),
	    cmocka_unit_test(leaves_others_alone),
	    cmocka_unit_test(refuses_what_it_cannot_do),
	    cmocka_unit_test(goes_in_front),
	    cmocka_unit_test(stops_a_redirect),
	    cmocka_unit_test(inbound_reads_back),
	    cmocka_unit_test(inbound_leaves_others_alone),
	    cmocka_unit_test(a_sniffer_hears_nothing),
	};
	return cmocka_run_group_tests_name("raw", tests, set_up, NULL);
}
