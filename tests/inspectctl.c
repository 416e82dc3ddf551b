/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * inspectctl FILE: what observe/inspect.h says of a pcap file, one event a line, for
 * tests/range/test_names.py:
 *   app PROTO SOURCE NAME CLIENT PORT SERVER PORT
 *   dns QNAME QTYPE RCODE RESPONSE ADDR,ADDR,…
 * Who sends the first packet of a conversation is its client. A file is read whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/inspect.h"
#include "wire/pcap.h"

#define FILE_MAX  (16u << 20)
#define FLOWS_MAX 4096

static struct {
	struct flow flow;
	uint64_t packets;
	bool settled;
} flows[FLOWS_MAX];
static size_t n_flows;

static void on_app(void *arg, const struct app_event *e)
{
	char src[ADDR_STR_MAX], dest[ADDR_STR_MAX];
	printf("app %s %s %s %s %u %s %u\n", app_proto_str(e->app), name_source_str(e->source),
	       e->name[0] ? e->name : "-", addr_str(&e->src.addr, src), e->src.port,
	       addr_str(&e->dest.addr, dest), e->dest.port);
}

static void on_dns(void *arg, const struct dns_event *e)
{
	char a[ADDR_STR_MAX];
	printf("dns %s %u %u %d ", e->qname[0] ? e->qname : "-", e->qtype, e->rcode, e->response);
	for (size_t i = 0; i < e->n_addrs; i++)
		printf("%s%s", i ? "," : "", addr_str(&e->addrs[i], a));
	puts(e->n_addrs ? "" : "-");
}

static struct endpoint end_of(const struct packet *p, const uint8_t *addr, uint16_t port)
{
	struct endpoint e = {.addr.family = p->family, .port = port};
	memcpy(e.addr.bytes, addr, p->family == 4 ? 4 : 16);
	return e;
}

static bool same(const struct endpoint *a, const struct endpoint *b)
{
	return addr_equal(&a->addr, &b->addr) && a->port == b->port;
}

/* The number of its flow, and whether it goes to the server. */
static size_t flow_of(const struct packet *p, bool *to_server)
{
	struct flow f = {.src = end_of(p, p->src, p->sport),
	                 .dest = end_of(p, p->dst, p->dport),
	                 .proto = p->proto};
	for (size_t i = 0; i < n_flows; i++) {
		const struct flow *o = &flows[i].flow;
		*to_server = same(&o->src, &f.src) && same(&o->dest, &f.dest);
		if (o->proto == f.proto &&
		    (*to_server || (same(&o->src, &f.dest) && same(&o->dest, &f.src))))
			return i;
	}
	if (n_flows == FLOWS_MAX)
		exit(3);
	flows[n_flows].flow = f;
	*to_server = true;
	return n_flows++;
}

static void look(struct inspect *in, unsigned linktype, const struct capture_record *r)
{
	struct packet p;
	bool to_server;
	if (packet_decode(linktype, r->data, r->cap_len, r->wire_len, &p) != PACKET_IP || !p.first)
		return;
	size_t i = flow_of(&p, &to_server);
	flows[i].packets++;
	if (inspect_wants(p.proto, p.sport, p.dport, flows[i].packets, flows[i].settled))
		flows[i].settled =
		    inspect_packet(in, &flows[i].flow, r->nsec, to_server, flows[i].settled, &p);
}

int main(int argc, char **argv)
{
	static const struct inspect_sinks sinks = {on_app, on_dns, NULL};
	static uint8_t bytes[FILE_MAX];
	struct capture_record r = {0};
	struct inspect *in;
	struct err e = {0};
	struct pcap f;
	FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
	if (!file) {
		fprintf(stderr, "usage: inspectctl FILE\n");
		return 2;
	}
	struct cursor c = cursor_of(bytes, fread(bytes, 1, sizeof bytes, file));
	fclose(file);
	if (pcap_header(&c, &f, &e) < 0 || inspect_new(INSPECT_MEMORY, &sinks, &in, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	while (pcap_next(&f, &c, &r) == CAPTURE_PACKET)
		look(in, f.linktype, &r);
	inspect_free(in);
	return cursor_left(&c) ? 1 : 0;
}
