/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Accounts: who may come in, and as whom. From the files alone, no NSS: names of a directory are
 * not seen. What packages and administrators do (a key, a member of sudo) is noted; what only an
 * intruder has reason for is one to act on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "triage/areas.h"
#include "wire/authkeys.h"
#include "wire/passwd.h"
#include "wire/signs.h"
#include "wire/sudoers.h"

#define FILE_MAX      (4u << 20)
#define FIRST_UID     1000 /* of people: Debian's adduser.conf, login.defs */
#define SECONDS_A_DAY 86400
#define NAME_ROOM     64

const struct triage_rule account_rules[] = {
    {"uid0_clone", FINDING_ACCOUNT, 0.90, "T1136.001",
     "an appliance with a second root (toor) by design"},
    {"uid_shared", FINDING_ACCOUNT, 0.70, "T1136.001", "two names for one person, on purpose"},
    {"system_login", FINDING_ACCOUNT, 0.80, "T1078.003",
     "a service whose people log in as it (databases, build runners)"},
    {"password_empty", FINDING_ACCOUNT, 0.80, "T1078.003",
     "a kiosk or an image that nobody has finished"},
    {"password_here", FINDING_ACCOUNT, 0.72, "T1098", "a host that never had shadow passwords"},
    {"password_changed", FINDING_ACCOUNT, 0.50, "T1098", "its owner changed it"},
    {"account_line", FINDING_ACCOUNT, 0.72, "T1136.001", "a slip of somebody's editor; NIS"},
    {"root_group", FINDING_ACCOUNT, 0.72, "T1136.001", "an old system's operator accounts"},
    {"strong_member", FINDING_ACCOUNT, 0.30, "T1098.007", "an administrator"},
    {"sudo_grant", FINDING_ACCOUNT, 0.50, "T1548.003",
     "an administrator, cloud-init, a deployment tool"},
    {"authorized_key", FINDING_ACCOUNT, 0.30, "T1098.004", "its owner's key"},
    {0},
};

static usec_t ctime_of(const struct stat *st)
{
	return (usec_t)st->st_ctim.tv_sec * USEC_PER_SEC + (usec_t)st->st_ctim.tv_nsec / 1000;
}

struct accounts {
	struct triage *t;
	struct buf passwd, shadow, group;
};

/* A file of the host; what cannot be read is told, but not that it is absent. */
static bool load(struct triage *t, const char *path, struct buf *b)
{
	int r = triage_read(t, path, b);
	if (r < 0 && r != -ENOENT)
		triage_unseen(t, "%s: %s", path, strerror(-r));
	t->stats->looked += r >= 0;
	return r >= 0;
}

static void tell(struct accounts *a, struct finding *f, struct cursor name, bool order)
{
	char text[NAME_ROOM];
	span_copy(name, text, sizeof text);
	snprintf(f->subject, sizeof f->subject, "account %s", text);
	snprintf(f->selector, sizeof f->selector, "account:%s", text);
	if (order && f->score >= FINDING_SCORE_LOOK && strcmp(text, "root") != 0)
		finding_order(f, "disable account %s", text);
	triage_found(a->t, f);
}

static bool works(struct cursor shell)
{
	static const char *const closed[] = {"/nologin", "/false",     "/sync", "/shutdown",
	                                     "/halt",    "/git-shell", "/true", "/rbash.disabled"};
	if (shell.p == shell.end)
		return true; /* glibc's default is /bin/sh */
	for (size_t i = 0; i < ARRAY_SIZE(closed); i++)
		if (span_ends(shell, closed[i]))
			return false;
	return true;
}

/* Accounts that Debian makes and that nobody logs in as. */
static bool never_logs_in(struct cursor name)
{
	static const char *const names[] = {
	    "daemon", "bin",    "sys",   "games",    "man",        "lp",   "mail",
	    "news",   "uucp",   "proxy", "www-data", "backup",     "list", "irc",
	    "gnats",  "nobody", "_apt",  "sshd",     "messagebus", "ntp",  "syslog",
	    "tss",    "uuidd",  "nginx", "apache",   "polkitd",    "bind", "dnsmasq"};
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (span_is(name, names[i]))
			return true;
	return span_starts(name, "systemd-");
}

