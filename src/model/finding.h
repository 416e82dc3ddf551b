/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A finding: something observed that matters, with a score, reasons that carry numbers, and a
 * selector that an order can take as its target. Plain data. */
#ifndef STANCH_MODEL_FINDING_H
#define STANCH_MODEL_FINDING_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/table.h"

enum finding_kind { FINDING_UPLOAD, _FINDING_MAX, _FINDING_INVALID = -EINVAL };
STRING_TABLE_DECLARE(finding_kind, enum finding_kind);

#define FINDING_REASONS_MAX 8
#define FINDING_REASON_MAX  160

struct finding {
	unsigned id; /* f3 → 3; 0 before one is given */
	enum finding_kind kind;
	double score; /* 0..1; 0.70 and above: act, 0.40..0.70: look */
	struct endpoint src, dest;
	uint8_t proto;
	uint64_t bytes_out, bytes_in;
	usec_t first, last; /* wall */
	char reasons[FINDING_REASONS_MAX]
	            [FINDING_REASON_MAX]; /* "312.5 MB sent to …; threshold …" */
	size_t n_reasons;
	char benign[FINDING_REASON_MAX];   /* what harmless thing looks the same */
	char selector[FINDING_REASON_MAX]; /* a target as the command line takes it */
};

#endif
