/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Logins, by wtmp, btmp and lastlog (auth.log: logins_auth.c). Root can write into each of them; so
 * they are held against each other, and against the order that time gives: what was taken out of
 * one often stays in another.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "triage/areas.h"
#include "triage/logins.h"
#include "wire/lines.h"
#include "wire/passwd.h"
#include "wire/utmp.h"

#define SOURCES_MAX 1024
#define MANY_FAILED 20                     /* of one address: somebody tries */
#define STEP_BACK   (600 * USEC_PER_SEC)   /* a clock that is set moves less */
#define AHEAD       (86400 * USEC_PER_SEC) /* a time to come */

const struct triage_rule login_rules[] = {
    {"log_zeroed", FINDING_LOGIN, 0.80, "T1070.002", "a crash while the record was written"},
    {"log_broken", FINDING_LOGIN, 0.60, "T1070.002", "a full disk, a copy that was cut"},
    {"log_disorder", FINDING_LOGIN, 0.55, "T1070.002", "a clock that was far off at boot"},
    {"log_off", FINDING_LOGIN, 0.75, "T1070.002", "an image that keeps no logs by design"},
    {"login_unrecorded", FINDING_LOGIN, 0.72, "T1070.002",
     "a display manager that writes lastlog only; a wtmp that was begun anew by hand; without a "
     "terminal: scp, git, ansible"},
    {"service_sudo", FINDING_LOGIN, 0.75, "T1548.003",
     "an administrator who became the service's account first; a build that asks for root"},
    {"root_from_outside", FINDING_LOGIN, 0.45, "T1078.003", "an administrator from elsewhere"},
    {"guessed_password", FINDING_LOGIN, 0.85, "T1110",
     "somebody who mistyped for a long while, or many behind one address"},
    {"guessing", FINDING_LOGIN, 0.30, "T1110", "the usual noise of the internet"},
    {0},
};

struct source {
	struct addr addr;
	unsigned failed;
	usec_t last;
	bool told;
};

struct logins {
	struct triage *t;
	struct source sources[SOURCES_MAX];
	size_t n;
	usec_t first;   /* of wtmp's records; 0: none */
	struct buf log; /* wtmp */
};

void logins_tell(struct triage *t, struct finding *f, const char *subject, const char *selector)
{
	snprintf(f->subject, sizeof f->subject, "%s", subject);
	snprintf(f->selector, sizeof f->selector, "%s", selector);
	triage_found(t, f);
}

void logins_tell_file(struct triage *t, const char *rule, const char *path, const char *what,
                      size_t n)
{
	struct finding f;
	char selector[80];
	triage_begin(t, rule, &f);
	snprintf(selector, sizeof selector, "path:%s", path);
	finding_reason(&f, "%s: %zu %s", path, n, what);
	logins_tell(t, &f, path, selector);
}

/* What holds of every such file: whole records, none wiped, in the order of time, none to come. */
static void look_at_shape(struct triage *t, const char *path, const struct buf *b)
{
	struct cursor c = cursor_of(b->data, b->len);
	size_t zero = 0, back = 0, ahead = 0;
	usec_t before = 0, now = wall_now();
	bool set = false;
	for (struct utmp_record r; utmp_next(&c, &r); before = r.time) {
		t->stats->looked++;
		set |= r.type == UTMP_NEW_TIME || r.type == UTMP_OLD_TIME || r.type == UTMP_BOOT;
		zero += r.zero;
		if (r.zero)
			r.time = before;
		back += !set && r.time + STEP_BACK < before;
		ahead += r.time > now + AHEAD;
		if (r.type == UTMP_USER)
			set = false;
	}
	if (zero)
		logins_tell_file(t, "log_zeroed", path, "records are nothing but zeroes", zero);
	if (b->len % UTMP_RECORD && b->len < LOG_MAX)
		logins_tell_file(t, "log_broken", path, "bytes at its end are no whole record",
		                 b->len % UTMP_RECORD);
	if (back)
		logins_tell_file(t, "log_disorder", path, "records are older than the one before",
		                 back);
	if (ahead)
		logins_tell_file(t, "log_disorder", path, "records are of a time to come", ahead);
}

bool logins_load(struct triage *t, const char *path, struct buf *b)
{
	struct stat st;
	int r = triage_stat(t, path, &st);
	if (r == 0 && S_ISLNK(st.st_mode)) {
		logins_tell_file(t, "log_off", path, "link stands in its place", 1);
		return false;
	}
	r = r == 0 ? triage_read(t, path, b) : r;
	if (r == -EFBIG)
		triage_unseen(t, "%s: only its first %u MB were read", path, LOG_MAX >> 20);
	else if (r < 0 && r != -ENOENT)
		triage_unseen(t, "%s: %s", path, strerror(-r));
	return r == 0 || r == -EFBIG;
}

static struct source *source_of(struct logins *l, const struct addr *a, bool make)
{
	for (size_t i = 0; i < l->n; i++)
		if (addr_equal(&l->sources[i].addr, a))
			return &l->sources[i];
	if (!make || l->n == SOURCES_MAX) {
		l->t->stats->limit |= make;
		return NULL;
	}
	l->sources[l->n].addr = *a;
	return &l->sources[l->n++];
}

static void look_at_failed(struct logins *l)
{
	struct buf b = BUF_INIT(LOG_MAX);
	if (logins_load(l->t, "/var/log/btmp", &b)) {
		look_at_shape(l->t, "/var/log/btmp", &b);
		struct cursor c = cursor_of(b.data, b.len);
		for (struct utmp_record r; utmp_next(&c, &r) && !triage_over(l->t);) {
			struct source *s = r.addr.family && r.time >= l->t->since
			                       ? source_of(l, &r.addr, true)
			                       : NULL;
			if (s) {
				s->failed++;
				s->last = r.time > s->last ? r.time : s->last;
			}
		}
	}
	buf_free(&b);
}

