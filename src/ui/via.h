/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which points an order goes to, and what an asset's name stands for. */
#ifndef STANCH_UI_VIA_H
#define STANCH_UI_VIA_H

#include "ui/ctx.h"

#define SELF "self"

/* This host, then what the configuration names. Called once, when it has been read. */
void points_fill(struct ctx *c);

/* --via A,B --via C into *ret, each once; without --via: `self`, or for an asset every point that
 * its section names. asset: NULL for this host and for what is no host. EXIT_DONE, or the exit code
 * to end with, told. */
int via_points(struct ctx *c, const struct args *a, const struct asset *asset,
               struct point_names *ret);
bool via_has_self(const struct point_names *at);
/* "aws-prod, edge-asa" */
void via_text(const struct point_names *at, struct buf *out);

#endif
