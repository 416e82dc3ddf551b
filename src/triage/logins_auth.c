/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * auth.log against wtmp. sshd writes a record of a login with a terminal only, and says that there
 * is one only at LogLevel VERBOSE; without that, a login that wtmp does not have is no more than a
 * note: scp, git and ansible leave the same. A stamp without a zone may be of any.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "triage/logins.h"
#include "triage/odd.h"
#include "wire/authlog.h"
#include "wire/passwd.h"
#include "wire/utmp.h"

#define ACCOUNTS_MAX 256
#define FIRST_UID    1000 /* of people */
#define MINUTE       (60 * USEC_PER_SEC)
#define ZONES        (15 * 60 * MINUTE) /* none is farther from UTC */
#define ZONE_STEP    (15 * MINUTE)      /* all are whole ones of these */
#define QUIET        (2 * 24 * 60 * MINUTE)
#define SEASON       (300 * 24 * 60 * MINUTE) /* a step so far back is a year that was guessed */

struct account {
	char user[UTMP_USER_MAX];
	bool service;
	unsigned accepted;
	unsigned plain;         /* logins that wtmp has not, with a terminal or without */
	unsigned shells, sure;  /* with a terminal; wtmp goes on after these */
	unsigned sudo, on_tty;  /* shells of root by sudo; from a terminal */
	unsigned commands;      /* others by sudo */
	usec_t when;            /* the last of shells, else of plain */
	char from[64], tty[32]; /* of that one */
};

struct auth {
	struct triage *t;
	const struct buf *wtmp;
	struct buf passwd;
	usec_t first, last;  /* of wtmp */
	usec_t before;       /* the entry before; 0: none */
	unsigned recorded;   /* logins with a terminal that wtmp has */
	unsigned back, lost; /* lines out of order; wtmp's logins while no line was written */
	struct account accounts[ACCOUNTS_MAX];
	size_t n;
};

static bool is_service(const struct auth *a, const char *user)
{
	struct passwd_reader r =
	    passwd_reader_of(PASSWD_PASSWD, (const char *)a->passwd.data, a->passwd.len);
	char name[UTMP_USER_MAX];
	uint64_t uid;
	for (struct passwd_line p; passwd_next(&r, &p);)
		if (p.usable && passwd_number(&p, PASSWD_UID, &uid) &&
		    !strcmp(span_copy(p.field[PASSWD_NAME], name, sizeof name), user))
			return uid && uid < FIRST_UID;
	return false;
}

static struct account *account_of(struct auth *a, struct cursor user)
{
	char name[UTMP_USER_MAX];
	span_copy(user, name, sizeof name);
	for (size_t i = 0; i < a->n; i++)
		if (!strcmp(a->accounts[i].user, name))
			return &a->accounts[i];
	if (a->n == ACCOUNTS_MAX) {
		a->t->stats->limit = true;
		return NULL;
	}
	struct account *new = &a->accounts[a->n++];
	memcpy(new->user, name, sizeof name);
	new->service = is_service(a, name);
	return new;
}

/* Of the same minute, or of it in another zone where the stamp names none. */
static bool same_time(usec_t a, const struct authlog_entry *e)
{
	usec_t apart = a > e->time ? a - e->time : e->time - a;
	if (e->zoned || apart > ZONES)
		return apart <= MINUTE;
	return (apart + MINUTE) % ZONE_STEP <= 2 * MINUTE;
}

static bool in_wtmp(const struct auth *a, const char *user, const struct authlog_entry *e)
{
	struct cursor c = cursor_of(a->wtmp->data, a->wtmp->len);
	for (struct utmp_record r; utmp_next(&c, &r);)
		if (r.type == UTMP_USER && !strcmp(r.user, user) && same_time(r.time, e))
			return true;
	return false;
}

static void look_at_login(struct auth *a, struct account *who, const struct authlog_entry *e)
{
	usec_t margin = e->zoned ? MINUTE : ZONES;
	bool terminal = e->kind == AUTHLOG_TERMINAL;
	who->accepted += !terminal;
	if (!a->first || e->time < a->first + margin)
		return;
	if (in_wtmp(a, who->user, e)) {
		a->recorded += terminal;
		return;
	}
	who->plain += !terminal;
	who->shells += terminal;
	who->sure += terminal && e->time + margin < a->last;
	if (!terminal && who->shells)
		return;
	who->when = e->time;
	span_copy(e->from, who->from, sizeof who->from);
	span_copy(e->tty, who->tty, sizeof who->tty);
}

static void look_at_sudo(struct account *who, const struct authlog_entry *e)
{
	char command[256];
	if (!who->service || !(span_is(e->target, "root") || !cursor_left(&e->target)))
		return;
	/* A shell that was given nothing to do. */
	span_copy(span_trim(e->command), command, sizeof command);
	bool shell = !strchr(command, ' ') && odd_is_shell(command);
	who->sudo += shell;
	who->on_tty += shell && cursor_left(&e->tty);
	who->commands += !shell;
}

