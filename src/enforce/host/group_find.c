/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a name to a group of processes. Names come from the operator; cgroups, processes and
 * passwd(5) from a host that may be an enemy's: what is ambiguous is refused, never guessed.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/group.h"
#include "kern/cgroup2.h"

#define MATCHES_MAX   4
#define ID_LEAST      6 /* digits of a container's id that are enough */
#define PASSWD_MAX    (4u << 20)
#define ROUNDS_MAX    64
#define KTHREADD      2
#define USER_MANAGERS "user@"

void group_free(struct group *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->n_members; i++)
		free(g->members[i].cgroup);
	free(g->members);
	memset(g, 0, sizeof *g);
}

bool order_is_of_group(const struct order *o)
{
	return o->verb == VERB_ISOLATE && o->n_targets == 1 && o->targets[0].kind >= TARGET_UNIT &&
	       o->targets[0].kind <= TARGET_CONTAINER;
}

int group_top(int *ret_fd, struct err *e)
{
	bool whole;
	return cgroup2_open(ret_fd, &whole, e);
}

int group_root(int *ret_fd, struct err *e)
{
	bool whole = false;
	int fd = -1, r = cgroup2_open(&fd, &whole, e);
	if (r == 0 && !whole) {
		sys->close(fd);
		return err_set(e, -EOPNOTSUPP,
		               "this process sees a part of the cgroups only (it runs in a "
		               "container): isolate from the host itself");
	}
	if (r == 0)
		*ret_fd = fd;
	return r;
}

/* ---- names ---- */

/* systemd writes "web-1" as "web\x2d1". */
static bool same_unescaped(const char *s, size_t n, const char *name)
{
	for (size_t i = 0; i < n; name++) {
		int c = n - i >= 4 && s[i] == '\\' && s[i + 1] == 'x' ? group_hex(s + i + 2) : -1;
		i += c < 0 ? 1 : 4;
		if ((unsigned char)*name != (c < 0 ? (unsigned char)s[i - 1] : (unsigned)c))
			return false;
	}
	return !*name;
}

/* "docker:0123" asks for a runtime, too. */
static bool kind_fits(const char *kind, const char **name)
{
	size_t n = strlen(kind);
	if (!strchr(*name, ':'))
		return true;
	if (strncmp(*name, kind, n) != 0 || (*name)[n] != ':')
		return false;
	*name += n + 1;
	return true;
}

/* "kubepods-burstable-pod1234_5678.slice", "pod1234-5678": the digits with '-' or '_'. */
static bool is_pod(const char *component, const char *name)
{
	const char *at = strstr(component, "pod");
	if (strncmp(name, "pod", 3) != 0 || strlen(name) < 3 + ID_LEAST)
		return false;
	for (; at; at = strstr(at + 1, "pod")) {
		size_t i = 0;
		while (name[i] && (at[i] == name[i] || (at[i] == '_' && name[i] == '-')))
			i++;
		bool ends = !at[i] || !strcmp(at + i, ".slice");
		if (!name[i] && (ends || at[i] == '-' || at[i] == '_'))
			return true;
	}
	return false;
}

bool group_is_container(const char *component, const char *name)
{
	struct proc_container c;
	if (is_pod(component, name))
		return true;
	if (!proc_container_of(component, strlen(component), &c) || !kind_fits(c.kind, &name))
		return false;
	size_t n = strlen(name);
	if (!c.hex)
		return same_unescaped(component + c.at, c.len, name);
	return n >= ID_LEAST && n <= c.len && !strncmp(component + c.at, name, n);
}

/* ---- cgroups by name ---- */

struct search {
	const struct target *t;
	char name[TARGET_NAME_MAX + 16];
	char found[MATCHES_MAX][CGTREE_PATH_MAX];
	uint64_t id;
	size_t n;
};

static enum cgtree_next add_match(struct search *s, const char *path, uint64_t id)
{
	if (s->n < MATCHES_MAX)
		snprintf(s->found[s->n], sizeof s->found[0], "%s", path);
	if (s->n++ == 0)
		s->id = id;
	return CGTREE_SKIP;
}

static enum cgtree_next look_for_unit(void *arg, int fd, const char *path, uint64_t id)
{
	struct search *s = arg;
	struct proc_container c;
	const char *component = cgtree_name(path);
	if (!strcmp(component, s->name))
		return add_match(s, path, id);
	/* Units inside of a container are none of the host's. */
	if (proc_container_of(component, strlen(component), &c) ||
	    !strncmp(component, USER_MANAGERS, strlen(USER_MANAGERS)))
		return CGTREE_SKIP;
	return CGTREE_DEEPER;
}

