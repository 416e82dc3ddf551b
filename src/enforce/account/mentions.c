/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/account/mentions.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/table.h"
#include "kern/proc.h"
#include "wire/crontab.h"
#include "wire/sudoers.h"
#include "wire/unit.h"

#define FILE_MAX  (1u << 20)
#define NAMES_MAX 8192
#define SHOWN_MAX 8

struct found {
	uint32_t line;
	bool others;
};

/* --- what a file says --- */

/* number: how a uid is written there, as "#%u"; NULL: it cannot be. */
static bool is_account(const struct account *a, const char *number, struct cursor word)
{
	char uid[16] = "";
	word = span_trim(word);
	if (number && a->uid_known)
		snprintf(uid, sizeof uid, "%s%u", number, a->uid);
	bool is = *uid && span_is(word, uid);
	for (size_t i = 0; !is && i < a->n; i++)
		is = span_is(word, a->v[i].name);
	return is;
}

static void note(struct found *f, bool names, uint32_t line)
{
	if (names && !f->line)
		f->line = line;
}

static void in_grant(const struct account *a, const struct sudoers_line *l, struct found *f)
{
	struct cursor list = l->who, one;
	while (span_until(&list, ',', &one)) {
		bool is = is_account(a, "#", one);
		note(f, is, l->number);
		f->others |= !is;
	}
}

/* "ADMINS = alice, bob", "Defaults:alice !authenticate" */
static void in_list(const struct account *a, const struct sudoers_line *l, struct found *f)
{
	const uint8_t *from = l->what.p;
	for (const uint8_t *p = from; p && p <= l->what.end; p++)
		if (p == l->what.end || byte_of(*p, ",:= \t")) {
			note(f, is_account(a, "#", (struct cursor){from, p}), l->number);
			from = p + 1;
		}
	f->others = true;
}

static void in_sudoers(const struct account *a, const void *bytes, size_t n, struct found *f)
{
	struct sudoers_reader r;
	sudoers_init(&r, bytes, n);
	for (struct sudoers_line l; sudoers_next(&r, &l);)
		if (l.kind == SUDOERS_GRANT)
			in_grant(a, &l, f);
		else
			in_list(a, &l, f);
	sudoers_free(&r);
}

static void in_cron(const struct account *a, const void *bytes, size_t n, struct found *f)
{
	struct crontab_reader r = crontab_reader_of(true, bytes, n);
	for (struct crontab_line l; crontab_next(&r, &l);)
		note(f, l.kind == CRONTAB_ENTRY && is_account(a, NULL, l.user), l.number);
	f->others = true;
}

static void in_unit(const struct account *a, const void *bytes, size_t n, struct found *f)
{
	struct unit_reader r;
	unit_init(&r, bytes, n);
	for (struct unit_line l; unit_next(&r, &l);)
		note(f, !l.bad && span_is(l.key, "User") && is_account(a, "", l.value), l.number);
	unit_free(&r);
	f->others = true;
}

static const struct {
	void (*read)(const struct account *a, const void *bytes, size_t n, struct found *f);
	const char *stays;
} kinds[] = {
    [MENTION_SUDOERS] = {in_sudoers, "sudo rights stay in %s: sudo refuses an account that has "
                                     "expired"},
    [MENTION_CRON] = {in_cron, "entries that run as it stay in %s: cron refuses an account that "
                               "has expired"},
    [MENTION_UNIT] = {in_unit, "units with User= of it stay and still run: %s; to end them: "
                               "stanch disable service NAME"},
};

bool mentions_in(enum mention_kind k, const struct account *a, const void *bytes, size_t n,
                 uint32_t *ret_line, bool *ret_only)
{
	struct found f = {0};
	kinds[k].read(a, bytes, n, &f);
	*ret_line = f.line;
	*ret_only = f.line && !f.others;
	return f.line != 0;
}

/* --- where files lie --- */

struct look {
	int root;
	const struct account *a;
	struct mentions *to;
	enum mention_kind kind;
	char dir[PATHS_MAX]; /* the folder at hand */
	bool within;         /* a folder of drop-ins */
};

