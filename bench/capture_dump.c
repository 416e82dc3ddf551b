/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reads one capture file with the source and the flow table that `watch --file` uses, in one
 * process and without a sandbox, and prints flows and statistics as JSON lines: to measure these
 * two alone. -q: statistics only.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/file.h"
#include "observe/flowtab.h"

static bool quiet;

static void print_flow(void *arg, const struct flow *f)
{
	char s[ADDR_STR_MAX], d[ADDR_STR_MAX];
	if (quiet)
		return;
	printf("{\"event_type\":\"flow\",\"src_ip\":\"%s\",\"src_port\":%u,\"dest_ip\":\"%s\","
	       "\"dest_port\":%u,\"proto_number\":%u,\"vlan\":%u,\"guessed\":%s,\"flow\":{"
	       "\"pkts_toserver\":%" PRIu64 ",\"pkts_toclient\":%" PRIu64
	       ",\"bytes_toserver\":%" PRIu64 ",\"bytes_toclient\":%" PRIu64
	       ",\"start_nsec\":%" PRIu64 ",\"end_nsec\":%" PRIu64 "}}\n",
	       addr_str(&f->src.addr, s), f->src.port, addr_str(&f->dest.addr, d), f->dest.port,
	       f->proto, f->vlan, f->src_guessed ? "true" : "false", f->pkts_toserver,
	       f->pkts_toclient, f->bytes_toserver, f->bytes_toclient, f->start_nsec, f->end_nsec);
}

static void print_stats(const struct source_stats *s)
{
	printf("{\"event_type\":\"stats\",\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64
	       ",\"dropped\":%" PRIu64 ",\"truncated\":%" PRIu64 ",\"undecoded\":%" PRIu64
	       ",\"malformed\":%" PRIu64 ",\"evicted\":%" PRIu64 ",\"flows\":%" PRIu64 "}\n",
	       s->packets, s->bytes, s->dropped, s->truncated, s->undecoded, s->malformed,
	       s->evicted, s->flows);
}

static int run(void *source, struct flowtab *t)
{
	const struct packet_sink sink = {flowtab_frame, flowtab_settle, t};
	struct source_stats s = {0};
	struct err e = {0};
	int r;
	while ((r = file_source.pump(source, &sink, 65536, 200, &e)) > 0)
		;
	flowtab_flush(t);
	file_source.stats(source, &s);
	flowtab_stats(t, &s);
	print_stats(&s);
	if (r < 0)
		fprintf(stderr, "%s\n", e.text);
	return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct flowtab *t = NULL;
	struct err e = {0};
	void *source = NULL;
	int fd = -1;
	if (argc > 1 && !strcmp(argv[1], "-q")) {
		quiet = true;
		argv++, argc--;
	}
	size_t max = argc > 2 ? strtoul(argv[2], NULL, 10) : 1 << 20;
	if (argc < 2 || file_source.open(argv[1], &fd, &e) < 0 ||
	    file_source.attach(fd, &source, &e) < 0 ||
	    flowtab_new(max, print_flow, NULL, &t, &e) < 0) {
		fprintf(stderr, "%s\n",
		        argc < 2 ? "usage: capture_dump [-q] FILE [FLOWS]" : e.text);
		return 2;
	}
	int r = run(source, t);
	flowtab_free(t);
	file_source.close(source);
	return r;
}
