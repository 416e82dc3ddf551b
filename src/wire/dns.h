/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A DNS message: its first question and the addresses that answer it. Sources: RFC 1035 4.1,
 * RFC 3596, RFC 6762 (mDNS: the top bit of a class is no part of it).
 */
#ifndef STANCH_WIRE_DNS_H
#define STANCH_WIRE_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "wire/hostname.h"

#define DNS_ADDRS_MAX   8
#define DNS_RECORDS_MAX 128 /* questions of a message, and answers that are looked at */
#define DNS_HEADER      12

enum { DNS_A = 1, DNS_CNAME = 5, DNS_AAAA = 28 };

struct dns_message {
	uint16_t id;
	bool response, truncated; /* QR, TC */
	uint8_t opcode, rcode;
	uint16_t n_questions, n_answers; /* as the header says */
	uint16_t qtype, qclass;          /* of the first question; 0: none was asked */
	/* Lower case. What is not printable, '.' in a label and '\' stand as \DDD. "." is the root,
	 * "" no question. A text longer than 253 has lost its front and begins with a dot, as no
	 * name does. */
	char qname[HOSTNAME_MAX];
	/* A and AAAA of qname in a response, its CNAMEs followed, in the order they stand;
	 * the first DNS_ADDRS_MAX. */
	size_t n_addrs;
	struct addr addrs[DNS_ADDRS_MAX];
};

/*
 * Reads one message of n bytes. cut: more bytes followed which were not captured, so that the
 * answers may end before their count does. 0, or -EBADMSG with *ret untouched: a header, question
 * or answer that is not all there, or a name that is none (a pointer not backwards, more than 255
 * bytes, an unknown label type). Authority and additional records are not looked at, nor what lies
 * behind DNS_RECORDS_MAX answers, so that the time is bounded.
 */
int dns_decode(const uint8_t *msg, size_t n, bool cut, struct dns_message *ret);

/* Whether these bytes are, whatever their port, exactly one plain query of class IN. */
bool dns_is_query(const uint8_t *msg, size_t n);

#endif
