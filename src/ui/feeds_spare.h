/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the feeds of a block may never take: collected, and each hit told. For feeds.c. */
#ifndef STANCH_UI_FEEDS_SPARE_H
#define STANCH_UI_FEEDS_SPARE_H

#include "ui/cut.h"

/* Adds what this host needs as entries with their reasons: its networks and addresses, gateways,
 * name servers, the operator's sessions, kept and protected addresses, loopback, link-local and
 * multicast. A guard that --force names adds nothing. */
int spare_own(struct cut *k, struct feed_builder *b, struct err *e);
/* Notes for what the order's feeds list although its lists spare it. EXIT_DONE or what to end with.
 */
int spare_tell(struct cut *k);

#endif