/* wtmp's logins well within a time of which there is no line. */
static unsigned logins_between(const struct auth *a, usec_t from, usec_t to)
{
	struct cursor c = cursor_of(a->wtmp->data, a->wtmp->len);
	unsigned n = 0;
	for (struct utmp_record r; utmp_next(&c, &r);)
		n += r.type == UTMP_USER && r.time > from + ZONES && r.time + ZONES < to;
	return n;
}

static void look_at_order(struct auth *a, const struct authlog_entry *e)
{
	usec_t slack = e->zoned ? 10 * MINUTE : 120 * MINUTE; /* summer time ends */
	if (a->before && e->time > a->before + QUIET)
		a->lost += logins_between(a, a->before, e->time);
	a->back += e->time + slack < a->before && e->time + SEASON > a->before;
	a->before = e->time;
}

static void look_at_log(struct auth *a, const char *path)
{
	struct buf b = BUF_INIT(LOG_MAX);
	struct stat st;
	struct authlog_entry e;
	if (logins_load(a->t, path, &b) && triage_stat(a->t, path, &st) == 0) {
		struct fwlog_clock k = {.ref_nsec = (uint64_t)st.st_mtim.tv_sec * 1000000000};
		struct lines l = lines_of(b.data, b.len);
		if (b.len && memchr(b.data, 0, b.len))
			logins_tell_file(a->t, "log_broken", path, "place has zeroes for text", 1);
		a->back = a->lost = 0;
		while (!triage_over(a->t) && authlog_next(&l, &k, &e)) {
			a->t->stats->looked++;
			look_at_order(a, &e);
			struct account *who = e.kind != AUTHLOG_OTHER && e.time >= a->t->since
			                          ? account_of(a, e.user)
			                          : NULL;
			if (who && e.kind == AUTHLOG_SUDO)
				look_at_sudo(who, &e);
			else if (who)
				look_at_login(a, who, &e);
		}
		if (a->back)
			logins_tell_file(a->t, "log_disorder", path,
			                 "lines are older than the one before", a->back);
		if (a->lost)
			logins_tell_file(a->t, "log_disorder", path,
			                 "logins of wtmp are of days without a line", a->lost);
	}
	buf_free(&b);
}

static void tell_logins(struct auth *a, const struct account *who, const char *selector)
{
	char when[TIME_STR_MAX];
	struct finding f;
	if (!who->shells && !who->plain)
		return;
	triage_begin(a->t, "login_unrecorded", &f);
	if (!who->shells)
		f.score = 0.30;
	else if (!who->sure || !a->recorded)
		f.score = 0.50;
	if (who->shells)
		finding_reason(
		    &f,
		    "auth.log: %u with a terminal, the last on %s from %s at %s; wtmp has "
		    "no such login",
		    who->shells, who->tty, who->from, time_str(who->when, when));
	else
		finding_reason(&f,
		               "auth.log: %u, the last from %s at %s; wtmp has none, nor need it "
		               "without a terminal",
		               who->plain, who->from, time_str(who->when, when));
	if (who->shells && strcmp(who->user, "root") != 0)
		finding_order(&f, "disable account %s", who->user);
	logins_tell(a->t, &f, who->user, selector);
}

static void tell_sudo(struct auth *a, const struct account *who, const char *selector)
{
	struct finding f;
	if (!who->sudo && !who->commands)
		return;
	triage_begin(a->t, "service_sudo", &f);
	if (!who->sudo)
		f.score = 0.30;
	else if (!who->on_tty || who->accepted)
		f.score = 0.50;
	finding_reason(&f,
	               "auth.log: sudo gave a service's account %u shells of root (%u from a "
	               "terminal), %u other commands",
	               who->sudo, who->on_tty, who->commands);
	if (who->sudo)
		finding_order(&f, "disable account %s", who->user);
	logins_tell(a->t, &f, who->user, selector);
}

void logins_auth(struct triage *t, const struct buf *wtmp)
{
	struct auth *a = calloc(1, sizeof *a);
	struct cursor c = cursor_of(wtmp->data, wtmp->len);
	if (!a) {
		triage_unseen(t, "auth.log: no memory for its accounts");
		return;
	}
	a->t = t;
	a->wtmp = wtmp;
	a->passwd = BUF_INIT(LOG_MAX);
	triage_read(t, "/etc/passwd", &a->passwd);
	for (struct utmp_record r; utmp_next(&c, &r);) {
		a->first = a->first ? a->first : r.time;
		a->last = r.time > a->last ? r.time : a->last;
	}
	look_at_log(a, "/var/log/auth.log.1");
	look_at_log(a, "/var/log/auth.log");
	for (size_t i = 0; i < a->n; i++) {
		char selector[80];
		snprintf(selector, sizeof selector, "account:%s", a->accounts[i].user);
		tell_logins(a, &a->accounts[i], selector);
		tell_sudo(a, &a->accounts[i], selector);
	}
	buf_free(&a->passwd);
	free(a);
}
