/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tables, and how each kind of entry changes the views.
 *
 * entries is the truth. The views (incidents, orders, plans, steps, findings) are made from it by
 * one SQL text for each kind, the same when an entry is written and when `verify` derives all of
 * them again.
 */
#ifndef STANCH_JOURNAL_SCHEMA_H
#define STANCH_JOURNAL_SCHEMA_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/table.h"

enum entry_kind {
	ENTRY_INCIDENT_NEW,
	ENTRY_INCIDENT_USE,
	ENTRY_INCIDENT_CLOSE,
	ENTRY_ORDER,         /* subject o7, body: the order */
	ENTRY_ORDER_STATE,   /* body: an order without targets and permits */
	ENTRY_ORDER_PENDING, /* body: {"pending": "rearm" or ""} */
	ENTRY_PLAN,          /* body: notes and dimensions; steps follow */
	ENTRY_STEP,          /* subject o7.2, body: the step */
	ENTRY_STEP_CHANGE,   /* body: the fields that changed */
	ENTRY_FINDING,       /* subject f3 */
	_ENTRY_MAX,
	_ENTRY_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(entry_kind, enum entry_kind);

#define ENTRY_FALLBACK "journal.fallback" /* first entry that was written under /run */
#define ENTRY_TAKEOVER "journal.takeover"

extern const char schema_main[];  /* entries, head */
extern const char schema_views[]; /* in the schema that is current */
extern const char *const schema_view_names[];
extern const size_t schema_n_views;

/* Lets one entry act on the views; kinds that are in no view do nothing. */
int schema_derive(sqlite3 *db, const char *kind, const char *incident, const char *subject,
                  const char *body, int64_t wall, struct err *e);

#endif
