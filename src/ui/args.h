/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A parsed command line. Options come from three tables: the verb's own, those of every command
 * (args_common), and those of every command that changes something (args_changes, args_cuts).
 *
 * A handler sees only what has been checked: every value fits its type, every argument count fits
 * the row. Strings belong to argv.
 */
#ifndef STANCH_UI_ARGS_H
#define STANCH_UI_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "ui/verb.h"

/* Each ended by a NULL name. */
extern const struct opt args_common[];  /* every command */
extern const struct opt args_changes[]; /* VERB_CHANGES */
extern const struct opt args_cuts[];    /* VERB_CUTS */

struct arg_value {
	const struct opt *opt;
	const char *text; /* as typed; NULL for a flag */
	uint64_t number;  /* OPT_COUNT, OPT_PORT; usec for OPT_DURATION and OPT_TIME */
};

struct args {
	const struct verb_row *verb; /* NULL: none was given */
	const char **pos;            /* owned array of n_pos arguments */
	size_t n_pos;
	struct arg_value *values; /* owned, in the order of the command line */
	size_t n_values;
};

/* Parses argv[1..]; the first word that is no option names the verb. Options of every command may
 * stand before the verb, too. With --help or --version the number of arguments is not checked. On
 * failure *e has the sentence and *ret is empty but for ret->verb. -EINVAL, -ENOMEM. */
int args_parse(int argc, char **argv, const struct verb_row *table, struct args *ret,
               struct err *e);
void args_free(struct args *a); /* takes NULL */

bool args_has(const struct args *a, const char *name);
/* The last value given, or the default. */
const char *args_text(const struct args *a, const char *name, const char *otherwise);
uint64_t args_count(const struct args *a, const char *name, uint64_t otherwise);
usec_t args_duration(const struct args *a, const char *name, usec_t otherwise);
usec_t args_time(const struct args *a, const char *name, usec_t otherwise);
uint16_t args_port(const struct args *a, const char *name, uint16_t otherwise);
/* The i-th value of an option that repeats (from 0); NULL behind the last. */
const struct arg_value *args_nth(const struct args *a, const char *name, size_t i);

/* Calls cb for every option that the row takes: its own first, then the shared ones. cb returns
 * false to stop. group: 0 its own, 1 args_cuts, 2 args_changes, 3 args_common. */
void args_each_opt(const struct verb_row *row,
                   bool (*cb)(void *arg, const struct opt *o, unsigned group), void *arg);
/* The row of that name; NULL. */
const struct verb_row *verb_find(const struct verb_row *table, const char *name);

#endif
