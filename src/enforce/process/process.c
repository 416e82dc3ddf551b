/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Invariants
 *  1. The cgroup is frozen before the first process is moved there, so that none that came in runs
 *     on, and what it has started meanwhile is found by the next round.
 *  2. Nothing is ended that is not frozen and captured, and the capture is on disk.
 *  3. Who gives the order, and process 1, are never in it.
 */
#include "enforce/process/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/sys.h"
#include "base/table.h"
#include "enforce/host/parts.h"

#define FREEZE_MS     5000
#define KILL_MS       5000
#define KILL_ROUNDS   8
#define MEMBERS_SHOWN 12

struct process {
	char point[STEP_POINT_MAX];
};

static int no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "out of memory for the plan");
}

static int process_open(const struct point *p, void **ret_ctx, struct err *e)
{
	struct process *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	snprintf(c->point, sizeof c->point, "%s", p->name);
	*ret_ctx = c;
	return 0;
}

static void process_close(void *ctx)
{
	free(ctx);
}

static int process_probe(void *ctx, struct capabilities *ret, struct err *e)
{
	struct err why = {0};
	_cleanup_close_ int top = -1;
	struct capabilities c = {.n = 1};
	c.v[0].name = "cgroup freezer";
	c.v[0].available = group_top(&top, &why) == 0 && geteuid() == 0;
	if (!c.v[0].available)
		snprintf(c.v[0].why_not, sizeof c.v[0].why_not,
		         "nothing can be frozen or killed: %.110s",
		         why.code ? why.text : "needs root");
	*ret = c;
	return 0;
}

/* ---- plan ---- */

static void who(const struct group *g, const struct target *t, struct buf *out)
{
	char clean[TARGET_NAME_MAX];
	proc_clean(t->name, strlen(t->name), clean, sizeof clean);
	if (g->kind == TARGET_PROCESS)
		buf_addf(out, "process %d and what descends from it", g->pid);
	else if (g->kind == TARGET_ACCOUNT)
		buf_addf(out, "every process with uid %u (real, effective, saved or of files), %s",
		         g->uid, clean);
	else
		buf_addf(out, "every process of %s", clean);
}

static char *text_of(const struct group *g, const struct target *t, const char *before,
                     const char *after)
{
	struct buf out = BUF_INIT(4096);
	buf_addf(&out, "%s", before);
	who(g, t, &out);
	buf_addf(&out, "%s", after);
	char *text = buf_steal(&out);
	buf_free(&out);
	return text;
}

static int note_members(struct plan *p, const struct group *g)
{
	struct buf out = BUF_INIT(8192);
	for (size_t i = 0; i < g->n_members && i < MEMBERS_SHOWN; i++)
		buf_addf(&out, "%s%d (%s)", i ? ", " : "", g->members[i].pid, g->members[i].comm);
	if (g->n_members + g->n_unnamed > MEMBERS_SHOWN)
		buf_addf(&out, " and %zu more", g->n_members + g->n_unnamed - MEMBERS_SHOWN);
	int r = plan_note(p, "now: %s", g->n_members ? buf_str(&out) : "nothing of it runs");
	buf_free(&out);
	return r;
}

static int refuse_own(const struct group *g, struct err *e)
{
	const struct group_member *m = group_chain_meets(g, getpid());
	return m ? err_set(e, -EPERM,
	                   "process %d (%s) is this command or has started it: it would stop "
	                   "itself. Order it from another account, or from the console",
	                   m->pid, m->comm)
	         : 0;
}

static bool same_group(const struct group *a, const struct group *b)
{
	if (a->kind != b->kind)
		return false;
	return a->kind == TARGET_ACCOUNT   ? a->uid == b->uid
	       : a->kind == TARGET_PROCESS ? a->pid == b->pid && a->start_ticks == b->start_ticks
	                                   : !strcmp(a->path, b->path);
}

/* A kill takes over what is frozen; freezing it twice would hide where it came from. */
static int refuse_second(const struct order *o, const struct group *g, const struct holds *others,
                         struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && o->verb == VERB_FREEZE && i < others->n; i++) {
		struct group *other = calloc(1, sizeof *other);
		if (!other)
			return no_memory(e);
		if (others->v[i].order->verb == VERB_FREEZE &&
		    group_from_json(others->v[i].step->forward, other, NULL) == 0 &&
		    same_group(g, other))
			r = err_set(e, -EALREADY, "order o%u freezes it already",
			            others->v[i].order->id);
		group_drop(other);
	}
	return r;
}

