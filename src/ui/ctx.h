/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a handler works with, and the ends that all handlers share. */
#ifndef STANCH_UI_CTX_H
#define STANCH_UI_CTX_H

#include "base/err.h"
#include "engine/engine.h"
#include "journal/journal.h"
#include "model/config.h"
#include "ui/args.h"
#include "ui/out.h"
#include "ui/verb.h"

#define POINTS_TOTAL_MAX (POINTS_MAX + 4) /* the configuration's and those of this host */

struct ctx {
	struct out out;
	struct config config;
	struct point points[POINTS_TOTAL_MAX]; /* this host first */
	size_t n_points;
	const char *config_path;               /* as given or the default */
	bool config_given;                     /* by --config: then it must exist */
	char state_dir[CONFIG_STATE_MAX];      /* absolute: --state, else the configuration's */
	char typed[2 * CONFIG_STATE_MAX + 32]; /* " --state DIR --config FILE" as given; "" */
	const char *incident;                  /* --incident; NULL: the one in use */
};

/* Tells e on standard error and returns code, so that `return ctx_fail(c, EXIT_REFUSED, &e)` reads
 * well. */
int ctx_fail(struct ctx *c, enum exit_code code, const struct err *e);
/* The exit code that CLI.md has for what stopped a command before any change: 2 for -EINVAL, 3
 * for a lack of rights, a busy journal, what is not supported here; 6 for -EBADMSG; else 4. */
enum exit_code ctx_exit_of(int code);

/* Journal and engine of one command. */
struct session {
	struct journal *journal;
	struct engine *engine;
};
/* Opens both. Tells journal_degraded and journal_notes. For every mode but JOURNAL_READ
 * engine_recover runs first and what it did is told. -errno with a sentence. */
int session_open(struct ctx *c, enum journal_mode mode, struct session *ret, struct err *e);
void session_close(struct session *s);
/* For what changes nothing (dry run, status, points): the journal read-only where there is one,
 * else none (ret->journal NULL); the engine in any case. */
int session_open_read(struct ctx *c, struct session *ret, struct err *e);

/* "o7" (or "7") → 7. -EINVAL. */
int order_id_parse(const char *s, unsigned *ret, struct err *e);
/* CAP_NET_ADMIN is in our effective set. */
bool may_change_network(void);
/* EXIT_DONE, or EXIT_REFUSED, told: changing this host's network needs that capability. */
int ctx_need_rights(struct ctx *c, const char *verb);
/* The same where the plan has a step at this host. */
int ctx_need_rights_for(struct ctx *c, const char *verb, const struct plan *p);

/* Asks on the terminal; `--yes` answers. EXIT_DONE: go on; EXIT_USAGE: no terminal and no --yes
 * (told); EXIT_REFUSED: the answer was no (told). */
int ctx_can_ask(struct ctx *c, const struct args *a, const char *question); /* only the check */
int ctx_ask(struct ctx *c, const struct args *a, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