static bool secret_of(const struct accounts *a, const char *name, struct passwd_line *ret)
{
	return passwd_find(PASSWD_SHADOW, buf_str(&a->shadow), a->shadow.len, name, ret);
}

/* What a line and its shadow line say. */
struct entry {
	struct cursor who;
	enum passwd_secret own, secret; /* in passwd itself; after shadow was asked */
	bool shell, system;
	uint64_t uid;
	uint64_t changed; /* day; 0: not known */
	uint32_t number;
};

static struct entry entry_of(const struct accounts *a, const struct passwd_line *l, uint64_t uid)
{
	char name[NAME_ROOM];
	struct passwd_line s;
	struct entry e = {.who = l->field[PASSWD_NAME], .uid = uid, .number = l->number};
	span_copy(e.who, name, sizeof name);
	e.own = e.secret = passwd_secret_of(l->field[PASSWD_SECRET]);
	e.shell = l->n <= PASSWD_SHELL || works(l->field[PASSWD_SHELL]);
	e.system = uid > 0 && (uid < FIRST_UID || uid == 65534);
	if (e.own == PASSWD_SECRET_SHADOW && secret_of(a, name, &s)) {
		e.secret = passwd_secret_of(s.field[PASSWD_SECRET]);
		passwd_number(&s, SHADOW_CHANGED, &e.changed);
	}
	return e;
}

static void look_at_service(struct accounts *a, const struct entry *e)
{
	bool password = e->secret == PASSWD_SECRET_SET;
	struct finding f;
	if (!e->system || !(password || e->shell))
		return;
	triage_begin(a->t, "system_login", &f);
	if (!password && !never_logs_in(e->who))
		f.score = 0.30;
	finding_reason(&f, "uid %ju is a service's; it has %s%s%s", (uintmax_t)e->uid,
	               password ? "a password" : "", password && e->shell ? " and " : "",
	               e->shell ? "a shell that works" : "");
	tell(a, &f, e->who, true);
}

static void look_at_secret(struct accounts *a, const struct passwd_line *l, uint64_t uid)
{
	struct entry e = entry_of(a, l, uid);
	usec_t since_day = a->t->since / USEC_PER_SEC / SECONDS_A_DAY;
	struct finding f;
	look_at_service(a, &e);
	if (e.own == PASSWD_SECRET_SET) {
		triage_begin(a->t, "password_here", &f);
		finding_reason(&f, "/etc/passwd line %u holds a password hash itself", e.number);
		tell(a, &f, e.who, true);
	}
	if (e.secret == PASSWD_SECRET_NONE) {
		triage_begin(a->t, "password_empty", &f);
		finding_reason(&f, "it has no password, and nobody is asked for one");
		f.score = e.shell ? f.score : 0.45;
		tell(a, &f, e.who, true);
	}
	if (a->t->since && e.changed >= since_day && e.secret == PASSWD_SECRET_SET) {
		triage_begin(a->t, "password_changed", &f);
		finding_reason(&f, "its password was changed on day %ju, not before --since",
		               (uintmax_t)e.changed);
		tell(a, &f, e.who, true);
	}
}

static void look_at_ids(struct accounts *a, const struct passwd_line *l, uint64_t uid)
{
	struct passwd_reader r =
	    passwd_reader_of(PASSWD_PASSWD, buf_str(&a->passwd), a->passwd.len);
	struct cursor who = l->field[PASSWD_NAME];
	struct finding f;
	uint64_t other;
	if (uid == 0 && !span_is(who, "root")) {
		triage_begin(a->t, "uid0_clone", &f);
		finding_reason(&f, "/etc/passwd line %u: uid 0, and its name is not root",
		               l->number);
		tell(a, &f, who, true);
		return;
	}
	if (passwd_number(l, PASSWD_GID, &other) && other == 0 && uid != 0) {
		triage_begin(a->t, "root_group", &f);
		finding_reason(&f, "its group is 0, root's");
		tell(a, &f, who, true);
	}
	for (struct passwd_line m; passwd_next(&r, &m) && m.number < l->number;)
		if (m.usable && passwd_number(&m, PASSWD_UID, &other) && other == uid && uid != 0) {
			triage_begin(a->t, "uid_shared", &f);
			finding_reason(
			    &f, "uid %ju is line %u's, too: locking one name leaves the other",
			    (uintmax_t)uid, m.number);
			if (a->t->since || uid < FIRST_UID)
				f.score = 0.75;
			tell(a, &f, who, true);
			return;
		}
}