/* lxc's older layout: /lxc/NAME. */
static bool is_lxc(const char *path, const char *name)
{
	const char *at = strstr(path, "/lxc/");
	return at && !strcmp(at + strlen("/lxc/"), name);
}

static enum cgtree_next look_for_container(void *arg, int fd, const char *path, uint64_t id)
{
	struct search *s = arg;
	if (group_is_container(cgtree_name(path), s->name) || is_lxc(path, s->name))
		return add_match(s, path, id);
	return CGTREE_DEEPER;
}

static int tell_matches(const struct search *s, struct err *e)
{
	struct buf list = BUF_INIT(4096);
	for (size_t i = 0; i < s->n && i < MATCHES_MAX; i++) {
		char clean[200];
		proc_clean(s->found[i], strlen(s->found[i]), clean, sizeof clean);
		buf_addf(&list, "%s%.100s", i ? ", " : "", clean);
	}
	int r = err_set(e, -ENOTUNIQ, "%s names %zu cgroups: %.320s; give the path of one",
	                s->t->name, s->n, buf_str(&list));
	buf_free(&list);
	return r;
}

static int by_name(int root, struct search *s, cgtree_fn look, const char *what, struct group *g,
                   struct err *e)
{
	int r = cgtree_walk(root, "/", look, s, e);
	if (r < 0)
		return r;
	if (s->n == 0)
		return err_set(e, -ENOENT,
		               "%s %s has no cgroup on this host: it does not run, or is called "
		               "something else (look: systemd-cgls)",
		               what, s->name);
	if (s->n > 1)
		return tell_matches(s, e);
	memcpy(g->path, s->found[0], sizeof g->path);
	g->id = s->id;
	return 0;
}

static int by_path(int root, const char *path, struct group *g, struct err *e)
{
	_cleanup_close_ int fd = -1;
	int r = cgtree_open(root, path, &fd, &g->id, e);
	if (r == 0)
		snprintf(g->path, sizeof g->path, "%s", path);
	return r;
}

/* "nginx" is "nginx.service", as for systemctl. */
static void unit_name(const char *given, char dst[static TARGET_NAME_MAX + 16])
{
	static const char *const ends[] = {".service", ".scope", ".slice",
	                                   ".socket",  ".mount", ".swap"};
	size_t n = strlen(given);
	bool has = false;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t m = strlen(ends[i]);
		has = has || (n > m && !strcmp(given + n - m, ends[i]));
	}
	snprintf(dst, TARGET_NAME_MAX + 16, "%s%s", given, has ? "" : ".service");
}

static int find_cgroup(const struct target *t, struct group *g, struct err *e)
{
	bool unit = t->kind == TARGET_UNIT;
	_cleanup_close_ int root = -1;
	int r = group_top(&root, e);
	if (r < 0)
		return r;
	struct search *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	s->t = t;
	if (unit)
		unit_name(t->name, s->name);
	else
		snprintf(s->name, sizeof s->name, "%s", t->name);
	if (t->name[0] == '/')
		r = by_path(root, t->name, g, e);
	else if (!strcmp(s->name, "-.slice"))
		strcpy(g->path, "/");
	else
		r = by_name(root, s, unit ? look_for_unit : look_for_container,
		            unit ? "unit" : "container", g, e);
	free(s);
	if (r == 0 && !strcmp(g->path, "/"))
		r = err_set(e, -EPERM,
		            "that is every process of this host; to cut it off: stanch isolate "
		            "self");
	return r;
}

/* ---- accounts and processes ---- */

