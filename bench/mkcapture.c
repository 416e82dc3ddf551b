/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writes a classic pcap file as a busy uplink would give: PACKETS Ethernet frames drawn from FLOWS
 * conversations by Zipf's law with exponent 1.1 (the rarest may not occur), snap length 128. The
 * same arguments give the same bytes. usage: mkcapture FILE PACKETS FLOWS
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SNAP     128
#define EXPONENT 1.1

static uint64_t state = UINT64_C(0x243f6a8885a308d3);

static uint64_t draw(void)
{
	uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static void be16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void be32(uint8_t *p, uint32_t v)
{
	be16(p, v >> 16);
	be16(p + 2, v & 0xffff);
}

struct talk {
	uint32_t client, server;
	uint16_t port, service;
	uint8_t udp, begun;
};

static struct talk talk_of(void)
{
	static const uint16_t services[] = {443, 443, 443, 443, 80, 22, 53, 53, 123, 5432};
	uint64_t r = draw();
	/* A thousand clients behind one uplink, 65,536 servers all over the address space. */
	uint32_t server = (uint32_t)(r >> 16 & 0xffff) * 0x9e3779b1u;
	struct talk t = {.client = 0x0a000000u | (uint32_t)(r % 1000),
	                 .server = (server & 0xbfffffffu) | 0x10000000u,
	                 .port = (uint16_t)(1024 + (r >> 36) % 64000),
	                 .service = services[(r >> 56) % 10]};
	t.udp = t.service == 53 || t.service == 123;
	return t;
}

/* One frame of this conversation; returns its length on the wire. */
static uint32_t frame(uint8_t *p, struct talk *t, uint64_t r)
{
	int back = t->begun && (r & 1);
	uint32_t header = t->udp ? 42 : 54;
	uint32_t payload = t->begun ? (uint32_t)(r >> 8 & 3 ? r >> 16 & 0x7f : 1460) : 0;
	memset(p, 0, SNAP);
	memcpy(p, back ? "\2\0\0\0\0\1\2\0\0\0\0\2" : "\2\0\0\0\0\2\2\0\0\0\0\1", 12);
	be16(p + 12, 0x0800);
	p[14] = 0x45;
	be16(p + 16, header - 14 + payload);
	p[22] = 64;
	p[23] = t->udp ? 17 : 6;
	be32(p + 26, back ? t->server : t->client);
	be32(p + 30, back ? t->client : t->server);
	be16(p + 34, back ? t->service : t->port);
	be16(p + 36, back ? t->port : t->service);
	if (t->udp) {
		be16(p + 38, 8 + payload);
	} else {
		p[46] = 0x50;
		p[47] = t->begun ? 0x18 : 0x02;
	}
	t->begun = 1;
	return header + payload;
}

/* cumulative[i] is the chance of one of the first i+1 flows. */
static double *zipf(size_t n)
{
	double *c = malloc(n * sizeof *c), sum = 0;
	for (size_t i = 0; c && i < n; i++)
		c[i] = sum += pow((double)i + 1, -EXPONENT);
	for (size_t i = 0; c && i < n; i++)
		c[i] /= sum;
	return c;
}

static size_t pick(const double *c, size_t n)
{
	double x = (double)(draw() >> 11) * 0x1p-53;
	size_t lo = 0, hi = n - 1;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (c[mid] < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static int write_all(FILE *out, size_t packets, size_t flows, const double *c, struct talk *t)
{
	static const uint32_t head[6] = {0xa1b2c3d4, 0x00040002, 0, 0, SNAP, 1};
	uint8_t bytes[SNAP];
	fwrite(head, sizeof head, 1, out);
	for (size_t i = 0; i < packets; i++) {
		size_t k = pick(c, flows);
		uint32_t wire = frame(bytes, &t[k], draw());
		uint32_t cap = wire < SNAP ? wire : SNAP;
		uint64_t usec = i * 20;
		uint32_t rec[4] = {(uint32_t)(1700000000 + usec / 1000000),
		                   (uint32_t)(usec % 1000000), cap, wire};
		fwrite(rec, sizeof rec, 1, out);
		fwrite(bytes, cap, 1, out);
	}
	return fflush(out) || ferror(out) ? -1 : 0;
}

int main(int argc, char **argv)
{
	size_t packets = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
	size_t flows = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	if (!packets || !flows) {
		fprintf(stderr, "usage: mkcapture FILE PACKETS FLOWS\n");
		return 2;
	}
	FILE *out = fopen(argv[1], "wb");
	double *c = zipf(flows);
	struct talk *t = malloc(flows * sizeof *t);
	int r = out && c && t ? 0 : -1;
	for (size_t i = 0; r == 0 && i < flows; i++)
		t[i] = talk_of();
	if (r == 0)
		r = write_all(out, packets, flows, c, t);
	if (out && fclose(out))
		r = -1;
	if (r < 0)
		perror(argv[1]);
	free(c);
	free(t);
	return r < 0;
}
