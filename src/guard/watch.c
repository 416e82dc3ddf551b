/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guard/watch.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REST_MIN    (1 * USEC_PER_MSEC)
#define SETTLE_MAX  3 /* passes; then what is half done is somebody dead's */
#define SWEEP_AFTER (60 * USEC_PER_SEC)

void watch_say(struct watch *w, const char *event, const char *fmt, ...)
{
	char text[512];
	struct guard_news n = {.event = event, .text = text};
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	w->s.say(w->s.arg, &n);
}

int watch_open(struct watch *w, struct err *e)
{
	bool fresh = !w->journal;
	int r = fresh ? journal_open(w->s.state_dir, JOURNAL_READ, &w->journal, e) : 0;
	if (!w->engine && r == 0)
		return engine_new(w->journal, w->s.points, w->s.n_points, &w->engine, e);
	if (w->engine && fresh)
		engine_use_journal(w->engine, w->journal);
	return r;
}

/* --- hearing --- */

static bool matters(const struct changes *c)
{
	return c->n[CHANGE_RULES] || c->n[CHANGE_LINK_NEW] || c->n[CHANGE_LINK_GONE] ||
	       c->n[CHANGE_LINK_AWAY] || c->n[CHANGE_LINK] || c->n[CHANGE_TC] || c->n[CHANGE_LOST];
}

int watch_hear(struct watch *w, struct err *e)
{
	usec_t now = boot_now();
	size_t before = w->seen.n_who;
	int r = change_read(&w->feed, &w->seen, e);
	if (r < 0)
		return r;
	/* They may be gone in a moment. */
	for (size_t i = before; i < w->seen.n_who; i++)
		scout_point(&w->scout, &w->seen.who[i]);
	if (!matters(&w->seen))
		return 0;
	if (!w->woken)
		w->woken = now;
	w->wanted = true;
	return 0;
}

/* --- telling --- */

static const char *event_of(const struct drift *d, bool arrival)
{
	if (d->end == DRIFT_RELEASED)
		return "released";
	if (d->loose)
		return "held";
	if (d->end == DRIFT_FAILED)
		return "not_mended";
	return arrival ? "covered" : "tamper";
}

static void tell_drift(void *arg, const struct drift *d)
{
	struct watch *w = arg;
	struct entry *x = &w->entry;
	unsigned missed = 0, more = 0;
	usec_t now = boot_now();
	bool known = patience_known(&w->patience, d->order_id, d->seq);
	if (d->end == DRIFT_LEFT) {
		w->left = true;
		return;
	}
	if (d->end == DRIFT_FAILED)
		patience_failed(&w->patience, d->order_id, d->seq,
		                d->problem[0] ? d->problem : d->text, now);
	else
		patience_mended(&w->patience, d->order_id, d->seq);
	/* A pass may see a change before it has heard of it. */
	(void)watch_hear(w, NULL);
	/* What the one that holds it is slow with, and the kernel keeps from us, is his to tell. */
	bool his = w->other >= 0 && d->end == DRIFT_FAILED;
	if (known || his || !rate_take(&w->told, now, &missed))
		return;
	change_merge(&w->causes, &w->seen);
	memset(&w->seen, 0, sizeof w->seen);
	bool arrival = blame_is_arrival(&w->causes);
	*x = (struct entry){.event = event_of(d, arrival),
	                    .order_id = d->order_id,
	                    .end = d->end,
	                    .usec = d->ended - (w->since && w->since < d->at ? w->since : d->at)};
	snprintf(x->step, sizeof x->step, "%s", d->kind);
	snprintf(x->text, sizeof x->text, "%s",
	         d->loose ? "other processes could change it" : d->text);
	snprintf(x->problem, sizeof x->problem, "%s", d->problem);
	x->blamed = !d->loose && blame_pick(&w->causes, d->kind, &x->who);
	x->grave =
	    !d->loose && !arrival && d->end != DRIFT_RELEASED && rate_take(&w->found, now, &more);
	x->missed = missed + more;
	clerk_enter(w->clerk, x);
}

/* What has left this namespace is out of reach of every rule here: it can only be told. */
static void tell_away(struct watch *w)
{
	struct entry *x = &w->entry;
	unsigned missed = 0;
	if (!w->causes.n[CHANGE_LINK_AWAY] || w->other >= 0 ||
	    !rate_take(&w->away, boot_now(), &missed))
		return;
	*x = (struct entry){.event = "moved_away", .grave = true, .missed = missed};
	size_t at = 0;
	for (size_t i = 0; i < w->causes.n_links; i++)
		at += (size_t)snprintf(x->text + at, sizeof x->text - at, "%s%s",
		                       i ? ", " : "device ", w->causes.links[i]);
	snprintf(x->text + at, sizeof x->text - at,
	         " was moved into another network namespace: what is sent by it there is not cut");
	x->blamed = blame_pick(&w->causes, "host.raw", &x->who);
	clerk_enter(w->clerk, x);
}

static bool may_mend(void *arg, const struct drift *d)
{
	struct watch *w = arg;
	return patience_may(&w->patience, d->order_id, d->seq, d->text, boot_now(), w->other >= 0);
}

/* --- a pass --- */

/* What a command has begun is its own for a while; then it is a dead one's. */
static void consider_recovery(struct watch *w, const struct sustained *s)
{
	w->settle = s->unsettled ? w->settle + 1 : 0;
	if (w->other >= 0 || (!s->due && w->settle < SETTLE_MAX))
		return;
	w->settle = 0;
	clerk_recover(w->clerk);
}

static int sustain(struct watch *w, struct sustained *ret, struct err *e)
{
	const struct watchman man = {may_mend, tell_drift, w};
	struct err why = {0};
	if (w->journal && journal_moved(w->journal)) {
		journal_close(w->journal);
		w->journal = NULL;
	}
	int r = watch_open(w, &why), x = engine_sustain(w->engine, &man, ret, e);
	return r ? err_set(e, r, "%s", why.text) : x;
}

void watch_pass(struct watch *w)
{
	struct sustained s = {0};
	struct err e = {0};
	usec_t begun = boot_now(), now;
	w->wanted = false;
	if (!w->left) {
		memset(&w->causes, 0, sizeof w->causes);
		w->since = 0;
	}
	change_merge(&w->causes, &w->seen);
	w->since = w->since ? w->since : w->woken;
	w->woken = 0;
	w->left = false;
	memset(&w->seen, 0, sizeof w->seen);
	seats_hold(w);
	int r = sustain(w, &s, &e);
	if (r) {
		unsigned missed;
		if (rate_take(&w->told, begun, &missed))
			watch_say(w, "guard_problem", "what is in force could not be read: %s",
			          e.text);
	} else {
		consider_recovery(w, &s);
	}
	if (s.orders)
		tell_away(w);
	now = boot_now();
	patience_sweep(&w->patience, now > SWEEP_AFTER ? now - SWEEP_AFTER : 0);
	w->rest = now + (now - begun > REST_MIN ? now - begun : REST_MIN);
	w->next = now + w->s.every;
	usec_t retry = patience_next(&w->patience, now);
	if (retry && retry < w->next)
		w->next = retry;
}
