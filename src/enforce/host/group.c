/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Kind host.group: the programs at the cgroups of a group.
 *
 * Invariants
 *  1. A change is a new set of programs attached beside the old one, which goes only then: at no
 *     moment is there none.
 *  2. What belongs to an order is known by the token in the programs' own map; nothing of anyone
 *     else's is touched.
 *  3. A process moves into our leaf only when the programs hang on it, and where each came from is
 *     on disk before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/group.h"
#include "enforce/host/sessions.h"

#define MOVES_MAX    32 /* rounds until no descendant is new */
#define NESTED_MAX   256
#define ANCESTRY_MAX 32

/* ---- places ---- */

void group_leaf_name(const char *token, char dst[static GROUP_LEAF_MAX])
{
	snprintf(dst, GROUP_LEAF_MAX, GROUP_LEAF_PREFIX "%.12s", token);
}

void group_frozen_name(const char *token, char dst[static GROUP_LEAF_MAX])
{
	snprintf(dst, GROUP_LEAF_MAX, GROUP_FROZEN_PREFIX "%.12s", token);
}

static bool is_ours(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);
	return !strncmp(name, prefix, n) && strlen(name) == n + 12 &&
	       strspn(name + n, "0123456789abcdef") == 12;
}

bool group_is_leaf(const char *name)
{
	return is_ours(name, GROUP_LEAF_PREFIX);
}

bool group_is_frozen_name(const char *name)
{
	return is_ours(name, GROUP_FROZEN_PREFIX);
}

static const char *above_leaf(const struct group *g)
{
	return group_is_frozen_name(g->leaf) ? "/" : g->path;
}

int group_leaf_path(const struct group *g, char dst[static CGTREE_PATH_MAX])
{
	const char *above = strcmp(above_leaf(g), "/") ? g->path : "";
	if (strlen(above) + 1 + strlen(g->leaf) >= CGTREE_PATH_MAX)
		return -ENAMETOOLONG;
	sprintf(dst, "%s/%s", above, g->leaf);
	return 0;
}

static void put(char dst[static CGTREE_PATH_MAX], const char *path)
{
	snprintf(dst, CGTREE_PATH_MAX, "%s", path);
}

size_t group_places(const struct group *g, struct group_place ret[static GROUP_PLACES_MAX])
{
	size_t n = 0;
	memset(ret, 0, GROUP_PLACES_MAX * sizeof *ret);
	if (g->kind == TARGET_ACCOUNT) {
		ret[n++].match = GROUP_UID;
	} else if (g->kind == TARGET_PROCESS) {
		ret[n].match = GROUP_ALL;
		if (group_leaf_path(g, ret[n].path) == 0)
			n++;
		ret[n++].match = GROUP_COOKIE;
	} else {
		ret[n].match = GROUP_ALL;
		put(ret[n++].path, g->path);
		if (g->follows)
			ret[n++].match = GROUP_PATH;
	}
	for (size_t i = 0; i < n; i++)
		if (!ret[i].path[0])
			put(ret[i].path, "/");
	return n;
}

static int token_bytes(const char *token, uint8_t ret[static GROUP_TOKEN], struct err *e)
{
	if (strlen(token) != 2 * (size_t)GROUP_TOKEN)
		return err_set(e, -EBADMSG, "a step's token is none");
	for (size_t i = 0; i < GROUP_TOKEN; i++) {
		int byte = group_hex(token + 2 * i);
		if (byte < 0)
			return err_set(e, -EBADMSG, "a step's token is none");
		ret[i] = (uint8_t)byte;
	}
	return 0;
}

static int put_path(const char *path, struct group_config *c, struct err *e)
{
	for (const char *p = path; *p;) {
		size_t n = strcspn(p + 1, "/");
		if (n >= GROUP_NAME_MAX || c->levels == GROUP_LEVELS_MAX)
			return err_set(e, -EOPNOTSUPP,
			               "its path is longer than the programs can compare: a "
			               "restart would lead out of the cut");
		memcpy(c->path[c->levels++], p + 1, n);
		p += 1 + n;
	}
	return 0;
}

