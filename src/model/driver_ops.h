/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The driver table: how orders are carried out at one kind of enforcement point.
 *
 * Contract
 *   order of calls   open → (probe | setup | plan | prepare | apply | verify | undo | rearm |
 *                    strays | own)* → close
 *   blocking         every slot but describe may block, each for a bounded time
 *   NULL             no slot may be NULL but own and setup; a test walks every registry
 *   memory           strings put into plan, step and reports are malloc'd and belong to those
 *   errors           0 or -errno with a sentence in *e; outputs untouched on failure
 *   idempotence      apply and undo by the step's token: doing it twice is doing it once
 *   honesty          verify reads the point back, it never remembers; no silent fallback: a
 *                    weaker means is another plan, shown as such
 */
#ifndef STANCH_MODEL_DRIVER_OPS_H
#define STANCH_MODEL_DRIVER_OPS_H

#include "base/buf.h"
#include "base/err.h"
#include "model/inventory.h"
#include "model/order.h"
#include "model/step.h"

/* What else holds at this point, from the journal: the driver needs it to keep what another order
 * still wants (two blocks of one address) and to bring about the union. Read-only. */
struct hold {
	const struct order *order;
	const struct step *step;
};

struct holds {
	const struct hold *v; /* without the step at hand; only steps in force of the same point */
	size_t n;
};

struct capability {
	const char *name; /* "netdev egress", "tc egress", "socket destroy", … */
	bool available;
	char why_not[160]; /* and what it costs; "" when available */
};

#define CAPABILITY_MAX 24

struct capabilities {
	struct capability v[CAPABILITY_MAX];
	size_t n;
};

struct readback {
	enum verdict verdict;
	enum dim_state dims[_DIM_MAX]; /* of this step's share; DIM_NONE: does not speak of it */
	char *drift; /* owned sentences, one a line, each naming what differs; NULL: none */
	bool loose;  /* holds, but not as this context's own, though it owns: apply makes it so */
	char *held;  /* owned sentence with VERDICT_HOLDS: what was counted; NULL: nothing to say */
};

void readback_free(struct readback *r);

struct driver_ops;

/* Where orders are carried out. */
struct point {
	const char *name; /* "self", or the title of its section */
	const struct driver_ops *driver;
	const struct section *config;      /* NULL: self */
	const struct inventory *inventory; /* NULL: none */
};

struct driver_ops {
	const char *name;
	/* What its points take in the configuration beside point_keys; ended by a NULL name. */
	const struct setting_key *settings;

	/* *ret_ctx belongs to the caller until close; p outlives it. Connects to nothing. */
	int (*open)(const struct point *p, void **ret_ctx, struct err *e);
	/* Takes NULL. */
	void (*close)(void *ctx);
	/* What can be done here, and why not. Changes nothing. */
	int (*probe)(void *ctx, struct capabilities *ret, struct err *e);
	/* What the point needs once before it can carry out orders: what is missing goes to *out,
	 * one a line; with `apply` it is made and read back. NULL: nothing is ever needed. */
	int (*setup)(void *ctx, bool apply, struct buf *out, struct err *e);
	/* Reads the present state, then derives steps with inverses from (order, snapshot, others).
	 * Changes nothing. -EPERM/-EALREADY/… with a sentence: the order is refused (exit 3). */
	int (*plan)(void *ctx, const struct order *o, const struct holds *others, struct plan *ret,
	            struct err *e);
	/* Just before the step's INTENT is journalled: reads what apply is about to destroy
	 * (sockets, tracked connections) into s->evidence, so that it is on disk first. May do
	 * nothing. */
	int (*prepare)(void *ctx, const struct order *o, struct step *s, struct err *e);
	/* Brings s->forward about. May set s->result (counts, evidence taken) and s->problem (it
	 * holds, but with a limit that must be told). On failure nothing of the step is left. */
	int (*apply)(void *ctx, const struct order *o, struct step *s, const struct holds *others,
	             struct err *e);
	/* Reads the world back. An answer is a success whatever the verdict. */
	int (*verify)(void *ctx, const struct order *o, const struct step *s,
	              const struct holds *others, struct readback *ret, struct err *e);
	/* Brings s->inverse about; only where the world still reads as ours, the rest is drift and
	 * told in *e with -ESTALE. Called only for steps that have an inverse. */
	int (*undo)(void *ctx, const struct order *o, struct step *s, const struct holds *others,
	            struct err *e);
	/* The order's deadlines have changed (confirmed, extended): moves the timers at the point
	 * to o->deadlines and reads back that they moved. -ENOENT: no longer in force. */
	int (*rearm)(void *ctx, const struct order *o, struct step *s, const struct holds *others,
	             struct err *e);
	/* The exact commands or calls, one a line, for a person. Pure. */
	int (*describe)(void *ctx, const struct order *o, const struct step *s, struct buf *out,
	                struct err *e);
	/* What carries our name or token at this point though none of `claims` (every step that is
	 * or may be in force there) accounts for it: a line for each is added to *out. `remove`
	 * takes it away as well; call again to read back. */
	int (*strays)(void *ctx, const struct holds *claims, bool remove, struct buf *out,
	              struct err *e);
	/* From now on (off: no longer) what this context brings about is its own: no other process
	 * may change it while the context is open, and it stays when this process dies. What
	 * stands already is taken where that needs no change to it; the rest verifies as `loose`.
	 * -EOPNOTSUPP: the point has no such thing, with the reason. Asked of the point of this
	 * host alone; NULL elsewhere. */
	int (*own)(void *ctx, bool on, struct err *e);
};

#endif
