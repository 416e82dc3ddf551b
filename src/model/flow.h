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
#include "base/table.h"

struct flow {
	struct endpoint src, dest;
	uint8_t proto;    /* IPPROTO_*; ports are 0 where it has none; ICMP: type and code of the
	                     request */
	uint16_t vlan;    /* outermost 802.1Q id, 0: none */
	bool src_guessed; /* no SYN was seen */
	uint64_t pkts_toserver, pkts_toclient;
	uint64_t bytes_toserver, bytes_toclient;
	uint64_t start_nsec, end_nsec;      /* wall, nanoseconds */
	uint8_t tcp_toserver, tcp_toclient; /* TCP flags seen in each direction, or-ed */
};

/* What the first bytes of a flow say it speaks, whatever its port. */
enum app_proto {
	APP_UNKNOWN,
	APP_DNS,
	APP_TLS,
	APP_QUIC,
	APP_HTTP,
	APP_SSH,
	APP_SMTP,
	APP_FTP,
	APP_RDP,
	APP_SMB,
	APP_NTP,
	_APP_PROTO_MAX,
	_APP_PROTO_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(app_proto, enum app_proto);

/* Where a name of the far end comes from; a name is never a guess. */
enum name_source {
	NAME_NONE,
	NAME_DNS,   /* an answer that this host's client got for this address */
	NAME_SNI,   /* TLS ClientHello */
	NAME_QUIC,  /* ClientHello in a QUIC Initial */
	NAME_HTTP,  /* Host header */
	NAME_OUTER, /* of a ClientHello that has an encrypted one inside (browsers always send that,
	               mostly empty): sent as it is, but maybe a provider's in front of the far end
	             */
	_NAME_SOURCE_MAX,
	_NAME_SOURCE_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(name_source, enum name_source);

#define NAME_MAX_LEN 254 /* a DNS name as text without the last dot, and NUL */

/* A flow was told apart by its payload. Endpoints as in struct flow. */
struct app_event {
	struct endpoint src, dest;
	uint8_t proto;
	uint64_t nsec;
	enum app_proto app;
	enum name_source source; /* NAME_NONE: name is "" */
	char name[NAME_MAX_LEN]; /* printable, lower case; "" none */
};

#define DNS_EVENT_ADDRS 8

/* One DNS message, over UDP or TCP. */
struct dns_event {
	struct endpoint client, server;
	uint8_t proto;
	uint64_t nsec;
	bool response;
	uint8_t rcode;
	uint16_t qtype;           /* of the first question */
	uint16_t size;            /* of the message */
	char qname[NAME_MAX_LEN]; /* printable (others as \DDD), lower case */
	size_t n_addrs;           /* A and AAAA of a response, CNAMEs followed */
	struct addr addrs[DNS_EVENT_ADDRS];
};

/* A flow in which both ends spoke (or only one ever did) was silent for FLOW_PAUSE_NSEC and speaks
 * again: `flow` is what it was up to the pause,
 * at is when it went on. What beats inside one long connection shows in these. */
#define FLOW_PAUSE_NSEC UINT64_C(1000000000)
struct resume_event {
	struct flow flow;
	uint64_t at_nsec;
};

struct owner {
	int pid; /* 0: unknown */
	uint32_t uid;
	char comm[16];
	char exe[256];
	char unit[128];       /* systemd unit or container from the cgroup; "" none */
	uint64_t cgroup;      /* id of the cgroup2 directory; 0 unknown */
	uint64_t netns;       /* inode of the network namespace; 0 unknown */
	char chain[160];      /* its parents, nearest first: "bash(812) < sshd(800)"; "" unknown */
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
	uint64_t unowned; /* bytes of flows whose owner is not known (live) */
	uint64_t first_nsec, last_nsec;
	char tier[32]; /* "tpacket_v3", "file" */
};

#endif