/* --- keys --- */

static void look_at_key(struct accounts *a, const struct authkeys_line *k, const char *path,
                        const struct stat *st, struct cursor who, bool system)
{
	char print[AUTHKEYS_FINGERPRINT_MAX] = "?", comment[40];
	struct cursor options = k->options, name, value;
	struct finding f;
	usec_t changed = ctime_of(st);
	char when[TIME_STR_MAX];
	triage_begin(a->t, "authorized_key", &f);
	authkeys_fingerprint(k->blob, print);
	finding_reason(&f, "%s line %u: %s %s", path, k->number, print,
	               span_copy(k->comment, comment, sizeof comment));
	finding_reason(&f, "the file was changed %s", time_str(changed, when));
	if (system) {
		finding_reason(&f, "nobody logs in as this service's account by key");
		f.score = 0.78;
	}
	if (a->t->since && changed >= a->t->since) {
		finding_reason(&f, "that is not before --since");
		f.score = 0.75;
	}
	if (strstr(path, "keys2") || st->st_mode & (S_IWGRP | S_IWOTH)) {
		finding_reason(&f, "%s",
		               strstr(path, "keys2") ? "the second name for such a file, "
		                                       "which hardly anybody uses"
		                                     : "others may write it");
		f.score = f.score > 0.72 ? f.score : 0.72;
	}
	while (authkeys_option(&options, &name, &value)) {
		struct signs s = {0};
		signs_look(SIGNS_SHELL, value.p, cursor_left(&value), &s);
		if (s.weight > f.score) {
			finding_reason(&f, "its command: %.120s", s.line);
			f.score = s.weight;
		}
	}
	tell(a, &f, who, true);
}

static void look_at_keys(struct accounts *a, const struct passwd_line *l, uint64_t uid)
{
	static const char *const names[] = {".ssh/authorized_keys", ".ssh/authorized_keys2"};
	char home[256], path[320];
	if (l->n <= PASSWD_HOME || cursor_left(&l->field[PASSWD_HOME]) >= sizeof home - 1)
		return;
	span_copy(l->field[PASSWD_HOME], home, sizeof home);
	for (size_t i = 0; i < ARRAY_SIZE(names) && home[0] == '/' && !triage_over(a->t); i++) {
		struct buf b = BUF_INIT(FILE_MAX);
		struct stat st;
		struct authkeys_line k;
		snprintf(path, sizeof path, "%s/%s", strcmp(home, "/") ? home : "", names[i]);
		if (triage_stat(a->t, path, &st) == 0 && load(a->t, path, &b)) {
			struct lines lines = lines_of(buf_str(&b), b.len);
			while (authkeys_next(&lines, &k))
				if (!k.bad)
					look_at_key(a, &k, path, &st, l->field[PASSWD_NAME],
					            uid > 0 && uid < FIRST_UID &&
					                !span_is(l->field[PASSWD_NAME], "git"));
		}
		buf_free(&b);
	}
}

