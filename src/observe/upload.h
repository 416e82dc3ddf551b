/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who sends how much to whom: flows summed by the pair (our side, the other side), and the finding
 * that grows out of it: a high-volume upload to an outside address. The same for files and live.
 *
 * The score: volume, and as far as volume allows ratio, rate and share of all that goes out. Ratio
 * alone never fires, and what comes back as much as it goes (a call) keeps three quarters. Then
 * what is known of the destination lowers it: a service that many use under a name that DNS
 * confirms, days on which this program sent there before, as much sent on one of them; media over
 * UDP.
 *
 * "Out" is from our side. Our side is this host or an inside address; where neither end or both
 * are, it is who opened the flow. Pure but for the clock's absence: all times are the flows' own.
 */
#ifndef STANCH_OBSERVE_UPLOAD_H
#define STANCH_OBSERVE_UPLOAD_H

#include "base/err.h"
#include "model/finding.h"
#include "model/flow.h"
#include "observe/context.h"

/* Below this much sent nothing is said, whatever else is true: ratios of small talk mean nothing.
 */
#define UPLOAD_MIN_BYTES UINT64_C(1000000)
/* Each part of the score runs from 0 at its first number to 1 at its second, on a log scale. */
#define UPLOAD_VOLUME_LOW  1e6 /* bytes out */
#define UPLOAD_VOLUME_HIGH 1e8
#define UPLOAD_RATIO_LOW   2.0 /* bytes out for one in; acks alone make about 20 of a pure upload */
#define UPLOAD_RATIO_HIGH  20.0
#define UPLOAD_RATE_LOW    1e4 /* bytes out a second between first and last packet */
#define UPLOAD_RATE_HIGH   1e6
#define UPLOAD_SHARE_LOW   0.05 /* of all bytes that went out */
#define UPLOAD_SHARE_HIGH  0.5
/* What each part weighs. Ratio, rate and share count in full only from 10 MB on (half of the
 * volume's way) and not at all at 1 MB, so that none of them ever makes a finding by itself. More
 * in than out is a download with its acks: no finding. */
#define UPLOAD_W_VOLUME 0.40
#define UPLOAD_W_RATIO  0.30
#define UPLOAD_W_RATE   0.15
#define UPLOAD_W_SHARE  0.15
#define UPLOAD_SAY      FINDING_SCORE_SAY
#define UPLOAD_STORE    FINDING_SCORE_LOOK
/* Without this part of the ratio (5 bytes out for one in) the score keeps three quarters to all. */
#define UPLOAD_RATIO_WHOLE 0.4
#define UPLOAD_KNOWN       0.65 /* a service that many use, under its certain name */
#define UPLOAD_MEDIA       0.8  /* UDP but QUIC, with at most UPLOAD_MEDIA_RATIO out for one in */
#define UPLOAD_MEDIA_RATIO 8.0
#define UPLOAD_SERVED                                                                              \
	0.6 /* the answer of a service that UPLOAD_VISITORS and more outside hosts use */
#define UPLOAD_VISITORS 5
#define UPLOAD_USUAL    0.6 /* no more than twice the most that went there in a day before */

struct pair {
	struct addr ours, other;
	uint64_t bytes_out, bytes_in, pkts_out, pkts_in;
	uint64_t flows;
	uint64_t first_nsec, last_nsec;
	/* Of the flow with the most bytes: */
	uint64_t main_bytes;
	uint16_t main_port; /* the port that was spoken to */
	uint8_t main_proto;
	bool we_opened;
	const struct owner *owner;     /* the caller's, as given to pairs_add; NULL: not known */
	const struct channel *channel; /* with the most bytes; where pairs are made of channels */
};

struct pairs;

/* is_self (may be NULL: none is) says whether an address is this host's. At most max pairs: then
 * one of those with the fewest bytes makes room for each new one and is summed in pairs_rest, so
 * that the greatest stay whatever floods in (Space-Saving). */
int pairs_new(size_t max, bool (*is_self)(void *arg, const struct addr *a), void *arg,
              struct pairs **ret);
void pairs_free(struct pairs *p);  /* takes NULL */
void pairs_clear(struct pairs *p); /* keeps the memory */
/* owner may be NULL: not known; else it must stay where it is for as long as p lives. */
void pairs_add(struct pairs *p, const struct flow *f, const struct owner *owner);
/* Whether our side opened it, as pairs_add sees it: "out" is to the server then. */
bool pairs_we_opened(const struct pairs *p, const struct flow *f);
/* dst becomes what src is, apart from its bound and is_self; -ENOMEM. */
int pairs_copy(struct pairs *dst, const struct pairs *src);
size_t pairs_count(const struct pairs *p);
/* NULL: there is none. */
const struct pair *pairs_find(const struct pairs *p, const struct addr *ours,
                              const struct addr *other);
const struct pair *pairs_at(const struct pairs *p, size_t i); /* i < pairs_count */
const struct pair *pairs_rest(const struct pairs *p);         /* flows 0: there is none */
/* No pair that was put out had more bytes than that then; a pair may have had as much before it
 * came back. 0: none was. */
uint64_t pairs_floor(const struct pairs *p);
/* Sums over all pairs. */
uint64_t pairs_bytes_out(const struct pairs *p);

enum pairs_by { PAIRS_BYTES_OUT, PAIRS_BYTES_IN, PAIRS_PACKETS, _PAIRS_BY_MAX };
/* The n greatest by one measure, greatest first, those of measure 0 left out; returns how many. */
size_t pairs_top(const struct pairs *p, enum pairs_by by, size_t n, const struct pair **ret);

/* Scores one pair; true: a finding (score ≥ UPLOAD_SAY) is in *ret. */
bool upload_score(const struct pairs *p, const struct pair *pair, struct finding *ret);

/* Sums channels to pairs, scores them, and weighs what is known of each. -ENOMEM. */
int upload_findings(const struct score_context *x, void (*cb)(void *arg, const struct finding *f),
                    void *arg);

#endif
