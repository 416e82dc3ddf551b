/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the role `observe` and its parent say to each other. The parent trusts no record: the child
 * has parsed what an enemy sent. record_to_flow checks every field. Pure.
 */
#ifndef STANCH_OBSERVE_RECORD_H
#define STANCH_OBSERVE_RECORD_H

#include <stddef.h>

#include "model/flow.h"

enum observe_msg {
	OBSERVE_START = 1, /* parent → child: struct observe_start */
	OBSERVE_STOP,      /* parent → child: no more frames; flush, statistics, end */
	OBSERVE_CHANGED,   /* child → parent: flow records that changed, still in the table */
	OBSERVE_FINAL,     /* child → parent: flow records that left the table */
	OBSERVE_TICK,   /* child → parent: struct stats_record: the changes so far are complete */
	OBSERVE_END,    /* child → parent: struct stats_record: nothing follows */
	OBSERVE_FAILED, /* child → parent: a sentence */
	OBSERVE_LIMITS, /* child → parent: role_limits() */
};

struct observe_start {
	uint32_t live;    /* 0: fd 0 is a capture; 1: every fd is a ring */
	uint32_t tick_ms; /* live: how often changes are sent */
	uint64_t max_flows;
	uint64_t idle_ms; /* live: a flow that is silent that long is final */
};

struct flow_record {
	uint64_t pkts_toserver, pkts_toclient, bytes_toserver, bytes_toclient;
	uint64_t start_nsec, end_nsec;
	uint8_t src[16], dest[16];
	uint16_t src_port, dest_port, vlan;
	uint8_t family, proto, src_guessed, zero[7];
};

struct stats_record {
	uint64_t packets, bytes, dropped, truncated, undecoded, malformed, evicted, flows;
	uint64_t first_nsec, last_nsec;
	char tier[32];
};

void record_of_flow(const struct flow *f, struct flow_record *ret);
int record_to_flow(const void *bytes, struct flow *ret); /* -EBADMSG */
void record_of_stats(const struct source_stats *s, struct stats_record *ret);
int record_to_stats(const void *bytes, size_t len, struct source_stats *ret); /* -EBADMSG */

#endif