static struct cut_permit translate(const struct permit *p)
{
	struct cut_permit k = {
	    .kind = CUT_FLOW,
	    .family = p->peer.addr.family,
	    .proto = p->proto,
	    .breakglass = p->breakglass,
	    .local_port = p->local_port,
	    .peer_port = p->peer_port,
	};
	uint8_t mask[16] = {0};
	for (unsigned i = 0; i < p->peer.len && i < 128; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
	memcpy(k.mask, mask, sizeof k.mask);
	memcpy(k.addr, p->peer.addr.bytes, sizeof k.addr);
	return k;
}

int group_config_of(const struct group *g, const struct order *o, const char *token,
                    enum group_match match, struct group_config *ret,
                    struct cut_permit *ret_permits, struct err *e)
{
	struct group_config c = {.version = GROUP_VERSION, .match = match};
	int r = token_bytes(token, c.token, e);
	if (match == GROUP_UID)
		c.uid = g->uid;
	if (r == 0 && match == GROUP_PATH)
		r = put_path(g->path, &c, e);
	memset(ret_permits, 0, CUT_PERMITS_MAX * sizeof *ret_permits);
	for (size_t i = 0; r == 0 && i < o->n_permits; i++) {
		if (o->permits[i].kind != PERMIT_FLOW)
			continue; /* the rest is the host's, not a socket's of the group */
		if (c.n_permits == CUT_PERMITS_MAX)
			return err_set(e, -E2BIG, "the programs take at most %d permits",
			               CUT_PERMITS_MAX);
		ret_permits[c.n_permits++] = translate(&o->permits[i]);
	}
	if (r == 0)
		*ret = c;
	return r;
}

uint32_t group_netns(void)
{
	uint64_t inode = 0;
	(void)proc_ns_inode(0, "net", &inode);
	return (uint32_t)inode;
}

static void set_clocks(struct group_config *c, const struct hold_time *t)
{
	usec_t now = boot_now();
	c->armed_until = t->armed ? (now + t->armed) * 1000 : 0;
	c->narrow_until = t->narrow ? (now + t->narrow) * 1000 : 0;
	c->drain_until = t->drain ? (now + t->drain) * 1000 : 0;
}

static bool same_config(struct group_config a, struct group_config b)
{
	a.armed_until = a.narrow_until = a.drain_until = a.netns = 0;
	b.armed_until = b.narrow_until = b.drain_until = b.netns = 0;
	return !memcmp(&a, &b, sizeof a);
}

/* ---- what stands at a place ---- */

struct standing {
	bool cgroup;  /* there is such a cgroup */
	uint64_t id;  /* its id */
	bool present; /* a program of the order is there */
	bool whole;   /* all of them, our code, with the order's permits */
	struct group_config config;
	struct groupprog set; /* open when present */
};

static void standing_close(struct standing *s)
{
	if (s->present)
		groupprog_close(&s->set);
	s->present = false;
}

/* Reads a place back. A cgroup that is not there is an answer. */
static int read_place(int root, const struct group_place *p, const struct group_config *want,
                      const struct cut_permit *permits, struct standing *ret, struct err *e)
{
	struct standing s = {0};
	struct cut_permit have[CUT_PERMITS_MAX] = {0};
	struct err why = {0};
	_cleanup_close_ int fd = -1;
	unsigned hooks = 0;
	bool ours = false;
	int r = cgtree_open(root, p->path, &fd, &s.id, &why);
	s.cgroup = r == 0;
	if (r == 0)
		r = groupprog_find(fd, want->token, &s.set, &hooks, &ours, &why);
	s.present = r == 0;
	if (r == 0)
		r = groupprog_read(&s.set, &s.config, have, &why);
	if (r == -ENOENT) {
		*ret = s;
		return 0;
	}
	if (r < 0) {
		standing_close(&s);
		return err_set(e, r, "%s", why.text);
	}
	s.whole = hooks == GROUP_ALL_HOOKS && ours && same_config(s.config, *want) &&
	          !memcmp(have, permits, sizeof have);
	*ret = s;
	return 0;
}

static int add_own(void *arg, const struct place *p, struct err *e)
{
	const struct groupprog *set = arg;
	int r = 0;
	for (size_t i = 0; r == 0 && i < p->scope.n_own; i++)
		r = groupprog_add_own(set, &p->scope.own[i], e);
	return r;
}

static int put_set(int fd, const struct group_config *c, const struct cut_permit *p, struct err *e)
{
	const struct session_scope all = {0};
	struct groupprog set;
	int r = groupprog_load(c, p, &set, e);
	if (r < 0)
		return r;
	r = sessions_each_place(&all, false, add_own, &set, NULL, e);
	if (r == 0)
		r = groupprog_attach(&set, fd, e);
	groupprog_close(&set);
	return r;
}

/* Brings about what the order wants at one place. */
static int put_place(int root, const struct group *g, const struct order *o, const char *token,
                     const struct group_place *p, const struct hold_time *t, struct err *e)
{
	struct cut_permit permits[CUT_PERMITS_MAX];
	struct group_config want;
	struct standing s = {0};
	_cleanup_close_ int fd = -1;
	int r = group_config_of(g, o, token, p->match, &want, permits, e);
	if (r == 0)
		r = read_place(root, p, &want, permits, &s, e);
	if (r < 0)
		return r;
	set_clocks(&want, t);
	want.netns = group_netns();
	if (s.whole)
		r = groupprog_set_timers(&s.set, want.armed_until, want.narrow_until,
		                         want.drain_until, e);
	else
		r = cgtree_open(root, p->path, &fd, NULL, e);
	if (r == 0 && !s.whole)
		r = put_set(fd, &want, permits, e);
	if (r == 0 && !s.whole && s.present)
		r = groupprog_detach_set(&s.set, fd, e);
	standing_close(&s);
	return r;
}

static int take_place(int root, const struct group_place *p, const char *token, struct err *e)
{
	uint8_t bytes[GROUP_TOKEN];
	struct err why = {0};
	_cleanup_close_ int fd = -1;
	int r = token_bytes(token, bytes, e);
	if (r < 0)
		return r;
	r = cgtree_open(root, p->path, &fd, NULL, &why);
	if (r == -ENOENT)
		return 0; /* it took the programs along */
	if (r == 0)
		r = groupprog_detach(fd, bytes, &why);
	return r < 0 ? err_set(e, r, "%s", why.text) : 0;
}

int group_set_timers(const struct group *g, const char *token, const struct hold_time *t,
                     struct err *e)
{
	struct group_place v[GROUP_PLACES_MAX];
	struct group_config clocks = {0}, none = {0};
	struct cut_permit permits[CUT_PERMITS_MAX] = {0};
	_cleanup_close_ int root = -1;
	size_t n = group_places(g, v), found = 0;
	int r = group_root(&root, e);
	if (r == 0)
		r = token_bytes(token, none.token, e);
	set_clocks(&clocks, t);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct standing s = {0};
		r = read_place(root, &v[i], &none, permits, &s, e);
		bool over = s.config.armed_until && s.config.armed_until / 1000 <= boot_now();
		if (r == 0 && s.present && !over) {
			r = groupprog_set_timers(&s.set, clocks.armed_until, clocks.narrow_until,
			                         clocks.drain_until, e);
			found++;
		}
		standing_close(&s);
	}
	if (r == 0 && !found)
		r = err_set(e, -ENOENT, "the group is not cut any more");
	return r;
}

