/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `stanch contain`: the orders that findings propose, in the sequence that holds: the network
 * first, so that nobody hears what follows, then what would start it again, then what runs (frozen,
 * captured, ended), then who may come in. All plans are shown before the one question; one line
 * takes all of it back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "kern/proc.h"
#include "ui/act.h"
#include "ui/ctx.h"
#include "ui/verbs.h"

#define WORDS_MAX 64 /* of one turn */

/* One order each: all addresses, all processes; of services and accounts one by one. */
enum turn {
	TURN_BLOCK,
	TURN_ISOLATE,
	TURN_DISABLE_SERVICE,
	TURN_FREEZE_SERVICE,
	TURN_FREEZE,
	TURN_FREEZE_ACCOUNT,
	TURN_KILL_SERVICE, /* masks it first */
	TURN_KILL,
	TURN_KILL_ACCOUNT,
	TURN_DISABLE_ACCOUNT,
	_TURN_MAX
};

static const struct {
	const char *head; /* as a finding proposes it, before its target */
	const char *word; /* goes before the target to the verb; NULL: none */
	bool together;    /* all targets in one order */
	int (*run)(struct ctx *c, const struct args *a);
} turns[_TURN_MAX] = {
    [TURN_BLOCK] = {"block ", NULL, true, verb_block},
    [TURN_ISOLATE] = {"isolate ", NULL, false, verb_isolate},
    [TURN_DISABLE_SERVICE] = {"disable service ", "service", false, verb_disable},
    [TURN_FREEZE] = {"freeze ", NULL, true, verb_freeze},
    [TURN_FREEZE_SERVICE] = {"freeze service ", "service", false, verb_freeze},
    [TURN_FREEZE_ACCOUNT] = {"freeze account ", "account", false, verb_freeze},
    [TURN_KILL] = {"kill ", NULL, true, verb_kill},
    [TURN_KILL_SERVICE] = {"kill service ", "service", false, verb_kill},
    [TURN_KILL_ACCOUNT] = {"kill account ", "account", false, verb_kill},
    [TURN_DISABLE_ACCOUNT] = {"disable account ", "account", false, verb_disable},
};

struct wanted {
	struct {
		char text[WORDS_MAX][FINDING_REASON_MAX];
		size_t n;
	} turn[_TURN_MAX];
};

static int finding_id_parse(const char *s, unsigned *ret, struct err *e)
{
	const char *digits = *s == 'f' ? s + 1 : s;
	char *end;

	errno = 0;
	unsigned long v = strtoul(digits, &end, 10);
	if (*digits < '1' || *digits > '9' || *end || errno || v > INT32_MAX)
		return err_set(e, -EINVAL,
		               "\"%.40s\" is not a finding; they are called f1, f2, … (see stanch "
		               "incident show)",
		               s);
	*ret = (unsigned)v;
	return 0;
}

static int add_target(struct wanted *w, enum turn turn, const char *target, struct err *e)
{
	for (size_t i = 0; i < w->turn[turn].n; i++)
		if (!strcmp(w->turn[turn].text[i], target))
			return 0;
	if (w->turn[turn].n == WORDS_MAX)
		return err_set(e, -E2BIG, "more than %d at once: name fewer findings", WORDS_MAX);
	snprintf(w->turn[turn].text[w->turn[turn].n++], FINDING_REASON_MAX, "%s", target);
	return 0;
}

/* An order is text of the journal: what is no order that is known here is refused, and a target is
 * one word, read by the verb that takes it, like one that was typed. */
static int add_order(struct wanted *w, unsigned id, const char *order, struct err *e)
{
	for (int turn = 0; turn < _TURN_MAX; turn++) {
		size_t n = strlen(turns[turn].head);
		const char *target = order + n;
		if (strncmp(order, turns[turn].head, n) != 0 || !*target || *target == '-' ||
		    strchr(target, ' ') || (turn == TURN_ISOLATE && strcmp(target, "self") != 0))
			continue;
		return add_target(w, (enum turn)turn, target, e);
	}
	return err_set(e, -EOPNOTSUPP, "f%u proposes \"%.80s\", which this build cannot carry out",
	               id, order);
}

