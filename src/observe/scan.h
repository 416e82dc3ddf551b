/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Scans and lateral movement: what one host tried, over all its channels.
 *
 * Scan: pairs of destination and port that never answered, how many of all it tried they are, and
 * how few ports (or destinations) they concentrate on: a peer-to-peer program fails as often, but
 * on as many ports as hosts. What fell into the busiest hour counts whole, the rest a quarter.
 * Destinations that DNS named do not count (a network that is down fails so), nor traceroute's
 * ports, nor QUIC that is blocked.
 * Lateral: with how many inside hosts one inside host spoke on a port of remote administration;
 * those that it only opened a connection to, as an inventory does, count a quarter.
 */
#ifndef STANCH_OBSERVE_SCAN_H
#define STANCH_OBSERVE_SCAN_H

#include "observe/context.h"

#define SCAN_PAIRS_LOW   8.0
#define SCAN_PAIRS_HIGH  50.0
#define SCAN_FAILED_LOW  0.3 /* of all pairs tried */
#define SCAN_FAILED_HIGH 0.8
#define SCAN_FOCUS_LOW   0.3
#define SCAN_FOCUS_HIGH  0.7
#define SCAN_INBOUND     0.85 /* from outside: the Internet's usual noise */
#define LATERAL_LOW      3.0  /* hosts */
#define LATERAL_HIGH     10.0
#define LATERAL_SAID     200 /* bytes beyond headers, a connection */
#define LATERAL_KNOCK    0.25
#define LATERAL_MUTE     0.65   /* nearly all that is known are such */
#define LATERAL_FAST     3600.0 /* seconds in which it met them all: raises */
#define SCAN_OPENERS_MAX 64     /* looked at closely: those who failed most */

/* -ENOMEM. */
int scan_findings(const struct score_context *x, void (*cb)(void *arg, const struct finding *f),
                  void *arg);

#endif