/* ---- a process and its descendants ---- */

static bool is_in(const struct group *g, const struct group_member *m, const char *leaf)
{
	return cgtree_below(m->cgroup ? m->cgroup : g->path, leaf);
}

/* Takes the member's cgroup over. */
static int add_to_trail(struct group *trail, struct group_member *m)
{
	if (!trail || trail->n_members == GROUP_MEMBERS_MAX)
		return 0;
	if (!trail->members)
		trail->members = calloc(GROUP_MEMBERS_MAX, sizeof *trail->members);
	if (!trail->members)
		return -ENOMEM;
	trail->members[trail->n_members++] = *m;
	m->cgroup = NULL;
	return 0;
}

/* One round; *ret_moved: how many were not there yet. */
static int move_round(struct group *now, int fd, const char *leaf, struct group *trail,
                      size_t *ret_moved, struct err *e)
{
	int r = group_read_members(now, e);
	size_t moved = 0;
	for (size_t i = 0; r == 0 && i < now->n_members; i++) {
		struct err why = {0};
		if (is_in(now, &now->members[i], leaf))
			continue;
		r = cgtree_move(fd, now->members[i].pid, &why);
		if (r == -ESRCH)
			r = 0;
		else if (r < 0)
			err_set(e, r, "%s", why.text);
		else if (moved++, (r = add_to_trail(trail, &now->members[i])) < 0)
			err_set(e, r, "out of memory for the members of a group");
	}
	*ret_moved = moved;
	return r;
}

