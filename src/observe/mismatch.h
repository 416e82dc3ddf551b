/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A protocol on another's port: what was recognised in the first bytes, by a table of where it
 * belongs and how odd it is on a well-known port of others and anywhere else (TLS and HTTP on odd
 * ports alone are nothing). And something unknown in volume on 53, 80 or 443 where others were
 * recognised.
 */
#ifndef STANCH_OBSERVE_MISMATCH_H
#define STANCH_OBSERVE_MISMATCH_H

#include "observe/context.h"

#define MISMATCH_BYTES_LOW  2e3 /* both ways: from three quarters of the score … */
#define MISMATCH_BYTES_HIGH 5e4 /* … to all of it */
#define UNKNOWN_BYTES_LOW   5e4 /* something unknown: counts from, fully at */
#define UNKNOWN_BYTES_HIGH  5e6

bool mismatch_score(const struct score_context *x, const struct channel *c, struct finding *ret);

#endif