static void look_at_passwd(struct accounts *a)
{
	struct passwd_reader r =
	    passwd_reader_of(PASSWD_PASSWD, buf_str(&a->passwd), a->passwd.len);
	for (struct passwd_line l; passwd_next(&r, &l) && !triage_over(a->t);) {
		uint64_t uid;
		struct finding f;
		a->t->stats->looked++;
		if (l.n && l.odd && l.usable) {
			triage_begin(a->t, "account_line", &f);
			finding_reason(&f, "/etc/passwd line %u: %s", l.number, l.odd);
			tell(a, &f, l.field[PASSWD_NAME], false);
		} else if (l.n && l.odd) {
			triage_begin(a->t, "account_line", &f);
			f.score = l.compat ? 0.50 : 0.35;
			finding_reason(&f, "/etc/passwd line %u: %s", l.number, l.odd);
			tell(a, &f, l.field[PASSWD_NAME], false);
		}
		if (!l.usable || !passwd_number(&l, PASSWD_UID, &uid))
			continue;
		look_at_ids(a, &l, uid);
		look_at_secret(a, &l, uid);
		look_at_keys(a, &l, uid);
	}
}

/* --- groups --- */

/* How much a name among a strong group's members says: a service's account has no place there. */
static bool service_name(const struct accounts *a, struct cursor who)
{
	char name[NAME_ROOM];
	struct passwd_line l;
	uint64_t uid;
	span_copy(who, name, sizeof name);
	return never_logs_in(who) ||
	       (passwd_find(PASSWD_PASSWD, buf_str(&a->passwd), a->passwd.len, name, &l) &&
	        passwd_number(&l, PASSWD_UID, &uid) && uid > 0 && uid < FIRST_UID);
}

static void look_at_group(struct accounts *a, const struct passwd_line *l)
{
	static const struct {
		const char *name;
		double service; /* score of a service's account in it */
	} strong[] = {{"root", 0.75},   {"sudo", 0.80}, {"wheel", 0.80},   {"admin", 0.80},
	              {"docker", 0.40}, {"lxd", 0.60},  {"incus", 0.60},   {"disk", 0.72},
	              {"shadow", 0.72}, {"kvm", 0.30},  {"libvirt", 0.40}, {"kmem", 0.72}};
	struct cursor list = l->n > GROUP_MEMBERS ? l->field[GROUP_MEMBERS] : (struct cursor){0},
	              one;
	struct finding f;
	uint64_t gid;
	char group[NAME_ROOM];
	span_copy(l->field[PASSWD_NAME], group, sizeof group);
	if (passwd_number(l, GROUP_GID, &gid) && gid == 0 && strcmp(group, "root") != 0) {
		triage_begin(a->t, "root_group", &f);
		finding_reason(&f, "/etc/group line %u: group %s has root's number 0", l->number,
		               group);
		tell(a, &f, l->field[PASSWD_NAME], false);
	}
	for (size_t i = 0; i < ARRAY_SIZE(strong); i++) {
		if (strcmp(group, strong[i].name) != 0)
			continue;
		while (span_until(&list, ',', &one)) {
			one = span_trim(one);
			if (one.p == one.end || span_is(one, "root"))
				continue;
			triage_begin(a->t, "strong_member", &f);
			finding_reason(&f, "a member of %s, which amounts to root", group);
			if (service_name(a, one))
				f.score = strong[i].service;
			tell(a, &f, one, true);
		}
	}
}

static void look_at_groups(struct accounts *a)
{
	struct passwd_reader r = passwd_reader_of(PASSWD_GROUP, buf_str(&a->group), a->group.len);
	for (struct passwd_line l; passwd_next(&r, &l) && !triage_over(a->t);)
		if (l.usable)
			look_at_group(a, &l);
}

/* --- sudoers --- */

static bool stock_group(struct cursor who)
{
	return span_is(who, "%sudo") || span_is(who, "%admin") || span_is(who, "%wheel");
}

