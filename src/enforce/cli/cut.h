/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What one order is at one device, as plain data: which packets, in which lists. The entries that
 * it comes to are derived from it and from the description, by one function; inserting, comparing
 * and removing walk the same entries.
 */
#ifndef STANCH_ENFORCE_CLI_CUT_H
#define STANCH_ENFORCE_CLI_CUT_H

#include "enforce/cli/device.h"
#include "model/order.h"
#include "model/step.h"

#define CLI_LISTS_MAX    32
#define CLI_PREFIXES_MAX 256
#define CLI_NAME_MAX     128
#define CLI_ENTRIES_MAX  2048 /* of one order in one list */

struct cli_cut {
	char tag[24];            /* "stanch-" and the start of the step's token */
	struct prefix *prefixes; /* owned */
	size_t n_prefixes;
	struct permit *permits; /* owned; PERMIT_FLOW, seen from the prefixes */
	size_t n_permits;
	char lists[CLI_LISTS_MAX][CLI_NAME_MAX];
	size_t n_lists;
};
void cli_cut_free(struct cli_cut *c);
int cli_cut_to_json(const struct cli_cut *c, char **ret, struct err *e);
int cli_cut_from_json(const char *json, struct cli_cut *ret, struct err *e); /* -EBADMSG */

/* Texts, owned; the first n_permits of them must stand before the others. */
struct cli_texts {
	char **v;
	size_t n, n_permits;
};
void cli_texts_free(struct cli_texts *t);
int cli_texts_add(struct cli_texts *t, const char *text, struct err *e);
bool cli_texts_has(const struct cli_texts *t, const char *text);

/* The entries of an order at a device of this kind. Families that the description does not know are
 * left out. -EOPNOTSUPP: permits, and no way to write them. */
int cli_entries(const struct device *d, const struct cli_cut *c, struct cli_texts *ret,
                struct err *e);
/* The name of the i-th prefix's object, quoted as it is written; "" where there are none. */
void cli_object(const struct cli_cut *c, size_t i, char dst[static 64]);
bool cli_family_known(const struct device *d, enum addr_family f);
/* "255.255.255.0", or inverted. */
const char *cli_mask(const struct prefix *p, bool inverted, char dst[static ADDR_STR_MAX]);

/* A list as a device shows it. */
struct cli_row {
	long number; /* 0: none is shown */
	char *text;  /* owned */
};
struct cli_rows {
	struct cli_row *v;
	size_t n;
};
void cli_rows_free(struct cli_rows *r);
int cli_rows_parse(const struct device *d, const char *shown, struct cli_rows *ret, struct err *e);

/* Where lists are bound: `interface` may be "". */
struct cli_binding {
	char list[CLI_NAME_MAX], interface[CLI_NAME_MAX];
};
/* -E2BIG. *ret is malloc'd. */
int cli_bindings_parse(const struct device *d, const char *shown, struct cli_binding **ret,
                       size_t *ret_n, struct err *e);

/* How much of `want` stands in rows; in place: in front of all that is neither ours nor one of
 * `others`, permits before denials. */
struct cli_reading {
	size_t there, in_place; /* of want->n */
};
void cli_compare(const struct cli_rows *rows, const struct cli_texts *want,
                 const struct cli_texts *others, struct cli_reading *ret);

#endif
