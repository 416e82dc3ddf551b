/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The first message of a TLS connection: ClientHello (server name, ALPN) or ServerHello. Sources:
 * RFC 8446 4.1 and 5.1, RFC 6066 3, RFC 7301, RFC 9849 (Encrypted ClientHello).
 *
 * Resumable by repetition: the caller gathers the bytes of the stream from its start and asks again
 * when more have come. Nothing is kept here.
 */
#ifndef STANCH_WIRE_TLS_H
#define STANCH_WIRE_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/hostname.h"

#define TLS_HELLO_MAX 16384 /* bytes of a message that are looked at */
#define TLS_ALPN_MAX  64

enum tls_step {
	TLS_NOT,  /* these bytes start no TLS connection */
	TLS_MORE, /* so far they could: ask again with more */
	TLS_HAVE, /* *ret is filled in */
};

struct tls_hello {
	bool client; /* ClientHello; false: ServerHello, of which nothing else is told */
	/* The ClientHello has the extension encrypted_client_hello, in earnest or as grease: who
	 * watches cannot tell which. sni is then certain to be what was sent, but may be the public
	 * name of a provider in front of the server that is meant. */
	bool ech;
	char sni[HOSTNAME_MAX]; /* "" none, or nothing that is the name of a host */
	/* Protocols offered, in order, "h2,http/1.1": those that fit; grease and what is not
	 * printable left out. */
	char alpn[TLS_ALPN_MAX];
};

/* The n first bytes that one side of a TCP connection has sent. A message may be spread over
 * several records; one longer than TLS_HELLO_MAX is TLS_HAVE without a name. */
enum tls_step tls_hello(const uint8_t *stream, size_t n, struct tls_hello *ret);

/* The same for a ClientHello without records, as QUIC carries it. A ServerHello is TLS_NOT. */
enum tls_step tls_client_hello(const uint8_t *message, size_t n, struct tls_hello *ret);

#endif
