/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A finding: something observed that matters, with a score, reasons that carry numbers, and a
 * selector that an order can take as its target. Of the network (watch, guard) it tells two ends;
 * of a host (triage) which rule saw what. Plain data. */
#ifndef STANCH_MODEL_FINDING_H
#define STANCH_MODEL_FINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/table.h"

enum finding_kind {
	FINDING_UPLOAD,       /* much sent to an outside address */
	FINDING_BEACON,       /* check-ins by the clock: connections, or bursts within one */
	FINDING_DNS_TUNNEL,   /* data in the names of one domain */
	FINDING_ICMP_TUNNEL,  /* data in echo messages */
	FINDING_LONG_SESSION, /* a long session to the outside on an odd port */
	FINDING_SCAN,         /* many destinations or ports, mostly failed */
	FINDING_LATERAL,      /* one inside host logs in to many others */
	FINDING_MISMATCH,     /* a protocol on another's port */
	FINDING_TAMPER,       /* somebody changed what an order put in force */
	/* Of a host: `rule` says which of the area's signs it is. */
	FINDING_PROCESS,
	FINDING_SOCKET,
	FINDING_KERNEL,
	FINDING_LOGIN,
	FINDING_PERSISTENCE,
	FINDING_ACCOUNT,
	_FINDING_MAX,
	_FINDING_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(finding_kind, enum finding_kind);

#define FINDING_SCORE_SAY     0.30 /* shown from here */
#define FINDING_SCORE_LOOK    0.40 /* look, and kept in the journal, from here */
#define FINDING_SCORE_ACT     0.70 /* act from here */
#define FINDING_REASONS_MAX   8
#define FINDING_REASON_MAX    160
#define FINDING_DOMAIN_MAX    254
#define FINDING_ORDERS_MAX    4
#define FINDING_RULE_MAX      32
#define FINDING_TECHNIQUE_MAX 16

struct finding {
	unsigned id; /* f3 → 3; 0 before one is given */
	enum finding_kind kind;
	double score;              /* 0..1; see FINDING_SCORE_ */
	struct endpoint src, dest; /* dest without family: many (a scan, a domain) */
	uint8_t proto;
	char domain[FINDING_DOMAIN_MAX]; /* what it is about, or the far end's name; "" none */
	uint64_t bytes_out, bytes_in;
	usec_t first, last; /* wall */
	char reasons[FINDING_REASONS_MAX]
	            [FINDING_REASON_MAX]; /* "312.5 MB sent to …; threshold …" */
	size_t n_reasons;
	char rule[FINDING_RULE_MAX];           /* of a host: "reverse_shell"; else "" */
	char technique[FINDING_TECHNIQUE_MAX]; /* ATT&CK: "T1059.004"; "" none */
	char subject[FINDING_REASON_MAX];      /* of a host: what it is about, for a person */
	char benign[FINDING_REASON_MAX];       /* what harmless thing looks the same */
	/* A target as the command line takes it; of a host "pid:PID:START" (field 22 of its stat),
	 * "path:PATH", "account:NAME", "unit:NAME", "module:NAME". */
	char selector[FINDING_REASON_MAX];
	/* What to do about it, as the command line takes it behind "stanch ": "block 203.0.113.5".
	 */
	char orders[FINDING_ORDERS_MAX][FINDING_REASON_MAX];
	size_t n_orders;
};

/* Adds a line; what does not fit is left out (a whole line) or cut (its end). */
void finding_reason(struct finding *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void finding_order(struct finding *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "act", "look" or "note", by the score. */
const char *finding_advice(const struct finding *f);
/* Is it about a host and not about its traffic? */
bool finding_of_host(const struct finding *f);
/* Whether both tell of one thing, seen at different times: kind and ends, and what else makes one
 * of its kind (the port for most; the domain of a DNS tunnel or DNS beacon); of a host the rule and
 * the selector. */
bool finding_same(const struct finding *a, const struct finding *b);

#endif