static void look_in(struct look *l, const char *path)
{
	struct buf b = {0};
	struct mention x = {.kind = l->kind};
	int r = path_read(l->root, path, FILE_MAX, &b, NULL);
	if (r == 0 && mentions_in(l->kind, l->a, b.data, b.len, &x.line, &x.only)) {
		/* The main file is never moved, whatever it says. */
		x.only = x.only && strcmp(path, "/etc/sudoers") != 0;
		snprintf(x.path, sizeof x.path, "%s", path);
		if (l->to->n < MENTIONS_MAX)
			l->to->v[l->to->n++] = x;
		else
			l->to->more[l->kind]++;
	}
	l->to->unread += r < 0 && r != -ENOENT;
	buf_free(&b);
}

static bool look_at_name(void *arg, int dir, const char *name);

static void look_in_folder(struct look *l, const char *path)
{
	snprintf(l->dir, sizeof l->dir, "%s", path);
	l->to->unread += path_list(l->root, path, NAMES_MAX, look_at_name, l, NULL) < 0;
}

static bool look_at_name(void *arg, int dir, const char *name)
{
	struct look *l = arg;
	char path[PATHS_MAX], before[PATHS_MAX];
	struct stat st;
	size_t n = strlen(name);
	if ((size_t)snprintf(path, sizeof path, "%s/%s", l->dir, name) >= sizeof path ||
	    fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return true;
	/* sudo passes over such names: files of packages and editors that were put there. */
	if (l->kind == MENTION_SUDOERS && (strchr(name, '.') || name[n - 1] == '~'))
		return true;
	if (S_ISREG(st.st_mode)) {
		look_in(l, path);
	} else if (S_ISDIR(st.st_mode) && l->kind == MENTION_UNIT && !l->within && n > 2 &&
	           !strcmp(name + n - 2, ".d")) {
		strcpy(before, l->dir);
		l->within = true;
		look_in_folder(l, path);
		l->within = false;
		strcpy(l->dir, before);
	}
	return true;
}

int mentions_find(int root, const struct account *a, struct mentions *ret, struct err *e)
{
	static const struct {
		const char *path;
		enum mention_kind kind;
		bool folder;
	} where[] = {
	    {"/etc/sudoers", MENTION_SUDOERS, false},
	    {"/etc/sudoers.d", MENTION_SUDOERS, true},
	    {"/etc/crontab", MENTION_CRON, false},
	    {"/etc/cron.d", MENTION_CRON, true},
	    {"/etc/systemd/system", MENTION_UNIT, true},
	    {"/run/systemd/system", MENTION_UNIT, true},
	    {"/run/systemd/transient", MENTION_UNIT, true},
	    {"/usr/local/lib/systemd/system", MENTION_UNIT, true},
	    {"/usr/lib/systemd/system", MENTION_UNIT, true},
	};
	struct mentions m = {.v = calloc(MENTIONS_MAX, sizeof *m.v)};
	struct look l = {.root = root, .a = a, .to = &m};
	if (!m.v)
		return err_set(e, -ENOMEM, "out of memory for what names an account");
	for (size_t i = 0; i < ARRAY_SIZE(where); i++) {
		l.kind = where[i].kind;
		if (where[i].folder)
			look_in_folder(&l, where[i].path);
		else
			look_in(&l, where[i].path);
	}
	*ret = m;
	return 0;
}

void mentions_free(struct mentions *m)
{
	free(m->v);
	*m = (struct mentions){0};
}

void mentions_text(const struct mentions *m, enum mention_kind k, struct buf *out)
{
	struct buf list = BUF_INIT(SHOWN_MAX * (PATHS_MAX + 32));
	char clean[PATHS_MAX];
	size_t n = 0;
	for (size_t i = 0; i < m->n; i++) {
		const struct mention *x = &m->v[i];
		if (x->kind != k || x->only || n++ >= SHOWN_MAX)
			continue;
		proc_clean(x->path, strlen(x->path), clean, sizeof clean);
		buf_addf(&list, "%s%s (line %u)", n > 1 ? ", " : "", clean, x->line);
	}
	n += m->more[k];
	if (n > SHOWN_MAX)
		buf_addf(&list, " and %zu more", n - SHOWN_MAX);
	/* Not as a format: the sentence is cut around its list. */
	const char *at = strstr(kinds[k].stays, "%s");
	if (n)
		buf_addf(out, "%.*s%s%s", (int)(at - kinds[k].stays), kinds[k].stays,
		         buf_str(&list), at + 2);
	buf_free(&list);
}