static void look_at_login(struct logins *l, const struct utmp_record *r)
{
	struct source *s = r->addr.family ? source_of(l, &r->addr, false) : NULL;
	char from[ADDR_STR_MAX], when[TIME_STR_MAX], subject[80], selector[80];
	struct finding f;
	if (!r->addr.family || r->time < l->t->since)
		return;
	snprintf(subject, sizeof subject, "%s from %s", r->user, addr_str(&r->addr, from));
	snprintf(selector, sizeof selector, "account:%s", r->user);
	if (s && s->failed >= MANY_FAILED && !s->told && r->time + AHEAD > s->last) {
		s->told = true;
		triage_begin(l->t, "guessed_password", &f);
		finding_reason(&f, "%u failed logins from %s, and %s came in from there at %s",
		               s->failed, from, r->user, time_str(r->time, when));
		if (strcmp(r->user, "root") != 0)
			finding_order(&f, "disable account %s", r->user);
		finding_order(&f, "block %s", from);
		logins_tell(l->t, &f, subject, selector);
	} else if (!strcmp(r->user, "root") && !addr_is_inside(&r->addr)) {
		triage_begin(l->t, "root_from_outside", &f);
		finding_reason(&f, "root came in from %s at %s", from, time_str(r->time, when));
		logins_tell(l->t, &f, subject, selector);
	}
}

static void look_at_logins(struct logins *l)
{
	struct cursor c = cursor_of(l->log.data, l->log.len);
	for (struct utmp_record r; utmp_next(&c, &r) && !triage_over(l->t);) {
		if (!l->first && !r.zero)
			l->first = r.time;
		if (r.type == UTMP_USER)
			look_at_login(l, &r);
	}
	for (size_t i = 0; i < l->n; i++) {
		struct finding f;
		char from[ADDR_STR_MAX], selector[80];
		if (l->sources[i].told || l->sources[i].failed < MANY_FAILED)
			continue;
		triage_begin(l->t, "guessing", &f);
		addr_str(&l->sources[i].addr, from);
		finding_reason(&f, "%u failed logins, and none that worked", l->sources[i].failed);
		snprintf(selector, sizeof selector, "%s", from);
		logins_tell(l->t, &f, from, selector);
	}
}

static bool in_wtmp(const struct logins *l, const char *user, usec_t time)
{
	struct cursor c = cursor_of(l->log.data, l->log.len);
	for (struct utmp_record r; utmp_next(&c, &r);)
		if (r.type == UTMP_USER && !strcmp(r.user, user) &&
		    r.time + 60 * USEC_PER_SEC >= time && r.time <= time + 60 * USEC_PER_SEC)
			return true;
	return false;
}

/* The last login of each account, which wtmp should have, too, if it reaches back so far. */
static void look_at_last(struct logins *l, int fd, const char *user, uint64_t uid)
{
	uint8_t raw[LASTLOG_RECORD];
	struct lastlog_record r;
	struct finding f;
	char when[TIME_STR_MAX], selector[80];
	if (sys->pread(fd, raw, sizeof raw, (off_t)(uid * LASTLOG_RECORD)) != sizeof raw)
		return;
	struct cursor c = cursor_of(raw, sizeof raw);
	l->t->stats->looked++;
	if (!lastlog_next(&c, &r) || !r.time || !l->first || r.time < l->first ||
	    r.time < l->t->since || in_wtmp(l, user, r.time))
		return;
	triage_begin(l->t, "login_unrecorded", &f);
	finding_reason(&f, "lastlog: %s on %s from %.60s; wtmp has no such login",
	               time_str(r.time, when), r.line, r.host);
	snprintf(selector, sizeof selector, "account:%s", user);
	if (strcmp(user, "root") != 0)
		finding_order(&f, "disable account %s", user);
	logins_tell(l->t, &f, user, selector);
}

static void look_at_lastlog(struct logins *l)
{
	_cleanup_close_ int fd = triage_open(l->t, "/var/log/lastlog", O_RDONLY);
	struct buf b = BUF_INIT(LOG_MAX);
	struct stat st;
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    triage_read(l->t, "/etc/passwd", &b) == 0) {
		struct passwd_reader r = passwd_reader_of(PASSWD_PASSWD, buf_str(&b), b.len);
		for (struct passwd_line p; passwd_next(&r, &p) && !triage_over(l->t);) {
			char user[UTMP_USER_MAX];
			uint64_t uid;
			if (p.usable && passwd_number(&p, PASSWD_UID, &uid))
				look_at_last(
				    l, fd, span_copy(p.field[PASSWD_NAME], user, sizeof user), uid);
		}
	}
	buf_free(&b);
}

int area_logins(struct triage *t, struct err *e)
{
	struct logins *l = calloc(1, sizeof *l);
	if (!l)
		return err_set(e, -ENOMEM, "no memory for the sources of logins");
	l->t = t;
	l->log = BUF_INIT(LOG_MAX);
	look_at_failed(l);
	if (logins_load(t, "/var/log/wtmp", &l->log)) {
		look_at_shape(t, "/var/log/wtmp", &l->log);
		look_at_logins(l);
		look_at_lastlog(l);
	}
	logins_auth(t, &l->log);
	triage_unseen(
	    t, "the journal, compressed logs, logind's sessions and su are not read: wtmp, btmp, "
	       "lastlog, and sshd and sudo in auth.log and auth.log.1 only");
	buf_free(&l->log);
	free(l);
	return 0;
}
