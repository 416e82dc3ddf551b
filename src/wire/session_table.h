/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Session tables as firewalls print them. Untrusted text: a line that does not read as a session is
 * no session, and the table's own total says whether one was missed.
 * Source: Junos OS CLI reference, `show security flow session` (output fields and samples).
 */
#ifndef STANCH_WIRE_SESSION_TABLE_H
#define STANCH_WIRE_SESSION_TABLE_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/cursor.h"

/* One session as its first packet went; ports 0: the protocol has none, or none is shown. */
struct session_row {
	struct endpoint source, destination;
	uint8_t proto; /* IPPROTO_*; 0: not known by name here */
};

/* "tcp", "UDP", "17", "icmp6", … as devices write them; 0: none that is known. */
uint8_t session_proto(const char *text);

/* Returns non-zero to end the walk; that is what the walk returns then. */
typedef int (*session_fn)(void *arg, const struct session_row *row);

/* `show security flow session`: f is called for each session that is valid. -EBADMSG: no total is
 * shown, or it is not the number of sessions that were read; so nothing is known of the rest. */
int session_table_junos(const void *text, size_t n, session_fn f, void *arg);

#endif
