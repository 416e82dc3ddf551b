/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What systemd is told (sd_notify): a datagram to NOTIFY_SOCKET. */
#ifndef STANCH_GUARD_NOTIFY_H
#define STANCH_GUARD_NOTIFY_H

#include "base/clock.h"

struct notify {
	int fd;          /* -1: nobody wants to know */
	usec_t watchdog; /* a sign of life at least this often; 0: none is wanted */
};

/* socket: NOTIFY_SOCKET's value, a path or "@" and an abstract name; usec: WATCHDOG_USEC's. Both
 * may be NULL. */
struct notify notify_open(const char *socket, const char *usec);
void notify_say(const struct notify *n, const char *text); /* "READY=1\nSTATUS=…" */

#endif
