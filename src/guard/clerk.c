/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guard/clerk.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STACK_BYTES (1u << 20)
#define RETRY_SEC   1

struct clerk {
	struct guard_setup g;
	const struct scout *scout;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct entry v[CLERK_MAX]; /* a ring */
	size_t first, n, told;     /* the first `told` of them were said already */
	unsigned lost;
	bool recover, stop;
};

/* --- the guard's side --- */

void clerk_enter(struct clerk *c, const struct entry *x)
{
	pthread_mutex_lock(&c->lock);
	if (c->n == CLERK_MAX)
		c->lost++;
	else
		c->v[(c->first + c->n++) % CLERK_MAX] = *x;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

void clerk_recover(struct clerk *c)
{
	pthread_mutex_lock(&c->lock);
	c->recover = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
}

/* --- the clerk's side --- */

static bool take(struct clerk *c, struct entry *ret)
{
	pthread_mutex_lock(&c->lock);
	bool any = c->told > 0;
	if (any) {
		*ret = c->v[c->first];
		c->first = (c->first + 1) % CLERK_MAX;
		c->n--;
		c->told--;
	}
	pthread_mutex_unlock(&c->lock);
	return any;
}

static void first_line(const char *text, char *dst, size_t n)
{
	snprintf(dst, n, "%.*s", (int)strcspn(text, "\n"), text);
}

static const char *whom_of(const struct entry *x, char dst[static SUSPECT_TEXT_MAX])
{
	dst[0] = '\0';
	if (x->blamed || x->grave)
		suspect_text(x->blamed ? &x->who : NULL, &x->is, dst);
	return dst;
}

static void say(struct clerk *c, const struct entry *x)
{
	char text[2048], line[256], why[256], missed[64] = "", whom[SUSPECT_TEXT_MAX];
	first_line(x->text, line, sizeof line);
	first_line(x->problem, why, sizeof why);
	whom_of(x, whom);
	if (x->missed)
		snprintf(missed, sizeof missed, "; %u more were not told", x->missed);
	if (x->order_id)
		snprintf(text, sizeof text, "o%u: %s: %s%s%s; %s%s%s%s", x->order_id, x->step, line,
		         whom[0] ? "; " : "", whom, drift_end_str(x->end), why[0] ? ": " : "", why,
		         missed);
	else
		snprintf(text, sizeof text, "%s%s%s%s", line, whom[0] ? "; " : "", whom, missed);
	const struct guard_news n = {x->event, text, x->order_id, x->step, x->is.pid, x->usec};
	c->g.say(c->g.arg, &n);
}

/* Telling waits for no journal. The guard adds behind, and touches nothing of what is there. */
static void tell_new(struct clerk *c)
{
	for (;;) {
		pthread_mutex_lock(&c->lock);
		struct entry *x = c->told < c->n ? &c->v[(c->first + c->told) % CLERK_MAX] : NULL;
		pthread_mutex_unlock(&c->lock);
		if (!x)
			return;
		if (x->blamed)
			(void)scout_ask(c->scout, &x->who, &x->is);
		say(c, x);
		pthread_mutex_lock(&c->lock);
		c->told++;
		pthread_mutex_unlock(&c->lock);
	}
}

static int note(struct journal *j, const struct entry *x)
{
	const struct suspect *s = &x->is;
	char whom[SUSPECT_TEXT_MAX];
	char kind[32], subject[16] = "guard";
	json_t *o =
	    json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:i, s:s, s:s, s:s, s:i}", "step", x->step,
	              "text", x->text, "end", drift_end_str(x->end), "problem", x->problem, "usec",
	              (json_int_t)x->usec, "culprit", whom, "pid", s->pid, "comm", s->comm, "exe",
	              s->exe, "unit", s->unit, "not_told", (int)x->missed);
	char *body = o ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	snprintf(kind, sizeof kind, "guard.%s", x->event);
	if (x->order_id)
		snprintf(subject, sizeof subject, "o%u", x->order_id);
	int r = body ? journal_note(j, kind, subject, body, NULL) : -ENOMEM;
	free(body);
	return r;
}

static int find(struct journal *j, const struct entry *x)
{
	struct finding f = {.kind = FINDING_TAMPER, .score = 0.9};
	char whom[SUSPECT_TEXT_MAX], line[FINDING_REASON_MAX];
	f.first = f.last = wall_now();
	first_line(x->text, line, sizeof line);
	if (x->order_id)
		finding_reason(&f, "o%u, %s, was changed: %s", x->order_id, x->step, line);
	else
		finding_reason(&f, "%s", line);
	finding_reason(&f, "%s", whom_of(x, whom));
	if (!x->order_id)
		finding_reason(&f, "nothing on this host can put that right");
	else if (x->end == DRIFT_MENDED)
		finding_reason(&f, "it held again after %.1f ms", (double)x->usec / 1000);
	else
		finding_reason(&f, "it does not hold: %s", x->problem);
	if (x->missed)
		finding_reason(&f, "%u more changes were mended before and not told one by one",
		               x->missed);
	snprintf(f.benign, sizeof f.benign,
	         "a firewall service or an administrator that replaces rules it does not know");
	if (x->is.pid)
		snprintf(f.selector, sizeof f.selector, "process %d", x->is.pid);
	return journal_put_finding(j, &f, NULL);
}

