/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names as text, in one shape: lower case, no last dot, at most 253 characters. Whatever is printed
 * or compared as a name comes through here. Sources: RFC 1035 2.3.4 and 5.1, RFC 1123 2.1.
 */
#ifndef STANCH_WIRE_HOSTNAME_H
#define STANCH_WIRE_HOSTNAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOSTNAME_MAX 254 /* with NUL */

/* The name of a host as a client wrote it in a ClientHello or a Host header: labels of letters,
 * digits, '-' and '_'. False, and ret untouched, for anything else and for an address literal: an
 * address is no name. */
bool hostname_of(const uint8_t *p, size_t n, char ret[static HOSTNAME_MAX]);

#endif