static int add_finding(struct wanted *w, struct journal *j, const char *name, struct err *e)
{
	struct finding f;
	unsigned id = 0;
	int r = finding_id_parse(name, &id, e);

	if (r < 0 || (r = journal_get_finding(j, id, &f, e)) < 0)
		return r;
	if (!f.n_orders)
		return err_set(e, -EOPNOTSUPP,
		               "f%u proposes no order: look at it, and block or isolate by hand",
		               id);
	for (size_t i = 0; i < f.n_orders && !r; i++)
		r = add_order(w, id, f.orders[i], e);
	return r;
}

static int read_findings(struct ctx *c, const struct args *a, struct wanted *w, struct err *e)
{
	struct session s = {0};
	int r = session_open_read(c, &s, e);

	if (r < 0)
		return r;
	if (!s.journal)
		r = err_set(e, -ENOENT, "there is no journal at %s yet, so no %.40s", c->state_dir,
		            a->pos[0]);
	for (size_t i = 0; i < a->n_pos && !r; i++)
		r = add_finding(w, s.journal, a->pos[i], e);
	session_close(&s);
	return r;
}

static void take_word(struct wanted *w, enum turn turn, size_t i)
{
	memmove(w->turn[turn].text[i], w->turn[turn].text[i + 1],
	        (--w->turn[turn].n - i) * sizeof w->turn[0].text[0]);
}

/* To stop a service ends what it runs, uncaptured: of one that runs a kill, which masks it too. */
static int capture_services(struct wanted *w, struct err *e)
{
	int r = 0;
	for (size_t i = w->turn[TURN_DISABLE_SERVICE].n; r == 0 && i-- > 0;) {
		struct target t = {.kind = TARGET_UNIT};
		snprintf(t.name, sizeof t.name, "%s", w->turn[TURN_DISABLE_SERVICE].text[i]);
		if (!act_runs(&t))
			continue;
		r = add_target(w, TURN_KILL_SERVICE, t.name, e);
		take_word(w, TURN_DISABLE_SERVICE, i);
	}
	return r;
}

/* Who is killed need not be frozen before: that is the kill's first step. */
static void drop_frozen(struct wanted *w)
{
	static const enum turn pairs[][2] = {{TURN_FREEZE, TURN_KILL},
	                                     {TURN_FREEZE_SERVICE, TURN_KILL_SERVICE},
	                                     {TURN_FREEZE_ACCOUNT, TURN_KILL_ACCOUNT}};
	for (size_t p = 0; p < ARRAY_SIZE(pairs); p++)
		for (size_t k = 0; k < w->turn[pairs[p][1]].n; k++)
			for (size_t i = w->turn[pairs[p][0]].n; i-- > 0;)
				if (!strcmp(w->turn[pairs[p][0]].text[i],
				            w->turn[pairs[p][1]].text[k]))
					take_word(w, pairs[p][0], i);
}

/* Ended since it was seen, or by the turn before: there is nothing left to do. */
static bool is_gone(int turn, const char *word)
{
	struct proc_id p;
	int r = turn == TURN_FREEZE || turn == TURN_KILL ? proc_read(atoi(word), &p) : 1;
	return r == -ESRCH || (r == 0 && p.state == 'Z');
}

static int run_turn(struct ctx *c, const struct args *a, struct wanted *w, int turn)
{
	const char *words[WORDS_MAX + 1];
	struct args with = *a;
	int r = EXIT_DONE;
	size_t all = w->turn[turn].n;
	for (size_t at = 0; r == EXIT_DONE && at < all;) {
		size_t n = 0, until = turns[turn].together ? all : at + 1;
		if (turns[turn].word)
			words[n++] = turns[turn].word;
		for (; at < until; at++)
			if (!is_gone(turn, w->turn[turn].text[at]))
				words[n++] = w->turn[turn].text[at];
		if (!n)
			break;
		with.pos = words;
		with.n_pos = n;
		r = turns[turn].run(c, &with);
	}
	return r;
}

