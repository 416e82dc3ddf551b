/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/table.h"
#include "wire/packet.h"

/* Bytes written in hex, blanks between; returns how many. */
static uint32_t bytes(const char *hex, uint8_t *out)
{
	uint32_t n = 0;
	for (const char *p = hex; *p;) {
		if (*p == ' ') {
			p++;
			continue;
		}
		char two[3] = {p[0], p[1], 0};
		out[n++] = (uint8_t)strtoul(two, NULL, 16);
		p += 2;
	}
	return n;
}

static uint8_t frame[512];

static enum packet_kind decode(unsigned linktype, const char *hex, struct packet *p)
{
	uint32_t n = bytes(hex, frame);
	return packet_decode(linktype, frame, n, n, p);
}

#define MACS "020000000001 020000000002 "
/* 192.0.2.1:1000 -> 198.51.100.2:443, SYN; 40 bytes. */
#define V4(frag, proto) "4500 0028 1234 " frag " 40" proto "0000 c0000201 c6336402 "
#define TCP_SYN         "03e8 01bb 00000000 00000000 5002 ffff 0000 0000 "
#define V4_TCP          V4("0000", "06") TCP_SYN
#define V6(len, next)                                                                              \
	"60000000 " len next "40 20010db8000000000000000000000001 "                                \
	"20010db8000000000000000000000002 "
#define V6_TCP V6("0014", "06") TCP_SYN

static void is_syn(const struct packet *p, unsigned family)
{
	assert_int_equal(p->family, family);
	assert_int_equal(p->proto, 6);
	assert_int_equal(p->sport, 1000);
	assert_int_equal(p->dport, 443);
	assert_int_equal(p->turn, TURN_OPENS);
	assert_int_equal(p->notes, 0);
	assert_true(p->first);
	assert_false(p->fragment);
}

