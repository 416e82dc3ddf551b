/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines of firewall logs: each is one record about a connection, or something to pass over, or bad.
 *
 * Invariants
 *  1. A decoder looks at one line at a time (no newline in it) and keeps nothing of it.
 *  2. A record has both addresses, of one family, and a protocol; ports where the line has them.
 *  3. Every field is read from where the vendor's documentation (named in the decoder's file) puts
 *     it; what a line does not say stays zero, and who opened is marked where it had to be guessed.
 */
#ifndef STANCH_WIRE_FWLOG_H
#define STANCH_WIRE_FWLOG_H

#include "base/addr.h"
#include "base/cursor.h"
#include "base/table.h"
#include "wire/fwlog_time.h"

enum fwlog_format {
	FWLOG_ASA,
	FWLOG_JUNOS,
	FWLOG_PANOS,
	FWLOG_AWS,
	FWLOG_NETFILTER,
	_FWLOG_FORMAT_MAX,
	_FWLOG_FORMAT_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(fwlog_format, enum fwlog_format);

enum fwlog_action { FWLOG_NOT_TOLD, FWLOG_ALLOWED, FWLOG_DENIED };

/* How much of a connection one line tells. */
enum fwlog_part {
	FWLOG_WHOLE,  /* all there is */
	FWLOG_OPENED, /* its end comes later, with the same id */
	FWLOG_CLOSED, /* all there is, but perhaps who opened it and when: see the opening */
	FWLOG_PACKET, /* one packet: what did not match the rule is not in the log */
	FWLOG_WINDOW, /* all that went one way in a window of time */
};

struct fwlog_record {
	enum fwlog_part part;
	enum fwlog_action action;
	uint64_t id;               /* of the connection on its device; 0 none */
	struct endpoint src, dest; /* src opened it; ICMP: type and code of the request as ports, 0
	                              unknown */
	uint8_t proto;
	bool src_guessed;
	bool unanswered; /* the line says that nothing came back */
	bool halved;     /* the line has one sum of both directions: half was put into each */
	uint64_t pkts_toserver, pkts_toclient, bytes_toserver, bytes_toclient;
	uint64_t start_nsec, end_nsec;      /* wall */
	uint8_t tcp_toserver, tcp_toclient; /* flags, where the line has them */
};

enum fwlog_verdict {
	FWLOG_RECORD, /* *ret is filled in */
	FWLOG_SKIP,   /* well-formed, but nothing for us */
	FWLOG_LOST,   /* the logging side says that it lost records here */
	FWLOG_BAD,    /* *why says what is wrong: a static phrase */
};

#define FWLOG_LINE_MAX 16384 /* bytes; longer lines are not decoded */

/* Where the fields of AWS flow logs stand; zeroed: the default format. */
#define FWLOG_AWS_COLUMNS_MAX 64
struct fwlog_aws {
	size_t n; /* columns; 0: no header line was seen */
	uint8_t field[FWLOG_AWS_COLUMNS_MAX];
};

/* The state of one log. Set format and clock, zero the rest. */
struct fwlog {
	enum fwlog_format format;
	struct fwlog_clock clock;
	struct fwlog_aws aws;
};

/* The format that most of these lines (whole ones, parted by newlines) have; -EINVAL: none. */
int fwlog_detect(struct cursor lines);
/* One line without its newline. *ret and *why are written for RECORD and BAD only. */
enum fwlog_verdict fwlog_line(struct fwlog *f, struct cursor line, struct fwlog_record *ret,
                              const char **why);

/* What a decoder is. */
struct fwlog_decoder {
	/* Does this line bear the marks of the format? */
	bool (*mine)(struct cursor line);
	enum fwlog_verdict (*line)(struct fwlog *f, struct cursor line, struct fwlog_record *ret,
	                           const char **why);
};
extern const struct fwlog_decoder fwlog_asa, fwlog_junos, fwlog_panos, fwlog_aws, fwlog_netfilter;

/* For decoders. Another program's line in the same file: SKIP if it has a stamp, else BAD. */
enum fwlog_verdict fwlog_other(struct fwlog *f, struct cursor line, const char **why);
enum fwlog_verdict fwlog_bad(const char **why, const char *text);
/* Turns r round: src becomes dest, with all that was counted. */
void fwlog_turn(struct fwlog_record *r);
/* Of a record whose line does not say who opened: by the TCP flags of the sender (src as logged)
 * if they tell, else the end with the known or lower port is the server, and src_guessed is set. */
void fwlog_guess(struct fwlog_record *r);
/* An echo reply is turned into its request's direction and type. */
void fwlog_echo(struct fwlog_record *r);

enum { FWLOG_FIN = 1, FWLOG_SYN = 2, FWLOG_RST = 4, FWLOG_PSH = 8, FWLOG_ACK = 16, FWLOG_URG = 32 };
#define FWLOG_SYN_ACK (FWLOG_SYN | FWLOG_ACK)

#endif