static int add_freeze(struct process *c, const struct target *t, struct group *g, struct plan *p,
                      struct err *e)
{
	struct step *s = plan_add_step(p, c->point, "process.freeze");
	if (!s)
		return no_memory(e);
	group_frozen_name(s->token, g->leaf);
	s->required = true;
	s->effect =
	    text_of(g, t, "moves ", " into a frozen cgroup of stanch's own, until none is new");
	s->undo_effect = strdup("moves each back into the cgroup that it came from, where it goes "
	                        "on as it was, and removes ours");
	if (!s->effect || !s->undo_effect)
		return no_memory(e);
	int r = group_to_json(g, &s->forward, e);
	return r < 0 ? r : inverse_to_json(s->kind, &s->inverse, e);
}

static int add_kill(struct process *c, const struct target *t, const struct group *g,
                    struct plan *p, struct err *e)
{
	struct step *s = plan_add_step(p, c->point, "process.kill");
	if (!s)
		return no_memory(e);
	s->late = true;
	s->effect =
	    text_of(g, t, "captures ",
	            " (program and its hash, arguments, environment, maps, descriptors, sockets) "
	            "into the journal, then ends all of it at once by cgroup.kill, frozen");
	s->no_inverse = strdup("a process that was ended cannot be brought back; what was captured "
	                       "of it stays in the journal");
	if (!s->effect || !s->no_inverse)
		return no_memory(e);
	return group_to_json(g, &s->forward, e);
}

/* Frozen first, all of them: of a pair that starts each other anew neither is left to do it. */
static int plan_targets(struct process *c, const struct order *o, const struct holds *others,
                        struct group **v, struct plan *p, struct err *e)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < o->n_targets; i++) {
		v[i] = calloc(1, sizeof **v);
		r = v[i] ? group_find(&o->targets[i], v[i], e) : no_memory(e);
		if (r == 0)
			r = refuse_own(v[i], e);
		if (r == 0)
			r = refuse_second(o, v[i], others, e);
		if (r == 0)
			r = add_freeze(c, &o->targets[i], v[i], p, e);
		if (r == 0 && note_members(p, v[i]) < 0)
			r = no_memory(e);
	}
	for (size_t i = 0; r == 0 && o->verb != VERB_FREEZE && i < o->n_targets; i++)
		r = add_kill(c, &o->targets[i], v[i], p, e);
	return r;
}

#define TARGETS_MAX 64

static int process_plan(void *ctx, const struct order *o, const struct holds *others,
                        struct plan *ret, struct err *e)
{
	struct group *v[TARGETS_MAX] = {0};
	struct plan p = {0};
	if (o->verb == VERB_DISABLE && o->n_targets && o->targets[0].kind != TARGET_ACCOUNT) {
		*ret = p; /* to disable a unit is not to end it by force */
		return 0;
	}
	if (o->n_targets > TARGETS_MAX)
		return err_set(e, -E2BIG, "more than %d at once: give several orders", TARGETS_MAX);
	int r = plan_targets(ctx, o, others, v, &p, e);
	if (r == 0 && (plan_set_dim(&p, DIM_PROCESSES, DIM_CONTAINED, NULL) < 0 ||
	               (o->deadlines.until_wall &&
	                plan_note(&p, "nothing in the kernel ends this by itself: the guard does "
	                              "when its time has come, or the next command") < 0)))
		r = no_memory(e);
	for (size_t i = 0; i < TARGETS_MAX; i++)
		group_drop(v[i]);
	if (r < 0)
		plan_free(&p);
	else
		*ret = p;
	return r;
}

/* ---- steps ---- */

static bool kills(const struct step *s)
{
	return !strcmp(s->kind, "process.kill");
}

