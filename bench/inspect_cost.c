/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What one look into a payload costs, in nanoseconds of CPU a call: kind and median of RUNS rounds
 * a line. "walk" is a plain pass over the bytes of the QUIC datagram, to compare with.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/table.h"
#include "observe/inspect.h"
#include "seal/sha256.h"
#include "wire/quic_vectors.h"

#define RUNS  9
#define CALLS 20000u

/* A ClientHello of openssl s_client for Www.Example.ORG, as in src/wire/tls_test.c. */
static const char tls_hello_hex[] =
    "160301014e0100014a03037cdac08fca29ae5ebf6cd36be4a0a83ccd918984b1bc997a4a9a6afb686db108"
    "20660303776487c3cd4dd9d7a091a35287776962e113fe7cbd1127a03a2c8f1885003e130213031301c02c"
    "c030009fcca9cca8ccaac02bc02f009ec024c028006bc023c0270067c00ac0140039c009c0130033009d00"
    "9c003d003c0035002f00ff010000c300000014001200000f5777772e4578616d706c652e4f5247000b0004"
    "03000102000a00160014001d0017001e0019001801000101010201030104002300000010000e000c026832"
    "08687474702f312e310016000000170000000d002a0028040305030603080708080809080a080b08040805"
    "0806040105010601030303010302040205020602002b0009080304030303020301002d0002010100330026"
    "0024001d0020a405f7159f3a562c8f561a341572ba1c9b0022a9a3672ec5c2dd11629650c031";
static const char dns_hex[] =
    "12348180000100010000000003777777076578616d706c65036f72670000010001c00c00010001000000"
    "3c0004cb007105";

struct kind {
	const char *name;
	const char *hex;
	uint8_t proto;
	uint16_t port;
	bool to_server;
};

static const struct kind kinds[] = {
    {"tls_hello", tls_hello_hex, IPPROTO_TCP, 443, true},
    {"dns_answer", dns_hex, IPPROTO_UDP, 53, false},
    {"quic_initial", rfc9001_a2, IPPROTO_UDP, 443, true},
    {"unknown_udp", "0102030405060708090a0b0c0d0e0f10", IPPROTO_UDP, 9999, true},
    {"unknown_tcp", "0102030405060708090a0b0c0d0e0f10", IPPROTO_TCP, 9999, false},
};

static uint64_t events;

static void on_app(void *arg, const struct app_event *e)
{
	events++;
}

static void on_dns(void *arg, const struct dns_event *e)
{
	events++;
}

static double now_nsec(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double (*round)(const void *arg), const void *arg)
{
	double times[RUNS];
	for (int i = 0; i < RUNS; i++)
		times[i] = round(arg);
	qsort(times, RUNS, sizeof *times, by_value);
	return times[RUNS / 2];
}

static struct inspect *in;
static uint8_t bytes[4096];

static double look_round(const void *arg)
{
	const struct kind *k = arg;
	size_t n = strlen(k->hex) / 2;
	struct flow f = {.proto = k->proto,
	                 .src = {{ADDR_V4, {10, 0, 0, 1}}, 40000},
	                 .dest = {{ADDR_V4, {10, 0, 0, 2}}, k->port}};
	const struct packet p = {
	    .payload = bytes, .payload_len = (uint32_t)n, .payload_wire = (uint32_t)n};
	double start = now_nsec();
	for (uint32_t i = 0; i < CALLS; i++) {
		f.src.port = (uint16_t)i;
		inspect_packet(in, &f, i, k->to_server, false, &p);
	}
	return (now_nsec() - start) / CALLS;
}

static double no_look_round(const void *arg)
{
	volatile uint16_t ports[] = {443, 40000};
	volatile uint64_t packets = 100;
	uint64_t looked = 0;
	double start = now_nsec();
	for (uint32_t i = 0; i < 100 * CALLS; i++)
		looked += inspect_wants(IPPROTO_TCP, ports[0], ports[1], packets, i & 1);
	events += looked;
	return (now_nsec() - start) / (100 * CALLS);
}

static double walk_round(const void *arg)
{
	volatile uint8_t sink;
	double start = now_nsec();
	for (uint32_t i = 0; i < CALLS; i++) {
		uint8_t sum = 0;
		for (size_t k = 0; k < 1200; k++)
			sum = (uint8_t)(sum ^ *(volatile uint8_t *)&bytes[k]);
		sink = sum;
	}
	(void)sink;
	return (now_nsec() - start) / CALLS;
}

int main(void)
{
	static const struct inspect_sinks sinks = {on_app, on_dns, NULL};
	if (inspect_new(INSPECT_MEMORY, &sinks, &in, NULL) < 0)
		return 1;
	printf("no_look %.2f\n", median(no_look_round, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		uint64_t before = events;
		size_t n = strlen(kinds[i].hex) / 2;
		if (hex_decode(kinds[i].hex, bytes, n) < 0)
			return 1;
		printf("%s %.0f\n", kinds[i].name, median(look_round, &kinds[i]));
		/* What was to be found was found, each time. */
		if (strncmp(kinds[i].name, "unknown", 7) != 0 && events - before < RUNS * CALLS)
			return 1;
	}
	printf("walk %.0f\n", median(walk_round, NULL));
	inspect_free(in);
	return 0;
}
