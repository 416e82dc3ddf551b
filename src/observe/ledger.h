/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From counters that the kernel keeps, listed again and again, to flows: what was there at the
 * first list counts from then on; what is missing in a list has ended. Bounded at birth; what does
 * not fit is told as evicted.
 *
 * A round: ledger_begin, ledger_count for each that is listed, ledger_end. Between rounds
 * ledger_over with the last counts of one that ended.
 */
#ifndef STANCH_OBSERVE_LEDGER_H
#define STANCH_OBSERVE_LEDGER_H

#include "observe/tier.h"

#define LEDGER_FLOWS (1u << 17)

struct ledger_key {
	uint64_t v[6]; /* every byte counts */
};

struct ledger;

int ledger_new(const struct observe_job *job, owned_flow_fn flow, struct ledger **ret,
               struct err *e);
void ledger_free(struct ledger *l); /* takes NULL */

/* nsec: wall. */
void ledger_begin(struct ledger *l, uint64_t nsec);
/* f has cumulative counts; start_nsec 0: not known, then it is now; end_nsec is not read. */
void ledger_count(struct ledger *l, const struct ledger_key *k, const struct flow *f);
void ledger_over(struct ledger *l, const struct ledger_key *k, const struct flow *f);
/* whole: every one was listed. */
void ledger_end(struct ledger *l, bool whole);
void ledger_flush(struct ledger *l);
/* packets, bytes, flows, evicted, first and last time. */
void ledger_stats(const struct ledger *l, struct source_stats *ret);

#endif