static struct group *group_read(const char *json, struct err *e)
{
	struct group *g = calloc(1, sizeof *g);
	if (!g) {
		err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	if (group_from_json(json, g, e) == 0 && group_is_frozen_name(g->leaf))
		return g;
	if (e && !e->code)
		err_set(e, -EBADMSG, "process: \"%.30s\" is no cgroup of ours", g->leaf);
	group_drop(g);
	return NULL;
}

static int open_leaf(int top, const struct group *g, int *ret_fd, struct err *e)
{
	char path[CGTREE_PATH_MAX];
	int r = group_leaf_path(g, path);
	return r < 0 ? err_set(e, r, "the path of our cgroup is too long")
	             : cgtree_open(top, path, ret_fd, NULL, e);
}

static int count_result(const char *what, size_t n, struct step *s, struct err *e)
{
	char text[64];
	snprintf(text, sizeof text, "{\"%s\":%zu}", what, n);
	free(s->result);
	s->result = strdup(text);
	return s->result ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int freeze(int top, const struct group *g, struct step *s, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct group *trail = group_fresh(g);
	if (!trail)
		return no_memory(e);
	int r = group_make_leaf(top, g, e);
	if (r == 0)
		r = open_leaf(top, g, &fd, e);
	if (r == 0)
		r = cgtree_freeze(fd, true, e);
	if (r == 0)
		r = group_move_all(top, g, trail, NULL, e);
	if (r == 0)
		r = cgtree_frozen(fd, FREEZE_MS, e);
	/* Who was moved by an earlier try is in its result already. */
	if (r == 0 && !s->result)
		r = group_to_json(trail, &s->result, e);
	group_drop(trail);
	return r;
}

static int kill_each(int fd)
{
	_cleanup_free_ int *v = NULL;
	size_t n = 0;
	int r = cgtree_pids(fd, &v, &n, NULL);
	for (size_t i = 0; r == 0 && i < n; i++) {
		_cleanup_close_ int p = (int)syscall(SYS_pidfd_open, v[i], 0);
		if (p >= 0)
			(void)syscall(SYS_pidfd_send_signal, p, SIGKILL, NULL, 0);
	}
	return r;
}

/* Kernels before 5.14 have no cgroup.kill; frozen, none of them can start another. */
static int kill_leaf(int fd, struct err *e)
{
	struct err why = {0};
	int r = cgtree_kill(fd, KILL_MS, &why);
	for (unsigned i = 0; r == -EOPNOTSUPP && i < KILL_ROUNDS; i++) {
		size_t n = 0;
		_cleanup_free_ int *v = NULL;
		if (kill_each(fd) == 0 && cgtree_pids(fd, &v, &n, NULL) == 0 && n == 0)
			return 0;
		(void)sys->poll(NULL, 0, 100);
	}
	return r < 0 ? err_set(e, r, "%s", why.text) : 0;
}

/* What started others while it was being ended is in the leaf, or is found once more. */
static int kill_all(int top, const struct group *g, struct step *s, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct group *now = group_fresh(g);
	size_t left = 1, n = 0;
	_cleanup_free_ int *v = NULL;
	int r = now ? open_leaf(top, g, &fd, e) : no_memory(e);
	if (r == 0)
		r = cgtree_pids(fd, &v, &n, e);
	for (unsigned i = 0; r == 0 && left && i < KILL_ROUNDS; i++) {
		r = kill_leaf(fd, e);
		if (r == 0)
			r = group_read_members(now, e);
		left = r == 0 ? now->n_members : 0;
		if (left && g->kind != TARGET_PROCESS)
			r = group_move_all(top, g, NULL, NULL, e);
	}
	if (r == 0 && left)
		r = err_set(e, -EAGAIN,
		            "others are started as often as they are ended; what was "
		            "caught stays frozen");
	group_drop(now);
	return r < 0 ? r : count_result("ended", n, s, e);
}

static int process_prepare(void *ctx, const struct order *o, struct step *s, struct err *e)
{
	_cleanup_close_ int top = -1, fd = -1;
	_cleanup_free_ int *v = NULL;
	size_t n = 0;
	if (!kills(s) || s->evidence)
		return 0;
	struct group *g = group_read(s->forward, e);
	int r = g ? group_top(&top, e) : -EBADMSG;
	if (r == 0)
		r = open_leaf(top, g, &fd, e);
	if (r == 0)
		r = cgtree_pids(fd, &v, &n, e);
	if (r == 0)
		r = process_capture(v, n, &s->evidence, e);
	group_drop(g);
	return r;
}

static int process_apply(void *ctx, const struct order *o, struct step *s,
                         const struct holds *others, struct err *e)
{
	_cleanup_close_ int top = -1;
	struct group *g = group_read(s->forward, e);
	if (!g)
		return -EBADMSG;
	int r = group_top(&top, e);
	if (r == 0)
		r = kills(s) ? kill_all(top, g, s, e) : freeze(top, g, s, e);
	if (r < 0 && !kills(s) && top >= 0)
		(void)group_take_leaf(top, g, NULL);
	group_drop(g);
	return r;
}

/* Its number means nothing after a restart. */
static bool of_other_boot(const struct order *o, const struct group *g)
{
	return g->kind == TARGET_PROCESS && o->deadlines.boot[0] && !boot_same(o->deadlines.boot);
}

static void tell_outside(const struct group *now, const char *leaf, struct buf *drift)
{
	for (size_t i = 0; i < now->n_members; i++) {
		const struct group_member *m = &now->members[i];
		if (!cgtree_below(m->cgroup ? m->cgroup : now->path, leaf))
			buf_addf(drift, "process %d (%s) belongs to it and is not frozen\n", m->pid,
			         m->comm);
	}
}

static int look_at_freeze(int top, const struct group *g, struct readback *rb, struct err *e)
{
	char leaf[CGTREE_PATH_MAX];
	struct err why = {0};
	_cleanup_close_ int fd = -1;
	struct buf drift = BUF_INIT(1u << 16), held = BUF_INIT(128);
	int r = open_leaf(top, g, &fd, &why);
	if (r == -ENOENT) {
		rb->verdict = VERDICT_ABSENT;
		rb->dims[DIM_PROCESSES] = DIM_RELEASED;
		return 0;
	}
	struct group *now = group_fresh(g);
	if (r == 0)
		r = now ? group_read_members(now, &why) : -ENOMEM;
	if (r == 0 && cgtree_frozen(fd, FREEZE_MS, &why) < 0)
		buf_addf(&drift, "%s\n", why.text);
	if (r == 0 && group_leaf_path(g, leaf) == 0)
		tell_outside(now, leaf, &drift);
	if (r == 0) {
		rb->verdict = drift.len ? VERDICT_DRIFTED : VERDICT_HOLDS;
		rb->dims[DIM_PROCESSES] = drift.len ? DIM_PARTIAL : DIM_CONTAINED;
		if (drift.len)
			rb->drift = buf_steal(&drift);
		else if (now->n_members && buf_addf(&held, "%zu frozen", now->n_members) == 0)
			rb->held = buf_steal(&held);
	}
	buf_free(&drift);
	buf_free(&held);
	group_drop(now);
	return r < 0 ? err_set(e, r, "%s", why.text) : 0;
}

static bool lives(const struct group_member *m)
{
	struct proc_id p;
	return proc_read(m->pid, &p) == 0 && p.start_ticks == m->start_ticks && p.state != 'Z';
}

static int look_at_kill(int top, const struct group *g, struct readback *rb, struct err *e)
{
	size_t left = 0, others = 0;
	_cleanup_close_ int fd = -1;
	_cleanup_free_ int *v = NULL;
	struct group *now = group_fresh(g);
	struct buf held = BUF_INIT(256);
	int r = now ? group_read_members(now, e) : no_memory(e);
	if (r == 0 && open_leaf(top, g, &fd, NULL) == 0)
		(void)cgtree_pids(fd, &v, &left, NULL);
	for (size_t i = 0; r == 0 && i < g->n_members; i++)
		left += lives(&g->members[i]);
	if (r == 0) {
		others = now->n_members;
		rb->verdict = left ? VERDICT_ABSENT : VERDICT_HOLDS;
		rb->dims[DIM_PROCESSES] = left     ? DIM_RELEASED
		                          : others ? DIM_PARTIAL
		                                   : DIM_CONTAINED;
		if (!left && others && g->kind != TARGET_PROCESS)
			buf_addf(&held,
			         "what was killed is gone, but %zu of it run%s again: freeze and "
			         "disable it",
			         others, others == 1 ? "s" : "");
		rb->held = held.len ? buf_steal(&held) : NULL;
	}
	buf_free(&held);
	group_drop(now);
	return r;
}

static int process_verify(void *ctx, const struct order *o, const struct step *s,
                          const struct holds *others, struct readback *ret, struct err *e)
{
	struct readback rb = {0};
	_cleanup_close_ int top = -1;
	struct group *g = group_read(s->forward, e);
	if (!g)
		return -EBADMSG;
	int r = 0;
	if (of_other_boot(o, g)) {
		rb.verdict = VERDICT_HOLDS;
		rb.dims[DIM_PROCESSES] = DIM_CONTAINED;
	} else if ((r = group_top(&top, e)) == 0) {
		r = kills(s) ? look_at_kill(top, g, &rb, e) : look_at_freeze(top, g, &rb, e);
	}
	group_drop(g);
	if (r == 0)
		*ret = rb;
	return r;
}

static int process_undo(void *ctx, const struct order *o, struct step *s,
                        const struct holds *others, struct err *e)
{
	_cleanup_close_ int top = -1;
	int r = inverse_check(s->kind, s->inverse, e);
	if (r < 0)
		return r;
	/* The result names each that was moved; the plan only those that were there then. */
	struct group *g = s->result ? group_read(s->result, NULL) : NULL;
	if (!g)
		g = group_read(s->forward, e);
	if (!g)
		return -EBADMSG;
	r = group_top(&top, e);
	if (r == 0)
		r = group_take_leaf(top, g, e);
	group_drop(g);
	return r;
}

static int process_rearm(void *ctx, const struct order *o, struct step *s,
                         const struct holds *others, struct err *e)
{
	return 0; /* the clock is the journal's alone */
}

static int process_describe(void *ctx, const struct order *o, const struct step *s, struct buf *out,
                            struct err *e)
{
	char leaf[CGTREE_PATH_MAX];
	struct group *g = group_read(s->forward, e);
	if (!g)
		return -EBADMSG;
	int r = group_leaf_path(g, leaf);
	if (r == 0 && kills(s)) {
		buf_addf(out, "echo 1 >/sys/fs/cgroup%s/cgroup.kill\n", leaf);
	} else if (r == 0) {
		buf_addf(out, "mkdir /sys/fs/cgroup%s\necho 1 >/sys/fs/cgroup%s/cgroup.freeze\n",
		         leaf, leaf);
		for (size_t i = 0; i < g->n_members; i++)
			buf_addf(out, "echo %d >/sys/fs/cgroup%s/cgroup.procs\n", g->members[i].pid,
			         leaf);
	}
	group_drop(g);
	return r < 0 ? r : out->error;
}

/* ---- what nobody claims ---- */

struct strays {
	const struct holds *claims;
	char (*paths)[CGTREE_PATH_MAX];
	size_t n;
};

#define STRAYS_MAX 64

static enum cgtree_next look(void *arg, int fd, const char *path, uint64_t id)
{
	struct strays *x = arg;
	const char *name = cgtree_name(path);
	char ours[GROUP_LEAF_MAX];
	bool claimed = false;
	if (!strcmp(path, "/"))
		return CGTREE_DEEPER;
	for (size_t i = 0; i < x->claims->n; i++) {
		group_frozen_name(x->claims->v[i].step->token, ours);
		claimed = claimed || !strcmp(ours, name);
	}
	if (group_is_frozen_name(name) && !claimed && x->n < STRAYS_MAX)
		snprintf(x->paths[x->n++], CGTREE_PATH_MAX, "%s", path);
	return CGTREE_SKIP;
}

static int take_stray(int top, const char *path, struct err *e)
{
	struct group *g = calloc(1, sizeof *g);
	if (!g)
		return no_memory(e);
	g->kind = TARGET_UNIT;
	strcpy(g->path, "/");
	snprintf(g->leaf, sizeof g->leaf, "%s", cgtree_name(path));
	int r = group_take_leaf(top, g, e);
	group_drop(g);
	return r;
}

static int process_strays(void *ctx, const struct holds *claims, bool remove, struct buf *out,
                          struct err *e)
{
	struct strays x = {.claims = claims};
	_cleanup_close_ int top = -1;
	if (group_top(&top, NULL) < 0)
		return 0; /* without cgroups there is nothing of ours */
	x.paths = calloc(STRAYS_MAX, sizeof *x.paths);
	int r = x.paths ? cgtree_walk(top, "/", look, &x, e) : no_memory(e);
	for (size_t i = 0; r == 0 && i < x.n; i++) {
		buf_addf(out, "cgroup %s, made to freeze processes\n", x.paths[i]);
		if (remove)
			r = take_stray(top, x.paths[i], e);
	}
	free(x.paths);
	return r;
}

static const struct setting_key no_settings[] = {{NULL}};

const struct driver_ops process_driver = {
    .name = "process",
    .settings = no_settings,
    .open = process_open,
    .close = process_close,
    .probe = process_probe,
    .plan = process_plan,
    .prepare = process_prepare,
    .apply = process_apply,
    .verify = process_verify,
    .undo = process_undo,
    .rearm = process_rearm,
    .describe = process_describe,
    .strays = process_strays,
};
