/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the command line to an order, and from an order to what holds: shared by isolate and block.
 *
 *   collect keeps → (permits | targets) → guards → plan, shown → question → apply → result
 */
#ifndef STANCH_UI_CUT_H
#define STANCH_UI_CUT_H

#include "enforce/host/operator.h"
#include "ui/ctx.h"

struct cut {
	struct ctx *c;
	const struct args *a;
	struct config keeps;   /* the configuration with --keep, --keep-in, --keep-out added */
	struct point_names at; /* where it goes */
	struct operator_sessions sessions;
	struct order order;
	struct plan plan;
	usec_t confirm_within, until; /* spans; 0: no such clock */
	enum on_expiry on_expiry;
	struct buf notes; /* sentences, one a line, that join the plan's notes */
};

/* Checks the options that isolate and block share (and each --force against the guards there are),
 * collects keeps, finds the operator's sessions and the
 * points (of `asset`, NULL: none). Returns EXIT_DONE or the code to end with; it
 * has been told then. */
int cut_begin(struct cut *k, struct ctx *c, const struct args *a, const struct asset *asset);
void cut_end(struct cut *k);
bool cut_forced(const struct cut *k, const char *guard);
/* Holds every prefix against the guards: refusals are told, the rest joins the notes. */
int cut_check_prefixes(struct cut *k, const struct prefix *v, size_t n);
/* The dead man's switch runs for `confirm_within` unless the command line said otherwise. */
void cut_default_deadline(struct cut *k);
/* Plans, shows, asks, applies and tells. question is shown with " " and the answer's choice. mode
 * is the journal's. Returns the exit code. */
int cut_carry_out(struct cut *k, const char *question);

/* The allow-list of an isolation from keeps, own sessions and break-glass prefixes. -E2BIG. */
int cut_add_permits(const struct config *keeps, const struct operator_sessions *s,
                    enum on_expiry on_expiry, struct order *o, struct err *e);
/* The clocks from now on. Pure but for the clock. */
void cut_set_clocks(const struct cut *k, struct deadlines *d);

#endif