/* Programs that give a shell to who may run them as root. */
static bool escapes(struct cursor what)
{
	static const char *const programs[] = {
	    "awk",    "bash", "busybox", "dash",  "ed",     "emacs",  "env",     "expect", "find",
	    "ftp",    "gdb",  "git",     "less",  "lua",    "man",    "mawk",    "more",   "nano",
	    "nmap",   "node", "perl",    "php",   "pico",   "python", "python3", "ruby",   "rvim",
	    "screen", "sed",  "sh",      "socat", "strace", "tar",    "tclsh",   "tmux",   "vi",
	    "view",   "vim",  "watch",   "xargs", "zip",    "zsh"};
	struct cursor word;
	while (span_word(&what, &word)) {
		while (word.p < word.end && byte_of(word.end[-1], ",:"))
			word.end--;
		const uint8_t *slash =
		    word.p < word.end ? memrchr(word.p, '/', cursor_left(&word)) : NULL;
		for (size_t i = 0; slash && i < ARRAY_SIZE(programs); i++)
			if (span_is((struct cursor){slash + 1, word.end}, programs[i]))
				return true;
	}
	return false;
}

/* Whatever root may do, in the end. */
static bool as_good_as_root(const struct sudoers_line *l)
{
	return l->all || (l->no_password && escapes(l->what));
}

static double grant_score(const struct accounts *a, const struct sudoers_line *l)
{
	if (l->kind != SUDOERS_GRANT)
		return l->kind == SUDOERS_DEFAULTS && span_has(l->what, "!authenticate") ? 0.75 : 0;
	if (span_is(l->who, "root"))
		return 0;
	bool as_root = as_good_as_root(l);
	if (span_is(l->who, "ALL") || span_is(l->who, "%ALL"))
		return as_root ? 0.90 : 0.35;
	if (as_root && service_name(a, l->who))
		return l->no_password ? 0.85 : 0.75;
	if (as_root && l->no_password)
		return 0.50;
	return stock_group(l->who) ? 0 : 0.30;
}

static void look_at_sudoers(struct accounts *a, const char *path)
{
	struct buf b = BUF_INIT(FILE_MAX);
	struct sudoers_reader r;
	struct stat st;
	if (triage_stat(a->t, path, &st) == 0 && load(a->t, path, &b)) {
		sudoers_init(&r, buf_str(&b), b.len);
		for (struct sudoers_line l; sudoers_next(&r, &l);) {
			double score = grant_score(a, &l);
			struct finding f;
			char text[100];
			if (score <= 0)
				continue;
			triage_begin(a->t, "sudo_grant", &f);
			f.score = score;
			finding_reason(&f, "%s line %u: %s", path, l.number,
			               span_copy(l.what, text, sizeof text));
			if (a->t->since && ctime_of(&st) >= a->t->since && score >= 0.5) {
				f.score = score > 0.75 ? score : 0.75;
				finding_reason(&f, "the file was changed not before --since");
			}
			tell(a, &f, l.who, true);
		}
		sudoers_free(&r);
	}
	buf_free(&b);
}

static bool sudoers_name(void *arg, int dir, const char *name, unsigned char type)
{
	char path[320];
	(void)dir;
	(void)type;
	/* sudo passes over names with a dot or a tilde at the end. */
	if (!strchr(name, '.') && name[strlen(name) - 1] != '~' &&
	    snprintf(path, sizeof path, "/etc/sudoers.d/%s", name) < (int)sizeof path)
		look_at_sudoers(arg, path);
	return true;
}

int area_accounts(struct triage *t, struct err *e)
{
	struct accounts a = {.t = t,
	                     .passwd = BUF_INIT(FILE_MAX),
	                     .shadow = BUF_INIT(FILE_MAX),
	                     .group = BUF_INIT(FILE_MAX)};
	bool have = load(t, "/etc/passwd", &a.passwd);
	if (have) {
		load(t, "/etc/shadow", &a.shadow);
		load(t, "/etc/group", &a.group);
		look_at_passwd(&a);
		look_at_groups(&a);
		look_at_sudoers(&a, "/etc/sudoers");
		int r = triage_list(t, "/etc/sudoers.d", sudoers_name, &a);
		if (r < 0 && r != -ENOENT)
			triage_unseen(t, "/etc/sudoers.d: %s", strerror(-r));
	}
	buf_free(&a.passwd);
	buf_free(&a.shadow);
	buf_free(&a.group);
	return have ? 0 : err_set(e, -ENOENT, "/etc/passwd cannot be read");
}
