/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/account/find.h"

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "enforce/account/rewrite.h"
#include "kern/proc.h"

#define NSSWITCH_MAX (64u << 10)
#define LOGIND_MAX   (16u << 10)
#define USERS        "/run/systemd/users"
#define USERS_MAX    4096
#define LOCK         "!" /* no password hashes to that; what stands behind it comes back */
#define EXPIRED      "1" /* a day long ago: 0 is read as "never" by some tools */

static int add_name(struct account *a, const struct passwd_line *l, struct err *e)
{
	char home[PATHS_MAX];
	if (a->n == ACCOUNT_NAMES_MAX)
		return err_set(e, -E2BIG, "more than %d names have the uid %u", ACCOUNT_NAMES_MAX,
		               a->uid);
	struct account_name *x = &a->v[a->n];
	if (cursor_left(&l->field[PASSWD_NAME]) >= sizeof x->name)
		return err_set(e, -E2BIG,
		               "line %u of /etc/passwd has a name of more than %zu bytes",
		               l->number, sizeof x->name - 1);
	snprintf(x->name, sizeof x->name, "%.*s", (int)cursor_left(&l->field[PASSWD_NAME]),
	         (const char *)l->field[PASSWD_NAME].p);
	x->home[0] = '\0';
	if (l->n > PASSWD_HOME && cursor_left(&l->field[PASSWD_HOME]) < sizeof home) {
		snprintf(home, sizeof home, "%.*s", (int)cursor_left(&l->field[PASSWD_HOME]),
		         (const char *)l->field[PASSWD_HOME].p);
		if (home[0] == '/' && home[1])
			strcpy(x->home, home);
	}
	a->n++;
	return 0;
}

static int add_clones(struct account *a, const struct buf *passwd, struct err *e)
{
	struct passwd_reader r = passwd_reader_of(PASSWD_PASSWD, passwd->data, passwd->len);
	uint64_t uid;
	int x = 0;
	for (struct passwd_line l; x == 0 && passwd_next(&r, &l);)
		if (l.usable && passwd_number(&l, PASSWD_UID, &uid) && uid == a->uid &&
		    !(a->n && span_is(l.field[PASSWD_NAME], a->v[0].name)))
			x = add_name(a, &l, e);
	return x;
}

static int find_local(const struct buf *passwd, const char *asked, struct account *a, struct err *e)
{
	struct passwd_line l;
	uint64_t uid = 0;
	char *end;
	bool named = passwd_find(PASSWD_PASSWD, passwd->data, passwd->len, asked, &l);
	if (named) {
		passwd_number(&l, PASSWD_UID, &uid);
		int r = add_name(a, &l, e);
		if (r < 0)
			return r;
	} else {
		uid = strtoull(asked, &end, 10);
		if (end == asked || *end || uid >= UINT32_MAX)
			return -ENOENT;
	}
	a->uid = (uint32_t)uid;
	a->local = a->uid_known = true;
	int r = named && uid == 0 ? 0 : add_clones(a, passwd, e);
	return r < 0 ? r : a->n ? 0 : -ENOENT;
}

/* --- accounts of a directory --- */

/* Names the first source of accounts that is no file; false: there is none. */
static bool directory_of(int root, char *dst, size_t n)
{
	static const char *const files[] = {"files", "compat", "systemd", "db"};
	struct buf b = {0};
	bool found = false;
	if (path_read(root, "/etc/nsswitch.conf", NSSWITCH_MAX, &b, NULL) < 0)
		return false;
	struct lines all = lines_of(b.data, b.len);
	for (struct cursor line, word; lines_next(&all, &line);) {
		if (!span_starts(line = span_trim(line), "passwd:"))
			continue;
		line.p += strlen("passwd:");
		while (!found && span_word(&line, &word) && *word.p != '#') {
			found = *word.p != '[';
			for (size_t i = 0; i < ARRAY_SIZE(files); i++)
				found = found && !span_is(word, files[i]);
			if (found)
				span_copy(word, dst, n);
		}
	}
	buf_free(&b);
	return found;
}

struct user_search {
	int root;
	struct account *a;
};

static bool look_at_user(void *arg, int dir, const char *name)
{
	struct user_search *s = arg;
	char path[sizeof USERS + 32], *end;
	struct buf b = {0};
	unsigned long uid = strtoul(name, &end, 10);
	(void)dir;
	if (*end || uid >= UINT32_MAX || strlen(name) > 10)
		return true;
	snprintf(path, sizeof path, USERS "/%s", name);
	if (path_read(s->root, path, LOGIND_MAX, &b, NULL) < 0)
		return true;
	struct lines all = lines_of(b.data, b.len);
	for (struct cursor line; lines_next(&all, &line);)
		if (span_starts(line, "NAME=")) {
			line.p += strlen("NAME=");
			s->a->uid_known |= span_is(line, s->a->v[0].name);
		}
	buf_free(&b);
	if (s->a->uid_known)
		s->a->uid = (uint32_t)uid;
	return !s->a->uid_known;
}