/* One that fails ends it: what comes after would warn who is not cut off. */
static int run_all(struct ctx *c, const struct args *a, struct wanted *w)
{
	int r = EXIT_DONE;
	for (int turn = 0; r == EXIT_DONE && turn < _TURN_MAX; turn++)
		r = run_turn(c, a, w, turn);
	return r;
}

/* The same command line with one flag more. Free *ret_values. */
static struct args with_flag(const struct args *a, const char *flag, struct arg_value **ret_values)
{
	struct args with = *a;
	struct arg_value *v = calloc(a->n_values + 1, sizeof *v);
	if (v) {
		if (a->n_values)
			memcpy(v, a->values, a->n_values * sizeof *v);
		for (const struct opt *o = args_changes; o->name; o++)
			if (!strcmp(o->name, flag))
				v[a->n_values].opt = o;
		with.values = v;
		with.n_values = a->n_values + 1;
	}
	*ret_values = v;
	return with;
}

/* The newest order of the journal; 0: none. */
static unsigned newest(struct ctx *c)
{
	struct session s = {0};
	unsigned *ids = NULL, best = 0;
	size_t n = 0;
	if (session_open_read(c, &s, NULL) == 0 && s.journal &&
	    journal_list_orders(s.journal, NULL, false, &ids, &n, NULL) == 0)
		for (size_t i = 0; i < n; i++)
			best = ids[i] > best ? ids[i] : best;
	free(ids);
	session_close(&s);
	return best;
}

static void tell_undo(struct ctx *c, unsigned before)
{
	struct buf b = BUF_INIT(4096);
	unsigned last = newest(c);
	for (unsigned id = last; id > before; id--)
		buf_addf(&b, " o%u", id);
	if (last > before + 1)
		out_info(&c->out, "\nTo take all of it back:  stanch undo%s%s", buf_str(&b),
		         c->typed);
	buf_free(&b);
}

/* Shows every plan, asks once, does it. */
static int carry_out(struct ctx *c, const struct args *a, struct wanted *w)
{
	static const char question[] = "Carry out all of this, in this order?";
	struct arg_value *values = NULL;
	bool asks = !args_has(a, "yes") && !args_has(a, "dry-run");
	unsigned before = newest(c);
	int r = asks ? ctx_can_ask(c, a, question) : EXIT_DONE;
	if (r == EXIT_DONE && asks) {
		struct args dry = with_flag(a, "dry-run", &values);
		r = values ? run_all(c, &dry, w) : EXIT_FAILED;
		free(values);
		values = NULL;
		if (r == EXIT_DONE)
			r = ctx_ask(c, a, "%s", question);
	}
	if (r != EXIT_DONE)
		return r;
	struct args go = asks ? with_flag(a, "yes", &values) : *a;
	r = asks && !values ? EXIT_FAILED : run_all(c, &go, w);
	free(values);
	if (!args_has(a, "dry-run"))
		tell_undo(c, before);
	return r;
}

int verb_contain(struct ctx *c, const struct args *a)
{
	struct wanted *w = calloc(1, sizeof(*w));
	struct err e = {0};
	int r = w ? read_findings(c, a, w, &e) : err_set(&e, -ENOMEM, "out of memory");

	if (r < 0) {
		free(w);
		return ctx_fail(c, r == -ENOENT ? EXIT_REFUSED : ctx_exit_of(r), &e);
	}
	if (capture_services(w, &e) < 0) {
		free(w);
		return ctx_fail(c, EXIT_REFUSED, &e);
	}
	drop_frozen(w);
	r = carry_out(c, a, w);
	free(w);
	return r;
}
