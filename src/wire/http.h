/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The head of the first HTTP/1 request of a connection: who is meant. Sources: RFC 9112 2, 3 and 5,
 * RFC 9110 7.2, RFC 9113 3.4.
 */
#ifndef STANCH_WIRE_HTTP_H
#define STANCH_WIRE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/hostname.h"

#define HTTP_HEAD_MAX   4096
#define HTTP_METHOD_MAX 16

enum http_step {
	HTTP_NOT,  /* no HTTP request starts so */
	HTTP_MORE, /* so far it could: ask again with more */
	HTTP_HAVE, /* *ret is filled in */
};

struct http_request {
	char
	    method[HTTP_METHOD_MAX]; /* "PRI": the preface of HTTP/2 without TLS; no name follows */
	/* From an absolute target or the target of CONNECT, else from the one Host field. ""; none,
	 * an address, or fields that contradict each other. */
	char host[HOSTNAME_MAX];
	uint16_t port; /* 0: none given */
};

/* The n first bytes that the client has sent. last: no more will come to be asked about; then what
 * stands in whole lines is told, though the head has no end. HTTP_HEAD_MAX bytes are looked at;
 * with that many, last is implied. */
enum http_step http_request(const uint8_t *p, size_t n, bool last, struct http_request *ret);

#endif
