/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inside the driver: payloads, tags and rules. */
#ifndef STANCH_ENFORCE_PANOS_PARTS_H
#define STANCH_ENFORCE_PANOS_PARTS_H

#include "enforce/panos/api.h"

#define PANOS_ADDRS_MAX 1024

/* What a tag stands for. Two tags each, so that a clock is moved without a moment without one: the
 * armed one has a time-out of the device's, the held one has none. */
enum panos_kind { PANOS_QUARANTINE, PANOS_BLOCK, _PANOS_KIND_MAX, _PANOS_KIND_INVALID = -EINVAL };
STRING_TABLE_DECLARE(panos_kind, enum panos_kind);
enum panos_tag { PANOS_ARMED, PANOS_HELD, _PANOS_TAG_MAX };
extern const char *const panos_tags[_PANOS_KIND_MAX][_PANOS_TAG_MAX];

struct panos_cut {
	enum panos_kind kind;
	struct addr *addrs; /* owned */
	size_t n_addrs;
	struct permit *permits; /* owned; PERMIT_FLOW: rules above the drop */
	size_t n_permits;
	char name[24]; /* "stanch-" and the start of the step's token: of those rules */
};
void panos_cut_free(struct panos_cut *c);
int panos_cut_to_json(const struct panos_cut *c, char **ret, struct err *e);
int panos_cut_from_json(const char *json, struct panos_cut *ret, struct err *e);

/* tags.c: registration of addresses */

/* seconds: the armed tag's time-out, 0: held. Registers, then takes the other tag away. */
int panos_register(struct panos *p, const struct panos_cut *c, unsigned seconds, struct err *e);
/* Both tags, of the addresses that are not in `wanted`. */
int panos_unregister(struct panos *p, const struct panos_cut *c, const struct panos_cut *wanted,
                     size_t n_wanted, struct err *e);
/* How many of the cut's addresses have a tag of its kind; the first one without in missing. */
int panos_count(struct panos *p, const struct panos_cut *c, size_t *ret, struct addr *missing,
                struct err *e);
/* Adds every address that has a tag of the kind to ret->addrs; -E2BIG beyond 500,000. */
int panos_tagged(struct panos *p, enum panos_kind kind, struct panos_cut *ret, struct err *e);

/* rules.c: what is prepared once, and the permits of one order */

/* What is not as it must be in the running configuration, one a line; empty: all is. */
int panos_check_setup(struct panos *p, struct buf *missing, struct err *e);
/* Groups and rules, at the top, committed. */
int panos_make_setup(struct panos *p, struct err *e);
int panos_add_permits(struct panos *p, const struct panos_cut *c, struct err *e);
int panos_remove_permits(struct panos *p, const struct panos_cut *c, struct err *e);
/* The number of the order's permit rules that run and stand before the drops, of how many. */
int panos_count_permits(struct panos *p, const struct panos_cut *c, size_t *ret, size_t *ret_of,
                        struct err *e);

#endif
