/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A step: what an order becomes at one point. Its payloads are text (JSON) that only the driver
 * which wrote it reads, and checks again when it comes back from the journal.
 */
#ifndef STANCH_MODEL_STEP_H
#define STANCH_MODEL_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/table.h"

/* PLANNED → INTENT (synced to disk) → APPLIED → VERIFIED → UNDOING → UNDONE, FAILED, UNKNOWN. */
enum step_state {
	STEP_PLANNED,
	STEP_INTENT,
	STEP_APPLIED,
	STEP_VERIFIED,
	STEP_UNDOING,
	STEP_UNDONE,
	STEP_FAILED,
	STEP_UNKNOWN,
	_STEP_STATE_MAX,
	_STEP_STATE_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(step_state, enum step_state);

/* What the world says when it is read back. */
enum verdict {
	VERDICT_HOLDS,
	VERDICT_ABSENT,
	VERDICT_DRIFTED,
	VERDICT_UNKNOWN,
	_VERDICT_MAX,
	_VERDICT_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(verdict, enum verdict);

/* The dimensions of containment that `status` speaks of. */
enum dimension {
	DIM_V4,
	DIM_V6,
	DIM_FORWARDED,
	DIM_RAW,
	DIM_SESSIONS,
	DIM_PROCESSES, /* what runs of a process, a service, an account */
	DIM_SERVICES,  /* whether it can be started again */
	DIM_LOGINS,    /* whether an account can come in again */
	_DIM_MAX,
	_DIM_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(dimension, enum dimension);

enum dim_state {
	DIM_NONE /* the order does not speak of it */,
	DIM_CONTAINED,
	DIM_PARTIAL,
	DIM_IS_UNKNOWN,
	DIM_RELEASED,
	_DIM_STATE_MAX,
	_DIM_STATE_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(dim_state, enum dim_state);

#define STEP_TOKEN_MAX   33 /* 32 hex digits */
#define STEP_KIND_MAX    32
#define STEP_POINT_MAX   64
#define STEP_PAYLOAD_MAX (16u << 20)

struct step {
	char token[STEP_TOKEN_MAX]; /* random; apply and undo are idempotent by it */
	unsigned order_id, seq;     /* seq counts from 1 within the order */
	char point[STEP_POINT_MAX]; /* "self" */
	char kind[STEP_KIND_MAX];   /* the driver's: "host.cut", "host.raw", "host.sessions", … */
	char *forward;              /* owned JSON: what to bring about */
	char *inverse;              /* owned JSON: what to bring back; NULL: none, see no_inverse */
	char *effect;               /* owned sentence: the exact effect, for a person */
	char *undo_effect;          /* owned sentence: what undo does; NULL: none */
	char *no_inverse;           /* owned sentence: why it cannot be taken back; else NULL */
	bool required; /* its failure fails the order (undone, exit 4); else: partial */
	/* Prepared only when the steps before it hold, and stored once more then: what it destroys
	 * is read as those have left it. Of one point alone; not kept in the journal. */
	bool late;
	enum step_state state;
	char *evidence; /* owned JSON: what apply destroys, read before it; NULL: none */
	char *result;   /* owned JSON: counts after apply; NULL at first */
	char *problem;  /* owned sentence when FAILED, UNKNOWN or partial; else NULL */
};

/* Contained and released shares of one dimension make it partial; what is not known stays so. */
enum dim_state dim_merge(enum dim_state a, enum dim_state b);

struct plan {
	struct step *steps; /* owned */
	size_t n_steps;
	char **notes; /* owned sentences: what this point cannot do and why, what is kept, … */
	size_t n_notes;
	enum dim_state dims[_DIM_MAX]; /* what will be reached if every step holds */
	char *dim_reasons[_DIM_MAX];   /* owned; why partial; NULL: nothing to say */
	unsigned left_out; /* points that were asked and cannot do it; a note names each */
};

void step_free(struct step *s);
void plan_free(struct plan *p);
/* Appends a zeroed step with a fresh token; the pointer is valid until the next call. */
struct step *plan_add_step(struct plan *p, const char *point, const char *kind);
/* Moves what `from` holds to the end of `to`; notes get "point: " in front unless it is NULL, and
 * dimensions are merged. `from` is left empty; -ENOMEM leaves both to plan_free. */
int plan_join(struct plan *to, struct plan *from, const char *point);
int plan_note(struct plan *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int plan_set_dim(struct plan *p, enum dimension d, enum dim_state s, const char *why);

#endif
