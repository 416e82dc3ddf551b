/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What of an account starts programs or lets somebody in: found, moved aside, moved back. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/table.h"
#include "enforce/account/parts.h"
#include "enforce/account/rewrite.h"
#include "wire/sshd_conf.h"

#define ASIDE      ".stanch-aside" /* in the outermost folder of the mount; root's alone */
#define DEPTH_MAX  3
#define NAMES_MAX  4096
#define CONFIG_MAX (256u << 10)

struct search {
	int root;
	const struct account *a;
	const char *token;
	struct places *to;
	const char *what;
	char dir[PATHS_MAX]; /* the folder at hand */
	unsigned depth;
	int code;
	struct err *e;
};

/* --- what a file is --- */

static int read_facts(int root, struct place *x)
{
	struct stat st;
	const char *name;
	uint8_t sum[SHA256_LEN];
	struct file_image f = {0};
	_cleanup_close_ int dir = path_parent(root, x->path, &name);
	if (dir < 0 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -ENOENT;
	x->uid = st.st_uid;
	x->gid = st.st_gid;
	x->mode = st.st_mode & 07777;
	if (S_ISREG(st.st_mode) && file_read(dir, name, REWRITE_MAX, &f, NULL) == 0 &&
	    sha256_of(f.bytes.data, f.bytes.len, sum) == 0)
		hex_encode(sum, sizeof sum, x->sha256);
	file_image_free(&f);
	return 0;
}

static bool known(const struct places *p, const char *path)
{
	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->v[i].path, path))
			return true;
	return false;
}

/* The next place: where it goes, and its facts. One that has gone meanwhile is nothing. */
static int take(struct search *s, const char *real, const char *top, struct err *e)
{
	struct place *x = &s->to->v[s->to->n];
	if ((size_t)snprintf(x->to, sizeof x->to, "%s/" ASIDE "/%.12s.%zu", top, s->token,
	                     s->to->n) >= sizeof x->to)
		return err_set(e, -ENAMETOOLONG, "%.200s: the path is too long", real);
	strcpy(x->path, real);
	snprintf(x->what, sizeof x->what, "%s", s->what);
	int r = read_facts(s->root, x);
	s->to->n += r == 0;
	return r == -ENOENT ? 0 : r;
}

/* Absent is nothing; everything else that goes wrong ends the search. */
static void add(struct search *s, const char *path)
{
	char top[PATHS_MAX], real[PATHS_MAX];
	struct err why = {0};
	if (s->code < 0)
		return;
	int r = path_resolve(s->root, path, real, &why);
	if (r == -ENOENT || (r == 0 && known(s->to, real)))
		return;
	if (r == 0 && s->to->n == PLACES_MAX)
		r = err_set(&why, -E2BIG, "more than %d files of the account would have to go",
		            PLACES_MAX);
	if (r == 0)
		r = path_mount_top(s->root, real, top, &why);
	if (r == 0)
		r = take(s, real, top, &why);
	if (r < 0)
		s->code = err_set(s->e, r, "%s", why.code ? why.text : strerror(-r));
}

static void add_in(struct search *s, const char *dir, const char *name)
{
	char path[PATHS_MAX];
	if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) < sizeof path)
		add(s, path);
}

/* --- folders --- */

static void add_tree(struct search *s, const char *path);

static bool look_in_tree(void *arg, int dir, const char *name)
{
	struct search *s = arg;
	char path[PATHS_MAX], before[PATHS_MAX];
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    (size_t)snprintf(path, sizeof path, "%s/%s", s->dir, name) >= sizeof path)
		return true;
	strcpy(before, s->dir);
	if (S_ISDIR(st.st_mode) && s->depth < DEPTH_MAX)
		add_tree(s, path);
	else if (!S_ISDIR(st.st_mode))
		add(s, path);
	strcpy(s->dir, before);
	return s->code == 0;
}

static void add_tree(struct search *s, const char *path)
{
	snprintf(s->dir, sizeof s->dir, "%s", path);
	s->depth++;
	int r = path_list(s->root, path, NAMES_MAX, look_in_tree, s, s->e);
	s->depth--;
	if (r < 0 && s->code == 0)
		s->code = r;
}

