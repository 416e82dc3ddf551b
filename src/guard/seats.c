/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who sits, and who has leave. The one that sits owns what the kernel lets it own, unless somebody
 * has leave; the one that waits looks on, mends what the other leaves too long, and sits down as
 * soon as the other's end of the line closes.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys.h"
#include "guard/watch.h"
#include "priv/seat.h"

static bool given_leave(const struct watch *w)
{
	for (size_t i = 0; i < w->n_visitors; i++)
		if (w->visitors[i].until)
			return true;
	return false;
}

static void own(struct watch *w, bool on)
{
	struct err e = {0};
	if (w->owns == on || (on && !w->can_own))
		return;
	int r = engine_own(w->engine, on, &e);
	if (on && r == -EOPNOTSUPP) {
		w->can_own = false;
		watch_say(w, "guard_limit", "%s", e.text);
	} else if (r) {
		watch_say(w, "guard_problem", "%s", e.text);
	} else {
		w->owns = on;
		w->wanted = true; /* what is loose becomes ours */
	}
}

void seats_hold(struct watch *w)
{
	own(w, w->listen >= 0 && !given_leave(w));
}

void seats_take(struct watch *w)
{
	struct err e = {0};
	int r = seat_take(&w->listen, &w->other, &e);
	if (r == -EBUSY) {
		pid_t pid = 0;
		uid_t uid;
		(void)seat_peer(w->other, &pid, &uid);
		watch_say(w, "guard_waiting",
		          "another guard (pid %d) holds the orders; this one looks on and takes "
		          "over when it goes",
		          (int)pid);
		return;
	}
	if (r)
		watch_say(w, "guard_problem",
		          "%s: commands cannot get leave, so that nothing is held", e.text);
	w->wanted = true;
}

static void leave_note(struct watch *w, const struct visitor *v, const char *what)
{
	struct entry *x = &w->entry;
	*x = (struct entry){.event = "leave", .blamed = true, .who = {.pid = v->pid}};
	unsigned missed;
	if (!rate_take(&w->told, boot_now(), &missed))
		return;
	x->missed = missed;
	snprintf(x->text, sizeof x->text, "%s", what);
	scout_point(&w->scout, &x->who);
	clerk_enter(w->clerk, x);
}

static void drop(struct watch *w, size_t i)
{
	struct visitor v = w->visitors[i];
	sys->close(v.fd);
	w->visitors[i] = w->visitors[--w->n_visitors];
	if (v.until)
		w->wanted = true; /* seats_hold takes back what was let go */
}

void seats_accept(struct watch *w)
{
	struct visitor v = {0};
	uid_t uid;
	v.fd = accept4(w->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (v.fd < 0)
		return;
	if (w->n_visitors == LEAVES_MAX || seat_peer(v.fd, &v.pid, &uid) < 0 ||
	    (uid != 0 && uid != geteuid())) {
		sys->close(v.fd);
		return;
	}
	w->visitors[w->n_visitors++] = v;
}

void seats_hear(struct watch *w, size_t i)
{
	struct visitor *v = &w->visitors[i];
	struct seat_msg m = {0};
	int r = seat_recv(v->fd, &m);
	if (r == -EAGAIN)
		return;
	if (r != 1 || m.word == SEAT_GRANTED) {
		drop(w, i);
		return;
	}
	if (m.word == SEAT_WAIT || v->until)
		return;
	own(w, false);
	v->until = boot_now() + SEAT_LEAVE_USEC;
	if (w->owns || seat_send(v->fd, SEAT_GRANTED) < 0)
		drop(w, i);
	else
		leave_note(w, v, "leave to change what is held was given");
}

void seats_tidy(struct watch *w)
{
	usec_t now = boot_now();
	for (size_t i = w->n_visitors; i-- > 0;)
		if (w->visitors[i].until && w->visitors[i].until <= now) {
			leave_note(w, &w->visitors[i], "leave has lasted for a minute: it is over");
			drop(w, i);
		}
}