static bool read_uid(const char *s, char end, uint32_t *ret)
{
	char *rest;
	errno = 0;
	unsigned long v = strtoul(s, &rest, 10);
	if (!isdigit((unsigned char)*s) || *rest != end || errno || v >= UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

int group_uid_of(const char *passwd, const char *name, uint32_t *ret)
{
	if (read_uid(name, 0, ret))
		return 0;
	size_t n = strlen(name);
	for (const char *p = passwd; n && *p;) {
		size_t len = strcspn(p, "\n");
		/* name:password:uid:… */
		const char *at = len > n && !strncmp(p, name, n) && p[n] == ':'
		                     ? memchr(p + n + 1, ':', len - n - 1)
		                     : NULL;
		if (at && read_uid(at + 1, ':', ret))
			return 0;
		p += len + (p[len] == '\n');
	}
	return -ENOENT;
}

/* NULL: *e says why. */
static char *read_passwd(struct err *e)
{
	size_t at = 0;
	ssize_t n = 0;
	char *text = malloc(PASSWD_MAX + 1);
	_cleanup_close_ int fd = sys->open("/etc/passwd", O_RDONLY | O_CLOEXEC, 0);
	if (!text || fd < 0) {
		err_set(e, text ? -errno : -ENOMEM, "reading /etc/passwd: %s",
		        strerror(text ? errno : ENOMEM));
		free(text);
		return NULL;
	}
	while (at < PASSWD_MAX && (n = sys->read(fd, text + at, PASSWD_MAX - at)) > 0)
		at += (size_t)n;
	text[at] = 0;
	return text;
}

static int find_account(const struct target *t, struct group *g, struct err *e)
{
	_cleanup_free_ char *text = read_passwd(e);
	if (!text)
		return -EIO;
	if (group_uid_of(text, t->name, &g->uid) < 0)
		return err_set(e, -ENOENT,
		               "there is no account %s in /etc/passwd; of a directory's account "
		               "give the number (id -u %s)",
		               t->name, t->name);
	if (g->uid == 0)
		return err_set(e, -EPERM,
		               "%s is root: what root runs cannot be told from the host itself; "
		               "to cut it off: stanch isolate self",
		               t->name);
	strcpy(g->path, "/");
	return 0;
}

static int find_process(const struct target *t, struct group *g, struct err *e)
{
	struct proc_id p;
	char *end;
	errno = 0;
	long pid = strtol(t->name, &end, 10);
	if (!isdigit((unsigned char)t->name[0]) || *end || errno || pid < 1 || pid > INT32_MAX)
		return err_set(e, -EINVAL, "\"%.40s\" is not the number of a process", t->name);
	if (proc_read((int)pid, &p) < 0 || p.state == 'Z')
		return err_set(e, -ENOENT, "there is no process %ld", pid);
	if (pid == 1)
		return err_set(e, -EPERM,
		               "process 1 starts and holds everything; to cut the host off: "
		               "stanch isolate self");
	if (pid == KTHREADD || p.ppid == KTHREADD)
		return err_set(e, -EPERM, "process %ld (%s) is the kernel's", pid, p.comm);
	int r = cgtree_path_of((int)pid, g->path);
	if (r < 0)
		return err_set(e, r, "the cgroup of process %ld cannot be told: %s", pid,
		               strerror(-r));
	g->pid = (int)pid;
	g->start_ticks = p.start_ticks;
	_cleanup_close_ int root = -1, fd = -1;
	r = group_top(&root, e);
	return r < 0 ? r : cgtree_open(root, g->path, &fd, &g->id, e);
}

/* ---- members ---- */

static int add_member(struct group *g, int pid, struct err *e)
{
	struct proc_id p;
	if (proc_read(pid, &p) < 0 || p.state == 'Z')
		return 0; /* gone, or but a number for who waits for it */
	if (g->n_members == GROUP_MEMBERS_MAX) {
		g->n_unnamed++;
		return 0;
	}
	if (!g->members)
		g->members = calloc(GROUP_MEMBERS_MAX, sizeof *g->members);
	if (!g->members)
		return err_set(e, -ENOMEM, "out of memory for the members of a group");
	struct group_member *m = &g->members[g->n_members];
	char path[CGTREE_PATH_MAX];
	*m = (struct group_member){.pid = pid, .start_ticks = p.start_ticks};
	memcpy(m->comm, p.comm, sizeof m->comm);
	if ((g->kind == TARGET_PROCESS || g->leaf[0]) && cgtree_path_of(pid, path) == 0 &&
	    strcmp(path, g->path) != 0 && !(m->cgroup = strdup(path)))
		return err_set(e, -ENOMEM, "out of memory for the members of a group");
	g->n_members++;
	return 0;
}

struct census {
	struct group *g;
	int code;
	struct err *e;
};

static enum cgtree_next census_of(void *arg, int fd, const char *path, uint64_t id)
{
	struct census *c = arg;
	_cleanup_free_ int *v = NULL;
	size_t n = 0;
	if (cgtree_pids(fd, &v, &n, NULL) < 0)
		return CGTREE_DEEPER; /* gone, or threads whose process is counted above */
	for (size_t i = 0; i < n && c->code == 0; i++)
		c->code = add_member(c->g, v[i], c->e);
	return c->code < 0 ? CGTREE_STOP : CGTREE_DEEPER;
}

static int members_of_cgroup(struct group *g, struct err *e)
{
	struct census c = {.g = g, .e = e};
	_cleanup_close_ int root = -1;
	int r = group_top(&root, e);
	if (r == 0)
		r = cgtree_walk(root, g->path, census_of, &c, e);
	return r == -ENOENT ? 0 : r < 0 ? r : c.code;
}

/* Real, effective, saved or of the file system. */
static bool runs_as(int pid, uint32_t uid)
{
	char path[40], text[4096];
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	_cleanup_close_ int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
	ssize_t n = fd < 0 ? -1 : sys->read(fd, text, sizeof text - 1);
	text[n > 0 ? n : 0] = 0;
	const char *at = strstr(text, "\nUid:");
	char *next = NULL;
	at = at ? at + strlen("\nUid:") : "";
	for (unsigned i = 0; i < 4; i++, at = next) {
		unsigned long v = strtoul(at, &next, 10);
		if (next == at || v == uid)
			return next != at;
	}
	return false;
}

static int members_of_account(struct group *g, struct err *e)
{
	_cleanup_free_ int *v = NULL;
	size_t n = 0;
	int r = proc_pids(&v, &n, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (runs_as(v[i], g->uid))
			r = add_member(g, v[i], e);
	return r;
}

struct kin {
	int pid, ppid;
	bool in;
};

static int by_pid(const void *a, const void *b)
{
	const struct kin *x = a, *y = b;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

/* Marks children of the marked until there are none; a child may have a lower number. v is sorted.
 */
static void mark_descendants(struct kin *v, size_t n)
{
	bool more = true;
	for (unsigned round = 0; more && round < ROUNDS_MAX; round++) {
		more = false;
		for (size_t i = 0; i < n; i++) {
			const struct kin key = {.pid = v[i].ppid};
			const struct kin *parent =
			    v[i].in ? NULL : bsearch(&key, v, n, sizeof *v, by_pid);
			if (parent && parent->in)
				v[i].in = more = true;
		}
	}
}

static int members_of_process(struct group *g, struct err *e)
{
	_cleanup_free_ int *pids = NULL;
	size_t n = 0, used = 0;
	if (!proc_is(g->pid, g->start_ticks))
		return 0;
	int r = proc_pids(&pids, &n, e);
	if (r < 0)
		return r;
	struct kin *v = calloc(n + 1, sizeof *v);
	if (!v)
		return err_set(e, -ENOMEM, "out of memory for %zu processes", n);
	for (size_t i = 0; i < n; i++) {
		struct proc_id p;
		if (proc_read(pids[i], &p) == 0)
			v[used++] = (struct kin){p.pid, p.ppid, p.pid == g->pid};
	}
	mark_descendants(v, used);
	for (size_t i = 0; r == 0 && i < used; i++)
		if (v[i].in)
			r = add_member(g, v[i].pid, e);
	free(v);
	return r;
}

/* Who is in our leaf stays a member though its parent has ended. */
static int members_of_leaf(struct group *g, struct err *e)
{
	struct group *in = calloc(1, sizeof *in);
	if (!in)
		return err_set(e, -ENOMEM, "out of memory for the members of a group");
	in->kind = TARGET_UNIT;
	int r = group_leaf_path(g, in->path);
	if (r == 0)
		r = members_of_cgroup(in, e);
	for (size_t i = 0; r == 0 && i < in->n_members; i++) {
		bool known = false;
		for (size_t k = 0; !known && k < g->n_members; k++)
			known = g->members[k].pid == in->members[i].pid;
		if (!known)
			r = add_member(g, in->members[i].pid, e);
	}
	group_free(in);
	free(in);
	return r;
}

int group_read_members(struct group *g, struct err *e)
{
	for (size_t i = 0; i < g->n_members; i++)
		free(g->members[i].cgroup);
	g->n_members = g->n_unnamed = 0;
	int r = g->kind == TARGET_ACCOUNT   ? members_of_account(g, e)
	        : g->kind == TARGET_PROCESS ? members_of_process(g, e)
	                                    : members_of_cgroup(g, e);
	return r < 0 || !g->leaf[0] ? r : members_of_leaf(g, e);
}

static int refuse_init(const struct group *g, struct err *e)
{
	for (size_t i = 0; i < g->n_members; i++)
		if (g->members[i].pid == 1)
			return err_set(e, -EPERM,
			               "process 1 is in it, which starts and holds everything; to "
			               "cut the host off: stanch isolate self");
	return 0;
}

int group_find(const struct target *t, struct group *ret, struct err *e)
{
	struct group *g = calloc(1, sizeof *g);
	if (!g)
		return err_set(e, -ENOMEM, "out of memory");
	g->kind = t->kind;
	int r = t->kind == TARGET_ACCOUNT   ? find_account(t, g, e)
	        : t->kind == TARGET_PROCESS ? find_process(t, g, e)
	                                    : find_cgroup(t, g, e);
	if (r == 0)
		r = group_read_members(g, e);
	if (r == 0)
		r = refuse_init(g, e);
	if (r < 0)
		group_free(g);
	else
		*ret = *g;
	free(g);
	return r;
}