static void write_lost(struct clerk *c, struct journal *j)
{
	char body[64];
	pthread_mutex_lock(&c->lock);
	unsigned lost = c->lost;
	c->lost = 0;
	pthread_mutex_unlock(&c->lock);
	if (!lost)
		return;
	snprintf(body, sizeof body, "{\"entries_lost\":%u}", lost);
	(void)journal_note(j, "guard.lost", "guard", body, NULL);
}

static int write_entry(struct journal *j, const struct entry *x)
{
	int r = note(j, x);
	return r || !x->grave ? r : find(j, x);
}

/* All that waits reaches the disk together. An entry that the journal refuses is lost, and counted:
 * it must not keep the rest from being written. */
static void write_entries(struct clerk *c, struct journal *j)
{
	static struct entry x; /* large; the clerk is alone */
	unsigned bad = 0;
	if (journal_begin(j, NULL))
		return;
	for (size_t i = 0; i < CLERK_MAX && take(c, &x); i++)
		bad += write_entry(j, &x) != 0;
	write_lost(c, j);
	if (journal_commit(j, NULL)) {
		journal_rollback(j);
		bad++;
	}
	pthread_mutex_lock(&c->lock);
	c->lost += bad;
	pthread_mutex_unlock(&c->lock);
}

static void tell(struct clerk *c, const char *event, const char *text)
{
	struct guard_news n = {.event = event, .text = text};
	c->g.say(c->g.arg, &n);
}

static void recover(struct clerk *c, struct journal *j)
{
	struct engine *g = NULL;
	struct report rep = {0};
	struct err e = {0};
	int r = engine_new(j, c->g.points, c->g.n_points, &g, &e);
	if (!r)
		engine_only_known(g);
	if (!r)
		r = engine_recover(g, &rep, &e);
	if (r)
		tell(c, "guard_problem", e.text);
	else if (rep.text && rep.text[0])
		tell(c, "recovered", rep.text);
	report_free(&rep);
	engine_free(g);
}

/* One sitting at the journal. -errno: it could not be opened, nothing is lost. */
static int work(struct clerk *c, bool do_recover, struct err *e)
{
	struct journal *j = NULL;
	int r = journal_open(c->g.state_dir, JOURNAL_WRITE, &j, e);
	if (r)
		return r;
	write_entries(c, j);
	if (do_recover)
		recover(c, j);
	journal_close(j);
	return 0;
}

static void wait_until(struct clerk *c, unsigned seconds)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += seconds;
	pthread_cond_timedwait(&c->wake, &c->lock, &t);
}

static void *run(void *arg)
{
	struct clerk *c = arg;
	bool complained = false;
	pthread_mutex_lock(&c->lock);
	while (!c->stop || c->n) {
		while (!c->stop && !c->n && !c->recover && !c->lost)
			pthread_cond_wait(&c->wake, &c->lock);
		bool do_recover = c->recover && !c->stop;
		c->recover = false;
		struct err e = {0};
		pthread_mutex_unlock(&c->lock);
		tell_new(c);
		int r = work(c, do_recover, &e);
		if (r && !complained)
			tell(c, "guard_problem", e.text);
		complained = r != 0;
		pthread_mutex_lock(&c->lock);
		c->recover |= r && do_recover;
		if (c->stop)
			break;
		if (r)
			wait_until(c, RETRY_SEC);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int clerk_start(const struct guard_setup *g, const struct scout *s, struct clerk **ret,
                struct err *e)
{
	struct clerk *c = calloc(1, sizeof *c);
	pthread_attr_t a;
	if (!c)
		return err_set(e, -ENOMEM, "out of memory for the guard's clerk");
	c->g = *g;
	c->scout = s;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, NULL);
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, STACK_BYTES); /* it is locked in memory */
	int r = pthread_create(&c->thread, &a, run, c);
	pthread_attr_destroy(&a);
	if (r) {
		free(c);
		return err_set(e, -r, "cannot start the guard's clerk: %s", strerror(r));
	}
	*ret = c;
	return 0;
}

void clerk_stop(struct clerk *c)
{
	struct timespec t;
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += 1;
	if (pthread_timedjoin_np(c->thread, NULL, &t))
		return; /* it sits at the journal; the process is about to end */
	free(c);
}