static int find_elsewhere(int root, const char *asked, struct account *a, struct err *e)
{
	char source[64], clean[TARGET_NAME_MAX];
	proc_clean(asked, strlen(asked), clean, sizeof clean);
	if (!directory_of(root, source, sizeof source))
		return err_set(
		    e, -ENOENT,
		    "there is no account \"%.100s\" in /etc/passwd, and nsswitch.conf names "
		    "no directory that could have it",
		    clean);
	*a = (struct account){.n = 1};
	snprintf(a->v[0].name, sizeof a->v[0].name, "%s", asked);
	struct user_search s = {root, a};
	path_list(root, USERS, USERS_MAX, look_at_user, &s, NULL);
	return 0;
}

int account_find(int root, const char *asked, struct account *ret, struct err *e)
{
	struct buf passwd = {0};
	struct account *a = calloc(1, sizeof *a);
	if (!a)
		return err_set(e, -ENOMEM, "out of memory while looking for an account");
	int r = !*asked || strlen(asked) >= sizeof a->v[0].name || strpbrk(asked, ":\n/")
	            ? err_set(e, -EINVAL, "that is no name of an account")
	            : path_read(root, "/etc/passwd", REWRITE_MAX, &passwd, e);
	if (r == 0) {
		r = find_local(&passwd, asked, a, e);
		if (r == -ENOENT)
			r = find_elsewhere(root, asked, a, e);
	}
	if (r == 0)
		*ret = *a;
	buf_free(&passwd);
	free(a);
	return r;
}

/* --- locking and expiring --- */

struct text {
	char v[EDIT_VALUE_MAX];
};

static int text_of(struct cursor c, struct text *ret, struct err *e)
{
	if (cursor_left(&c) >= sizeof ret->v - 64 ||
	    (c.p < c.end && memchr(c.p, 0, cursor_left(&c))))
		return err_set(e, -EINVAL, "a line of passwd or shadow is too long or holds a NUL");
	memcpy(ret->v, c.p, cursor_left(&c));
	ret->v[cursor_left(&c)] = '\0';
	return 0;
}

/* Where there is no expiry date to set: a line that has one, in the place of the short one. */
static int edit_line(struct edits *s, const char *name, const char *was, const char *secret,
                     struct err *e)
{
	struct text now;
	int n = snprintf(now.v, sizeof now.v, "%s:%s%s::::::" EXPIRED ":", name,
	                 *secret == *LOCK ? "" : LOCK, secret);
	if (n < 0 || (size_t)n >= sizeof now.v)
		return err_set(e, -EINVAL, "the password of %s is too long", name);
	return edits_add(s, PASSWD_SHADOW, EDIT_LINE, name, was, now.v, e);
}

static int edit_whole(struct edits *s, const char *name, const struct passwd_line *l, struct err *e)
{
	struct text secret, expire, now;
	int r = text_of(l->field[PASSWD_SECRET], &secret, e);
	if (r == 0)
		r = text_of(l->field[SHADOW_EXPIRE], &expire, e);
	if (r == 0 && secret.v[0] != *LOCK) {
		snprintf(now.v, sizeof now.v, LOCK "%.*s", EDIT_VALUE_MAX - 8, secret.v);
		r = edits_add(s, PASSWD_SHADOW, PASSWD_SECRET, name, secret.v, now.v, e);
	}
	if (r == 0 && strcmp(expire.v, EXPIRED) != 0)
		r = edits_add(s, PASSWD_SHADOW, SHADOW_EXPIRE, name, expire.v, EXPIRED, e);
	return r;
}

static int edit_shadow(struct edits *s, const char *name, const struct buf *shadow,
                       const char *in_passwd, struct err *e)
{
	struct passwd_line l;
	struct text secret, whole;
	if (!passwd_find(PASSWD_SHADOW, shadow->data, shadow->len, name, &l))
		return edit_line(s, name, "", strcmp(in_passwd, "x") != 0 ? in_passwd : "", e);
	if (l.n > SHADOW_EXPIRE)
		return edit_whole(s, name, &l, e);
	int r = text_of(l.field[PASSWD_SECRET], &secret, e);
	if (r == 0)
		r = text_of((struct cursor){shadow->data + l.start, shadow->data + l.end}, &whole,
		            e);
	return r < 0 ? r : edit_line(s, name, whole.v, secret.v, e);
}

int account_edits(const struct account *a, const struct buf *passwd, const struct buf *shadow,
                  struct edits *ret, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && a->local && i < a->n; i++) {
		const char *name = a->v[i].name;
		struct passwd_line l;
		struct text secret;
		if (!passwd_find(PASSWD_PASSWD, passwd->data, passwd->len, name, &l))
			return err_set(e, -ESTALE, "%s has just left /etc/passwd; try again", name);
		r = text_of(l.field[PASSWD_SECRET], &secret, e);
		if (r == 0)
			r = edit_shadow(ret, name, shadow, secret.v, e);
		/* What stands in passwd itself has no expiry date, whatever shadow says. */
		if (r == 0 && strcmp(secret.v, "x") != 0)
			r = edits_add(ret, PASSWD_PASSWD, PASSWD_SECRET, name, secret.v, "x", e);
	}
	return r;
}
