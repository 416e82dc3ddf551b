/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guard/keeper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "guard/notify.h"

#define WAIT_MAX (60 * USEC_PER_SEC)

static void say(const struct guard_setup *s, const char *event, const char *text)
{
	const struct guard_news n = {.event = event, .text = text};
	s->say(s->arg, &n);
}

/* The clocks are in the journal: nothing is remembered from one look to the next. */
static int look(const struct guard_setup *s, unsigned *ret_due, struct err *e)
{
	struct journal *j = NULL;
	struct engine *g = NULL;
	int r = journal_open(s->state_dir, JOURNAL_READ, &j, e);
	if (r == -ENOENT) {
		*ret_due = 0;
		return 0;
	}
	if (r == 0)
		r = engine_new(j, s->points, s->n_points, &g, e);
	if (r == 0)
		r = engine_overdue(g, ret_due, e);
	engine_free(g);
	journal_close(j);
	return r;
}

/* -EBUSY while a command is at work: it settles by itself what is due. */
static int settle(const struct guard_setup *s, struct err *e)
{
	struct journal *j = NULL;
	struct engine *g = NULL;
	struct report rep = {0};
	int r = journal_open(s->state_dir, JOURNAL_WRITE, &j, e);
	if (r == 0)
		r = engine_new(j, s->points, s->n_points, &g, e);
	if (r == 0) {
		engine_only_known(g);
		r = engine_recover(g, &rep, e);
	}
	if (r == 0 && rep.text && rep.text[0])
		say(s, "recovered", rep.text);
	if (r == 0 && rep.outcome != ENGINE_DONE)
		r = err_set(e, -EAGAIN, "not all of it could be ended; it is tried again");
	report_free(&rep);
	engine_free(g);
	journal_close(j);
	return r;
}

/* Not 0: a signal says that it is enough. */
static int wait_for(usec_t usec, const sigset_t *signals)
{
	const struct timespec t = {(time_t)(usec / USEC_PER_SEC),
	                           (long)(usec % USEC_PER_SEC) * 1000};
	return sigtimedwait(signals, NULL, &t) > 0;
}

int keeper_run(const struct guard_setup *s, struct err *e)
{
	struct notify notify = notify_open(s->notify, s->watchdog);
	struct err told = {0};
	sigset_t signals;
	unsigned due = 0;
	usec_t wait = s->every;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	int r = look(s, &due, e);
	if (r < 0)
		return r;
	say(s, "guard_standing", "the deadlines of orders at points elsewhere are kept here");
	notify_say(&notify, "READY=1\nSTATUS=keeping deadlines");
	do {
		struct err why = {0};
		r = look(s, &due, &why);
		if (r == 0 && due)
			r = settle(s, &why);
		if (r < 0 && r != -EBUSY && strcmp(why.text, told.text) != 0)
			say(s, "guard_problem", why.text);
		told = why;
		wait = r == 0 ? s->every : 2 * wait < WAIT_MAX ? 2 * wait : WAIT_MAX;
	} while (!wait_for(wait, &signals));
	notify_say(&notify, "STOPPING=1");
	return 0;
}
