/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "guard/guard.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/sys.h"
#include "guard/rights.h"
#include "guard/watch.h"
#include "priv/role.h"

#define TOLD_BURST  40 /* entries of the journal at once, and then */
#define TOLD_EVERY  (5 * USEC_PER_SEC)
#define FOUND_BURST 5
#define FOUND_EVERY (60 * USEC_PER_SEC)

/* --- beginning and end --- */

/* The state directory and a journal have to be there before the rights to make them are gone. */
static int say_so(struct watch *w, struct err *e)
{
	struct journal *j = NULL;
	char body[64];
	int r = journal_open(w->s.state_dir, JOURNAL_WRITE, &j, e);
	if (r)
		return r;
	snprintf(body, sizeof body, "{\"pid\":%d}", (int)getpid());
	r = journal_note(j, "guard.standing", "guard", body, e);
	journal_close(j);
	return r;
}

static int catch_signals(struct err *e)
{
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGTERM);
	sigaddset(&s, SIGINT);
	sigaddset(&s, SIGHUP);
	sigprocmask(SIG_BLOCK, &s, NULL);
	int fd = signalfd(-1, &s, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_set(e, -errno, "signals cannot be caught: %s", strerror(errno)) : fd;
}

static int begin(struct watch *w, struct err *e)
{
	int r = say_so(w, e);
	if (r == 0)
		r = change_open(&w->feed, e);
	w->notify = notify_open(w->s.notify, w->s.watchdog);
	seats_take(w);
	if (r == 0)
		r = scout_start(&w->scout, e);
	if (r == 0)
		r = watch_open(w, e);
	/* Also opens every driver, before a second thread does. */
	if (r == 0 && (r = engine_own(w->engine, false, e)) == 0)
		r = rights_drop(w->s.state_dir, e);
	return r ? r : clerk_start(&w->s, &w->scout, &w->clerk, e);
}

static void end(struct watch *w)
{
	notify_say(&w->notify, "STOPPING=1");
	clerk_stop(w->clerk);
	scout_stop(&w->scout);
	engine_free(w->engine);
	journal_close(w->journal);
	change_close(&w->feed);
	for (size_t i = 0; i < w->n_visitors; i++)
		sys->close(w->visitors[i].fd);
	const int fds[] = {w->listen, w->other, w->notify.fd};
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			sys->close(fds[i]);
}

/* --- the loop --- */

enum { AT_SIGNAL, AT_NETFILTER, AT_ROUTE, AT_LISTEN, AT_OTHER, AT_VISITORS };
#define FDS_MAX (AT_VISITORS + LEAVES_MAX)

/* While it rests, changes wait in the sockets: what is not polled cannot wake. */
static nfds_t fill(const struct watch *w, int signals, struct pollfd *p)
{
	bool rests = boot_now() < w->rest;
	const int fds[] = {signals, rests ? -1 : w->feed.netfilter, rests ? -1 : w->feed.route,
	                   w->listen, w->other};
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		p[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	for (size_t i = 0; i < w->n_visitors; i++)
		p[AT_VISITORS + i] = (struct pollfd){.fd = w->visitors[i].fd, .events = POLLIN};
	return (nfds_t)(AT_VISITORS + w->n_visitors);
}

static int timeout_of(const struct watch *w)
{
	usec_t now = boot_now(), until = w->wanted || w->rest > now ? w->rest : w->next;
	if (w->next < until)
		until = w->next;
	if (w->notify.watchdog && until > now + w->notify.watchdog / 3)
		until = now + w->notify.watchdog / 3;
	return until <= now ? 0 : (int)((until - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
}

static void hear_others(struct watch *w, const struct pollfd *p)
{
	for (size_t i = w->n_visitors; i-- > 0;)
		if (p[AT_VISITORS + i].revents)
			seats_hear(w, i);
	if (p[AT_LISTEN].revents)
		seats_accept(w);
	if (p[AT_OTHER].revents) {
		sys->close(w->other);
		w->other = -1;
		watch_say(w, "guard_standing", "the guard that held the orders has gone");
		seats_take(w);
	}
	seats_tidy(w);
}

static int loop(struct watch *w, int signals, struct err *e)
{
	struct pollfd p[FDS_MAX];
	usec_t signed_at = 0;
	for (;;) {
		nfds_t n = fill(w, signals, p);
		if (sys->poll(p, n, timeout_of(w)) < 0) {
			if (errno != EINTR)
				return err_set(e, -errno, "waiting: %s", strerror(errno));
			continue;
		}
		if (p[AT_SIGNAL].revents)
			return 0;
		int r = p[AT_NETFILTER].revents | p[AT_ROUTE].revents ? watch_hear(w, e) : 0;
		if (r < 0)
			return r;
		hear_others(w, p);
		usec_t now = boot_now();
		if ((w->wanted && now >= w->rest) || now >= w->next)
			watch_pass(w);
		if (w->notify.watchdog && now >= signed_at + w->notify.watchdog / 3) {
			notify_say(&w->notify, "WATCHDOG=1");
			signed_at = now;
		}
	}
}

int guard_run(const struct guard_setup *s, struct err *e)
{
	struct watch *w = calloc(1, sizeof *w);
	char every[TIME_STR_MAX];
	if (!w)
		return err_set(e, -ENOMEM, "out of memory");
	usec_t now = boot_now();
	mallopt(M_ARENA_MAX, 1); /* each thread's own would be locked in memory as well */
	*w = (struct watch){.s = *s,
	                    .notify.fd = -1,
	                    .scout.fd = -1,
	                    .feed = {-1, -1},
	                    .listen = -1,
	                    .other = -1,
	                    .can_own = true,
	                    .wanted = true,
	                    .told = rate_of(TOLD_BURST, TOLD_EVERY, now),
	                    .found = rate_of(FOUND_BURST, FOUND_EVERY, now),
	                    .away = rate_of(FOUND_BURST, FOUND_EVERY, now)};
	int signals = catch_signals(e);
	int r = signals < 0 ? signals : begin(w, e);
	if (r == 0) {
		if (role_limits()[0])
			watch_say(w, "guard_limit", "%s", role_limits());
		watch_pass(w);
		watch_say(w, "guard_standing",
		          "listening to nftables and rtnetlink; for what raises no event (BPF "
		          "links) it looks every %s",
		          duration_str(s->every, every));
		notify_say(&w->notify, "READY=1\nSTATUS=listening");
		r = loop(w, signals, e);
	}
	end(w);
	if (signals >= 0)
		sys->close(signals);
	free(w);
	return r;
}
