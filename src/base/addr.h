/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Addresses and prefixes of both families, in network byte order. Plain values: copy, compare
 * and hash them as they are (unused bytes are zero).
 */
#ifndef STANCH_BASE_ADDR_H
#define STANCH_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"

#define ADDR_STR_MAX     46 /* INET6_ADDRSTRLEN */
#define PREFIX_STR_MAX   50
#define ENDPOINT_STR_MAX 56 /* "[v6]:65535" */

enum addr_family { ADDR_NONE = 0, ADDR_V4 = 4, ADDR_V6 = 6 };

struct addr {
	uint8_t family;    /* enum addr_family */
	uint8_t bytes[16]; /* v4 in the first four, the rest zero */
};

struct prefix {
	struct addr addr; /* host bits are zero */
	uint8_t len;      /* 0..32 or 0..128 */
};

struct endpoint {
	struct addr addr;
	uint16_t port; /* host order; 0: none given */
};

unsigned addr_bits(const struct addr *a); /* 32, 128, or 0 for none */
struct addr addr_v4(const void *four_bytes);
/* A v4-mapped v6 address (::ffff:a.b.c.d) becomes the v4 address it stands for. */
struct addr addr_v6(const void *sixteen_bytes);
/* -EAFNOSUPPORT for other families. ret_port may be NULL. */
int addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret, uint16_t *ret_port);
/* Returns the length used in *ret. */
socklen_t addr_to_sockaddr(const struct addr *a, uint16_t port, struct sockaddr_storage *ret);

/* Canonical text only: "192.0.2.1" and not "192.0.2.01", "10.1" or "0x7f.1". -EINVAL else. */
int addr_parse(const char *s, struct addr *ret);
/* Address or address/len. Host bits that are set are an error that shows the prefix meant. */
int prefix_parse(const char *s, struct prefix *ret, struct err *e);
/* "ADDR", "ADDR:PORT", "[V6]:PORT". A bare v6 address has no port. */
int endpoint_parse(const char *s, struct endpoint *ret, struct err *e);

/* Each writes into dst and returns it. */
const char *addr_str(const struct addr *a, char dst[static ADDR_STR_MAX]);
const char *prefix_str(const struct prefix *p, char dst[static PREFIX_STR_MAX]); /* no /32, /128 */
const char *endpoint_str(const struct endpoint *e, char dst[static ENDPOINT_STR_MAX]);

int addr_cmp(const struct addr *a, const struct addr *b); /* family first, then bytes */
static inline bool addr_equal(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}
struct prefix prefix_of(const struct addr *a, unsigned len); /* zeroes the host bits */
bool prefix_has(const struct prefix *p, const struct addr *a);
bool prefix_covers(const struct prefix *outer, const struct prefix *inner);
struct addr prefix_last(const struct prefix *p); /* highest address in it */

bool addr_is_loopback(const struct addr *a);
bool addr_is_multicast(const struct addr *a); /* and the v4 limited broadcast */
bool addr_is_linklocal(const struct addr *a);
/* RFC 1918, RFC 4193, RFC 6598, link-local, loopback. Documentation prefixes are outside. */
bool addr_is_inside(const struct addr *a);

#endif
