/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engine: plan → journal → apply → verify → undo. Knows drivers only through their table.
 *
 * Invariants
 *  1. A step's INTENT with its inverse is on disk before apply is called (or in the /run journal
 *     when the disk fails and the verb is a cut).
 *  2. Every transition goes through one table [state][event] → {next, action}.
 *  3. engine_recover runs before every command that changes something: each INTENT or UNDOING left
 *     by a dead process is *verified*, then finished or undone, and is named in the report.
 *  4. At most three syncs for a whole order: all INTENTs, all results, (hold); and one for each
 * step that is prepared late.
 *  5. Steps are undone in reverse order. An order whose required step failed is undone whole.
 */
#ifndef STANCH_ENGINE_ENGINE_H
#define STANCH_ENGINE_ENGINE_H

#include "journal/journal.h"
#include "model/driver_ops.h"

struct engine; /* one per command */

/* points: n of them, the caller's, as is j, which stays the caller's and must outlive the engine. j
 * NULL: there is no journal yet; only to probe, to plan and to describe. */
int engine_new(struct journal *j, const struct point *points, size_t n, struct engine **ret,
               struct err *e);
void engine_free(struct engine *g);

/* Opens each point's driver on demand. */
int engine_probe(struct engine *g, const char *point, struct capabilities *ret, struct err *e);

/* The points that an order goes to, each once. */
struct point_names {
	const char *v[POINTS_MAX];
	size_t n;
};

/* One plan for all points in `at`, asked at the same time. A point that cannot do it is left out,
 * counted and named in a note, unless none can or the order is all-or-nothing: then that is the
 * error. */
int engine_plan(struct engine *g, const struct point_names *at, const struct order *o,
                struct plan *ret, struct err *e);

/* What `point` needs once, one a line in *out, made with `apply`. -EOPNOTSUPP: nothing, ever. */
int engine_setup(struct engine *g, const char *point, bool apply, struct buf *out, struct err *e);

/* The exact calls of one step, for --dry-run -v and the report. */
int engine_describe(struct engine *g, const struct order *o, const struct step *s, struct buf *out,
                    struct err *e);

enum engine_outcome {
	ENGINE_DONE,           /* exit 0 */
	ENGINE_PARTIAL,        /* exit 5: in force, problems are named in steps' `problem` */
	ENGINE_REVERTED,       /* exit 4: failed, all of it undone */
	ENGINE_REVERT_PARTIAL, /* exit 5: failed, and something that has no inverse stays */
	ENGINE_DRIFTED,        /* exit 1: verification does not hold */
	_ENGINE_OUTCOME_MAX
};

struct report {
	enum engine_outcome outcome;
	enum dim_state dims[_DIM_MAX];
	char *dim_reasons[_DIM_MAX]; /* owned; NULL: nothing to say */
	char *text;                  /* owned: sentences, one a line: problems, drift, recoveries */
	char head[HASH_HEX_MAX];     /* journal head after it */
	usec_t apply_usec;           /* spent in drivers */
};
void report_free(struct report *r);

/* After-apply check that a person's way in still works; 0, or -errno with a sentence, upon which
 * the order is undone. Given by the composition root; may be NULL. */
typedef int (*management_check_fn)(void *arg, const struct order *o, struct err *e);

/* Journals, applies and verifies. o gets id and state, p's steps their states. */
/* The points of the plan are worked on at the same time, each in its order; one that fails takes
 * back its own share and leaves the others (ENGINE_PARTIAL), or, all-or-nothing, none. */
int engine_apply(struct engine *g, struct order *o, struct plan *p, management_check_fn check,
                 void *arg, struct report *ret, struct err *e);

/* Reads the world back for one order; stores nothing but a note when it drifted. */
int engine_verify(struct engine *g, unsigned order_id, struct report *ret, struct err *e);

/* Sets new deadlines (confirm: no confirm_by; extend: another until) and moves the timers. The
 * caller has done the round trip. */
int engine_rearm(struct engine *g, unsigned order_id, const struct deadlines *d, struct report *ret,
                 struct err *e);

/* What of ours stands at the points though no order of this journal claims it, one a line in
 * *ret_text (malloc'd; NULL: nothing). `remove` takes it away, and notes that in the journal. */
int engine_strays(struct engine *g, bool remove, char **ret_text, struct err *e);

int engine_undo(struct engine *g, unsigned order_id, struct report *ret, struct err *e);

/* Finishes what a dead process left, and tidies up orders whose time has passed: their leftovers
 * are removed and the state set to EXPIRED. Report text names each. Cheap when there is nothing. */
int engine_recover(struct engine *g, struct report *ret, struct err *e);

/* --- for the guard --- */

enum drift_end {
	DRIFT_LEFT,     /* the watchman said: not now */
	DRIFT_MENDED,   /* reads back as ordered again */
	DRIFT_FAILED,   /* does not; see problem */
	DRIFT_RELEASED, /* taken back again: meanwhile the order was undone or ran out */
	_DRIFT_END_MAX,
	_DRIFT_END_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(drift_end, enum drift_end);

/* One step in force that does not read back as ordered. Valid during the call. */
struct drift {
	unsigned order_id, seq;
	char kind[STEP_KIND_MAX];
	const char *text;    /* sentences, one a line: what differs */
	bool loose;          /* stands as ordered, only not as our own (driver_ops.h): no drift */
	enum drift_end end;  /* for `tell` */
	const char *problem; /* DRIFT_FAILED: what stands in the way */
	usec_t at, ended;    /* boot time: seen; mended or given up */
};

/* may_mend is asked before a step is brought about again; tell hears how it ended. */
struct watchman {
	bool (*may_mend)(void *arg, const struct drift *d);
	void (*tell)(void *arg, const struct drift *d);
	void *arg;
};

struct sustained {
	unsigned orders;    /* in force by the journal */
	unsigned drifted;   /* steps of theirs */
	unsigned due;       /* orders whose time has passed: engine_recover ends them */
	unsigned unsettled; /* being worked on, or left half done */
};

/* Reads back every order in force and brings what drifted about again: the step that is in the
 * journal, once more, so that nothing is written there (a journal opened for reading will do).
 * Whoever undoes an order writes that down before he changes the point; so the journal is read
 * again after drift was seen, and after it was mended. -errno: it could not be read; then what it
 * said last is kept in force, if it ever said something. */
int engine_sustain(struct engine *g, const struct watchman *w, struct sustained *ret,
                   struct err *e);
/* How many orders whose steps are all at points of this engine have run out, or were left half
 * done: what engine_recover would settle. Reads the journal only. */
int engine_overdue(struct engine *g, unsigned *ret, struct err *e);
/* From now on j is the journal (opened anew by the caller); the points stay open. */
void engine_use_journal(struct engine *g, struct journal *j);
/* From now on orders with steps at points that this engine was not given are left to one that was.
 */
void engine_only_known(struct engine *g);
/* driver_ops.own at every point of this host; on: -EOPNOTSUPP when one cannot, the others do. */
int engine_own(struct engine *g, bool on, struct err *e);

/* At boot (`stanch reassert`): applies confirmed orders that have not expired again; unconfirmed
 * ones are set EXPIRED and told. Idempotent. */
int engine_reassert(struct engine *g, struct report *ret, struct err *e);

#endif
