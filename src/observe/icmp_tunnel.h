/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Data in echo messages. A ping sends one size, gets the same back, once a second; the score is the
 * sum of: volume, mean size beyond a ping's, frames of varying size or answers that differ from
 * what they answer (sums tell: pings of one size are divided by their number), rate. Only echo
 * (ICMP 8, ICMPv6 128) and unassigned types count; errors and neighbour discovery never.
 */
#ifndef STANCH_OBSERVE_ICMP_TUNNEL_H
#define STANCH_OBSERVE_ICMP_TUNNEL_H

#include "observe/context.h"

#define ICMP_MIN_PKTS    20
#define ICMP_VOLUME_LOW  5e3 /* bytes of frames, both ways */
#define ICMP_VOLUME_HIGH 2e5
#define ICMP_SIZE_LOW    110.0 /* a frame, mean; a ping's is 98 or 74 */
#define ICMP_SIZE_HIGH   300.0
#define ICMP_RATE_LOW    1.5 /* frames a second and way; ping sends one */
#define ICMP_RATE_HIGH   10.0
#define ICMP_W_VOLUME    0.30
#define ICMP_W_SIZE      0.20
#define ICMP_W_VARIES    0.35
#define ICMP_W_RATE      0.15

bool icmp_tunnel_score(const struct score_context *x, const struct channel *c, struct finding *ret);

#endif
