/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The verb table: one row carries name, arguments, options, help and handler; usage, --help, the
 * man pages and the shell completions are all made from it.
 */
#ifndef STANCH_UI_VERB_H
#define STANCH_UI_VERB_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "engine/engine.h"
#include "ui/out.h"

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FOUND = 1,
	EXIT_USAGE = 2,
	EXIT_REFUSED = 3,
	EXIT_FAILED = 4,
	EXIT_PARTIAL = 5,
	EXIT_MISMATCH = 6,
};

/* How an option's value is read; checked before the handler runs. */
enum opt_type {
	OPT_FLAG,
	OPT_TEXT,
	OPT_COUNT,
	OPT_DURATION,
	OPT_TIME,
	OPT_PORT,
	OPT_LIST /* repeats */
};

struct opt {
	const char *name; /* without "--"; NULL ends a table */
	char letter;      /* 0: none */
	enum opt_type type;
	const char *value; /* placeholder: "DUR"; NULL for a flag */
	const char *help;
};

enum verb_flags {
	VERB_CHANGES = 1 << 0,    /* takes the options of every command that changes something */
	VERB_ROOT = 1 << 1,       /* needs CAP_NET_ADMIN; told before anything else */
	VERB_CUTS = 1 << 2,       /* makes an order: takes deadlines and keeps, too */
	VERB_LENIENT = 1 << 3,    /* goes on with the defaults when the configuration is broken */
	VERB_OWN_CONFIG = 1 << 4, /* reads the configuration by itself */
};

struct args; /* parsed command line; see args.h */
struct ctx;  /* what a handler works with: configuration, state dir, output; see ctx.h */

struct verb_row {
	const char *name;
	const char *synopsis;   /* as CLI.md has it, without "stanch NAME" */
	const char *summary;    /* one line */
	const char *text;       /* paragraphs for --help and the man page */
	const struct opt *opts; /* its own; ended by a NULL name; may be NULL */
	const char *examples;   /* lines; may be NULL */
	unsigned flags;
	int min_args, max_args;                          /* -1: no bound */
	int (*run)(struct ctx *c, const struct args *a); /* returns enum exit_code */
};

/* Ended by a row without a name. Defined in stanch.c. */
extern const struct verb_row verb_table[];
/* The points of this build. Defined in stanch.c. */
extern const struct point point_table[];
extern const size_t point_table_n;
/* The drivers that the configuration's points may name; ended by NULL. Defined in stanch.c. */
extern const struct driver_ops *const driver_table[];
/* The kinds of evidence that `acquire` takes; ended by NULL. Defined in stanch.c. */
struct capture_ops;
extern const struct capture_ops *const capture_table[];

int ui_main(int argc, char **argv);

#endif
