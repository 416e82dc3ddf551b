/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the drivers of points elsewhere have in common: the packets that an order is about there,
 * from the order to the payload of a step and back, and how a point answers.
 */
#ifndef STANCH_ENFORCE_POINT_PAYLOAD_H
#define STANCH_ENFORCE_POINT_PAYLOAD_H

#include <jansson.h>

#include "base/sys.h"
#include "model/driver_ops.h"

static inline void json_unrefp(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(json_unrefp)

/* --- from the order; arrays are malloc'd, never NULL on success, the caller's --- */

/* A block's targets, or every address of the isolated asset. -E2BIG beyond max; -ENOENT. */
int point_order_prefixes(const struct point *p, const struct order *o, size_t max,
                         struct prefix **ret, size_t *ret_n, struct err *e);
/* What is kept, of kind PERMIT_FLOW. -EOPNOTSUPP: it would have to widen at the deadline. */
int point_order_permits(const struct order *o, struct permit **ret, size_t *ret_n, struct err *e);

/* --- payloads; what comes back from a journal may have been written by an enemy --- */

json_t *point_prefixes_json(const struct prefix *v, size_t n); /* NULL: out of memory */
json_t *point_permits_json(const struct permit *v, size_t n);
/* One to max of them, and at most PERMIT_MAX. -EBADMSG. */
int point_take_prefixes(json_t *rows, size_t max, struct prefix **ret, size_t *ret_n,
                        struct err *e);
int point_take_permits(json_t *rows, struct permit **ret, size_t *ret_n, struct err *e);
/* Letters, digits, "-_./:" and those in `more`: it cannot break out of a command or an expression.
 */
bool point_name_is_plain(const char *name, const char *more);
/* "stanch-" and hexadecimal digits: the name that is made of a step's token. */
bool point_tag_is_ours(const char *tag);

/* --- answers --- */

/* One more row; why_not is told where it is not available. */
void point_can(struct capabilities *k, const char *name, bool yes, const char *why_not);
/* The verdict, and what it is for a family of addresses. */
enum dim_state point_dim(enum verdict v);
/* For a point without a clock of its own: only reads back. -ENOENT: what it brought about, `what`,
 * is not there any more. */
int point_rearm(const struct driver_ops *d, void *ctx, const struct order *o, const struct step *s,
                const struct holds *others, const char *what, struct err *e);

#endif
