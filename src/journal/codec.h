/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Steps, plans and findings as JSON bodies of entries, and back, every field checked. */
#ifndef STANCH_JOURNAL_CODEC_H
#define STANCH_JOURNAL_CODEC_H

#include <sqlite3.h>

#include "base/buf.h"
#include "model/finding.h"
#include "model/step.h"

#define CODEC_MAX (70u << 20) /* of one body */

/* Each returns malloc'd text or NULL when out of memory. */
char *codec_step(const struct step *s);
/* The fields of `now` that differ from `was`: "{}" when none. */
char *codec_step_change(const struct step *was, const struct step *now);
char *codec_plan(const struct plan *p); /* notes and dimensions, no steps */
char *codec_finding(const struct finding *f);
/* {"NAME": "VALUE", …}; ends with a NULL name. */
char *codec_texts(const char *name, const char *value, ...);

/* Columns of CODEC_STEP_SELECT. -EBADMSG with a sentence. */
#define CODEC_STEP_SELECT                                                                          \
	"SELECT seq, token, point, kind, required, state, forward, inverse, effect, undo_effect, " \
	"no_inverse, evidence, result, problem FROM steps WHERE order_id=?1 ORDER BY seq"
int codec_read_step(sqlite3_stmt *row, unsigned order_id, struct step *ret, struct err *e);
int codec_read_plan(const char *json, struct plan *ret, struct err *e);
int codec_read_finding(const char *json, struct finding *ret, struct err *e);

#endif
