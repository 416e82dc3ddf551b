/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * owner_dump [--cost] SECONDS [IFACE…]: the tier bpf by itself. One line of JSON for each flow that
 * ended, with its owner, and for each pause; "ready" on the first line, the sums on the last.
 * SIGTERM ends it.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observe/tier_bpf.h"

static volatile sig_atomic_t stop;

static void on_stop(int signo)
{
	stop = signo;
}

static void on_flow(void *arg, const struct flow *f, const struct owner *o, bool final)
{
	char src[ADDR_STR_MAX], dest[ADDR_STR_MAX];
	json_t *j;

	if (!final)
		return;
	j = json_pack("{s:s s:i s:s s:i s:i s:I s:I s:I s:I s:i s:I s:s s:s s:s s:I s:I s:s s:s}",
	              "src", addr_str(&f->src.addr, src), "sport", f->src.port, "dest",
	              addr_str(&f->dest.addr, dest), "dport", f->dest.port, "proto", f->proto,
	              "pkts_toserver", (json_int_t)f->pkts_toserver, "pkts_toclient",
	              (json_int_t)f->pkts_toclient, "bytes_toserver", (json_int_t)f->bytes_toserver,
	              "bytes_toclient", (json_int_t)f->bytes_toclient, "pid", o->pid, "uid",
	              (json_int_t)o->uid, "comm", o->comm, "exe", o->exe, "unit", o->unit, "cgroup",
	              (json_int_t)o->cgroup, "netns", (json_int_t)o->netns, "chain", o->chain,
	              "why_unknown", o->why_unknown);
	json_dumpf(j, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(j);
}

static void on_resume(void *arg, const struct resume_event *r)
{
	printf("{\"paused\":%.3f,\"sport\":%u,\"dport\":%u}\n",
	       (double)(r->at_nsec - r->flow.end_nsec) / 1e9, r->flow.src.port, r->flow.dest.port);
}

static void on_tick(void *arg, const struct source_stats *s)
{
	bool *ready = arg;

	if (!*ready)
		puts("{\"ready\":true}");
	*ready = true;
	fflush(stdout);
}

int main(int argc, char **argv)
{
	bool ready = false, cost = argc > 1 && !strcmp(argv[1], "--cost");

	argv += cost;
	argc -= cost;
	if (cost && bpf_enable_stats(BPF_STATS_RUN_TIME) < 0) {
		perror("owner_dump: BPF statistics");
		return 1;
	}
	const struct observe_job job = {
	    .live = true,
	    .where = (const char *const *)argv + 2,
	    .n = argc > 2 ? (size_t)argc - 2 : 0,
	    .run = argc > 1 ? strtoull(argv[1], NULL, 10) * USEC_PER_SEC : 0,
	    .tick_ms = 200,
	    .max_flows = WATCH_FLOWS_MAX,
	    .stop = &stop,
	    .arg = &ready,
	    .resume = on_resume,
	    .tick = on_tick,
	};
	struct source_stats s = {0};
	char limits[256] = "";
	struct err e = {0};

	signal(SIGTERM, on_stop);
	signal(SIGINT, on_stop);
	int r = observe_bpf_run(&job, on_flow, &s, limits, &e);
	if (r < 0) {
		fprintf(stderr, "owner_dump: %s\n", e.text);
		return 1;
	}
	printf("{\"packets\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"flows\":%" PRIu64
	       ",\"unowned\":%" PRIu64 ",\"evicted\":%" PRIu64 ",\"malformed\":%" PRIu64
	       ",\"tier\":\"%s\",\"limits\":\"%s\"}\n",
	       s.packets, s.bytes, s.flows, s.unowned, s.evicted, s.malformed, s.tier, limits);
	return 0;
}
