/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Data in DNS names: queries summed by client and registered domain, whatever flow they come in.
 *
 * A tunnel is wide (many different names, each asked once, that carry kilobytes) and each name
 * looks like data. The score is the width times a sum of: long labels, entropy of a name, names
 * asked once, types that carry data (TXT, NULL, CNAME, MX, SRV, KEY, unassigned), bytes a query and
 * its answer. Look-ups of reputation (answers in 127.0.0.0/8, names of digits) count less; reverse
 * look-ups and names of the local network not at all.
 *
 * A DNS beacon is found here, too: queries for ever new names of one domain by the clock.
 */
#ifndef STANCH_OBSERVE_DNS_TUNNEL_H
#define STANCH_OBSERVE_DNS_TUNNEL_H

#include "observe/context.h"

#define DNS_MIN_NAMES    10
#define DNS_WIDTH_LOW    400.0 /* bytes that the names carry */
#define DNS_WIDTH_HIGH   4000.0
#define DNS_LABEL_LOW    16.0 /* longest label of a name, mean */
#define DNS_LABEL_HIGH   36.0
#define DNS_ENTROPY_LOW  2.8 /* bits a character of a name in front of the domain, mean */
#define DNS_ENTROPY_HIGH 3.7
#define DNS_ONCE_LOW     0.3 /* different names by queries */
#define DNS_ONCE_HIGH    0.8
#define DNS_TYPES_HIGH   0.5   /* share of queries for types that carry data */
#define DNS_BYTES_LOW    120.0 /* messages, a query and its answer */
#define DNS_BYTES_HIGH   300.0
#define DNS_W_LABEL      0.30
#define DNS_W_ENTROPY    0.20
#define DNS_W_ONCE       0.20
#define DNS_W_TYPES      0.15
#define DNS_W_BYTES      0.15
#define DNS_DOMAIN_MAX   96

struct domains;

/* At most max domains and max_samples times of queries. -ENOMEM. */
int domains_new(size_t max, size_t max_samples, struct domains **ret);
void domains_free(struct domains *d); /* takes NULL */
void domains_add(struct domains *d, const struct dns_event *e);
void domains_findings(const struct domains *d, const struct score_context *x,
                      void (*cb)(void *arg, const struct finding *f), void *arg);
size_t domains_count(const struct domains *d);
uint64_t domains_evicted(const struct domains *d);

#endif