struct group *group_fresh(const struct group *g)
{
	struct group *c = malloc(sizeof *c);
	if (!c)
		return NULL;
	*c = *g;
	c->members = NULL;
	c->n_members = c->n_unnamed = 0;
	return c;
}

void group_drop(struct group *g)
{
	group_free(g);
	free(g);
}

static int move_all(int root, struct group *now, struct group *trail, struct err *e)
{
	char leaf[CGTREE_PATH_MAX];
	_cleanup_close_ int fd = -1;
	size_t moved = 1;
	int r = group_leaf_path(now, leaf);
	if (r == 0)
		r = cgtree_open(root, leaf, &fd, NULL, e);
	for (unsigned i = 0; r == 0 && moved && i < MOVES_MAX; i++)
		r = move_round(now, fd, leaf, trail, &moved, e);
	if (r == 0 && moved)
		r = err_set(e, -EAGAIN, "others are started faster than they can be moved%s",
		            group_is_frozen_name(now->leaf) ? "" : "; freeze them first");
	if (r == 0 && !now->n_members && now->kind == TARGET_PROCESS)
		r = err_set(e, -ESRCH, "process %d is gone", now->pid);
	return r;
}

int group_move_all(int root, const struct group *g, struct group *trail, size_t *ret_members,
                   struct err *e)
{
	struct group *now = group_fresh(g);
	if (!now)
		return err_set(e, -ENOMEM, "out of memory");
	int r = move_all(root, now, trail, e);
	if (ret_members)
		*ret_members = now->n_members + now->n_unnamed;
	group_drop(now);
	return r;
}

/* Their old sockets stay with the cgroup they were made in: known by their cookies. */
static int name_old_sockets(int root, const struct group *now, const char *token, struct err *e)
{
	struct group_place v[GROUP_PLACES_MAX];
	struct group_config none = {0};
	struct cut_permit permits[CUT_PERMITS_MAX] = {0};
	struct standing at = {0};
	_cleanup_free_ uint64_t *cookies = NULL;
	size_t n = group_places(now, v), n_cookies = 0;
	int r = token_bytes(token, none.token, e);
	if (r == 0)
		r = group_cookies_of(now, &cookies, &n_cookies, e);
	if (r == 0)
		r = read_place(root, &v[n - 1], &none, permits, &at, e);
	if (r == 0 && !at.present)
		r = err_set(e, -ENOENT, "the programs at the root are gone");
	for (size_t i = 0; r == 0 && i < n_cookies; i++)
		r = groupprog_add_cookie(&at.set, cookies[i], e);
	standing_close(&at);
	return r;
}

static const char *origin_of(const struct group *g, int pid)
{
	for (unsigned depth = 0; depth < ANCESTRY_MAX && pid > 1; depth++) {
		struct proc_id p;
		for (size_t i = 0; i < g->n_members; i++)
			if (g->members[i].pid == pid && proc_is(pid, g->members[i].start_ticks))
				return g->members[i].cgroup ? g->members[i].cgroup : g->path;
		if (proc_read(pid, &p) < 0)
			break;
		pid = p.ppid;
	}
	return g->path;
}

/* Makes what of the path is not there. */
static int make_path(int root, const char *path, struct err *e)
{
	char part[CGTREE_PATH_MAX], name[CGTREE_PATH_MAX];
	int r = 0;
	for (size_t at = 0; r == 0 && path[at];) {
		_cleanup_close_ int fd = -1;
		size_t n = strcspn(path + at + 1, "/");
		snprintf(part, sizeof part, "%.*s", at ? (int)at : 1, path);
		snprintf(name, sizeof name, "%.*s", (int)n, path + at + 1);
		r = cgtree_open(root, part, &fd, NULL, e);
		if (r == 0)
			r = cgtree_make(fd, name, e);
		at += 1 + n;
	}
	return r;
}

/* Where it came from may be gone: systemd removes a cgroup that it finds empty. What was frozen
 * gets it back; what was isolated goes to the nearest, for our leaf is below that. */
