/* SPDX-License-Identifier: GPL-3.0-or-later */
/* freeze, kill, disable: orders about processes, services and accounts of this host. */
#include "ui/act.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"
#include "enforce/process/process.h"
#include "ui/cut.h"
#include "ui/isolate_group.h"
#include "ui/verbs.h"
#include "ui/via.h"

#define QUESTION_MAX 512

const struct opt freeze_opts[] = {
    {"for", 0, OPT_DURATION, "DUR", "time-to-live: lifted after it, by the guard or a command"},
    {"confirm-within", 0, OPT_DURATION, "DUR", "lifted after it unless confirmed by then"},
    {NULL},
};

const struct opt disable_opts[] = {
    {"watch", 0, OPT_DURATION, "DUR", "how long to look for what brings it back (default 60s)"},
    {NULL},
};

static const struct {
	const char *word;
	enum target_kind kind;
} kinds[] = {
    {"service", TARGET_UNIT},
    {"account", TARGET_ACCOUNT},
};

static int usage(struct ctx *c, const char *verb)
{
	out_error(&c->out, "%s takes numbers of processes, or one of: service UNIT, account NAME",
	          verb);
	return EXIT_USAGE;
}

static int put_target(struct cut *k, enum target_kind kind, const char *name)
{
	struct err e = {0};
	struct target t = {.kind = kind};
	if (!*name || strlen(name) >= sizeof t.name) {
		out_error(&k->c->out, "a name of 1 to %zu bytes is needed", sizeof t.name - 1);
		return EXIT_USAGE;
	}
	snprintf(t.name, sizeof t.name, "%s", name);
	return order_add_target(&k->order, &t, &e) < 0 ? ctx_fail(k->c, EXIT_FAILED, &e)
	                                               : EXIT_DONE;
}

static int read_targets(struct cut *k, const struct args *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(a->pos[0], kinds[i].word))
			return a->n_pos == 2 ? put_target(k, kinds[i].kind, a->pos[1])
			                     : usage(k->c, a->verb->name);
	int r = EXIT_DONE;
	for (size_t i = 0; r == EXIT_DONE && i < a->n_pos; i++)
		r = strspn(a->pos[i], "0123456789") == strlen(a->pos[i])
		        ? put_target(k, TARGET_PROCESS, a->pos[i])
		        : usage(k->c, a->verb->name);
	return r;
}

static int check_daemons(struct cut *k, const struct target *t)
{
	struct err e = {0};
	char why[GROUP_WHY_MAX];
	bool found = false;
	if (cut_forced(k, "daemon"))
		return EXIT_DONE;
	if (process_protected(t, &found, why, &e) < 0)
		return ctx_fail(k->c, EXIT_REFUSED, &e);
	if (!found)
		return EXIT_DONE;
	out_error(&k->c->out,
	          "refused by guard daemon: this host cannot do without %s. Nothing was changed; "
	          "--force daemon overrules it",
	          why);
	return EXIT_REFUSED;
}

bool act_runs(const struct target *t)
{
	struct group *g = calloc(1, sizeof *g);
	bool found = g && group_find(t, g, NULL) != -ENOENT;
	group_drop(g);
	return found;
}

static int check_guards(struct cut *k, size_t *ret_members)
{
	int r = EXIT_DONE;
	for (size_t i = 0; r == EXIT_DONE && i < k->order.n_targets; i++) {
		size_t n = 0;
		if (k->order.verb == VERB_DISABLE && !act_runs(&k->order.targets[i]))
			continue;
		r = check_operator(k, &k->order.targets[i], &n);
		if (r == EXIT_DONE)
			r = check_daemons(k, &k->order.targets[i]);
		*ret_members += n;
	}
	return r;
}

static void ask_text(const struct order *o, size_t members, char dst[static QUESTION_MAX])
{
	char verb[16], name[TARGET_NAME_MAX];
	snprintf(verb, sizeof verb, "%s", verb_str(o->verb));
	verb[0] = (char)(verb[0] - 'a' + 'A');
	snprintf(dst, QUESTION_MAX, "%s %s %.200s%s (%zu process%s)?", verb,
	         target_kind_str(o->targets[0].kind),
	         out_clean(o->targets[0].name, name, sizeof name),
	         o->n_targets > 1 ? " and the others" : "", members, members == 1 ? "" : "es");
}

int act(struct ctx *c, const struct args *a, enum verb verb, unsigned *ret_id)
{
	struct cut k;
	char question[QUESTION_MAX];
	size_t members = 0;
	int r = cut_begin(&k, c, a, NULL);
	k.order.verb = verb;
	if (r == EXIT_DONE)
		r = read_targets(&k, a);
	if (r == EXIT_DONE)
		r = check_guards(&k, &members);
	if (r == EXIT_DONE) {
		ask_text(&k.order, members, question);
		r = cut_carry_out(&k, question);
	}
	if (ret_id)
		*ret_id = k.order.id;
	cut_end(&k);
	return r;
}

int verb_freeze(struct ctx *c, const struct args *a)
{
	return act(c, a, VERB_FREEZE, NULL);
}

int verb_kill(struct ctx *c, const struct args *a)
{
	return act(c, a, VERB_KILL, NULL);
}

/* ---- disable ---- */

#define WATCH_DEFAULT (60 * USEC_PER_SEC)
#define WATCH_MS      1000

/* Reads it back once; what differs is told. */
static int look_again(struct ctx *c, unsigned id)
{
	struct err e = {0};
	struct session s = {0};
	struct report rep = {0};
	int r = session_open_read(c, &s, &e);
	if (r == 0)
		r = engine_verify(s.engine, id, &rep, &e);
	session_close(&s);
	if (r < 0)
		return ctx_fail(c, ctx_exit_of(r), &e);
	bool holds = rep.outcome == ENGINE_DONE;
	if (!holds)
		out_error(&c->out, "it does not stay as ordered: %s", rep.text ? rep.text : "");
	report_free(&rep);
	return holds ? EXIT_DONE : EXIT_FOUND;
}

static int watch(struct ctx *c, unsigned id, usec_t span)
{
	char text[TIME_STR_MAX];
	usec_t end = boot_now() + span;
	int r = EXIT_DONE;
	if (!c->out.json)
		out_info(&c->out, "\nWatching it for %s", duration_str(span, text));
	while (r == EXIT_DONE && boot_now() < end) {
		usec_t left = (end - boot_now()) / 1000;
		(void)sys->poll(NULL, 0, (int)(left < WATCH_MS ? left : WATCH_MS));
		r = look_again(c, id);
	}
	return r;
}

int verb_disable(struct ctx *c, const struct args *a)
{
	unsigned id = 0;
	int r = act(c, a, VERB_DISABLE, &id);
	usec_t span = args_duration(a, "watch", WATCH_DEFAULT);
	bool alone = a->verb->run == verb_disable; /* contain has more to do */
	return r == EXIT_DONE && id && alone ? watch(c, id, span) : r;
}