static void every_link_type(void **state)
{
	static const struct {
		unsigned linktype;
		const char *hex;
		unsigned family, vlan;
	} cases[] = {
	    {LINK_ETHERNET, MACS "0800 " V4_TCP, 4, 0},
	    {LINK_ETHERNET, MACS "86dd " V6_TCP, 6, 0},
	    {LINK_ETHERNET, MACS "8100 a064 0800 " V4_TCP, 4, 100},
	    {LINK_ETHERNET, MACS "8100 0000 0800 " V4_TCP, 4, 0},
	    {LINK_ETHERNET, MACS "88a8 0007 8100 0064 86dd " V6_TCP, 6, 7},
	    {LINK_ETHERNET, MACS "8100 0001 8100 0002 9100 0003 0800 " V4_TCP, 4, 1},
	    {LINK_ETHERNET, MACS "0030 aaaa03000000 0800 " V4_TCP, 4, 0},
	    {LINK_ETHERNET, MACS "8864 1100 0001 002a 0021 " V4_TCP, 4, 0},
	    {LINK_ETHERNET, MACS "8864 1100 0001 002a 57 " V6_TCP, 6, 0},
	    {LINK_ETHERNET, MACS "8847 00001040 00002140 " V4_TCP, 4, 0},
	    {LINK_SLL, "0000 0001 0006 020000000001 0000 0800 " V4_TCP, 4, 0},
	    {LINK_SLL, "0000 0001 0006 020000000001 0000 8100 0005 86dd " V6_TCP, 6, 5},
	    {LINK_SLL2, "86dd 0000 00000002 0001 00 06 0200000000010000 " V6_TCP, 6, 0},
	    {LINK_RAW, V4_TCP, 4, 0},
	    {LINK_RAW_DLT, V6_TCP, 6, 0},
	    {LINK_RAW_DLT_OPENBSD, V4_TCP, 4, 0},
	    {LINK_IPV4, V4_TCP, 4, 0},
	    {LINK_IPV6, V6_TCP, 6, 0},
	    {LINK_NULL, "02000000 " V4_TCP, 4, 0},
	    {LINK_NULL, "0000001e " V6_TCP, 6, 0},
	    {LINK_NULL, "18000000 " V6_TCP, 6, 0},
	    {LINK_LOOP, "0000001c " V6_TCP, 6, 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct packet p;
		assert_int_equal(decode(cases[i].linktype, cases[i].hex, &p), PACKET_IP);
		is_syn(&p, cases[i].family);
		assert_int_equal(p.vlan, cases[i].vlan);
	}
}

static void what_is_no_ip(void **state)
{
	static const struct {
		unsigned linktype;
		const char *hex;
		enum packet_kind kind;
	} cases[] = {
	    {LINK_ETHERNET, MACS "0806 0001 0800", PACKET_OTHER},
	    {LINK_ETHERNET, MACS "0026 424203 000000", PACKET_OTHER},
	    {LINK_ETHERNET, MACS "8847 00001140 00000000", PACKET_OTHER},
	    {LINK_ETHERNET, MACS "8864 1100 0001 000a c021 0101", PACKET_OTHER},
	    {LINK_NULL, "07000000 00", PACKET_OTHER},
	    {147, V4_TCP, PACKET_OTHER},
	    {LINK_ETHERNET, MACS "08", PACKET_BAD},
	    {LINK_ETHERNET, MACS "8100 00", PACKET_BAD},
	    {LINK_ETHERNET, MACS "0800 4500", PACKET_BAD},
	    {LINK_ETHERNET, MACS "0800 " V6_TCP, PACKET_BAD},
	    {LINK_ETHERNET, MACS "86dd " V4_TCP, PACKET_BAD},
	    {LINK_RAW, "00", PACKET_BAD},
	    {LINK_RAW, "4400 0028 0000 0000 4006 0000 c0000201 c6336402", PACKET_BAD},
	    {LINK_RAW, "4500 0013 0000 0000 4006 0000 c0000201 c6336402", PACKET_BAD},
	    {LINK_ETHERNET,
	     MACS "8100 0001 8100 0001 8100 0001 8100 0001 8100 0001 8100 0001 8100 0001 8100 0001 "
	          "8100 0001 0800 " V4_TCP,
	     PACKET_BAD},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct packet p;
		assert_int_equal(decode(cases[i].linktype, cases[i].hex, &p), cases[i].kind);
	}
}

/* Every length of capture: short first, then an address pair without ports, then all. */
static void cut_captures(void **state)
{
	uint32_t n = bytes(MACS "0800 " V4_TCP, frame);
	for (uint32_t cap = 0; cap < n; cap++) {
		struct packet p;
		enum packet_kind kind = packet_decode(LINK_ETHERNET, frame, cap, n, &p);
		assert_int_equal(kind, cap < 34 ? PACKET_SHORT : PACKET_IP);
		if (kind == PACKET_IP) {
			assert_int_equal(p.notes, cap < 38 ? NOTE_CUT : 0);
			assert_int_equal(p.sport, cap < 38 ? 0 : 1000);
			assert_int_equal(p.turn, cap < 48 ? 0 : TURN_OPENS);
		}
	}
}

static void lengths_of_ip4(void **state)
{
	struct packet p;
	/* Six bytes of padding are no ports. */
	assert_int_equal(decode(LINK_ETHERNET,
	                        MACS "0800 4500 0014 0000 0000 4011 0000 c0000201 c6336402 "
	                             "1111 2222 3333",
	                        &p),
	                 PACKET_IP);
	assert_int_equal(p.sport, 0);
	assert_int_equal(p.notes, NOTE_CONTRADICTS);
	/* Options before the transport. */
	assert_int_equal(decode(LINK_RAW,
	                        "4600 002c 0000 0000 4006 0000 c0000201 c6336402 94040000 " TCP_SYN,
	                        &p),
	                 PACKET_IP);
	is_syn(&p, 4);
	/* Total length 0: segmentation offload. */
	assert_int_equal(
	    decode(LINK_RAW, "4500 0000 0000 0000 4006 0000 c0000201 c6336402 " TCP_SYN, &p),
	    PACKET_IP);
	is_syn(&p, 4);
	/* More than the frame had. */
	assert_int_equal(
	    decode(LINK_RAW, "4500 0100 0000 0000 4006 0000 c0000201 c6336402 " TCP_SYN, &p),
	    PACKET_IP);
	assert_int_equal(p.notes, NOTE_CONTRADICTS);
	assert_int_equal(p.dport, 443);
}

/* A datagram that is all there but too short for ports was not cut: its padding was. */
static void cut_padding(void **state)
{
	uint32_t n = bytes("4500 0016 0000 0000 4006 0000 c0000201 c6336402 03e8", frame);
	struct packet p;
	assert_int_equal(packet_decode(LINK_RAW, frame, n, n + 18, &p), PACKET_IP);
	assert_int_equal(p.notes, NOTE_CONTRADICTS);
}

static void fragments(void **state)
{
	struct packet p;
	assert_int_equal(decode(LINK_RAW, V4("2000", "11") TCP_SYN, &p), PACKET_IP);
	assert_true(p.fragment && p.first);
	assert_int_equal(p.frag_id, 0x1234);
	assert_int_equal(p.sport, 1000);
	assert_int_equal(decode(LINK_RAW, V4("2001", "11") TCP_SYN, &p), PACKET_IP);
	assert_true(p.fragment && !p.first);
	assert_int_equal(p.sport, 0);
	/* Don't fragment is no fragment. */
	assert_int_equal(decode(LINK_RAW, V4("4000", "11") TCP_SYN, &p), PACKET_IP);
	assert_false(p.fragment);

	assert_int_equal(decode(LINK_RAW, V6("001c", "2c") "0600 0001 deadbeef " TCP_SYN, &p),
	                 PACKET_IP);
	assert_true(p.fragment && p.first);
	assert_int_equal(p.frag_id, 0xdeadbeef);
	assert_int_equal(p.dport, 443);
	assert_int_equal(decode(LINK_RAW, V6("001c", "2c") "3c00 0009 deadbeef " TCP_SYN, &p),
	                 PACKET_IP);
	assert_true(p.fragment && !p.first);
	assert_int_equal(p.proto, 60);
	/* An atomic fragment is whole. */
	assert_int_equal(decode(LINK_RAW, V6("001c", "2c") "0600 0000 deadbeef " TCP_SYN, &p),
	                 PACKET_IP);
	is_syn(&p, 6);
}

static void extension_headers(void **state)
{
	static const struct {
		const char *hex;
		unsigned proto, notes;
	} cases[] = {
	    {V6("001c", "00") "0600 010400000000 " TCP_SYN, 6, 0},
	    {V6("0024", "00") "2b00 010400000000 0600 000000000000 " TCP_SYN, 6, 0},
	    {V6("0024", "3c") "0601 0104000000000000000000000000 " TCP_SYN, 6, 0},
	    {V6("002c", "33") "0604 0000 00000001 00000001 000000000000000000000000 " TCP_SYN, 6,
	     0},
	    {V6("001c", "87") "0600 000000000000 " TCP_SYN, 6, 0},
	    {V6("0008", "87") "3b00 000000000000", 135, 0},
	    {V6("0000", "3b"), 59, 0},
	    {V6("0010", "32") "00000001 00000001 0000000000000000", 50, 0},
	    {V6("0008", "00") "06ff 000000000000", 6, NOTE_CONTRADICTS},
	    {V6("0004", "00") "0600 0000", 0, NOTE_CONTRADICTS},
	    {V6("0002", "06") "03e8", 6, NOTE_CONTRADICTS},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct packet p;
		assert_int_equal(decode(LINK_RAW, cases[i].hex, &p), PACKET_IP);
		assert_int_equal(p.proto, cases[i].proto);
		assert_int_equal(p.notes, cases[i].notes);
		assert_int_equal(p.dport, p.proto == 6 && !p.notes ? 443 : 0);
	}
}

static void endless_chain(void **state)
{
	uint32_t n = bytes(V6("0190", "3c"), frame);
	for (unsigned i = 0; i < 50; i++)
		n += bytes("3c00 010400000000", frame + n);
	struct packet p;
	assert_int_equal(packet_decode(LINK_RAW, frame, n, n, &p), PACKET_IP);
	assert_int_equal(p.notes, NOTE_CONTRADICTS);
	assert_int_equal(p.proto, 60);
}

static void turns(void **state)
{
	static const struct {
		const char *hex;
		unsigned turn, sport, dport;
	} cases[] = {
	    {V4("0000", "06") "03e8 01bb 00000000 00000000 5012 ffff 0000 0000", TURN_ANSWERS, 1000,
	     443},
	    {V4("0000", "06") "03e8 01bb 00000000 00000000 5011 ffff 0000 0000", TURN_CLOSES, 1000,
	     443},
	    {V4("0000", "06") "03e8 01bb 00000000 00000000 5014 ffff 0000 0000", TURN_CLOSES, 1000,
	     443},
	    {V4("0000", "06") "03e8 01bb 00000000 00000000 5018 ffff 0000 0000", 0, 1000, 443},
	    {V4("0000", "84") "03e8 01bb 00000000 00000000 01000014 00000000", TURN_OPENS, 1000,
	     443},
	    {V4("0000", "84") "03e8 01bb 00000000 00000000 02000014 00000000", TURN_ANSWERS, 1000,
	     443},
	    {V4("0000", "84") "03e8 01bb 00000000 00000000 06000014 00000000", TURN_CLOSES, 1000,
	     443},
	    {V4("0000", "84") "03e8 01bb 00000000 00000000 ff000014 00000000", 0, 1000, 443},
	    {V4("0000", "01") "0800 0000 00010001 000000000000000000000000", TURN_OPENS, 8, 0},
	    {V4("0000", "01") "0000 0000 00010001 000000000000000000000000", TURN_ANSWERS, 8, 0},
	    {V4("0000", "01") "0301 0000 00000000 000000000000000000000000", TURN_OPENS, 3, 1},
	    {V6("0014", "3a") "8100 0000 00010001 000000000000000000000000", TURN_ANSWERS, 128, 0},
	    {V4("0000", "2f") "0000 0800 4500 0000", 0, 0, 0},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct packet p;
		assert_int_equal(decode(LINK_RAW, cases[i].hex, &p), PACKET_IP);
		assert_int_equal(p.turn, cases[i].turn);
		assert_int_equal(p.sport, cases[i].sport);
		assert_int_equal(p.dport, cases[i].dport);
	}
}

/* The short cut for plain packets says what the long way says: raw IP has no short cut. */
static void the_short_cut_agrees(void **state)
{
	uint32_t seed = 1;
	uint32_t n = bytes(MACS "0800 " V4_TCP "0102030405060708", frame);
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t f[64];
		memcpy(f, frame, n);
		for (unsigned k = 0; k < 3; k++) {
			seed = seed * 1103515245 + 12345;
			f[14 + (seed >> 16) % (n - 14)] = (uint8_t)(seed >> 8);
		}
		if (i & 1)
			f[23] = 17;
		uint32_t cap = 54 + (seed >> 20) % (n - 53);
		struct packet a, b;
		enum packet_kind k = packet_decode(LINK_ETHERNET, f, cap, n, &a);
		assert_int_equal(k, packet_decode(LINK_IPV4, f + 14, cap - 14, n - 14, &b));
		if (k != PACKET_IP)
			continue;
		assert_ptr_equal(a.src, b.src);
		assert_ptr_equal(a.dst, b.dst);
		assert_int_equal(a.proto, b.proto);
		assert_int_equal(a.turn, b.turn);
		assert_int_equal(a.notes, b.notes);
		assert_int_equal(a.sport, b.sport);
		assert_int_equal(a.dport, b.dport);
		assert_int_equal(a.fragment, b.fragment);
		assert_int_equal(a.first, b.first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_link_type),
	    cmocka_unit_test(what_is_no_ip),
	    cmocka_unit_test(cut_captures),
	    cmocka_unit_test(lengths_of_ip4),
	    cmocka_unit_test(cut_padding),
	    cmocka_unit_test(fragments),
	    cmocka_unit_test(extension_headers),
	    cmocka_unit_test(endless_chain),
	    cmocka_unit_test(turns),
	    cmocka_unit_test(the_short_cut_agrees),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