static int move_back(int root, const struct group *g, int pid, struct err *e)
{
	struct err why = {0};
	const char *to = origin_of(g, pid);
	_cleanup_close_ int fd = -1;
	int r = cgtree_open(root, to, &fd, NULL, &why);
	if (r == -ENOENT && group_is_frozen_name(g->leaf))
		r = make_path(root, to, &why);
	else if (r == -ENOENT)
		to = g->path;
	if (fd < 0 && (r == 0 || r == -ENOENT))
		r = cgtree_open(root, to, &fd, NULL, &why);
	if (r == 0)
		r = cgtree_move(fd, pid, &why);
	return r < 0 && r != -ESRCH ? err_set(e, r, "%s", why.text) : 0;
}

/* The leaf and what its members made below it, topmost first. */
struct nest {
	int root;
	const struct group *g;
	char (*paths)[CGTREE_PATH_MAX];
	size_t n;
	int code;
	struct err *e;
};

static enum cgtree_next empty_one(void *arg, int fd, const char *path, uint64_t id)
{
	struct nest *t = arg;
	_cleanup_free_ int *v = NULL;
	size_t n = 0;
	if (t->n == NESTED_MAX)
		t->code = err_set(t->e, -E2BIG, "more than %d cgroups below ours", NESTED_MAX);
	else
		put(t->paths[t->n++], path);
	if (t->code == 0 && cgtree_pids(fd, &v, &n, NULL) == 0)
		for (size_t i = 0; t->code == 0 && i < n; i++)
			t->code = move_back(t->root, t->g, v[i], t->e);
	return t->code < 0 ? CGTREE_STOP : CGTREE_DEEPER;
}

static int remove_path(int root, char *path, struct err *e)
{
	_cleanup_close_ int fd = -1;
	char *name = strrchr(path, '/');
	*name++ = 0;
	int r = cgtree_open(root, *path ? path : "/", &fd, NULL, e);
	return r == -ENOENT ? 0 : r < 0 ? r : cgtree_remove(fd, name, e);
}

/* -EBUSY: somebody came in, or forked, meanwhile. */
static int empty_and_remove(struct nest *t, const char *leaf)
{
	struct err why = {0};
	t->n = 0;
	int r = cgtree_walk(t->root, leaf, empty_one, t, &why);
	if (r < 0)
		return r == -ENOENT ? 0 : err_set(t->e, r, "%s", why.text);
	r = t->code;
	for (size_t i = t->n; r == 0 && i-- > 0;)
		r = remove_path(t->root, t->paths[i], t->e);
	return r;
}

int group_take_leaf(int root, const struct group *g, struct err *e)
{
	char leaf[CGTREE_PATH_MAX];
	struct nest t = {.root = root, .g = g, .e = e};
	int r = group_leaf_path(g, leaf);
	if (r < 0)
		return err_set(e, r, "the path of the cgroup is too long");
	t.paths = calloc(NESTED_MAX, sizeof *t.paths);
	if (!t.paths)
		return err_set(e, -ENOMEM, "out of memory for the cgroups below ours");
	r = -EBUSY;
	for (unsigned i = 0; r == -EBUSY && i < MOVES_MAX; i++)
		r = empty_and_remove(&t, leaf);
	free(t.paths);
	return r;
}

int group_make_leaf(int root, const struct group *g, struct err *e)
{
	_cleanup_close_ int fd = -1;
	int r = cgtree_open(root, above_leaf(g), &fd, NULL, e);
	return r < 0 ? r : cgtree_make(fd, g->leaf, e);
}

/* ---- slots ---- */

static struct group *group_of(const struct step *s, struct err *e)
{
	struct group *g = calloc(1, sizeof *g);
	if (!g) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	if (group_from_json(s->forward, g, e) == 0)
		return g;
	free(g);
	return NULL;
}

static int take_all(int root, const struct group *g, const char *token, struct err *e)
{
	struct group_place v[GROUP_PLACES_MAX];
	size_t n = group_places(g, v);
	int first = 0;
	for (size_t i = 0; i < n; i++) {
		struct err why = {0};
		int r = take_place(root, &v[i], token, &why);
		if (r < 0 && first == 0)
			first = err_set(e, r, "%s", why.text);
	}
	if (g->kind == TARGET_PROCESS && first == 0)
		first = group_take_leaf(root, g, e);
	return first;
}

