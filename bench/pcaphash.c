/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The plain loop that one would write: libpcap's reader, a hash table of IPv4 5-tuples, packets
 * and bytes for each direction. A peer to measure against. Prints the number of flows.
 */
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct key {
	uint8_t addr[2][4], port[2][2], proto;
};

struct flow {
	struct key key;
	uint64_t pkts[2], bytes[2];
	struct timeval first, last;
	UT_hash_handle hh;
};

static struct flow *flows;

static void frame(u_char *arg, const struct pcap_pkthdr *h, const u_char *p)
{
	if (h->caplen < 34 || p[12] != 8 || p[13] != 0)
		return;
	const u_char *ip = p + 14, *l4 = ip + (ip[0] & 15) * 4;
	int ports = (ip[9] == 6 || ip[9] == 17) && l4 + 4 <= p + h->caplen;
	u_char end[2][6] = {{0}};
	for (int i = 0; i < 2; i++) {
		memcpy(end[i], ip + 12 + 4 * i, 4);
		if (ports)
			memcpy(end[i] + 4, l4 + 2 * i, 2);
	}
	int back = memcmp(end[0], end[1], 6) > 0;
	struct key k = {.proto = ip[9]};
	for (int i = 0; i < 2; i++) {
		memcpy(k.addr[i], end[i ^ back], 4);
		memcpy(k.port[i], end[i ^ back] + 4, 2);
	}
	struct flow *f;
	HASH_FIND(hh, flows, &k, sizeof k, f);
	if (!f) {
		f = calloc(1, sizeof *f);
		if (!f)
			abort();
		f->key = k;
		f->first = h->ts;
		HASH_ADD(hh, flows, key, sizeof f->key, f);
	}
	f->pkts[back]++;
	f->bytes[back] += h->len;
	f->last = h->ts;
}

int main(int argc, char **argv)
{
	char why[PCAP_ERRBUF_SIZE];
	pcap_t *p = argc == 2 ? pcap_open_offline(argv[1], why) : NULL;
	if (!p) {
		fprintf(stderr, "%s\n", argc == 2 ? why : "usage: pcaphash FILE");
		return 2;
	}
	int r = pcap_loop(p, -1, frame, NULL);
	printf("%u flows\n", HASH_COUNT(flows));
	pcap_close(p);
	return r < 0;
}
