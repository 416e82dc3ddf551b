/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the role `observe` and its parent say to each other. The parent trusts no record: the child
 * has parsed what an enemy sent. record_to_flow checks every field. Pure.
 */
#ifndef STANCH_OBSERVE_RECORD_H
#define STANCH_OBSERVE_RECORD_H

#include <stddef.h>

#include "model/flow.h"
#include "observe/picks.h"
#include "observe/recent.h"

enum observe_msg {
	OBSERVE_START = 1, /* parent → child: struct observe_start */
	OBSERVE_STOP,      /* parent → child: no more frames; flush, statistics, end */
	OBSERVE_CHANGED,   /* child → parent: flow records that changed, still in the table */
	OBSERVE_FINAL,     /* child → parent: flow records that left the table */
	OBSERVE_TICK,   /* child → parent: struct stats_record: the changes so far are complete */
	OBSERVE_END,    /* child → parent: struct stats_record: nothing follows */
	OBSERVE_FAILED, /* child → parent: a sentence */
	OBSERVE_LIMITS, /* child → parent: role_limits() */
	OBSERVE_APP,    /* child → parent: app records */
	OBSERVE_DNS,    /* child → parent: DNS records */
	OBSERVE_RESUME, /* child → parent: resume records */
	OBSERVE_NOTE,   /* child → parent: a sentence about how the source was read */
	OBSERVE_PICK,   /* parent → child: a pick_record: packets that are wanted */
	OBSERVE_KEEP,   /* parent → child, behind END: no more picks, hand out what is wanted */
	OBSERVE_FRAMES, /* child → parent: the next piece of the stream of frame records, each with
	                   its bytes behind it */
	OBSERVE_KEPT,   /* child → parent: a kept_record: the stream is whole */
	_OBSERVE_MAX
};

struct observe_start {
	uint32_t live;    /* 0: fd 0 is a capture; 1: every fd is a ring */
	uint32_t tick_ms; /* live: how often changes are sent */
	uint64_t max_flows;
	uint64_t idle_ms; /* live: a flow that is silent that long is final */
	uint64_t wants;   /* bits of enum observe_wants */
	uint32_t log;     /* 1: fd 0 is the log of a firewall */
	int32_t log_format, log_zone_min;
	uint32_t zero;
	uint64_t log_ref_nsec;
};

enum observe_wants {
	OBSERVE_WANTS_APP = 1,
	OBSERVE_WANTS_DNS = 2,
	OBSERVE_WANTS_RESUME = 4,
	OBSERVE_WANTS_FLOWS = 8,
	OBSERVE_WANTS_FRAMES = 16
};

struct flow_record {
	uint64_t pkts_toserver, pkts_toclient, bytes_toserver, bytes_toclient;
	uint64_t start_nsec, end_nsec;
	uint8_t src[16], dest[16];
	uint16_t src_port, dest_port, vlan;
	uint8_t family, proto, src_guessed, tcp_toserver, tcp_toclient, zero[5];
};

/* Endpoints as they go over the channel. */
struct ends_record {
	uint8_t src[16], dest[16];
	uint16_t src_port, dest_port;
	uint8_t family, proto, zero[2];
};

struct app_record {
	uint64_t nsec;
	struct ends_record ends;
	uint8_t app, source;
	char name[NAME_MAX_LEN];
};

struct dns_record {
	uint64_t nsec;
	struct ends_record ends; /* client, server */
	uint16_t qtype, size;
	uint8_t response, rcode, n_addrs, zero;
	uint8_t addr_family[DNS_EVENT_ADDRS];
	uint8_t addrs[DNS_EVENT_ADDRS][16];
	char qname[NAME_MAX_LEN];
	uint8_t zero2[2];
};

struct resume_record {
	struct flow_record flow;
	uint64_t at_nsec;
};

struct stats_record {
	uint64_t packets, bytes, dropped, truncated, undecoded, malformed, evicted, flows;
	uint64_t first_nsec, last_nsec;
	char tier[32];
};

struct frame_record {
	uint64_t nsec;
	uint32_t cap_len, wire_len;
	uint32_t pick; /* why it is wanted: the place of its pick among those sent */
	uint16_t linktype, source;
};

struct kept_record {
	uint64_t frames;     /* handed out */
	uint64_t late;       /* picks whose first packets had left the ring already */
	uint64_t ring_bytes; /* 0: no ring was needed */
};

struct pick_record {
	uint64_t first_nsec;
	uint8_t a[16], b[16];
	uint16_t a_port, b_port;
	uint8_t a_family, b_family, a_len, b_len, proto, zero[7];
	char text[PICK_TEXT_MAX];
};

void record_of_flow(const struct flow *f, struct flow_record *ret);
int record_to_flow(const void *bytes, struct flow *ret); /* -EBADMSG */
/* Names that are not printable ASCII are refused. */
void record_of_app(const struct app_event *a, struct app_record *ret);
int record_to_app(const void *bytes, struct app_event *ret); /* -EBADMSG */
void record_of_dns(const struct dns_event *d, struct dns_record *ret);
int record_to_dns(const void *bytes, struct dns_event *ret); /* -EBADMSG */
void record_of_resume(const struct flow *f, uint64_t at_nsec, struct resume_record *ret);
int record_to_resume(const void *bytes, struct resume_event *ret); /* -EBADMSG */
void record_of_pick(const struct pick *p, struct pick_record *ret);
int record_to_pick(const void *bytes, size_t len, struct pick *ret); /* -EBADMSG */
/* Of a frame's head; data is not set. n_sources and n_picks are what there are. */
int record_to_frame(const void *bytes, size_t n_sources, size_t n_picks, struct frame *ret,
                    size_t *ret_pick); /* -EBADMSG */
void record_of_stats(const struct source_stats *s, struct stats_record *ret);
int record_to_stats(const void *bytes, size_t len, struct source_stats *ret); /* -EBADMSG */

#endif