static int put_all(int root, const struct group *g, const struct order *o, struct step *s,
                   const struct hold_time *t, struct err *e)
{
	struct group_place v[GROUP_PLACES_MAX];
	size_t n = group_places(g, v);
	int r = g->kind == TARGET_PROCESS ? group_make_leaf(root, g, e) : 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct err why = {0};
		r = put_place(root, g, o, s->token, &v[i], t, &why);
		/* A unit that does not run now is cut when it starts. */
		if (r == -ENOENT && v[i].match == GROUP_ALL && g->follows)
			r = 0;
		else if (r < 0)
			err_set(e, r, "%s", why.text);
	}
	if (r < 0 || g->kind != TARGET_PROCESS)
		return r;
	struct group *now = group_fresh(g);
	if (!now)
		return err_set(e, -ENOMEM, "out of memory");
	r = move_all(root, now, NULL, e);
	if (r == 0)
		r = name_old_sockets(root, now, s->token, e);
	group_drop(now);
	return r;
}

static int apply(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                 struct err *e)
{
	struct hold_time t;
	_cleanup_close_ int root = -1;
	int r = hold_time_of(&o->deadlines, boot_now(), &t);
	if (r < 0)
		return err_set(e, r, "the order's deadline has passed already");
	t.drain = DRAIN_USEC;
	struct group *g = group_of(s, e);
	if (!g)
		return -EBADMSG;
	r = group_root(&root, e);
	if (r == 0) {
		r = put_all(root, g, o, s, &t, e);
		if (r < 0)
			(void)take_all(root, g, s->token, NULL);
	}
	group_drop(g);
	return r;
}

static bool clock_agrees(usec_t left, uint64_t until)
{
	usec_t now = boot_now(), have = until / 1000 > now ? until / 1000 - now : until ? 1 : 0;
	const struct nft_elem el = {.timeout = msec_left(have), .left = msec_left(have)};
	return left_agrees(msec_left(left), &el);
}

struct judgement {
	struct buf drift;
	size_t places, gone;
	bool raw; /* packet sockets can be, or are, among its members */
};

static void judge_place(const struct group *g, const struct group_place *p,
                        const struct standing *s, const struct hold_time *t, struct judgement *j)
{
	char path[200];
	proc_clean(p->path, strlen(p->path), path, sizeof path);
	/* It was restarted, or has ended: what hangs at the root knows the next one by its path. */
	if (p->match == GROUP_ALL && g->follows && !s->present && (!s->cgroup || s->id != g->id)) {
		j->places--;
		return;
	}
	if (!s->present) {
		j->gone++;
		buf_addf(&j->drift, "cgroup %s has no programs of this order\n", path);
		return;
	}
	if (!s->whole)
		buf_addf(&j->drift,
		         "cgroup %s: the programs are not all there, not ours, or their permits "
		         "are not the order's\n",
		         path);
	if (!clock_agrees(t->armed, s->config.armed_until) ||
	    !clock_agrees(t->narrow, s->config.narrow_until))
		buf_addf(&j->drift, "cgroup %s: the programs' deadline is not the order's\n", path);
}

/* Root can move its processes; what they open then belongs to another cgroup. */
static void judge_members(const struct group *g, struct judgement *j)
{
	char top[CGTREE_PATH_MAX], path[CGTREE_PATH_MAX], clean[200];
	if (g->kind == TARGET_ACCOUNT)
		return;
	if (g->kind != TARGET_PROCESS || group_leaf_path(g, top) < 0)
		put(top, g->path);
	for (size_t i = 0; i < g->n_members; i++) {
		const struct group_member *m = &g->members[i];
		if (!proc_is(m->pid, m->start_ticks) || cgtree_path_of(m->pid, path) < 0 ||
		    cgtree_below(path, top))
			continue;
		proc_clean(path, strlen(path), clean, sizeof clean);
		buf_addf(&j->drift,
		         "process %d (%s) has left the group for cgroup %s: sockets that it opens "
		         "from now on are not cut; isolate it by --pid %d\n",
		         m->pid, m->comm, clean, m->pid);
	}
}