static bool look_at_job(void *arg, int dir, const char *name)
{
	struct search *s = arg;
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	    st.st_uid == s->a->uid)
		add_in(s, s->dir, name);
	return s->code == 0;
}

static void add_jobs(struct search *s)
{
	static const char *const dirs[] = {"/var/spool/cron/atjobs", "/var/spool/at"};
	s->what = "at job";
	for (size_t i = 0; s->code == 0 && i < ARRAY_SIZE(dirs); i++) {
		snprintf(s->dir, sizeof s->dir, "%s", dirs[i]);
		int r = path_list(s->root, dirs[i], NAMES_MAX, look_at_job, s, s->e);
		s->code = s->code < 0 ? s->code : r;
	}
}

/* --- keys --- */

/* "%h/.ssh/keys", "/etc/ssh/keys/%u", ".ssh/keys" of one name; false: it is not the account's. */
static bool key_path(const char *pattern, const struct account_name *n, char dst[static PATHS_MAX])
{
	size_t len = 0;
	bool own = *pattern != '/';
	if (own && *pattern != '%')
		len = (size_t)snprintf(dst, PATHS_MAX, "%s/", n->home);
	for (const char *p = pattern; *p && len < PATHS_MAX - 1; p++) {
		const char *put = *p != '%'     ? NULL
		                  : p[1] == 'h' ? n->home
		                  : p[1] == 'u' ? n->name
		                                : "%";
		if (!put) {
			dst[len++] = *p;
			continue;
		}
		own |= p[1] == 'h' || p[1] == 'u';
		len += (size_t)snprintf(dst + len, PATHS_MAX - len, "%s", put);
		p += p[1] != '\0';
	}
	if (len >= PATHS_MAX - 1)
		return false;
	dst[len] = '\0';
	return own && (n->home[0] || *pattern == '/');
}

static void add_pattern(struct search *s, const char *pattern)
{
	char path[PATHS_MAX];
	s->what = "keys";
	for (size_t i = 0; i < s->a->n; i++)
		if (key_path(pattern, &s->a->v[i], path))
			add(s, path);
}

static void read_sshd(struct search *s, const char *path)
{
	struct buf b = {0};
	char arg[PATHS_MAX];
	if (path_read(s->root, path, CONFIG_MAX, &b, NULL) < 0)
		return;
	struct sshd_reader r = sshd_reader_of(b.data, b.len);
	for (struct sshd_line l; sshd_next(&r, &l);)
		if (sshd_is(&l, "AuthorizedKeysFile"))
			while (sshd_arg(&l, arg, sizeof arg))
				if (strcmp(arg, "none") != 0)
					add_pattern(s, arg);
	buf_free(&b);
}

static bool look_at_config(void *arg, int dir, const char *name)
{
	struct search *s = arg;
	char path[PATHS_MAX];
	size_t n = strlen(name);
	(void)dir;
	if (n > 5 && !strcmp(name + n - 5, ".conf") &&
	    (size_t)snprintf(path, sizeof path, "/etc/ssh/sshd_config.d/%s", name) < sizeof path)
		read_sshd(s, path);
	return s->code == 0;
}

/* --- all of it --- */

static void add_of_name(struct search *s, const struct account_name *n)
{
	static const struct {
		const char *dir, *what;
	} spools[] = {
	    {"/var/spool/cron/crontabs", "crontab"},
	    {"/var/spool/cron", "crontab"},
	    {"/var/lib/systemd/linger", "linger"},
	};
	static const char *const units[] = {".config/systemd/user", ".local/share/systemd/user"};
	char path[PATHS_MAX];
	for (size_t i = 0; i < ARRAY_SIZE(spools); i++) {
		s->what = spools[i].what;
		add_in(s, spools[i].dir, n->name);
	}
	s->what = "user unit";
	for (size_t i = 0; n->home[0] && i < ARRAY_SIZE(units); i++)
		if ((size_t)snprintf(path, sizeof path, "%s/%s", n->home, units[i]) < sizeof path)
			add_tree(s, path);
}

static void add_rights(struct search *s, const struct mentions *m)
{
	s->what = "sudo rights";
	for (size_t i = 0; i < m->n; i++)
		if (m->v[i].only)
			add(s, m->v[i].path);
}

