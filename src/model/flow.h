/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A flow: one conversation between two endpoints, counted exactly. "Server" is who was spoken to:
 * src opened it (TCP: who sent the SYN; else: who was seen first, with the lower port as the
 * server where a capture starts in mid-stream). Bytes are frame lengths on the wire.
 */
#ifndef STANCH_MODEL_FLOW_H
#define STANCH_MODEL_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"

struct flow {
	struct endpoint src, dest;
	uint8_t proto;    /* IPPROTO_*; ports are 0 where it has none; ICMP: type and code of the
	                     request */
	uint16_t vlan;    /* outermost 802.1Q id, 0: none */
	bool src_guessed; /* no SYN was seen */
	uint64_t pkts_toserver, pkts_toclient;
	uint64_t bytes_toserver, bytes_toclient;
	uint64_t start_nsec, end_nsec; /* wall, nanoseconds */
};

struct owner {
	int pid; /* 0: unknown */
	uint32_t uid;
	char comm[16];
	char exe[256];
	char unit[128];       /* systemd unit or container from the cgroup; "" none */
	char why_unknown[64]; /* "the process has gone", "other network namespace", … */
};

/* What a source read and what it lost. */
struct source_stats {
	uint64_t packets, bytes; /* taken from the source */
	uint64_t dropped;        /* by the kernel before we saw them */
	uint64_t truncated;      /* captured shorter than a header we needed */
	uint64_t undecoded; /* link or network layer that we do not count as IP (ARP, STP, …) */
	uint64_t malformed; /* records or headers that contradict themselves */
	uint64_t evicted;   /* flows put out early because the table was full */
	uint64_t flows;
	uint64_t first_nsec, last_nsec;
	char tier[32]; /* "tpacket_v3", "file" */
};

#endif
