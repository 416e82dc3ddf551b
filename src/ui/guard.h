/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Guards: what must not be cut by mistake. Each has a name that --force takes. A guard refuses the
 * order (exit 3), or, where cutting may be meant, puts it under the dead man's switch.
 */
#ifndef STANCH_UI_GUARD_H
#define STANCH_UI_GUARD_H

#include "base/addr.h"
#include "base/buf.h"
#include "enforce/host/operator.h"
#include "model/config.h"

/* What a block is held against; plain data, so that tests make it up. */
#define SURROUNDINGS_MAX 64
struct surroundings {
	const struct config *keeps;
	const struct operator_sessions *sessions;
	struct addr own[SURROUNDINGS_MAX], gateways[SURROUNDINGS_MAX], resolvers[SURROUNDINGS_MAX];
	size_t n_own, n_gateways, n_resolvers;
};

enum guard_kind { GUARD_REFUSES, GUARD_DEADLINE };

struct guard {
	const char *name;
	enum guard_kind kind;
	const char *help;
	/* Does blocking p hit what this guards? Then the sentence goes to why. NULL for guards that
	 * are asked elsewhere. */
	bool (*hit)(const struct surroundings *s, const struct prefix *p, struct buf *why);
};

extern const struct guard guards[]; /* ended by a NULL name */
const struct guard *guard_find(const char *name);

/* Own addresses, default gateways, name servers as they are now. Changes nothing. What cannot be
 * read is left out and told in *e with the first error's code. */
int surroundings_read(struct surroundings *ret, struct err *e);
/* Name servers of a resolv.conf's text; loopback ones left out. Pure. */
void resolvers_parse(const char *text, struct surroundings *s);

#endif
