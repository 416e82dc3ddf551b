/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Beacons: something that reports home by the clock, in connections of its own, in bursts within
 * one connection, or in DNS queries.
 *
 * The score is a quarter each (after what RITA v5 describes; nothing copied) of
 *   timing    half Bowley's skew and half the MAD of the intervals, relative to their median
 *   size      the same of the bytes sent
 *   coverage  how much of the time that was watched it beats, in up to 24 bins
 *   regular   1 − CV of the number of beats a bin, or of the busy bins where it works by shifts
 * times a gate: a MAD of up to 0.34 of the median (a jitter of 50 % makes 0.25) passes whole, that
 * of chance (0.69) keeps 0.4. Then what is known of the channel lowers it: few beats, periods under
 * a second, big transfers, an inside destination, a far end that opens, nobody answering, many
 * hosts with the same destination, a destination that is usual for the program; for bursts within
 * one connection: segments without payload, and protocols that keep alive by design. TCP
 * connections that nobody answered never count. DNS, NTP, DHCP, NetBIOS, SSDP, mDNS, LLMNR, WSD,
 * SNMP and ICMP are never beacons; DNS is judged by domain.
 */
#ifndef STANCH_OBSERVE_BEACON_H
#define STANCH_OBSERVE_BEACON_H

#include "observe/context.h"

#define BEACON_MIN_BEATS  BEATS_MIN
#define BEACON_FULL_BEATS 25 /* from here their number takes nothing away */
#define BEACON_BINS       24
#define BEACON_MAD_FULL   0.34
#define BEACON_MAD_CHANCE 0.62
#define BEACON_BYTES_FULL 65536.0 /* a beat, both ways; halved at BEACON_BYTES_HALF */
#define BEACON_BYTES_HALF 1048576.0
#define BEACON_HOSTS      4    /* of ours with the same destination: usual */
#define BEACON_EMPTY      70.0 /* bytes a frame: no payload (90 with IPv6) */

/* The parts of b, from its memory of them when nothing was added since; false: too few, or no
 * memory. */
bool beats_parts(struct beats *b, struct beat_parts *ret);
/* The four quarters and the gate; first, last: of all that was watched. */
double beats_score(const struct beat_parts *p, uint64_t first_nsec, uint64_t last_nsec,
                   double *ret_coverage);
/* Adds the reasons that the four quarters give. */
void beats_explain(const struct beat_parts *p, double coverage, const char *what,
                   struct finding *f);
/* Whether what goes to this port is judged at all. */
bool beacon_may(uint8_t proto, uint16_t port);
bool beacon_score(const struct score_context *x, const struct channel *c, struct finding *ret);

#endif