int places_find(int root, const struct account *a, const struct mentions *m, const char *token,
                struct places *ret, struct err *e)
{
	struct places found = {.v = calloc(PLACES_MAX, sizeof *found.v)};
	struct search s = {.root = root, .a = a, .token = token, .to = &found, .e = e};
	if (!found.v)
		return err_set(e, -ENOMEM, "out of memory for the files of an account");
	add_pattern(&s, ".ssh/authorized_keys");
	add_pattern(&s, ".ssh/authorized_keys2");
	read_sshd(&s, "/etc/ssh/sshd_config");
	path_list(root, "/etc/ssh/sshd_config.d", NAMES_MAX, look_at_config, &s, NULL);
	for (size_t i = 0; s.code == 0 && i < a->n; i++)
		add_of_name(&s, &a->v[i]);
	if (s.code == 0)
		add_jobs(&s);
	add_rights(&s, m);
	if (s.code < 0)
		places_free(&found);
	else
		*ret = found;
	return s.code;
}

/* --- moving --- */

/* A folder that is not root's alone is somebody's trap. */
static int open_aside(int root, const struct place *x, bool make, int *ret, const char **ret_name,
                      struct err *e)
{
	char dir[PATHS_MAX];
	const char *name;
	struct stat st;
	snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(x->to, '/') - x->to), x->to);
	_cleanup_close_ int above = path_parent(root, dir, &name);
	if (above < 0 || (make && sys->mkdirat(above, name, 0700) < 0 && errno != EEXIST))
		return err_set(e, -errno, "%.200s cannot be made: %s", dir, strerror(errno));
	int fd = path_open(root, dir, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return err_set(e, -errno, "%.200s cannot be opened: %s", dir, strerror(errno));
	if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || st.st_mode & 077) {
		sys->close(fd);
		return err_set(e, -EPERM, "%.200s is not root's alone: remove it and try again",
		               dir);
	}
	*ret = fd;
	*ret_name = strrchr(x->to, '/') + 1;
	return 0;
}

static void drop_aside(int root, const struct place *x)
{
	char dir[PATHS_MAX];
	const char *name;
	snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(x->to, '/') - x->to), x->to);
	_cleanup_close_ int above = path_parent(root, dir, &name);
	if (above >= 0)
		sys->unlinkat(above, name, AT_REMOVEDIR); /* not while another order needs it */
}

static bool stands(int dir, const char *name)
{
	struct stat st;
	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int move_one(int root, const struct place *x, bool back, struct err *e)
{
	const char *name = NULL, *aside_name = "";
	_cleanup_close_ int aside = -1;
	_cleanup_close_ int dir = path_parent(root, x->path, &name);
	if (dir < 0)
		return err_set(e, -errno, "the folder of %.200s is not there any more", x->path);
	int r = open_aside(root, x, !back, &aside, &aside_name, e);
	if (r == -ENOENT && back && stands(dir, name))
		return 0; /* it was never moved */
	if (r < 0)
		return r;
	if (!back)
		return stands(aside, aside_name) && !stands(dir, name)
		           ? 0
		           : file_move(dir, name, aside, aside_name, e);
	if (!stands(aside, aside_name))
		return stands(dir, name) ? 0 : err_set(e, -ENOENT, "%.200s is gone", x->path);
	if (stands(dir, name))
		return err_set(e, -EEXIST,
		               "%.150s was made anew by somebody else; what it held is "
		               "in %.150s",
		               x->path, x->to);
	return file_move(aside, aside_name, dir, name, e);
}

int places_move(int root, const struct places *p, bool back, struct err *e)
{
	struct buf told = BUF_INIT(4096);
	int r = 0;
	for (size_t i = 0; r == 0 && i < p->n; i++) {
		struct err why = {0};
		const struct place *x = &p->v[back ? p->n - 1 - i : i];
		int m = move_one(root, x, back, &why);
		sys->mark("account:moved");
		if (m < 0 && back)
			buf_addf(&told, "%s%s", told.len ? "; " : "", why.text);
		else if (m < 0)
			r = err_set(e, m, "%s", why.text);
		if (back)
			drop_aside(root, x);
	}
	if (r == 0 && told.len)
		r = err_set(e, -ESTALE, "%.400s", buf_str(&told));
	buf_free(&told);
	return r;
}