static int judge(const struct group *g, const struct order *o, const struct step *s,
                 const struct hold_time *t, struct judgement *j, struct err *e)
{
	struct group_place v[GROUP_PLACES_MAX];
	_cleanup_close_ int root = -1;
	int r = group_root(&root, e);
	*j = (struct judgement){.drift = BUF_INIT(1u << 20), .places = group_places(g, v)};
	for (size_t i = 0, n = j->places; r == 0 && i < n; i++) {
		struct cut_permit permits[CUT_PERMITS_MAX];
		struct group_config want;
		struct standing at = {0};
		r = group_config_of(g, o, s->token, v[i].match, &want, permits, e);
		if (r == 0)
			r = read_place(root, &v[i], &want, permits, &at, e);
		if (r == 0)
			judge_place(g, &v[i], &at, t, j);
		standing_close(&at);
	}
	if (r == 0)
		judge_members(g, j);
	return r;
}

static int verify(struct host *h, const struct order *o, const struct step *s,
                  const struct holds *others, struct readback *ret, struct err *e)
{
	struct hold_time t = {0};
	struct judgement j;
	bool over = hold_time_of(&o->deadlines, boot_now(), &t) == -ETIME;
	struct group *g = group_of(s, e);
	if (!g)
		return -EBADMSG;
	int r = judge(g, o, s, &t, &j, e);
	if (r == 0)
		r = group_read_members(g, e);
	j.raw = r < 0 || group_can_raw(g);
	group_drop(g);
	if (r < 0) {
		buf_free(&j.drift);
		return r;
	}
	struct readback rb = {.verdict = VERDICT_HOLDS};
	enum dim_state state = DIM_CONTAINED;
	if (over || j.gone == j.places) {
		rb.verdict = VERDICT_ABSENT;
		state = DIM_RELEASED;
	} else if (j.drift.len) {
		rb.verdict = VERDICT_DRIFTED;
		state = DIM_PARTIAL;
	}
	rb.dims[DIM_V4] = rb.dims[DIM_V6] = state;
	rb.dims[DIM_RAW] = j.raw && state == DIM_CONTAINED ? DIM_PARTIAL : state;
	rb.drift = j.drift.len ? buf_steal(&j.drift) : NULL;
	buf_free(&j.drift);
	*ret = rb;
	return 0;
}

static int undo(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                struct err *e)
{
	_cleanup_close_ int root = -1;
	int r = inverse_check(kind_group.kind, s->inverse, e);
	if (r < 0)
		return r;
	struct group *g = group_of(s, e);
	if (!g)
		return -EBADMSG;
	r = group_root(&root, e);
	if (r == 0)
		r = take_all(root, g, s->token, e);
	group_drop(g);
	return r;
}

static int rearm(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                 struct err *e)
{
	struct hold_time t;
	int r = hold_time_of(&o->deadlines, boot_now(), &t);
	if (r < 0)
		return err_set(e, r, "the new deadline has passed already");
	struct group *g = group_of(s, e);
	if (!g)
		return -EBADMSG;
	r = group_set_timers(g, s->token, &t, e);
	group_drop(g);
	return r;
}

static int describe(const struct order *o, const struct step *s, struct buf *out, struct err *e)
{
	struct group_place v[GROUP_PLACES_MAX];
	char path[CGTREE_PATH_MAX];
	struct group *g = group_of(s, e);
	if (!g)
		return -EBADMSG;
	size_t n = group_places(g, v);
	for (size_t i = 0; i < n; i++) {
		proc_clean(v[i].path, strlen(v[i].path), path, sizeof path);
		if (g->kind == TARGET_PROCESS && v[i].match == GROUP_ALL)
			buf_addf(out, "mkdir /sys/fs/cgroup%s\n", path);
		for (int k = 0; k < _GROUP_HOOK_MAX; k++)
			buf_addf(out,
			         "bpftool cgroup attach /sys/fs/cgroup%s %s … multi   # stanch's "
			         "own program, with the same permits\n",
			         path, group_hook_str((enum group_hook)k));
		for (size_t m = 0;
		     g->kind == TARGET_PROCESS && v[i].match == GROUP_ALL && m < g->n_members; m++)
			buf_addf(out, "echo %d >/sys/fs/cgroup%s/cgroup.procs\n", g->members[m].pid,
			         path);
	}
	group_drop(g);
	return out->error;
}

const struct step_kind kind_group = {
    .kind = "host.group",
    .apply = apply,
    .verify = verify,
    .undo = undo,
    .rearm = rearm,
    .describe = describe,
};
