/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an isolation of a group becomes, what it hits, and what it leaves open; and what of it
 * stands though nobody claims it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/group.h"

#define MEMBERS_SHOWN 8
#define RAW_WHY                                                                                    \
	"packet sockets pass no hook of a cgroup: what has or can get CAP_NET_RAW still sends "    \
	"and "                                                                                     \
	"hears frames; freeze it, or isolate self"

int group_probe(enum group_match match, struct err *e)
{
	const struct group_config none = {.version = GROUP_VERSION, .match = match};
	struct groupprog set;
	_cleanup_close_ int root = -1;
	int r = group_root(&root, e);
	if (r == 0)
		r = groupprog_load(&none, NULL, &set, e);
	if (r == 0)
		groupprog_close(&set);
	return r;
}

static int no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "out of memory for the plan");
}

/* ---- texts ---- */

static void who(const struct group *g, struct buf *out)
{
	char path[400];
	proc_clean(g->path, strlen(g->path), path, sizeof path);
	if (g->kind == TARGET_ACCOUNT)
		buf_addf(out, "sockets made by uid %u, in whatever cgroup or network namespace",
		         g->uid);
	else if (g->kind == TARGET_PROCESS)
		buf_addf(out, "sockets of process %d and of what descends from it", g->pid);
	else
		buf_addf(out, "sockets made in cgroup %s or below", path);
}

static char *effect_of(const struct group *g, const struct order *o)
{
	struct buf out = BUF_INIT(1u << 20);
	buf_addf(&out, "BPF programs at %s drop every packet from and to the ",
	         g->kind == TARGET_ACCOUNT   ? "the cgroup root"
	         : g->kind == TARGET_PROCESS ? "a cgroup of their own, where they are moved, and "
	                                       "at the root for the sockets that they have,"
	         : g->follows ? "that cgroup, and at the root for one of the same path "
	                        "after a restart,"
	                      : "that cgroup");
	who(g, &out);
	buf_addf(&out,
	         ", IPv4 and IPv6, on every device but lo, and refuse connect and raw sockets "
	         "at once; except:");
	for (size_t i = 0, n = 0; i < o->n_permits; i++) {
		if (o->permits[i].kind != PERMIT_FLOW)
			continue;
		buf_addf(&out, "%s ", n++ ? ";" : "");
		permit_describe(&o->permits[i], &out);
	}
	if (!o->n_permits)
		buf_addf(&out, " nothing");
	char *text = buf_steal(&out);
	buf_free(&out);
	return text;
}

static const char *undo_of(const struct group *g)
{
	return g->kind == TARGET_PROCESS
	           ? "detaches these programs, moves the processes back to the cgroups they came "
	             "from, and removes the one that was made"
	           : "detaches these programs; those of others stay";
}

/* ---- notes ---- */

static int note_members(struct plan *p, const struct group *g)
{
	struct buf out = BUF_INIT(8192);
	size_t n = g->n_members + g->n_unnamed;
	for (size_t i = 0; i < g->n_members && i < MEMBERS_SHOWN; i++)
		buf_addf(&out, "%s%s (%d)", i ? ", " : "", g->members[i].comm, g->members[i].pid);
	if (n > MEMBERS_SHOWN)
		buf_addf(&out, " and %zu more", n - MEMBERS_SHOWN);
	int r = plan_note(p, "hit now: %zu process%s%s%s", n, n == 1 ? "" : "es", n ? ": " : "",
	                  buf_str(&out));
	buf_free(&out);
	return r;
}

static int note_sockets(struct plan *p, const struct group *g, struct err *e)
{
	struct group_socket_counts c = {0};
	int r = group_count_socks(g, &c, e);
	if (r < 0)
		return r;
	r = plan_note(p, "its sockets now: %u connected, %u listening, %u others", c.connected,
	              c.listening, c.other);
	if (r == 0 && c.packet)
		r = plan_note(p, "it has %u packet sockets open, which go on: freeze their owner",
		              c.packet);
	if (r == 0 && c.shared)
		r = plan_note(p,
		              "%u sockets without a peer are open in other processes, too, and are "
		              "left alone: what it accepts or sends there goes on",
		              c.shared);
	return r < 0 ? no_memory(e) : 0;
}

static int note_limits(struct plan *p, const struct group *g)
{
	int r = plan_note(p, "loopback goes on: another program of this host may carry data for it "
	                     "(a proxy, a resolver)");
	if (r == 0 && g->kind == TARGET_ACCOUNT)
		r = plan_note(p,
		              "not covered: sockets that root made and handed to the account "
		              "(an SSH session's own; it is closed now), and what it runs as "
		              "another user (sudo). It can log in again: that is disable account");
	if (r == 0 && g->kind != TARGET_ACCOUNT)
		r = plan_note(p, "a process with root's rights can move itself out of the cgroup; "
		                 "status and verify name it then");
	if (r == 0 && (g->kind == TARGET_UNIT || g->kind == TARGET_CONTAINER) && !g->follows)
		r = plan_note(p, "a restart leads out of the cut on this kernel: it gets another "
		                 "cgroup");
	return r;
}

static int note_all(struct plan *p, const struct group *g, struct err *e)
{
	if (note_members(p, g) < 0 || note_limits(p, g) < 0)
		return no_memory(e);
	return note_sockets(p, g, e);
}

/* ---- the plan ---- */

static bool same_group(const struct group *a, const struct group *b)
{
	if (a->kind == TARGET_ACCOUNT || b->kind == TARGET_ACCOUNT)
		return a->kind == b->kind && a->uid == b->uid;
	if (a->kind == TARGET_PROCESS || b->kind == TARGET_PROCESS)
		return a->kind == b->kind && a->pid == b->pid && a->start_ticks == b->start_ticks;
	return !strcmp(a->path, b->path);
}

static int refuse_second(const struct group *g, const struct holds *others, struct err *e)
{
	struct group *other = calloc(1, sizeof *other);
	int r = 0;
	if (!other)
		return no_memory(e);
	for (size_t i = 0; r == 0 && others && i < others->n; i++) {
		const struct hold *v = &others->v[i];
		if (strcmp(v->step->kind, kind_group.kind) != 0 ||
		    group_from_json(v->step->forward, other, NULL) < 0)
			continue;
		if (same_group(g, other))
			r = err_set(e, -EALREADY, "order o%u isolates it already; undo that first",
			            v->order->id);
		group_free(other);
	}
	free(other);
	return r;
}

static int add_hold(struct host *h, const struct order *o, struct group *g, struct plan *p,
                    struct err *e)
{
	struct step *s = plan_add_step(p, h->point, kind_group.kind);
	if (!s)
		return no_memory(e);
	if (g->kind == TARGET_PROCESS)
		group_leaf_name(s->token, g->leaf);
	s->required = true;
	s->effect = effect_of(g, o);
	s->undo_effect = strdup(undo_of(g));
	if (!s->effect || !s->undo_effect)
		return no_memory(e);
	int r = group_to_json(g, &s->forward, e);
	return r < 0 ? r : inverse_to_json(kind_group.kind, &s->inverse, e);
}

static int add_sessions(struct host *h, const struct group *g, struct plan *p, struct err *e)
{
	struct step *s = plan_add_step(p, h->point, kind_group_sessions.kind);
	if (!s)
		return no_memory(e);
	s->effect = strdup("closes the group's TCP and connected UDP sockets that the allow-list "
	                   "does not name (its programs get an error, the peers a reset), then "
	                   "drops resets, too, and forgets their tracked connections");
	s->no_inverse = strdup("a connection that was closed cannot be opened again from here; the "
	                       "programs have to do that");
	if (!s->effect || !s->no_inverse)
		return no_memory(e);
	return group_to_json(g, &s->forward, e);
}

static int set_dims(struct plan *p, const struct group *g, struct err *e)
{
	bool raw = group_can_raw(g);
	if (plan_set_dim(p, DIM_V4, DIM_CONTAINED, NULL) < 0 ||
	    plan_set_dim(p, DIM_V6, DIM_CONTAINED, NULL) < 0 ||
	    plan_set_dim(p, DIM_RAW, raw ? DIM_PARTIAL : DIM_CONTAINED, raw ? RAW_WHY : NULL) < 0 ||
	    plan_set_dim(p, DIM_SESSIONS, DIM_CONTAINED, NULL) < 0)
		return no_memory(e);
	return 0;
}

static bool can_follow(const struct group *g, const struct order *o)
{
	static const char any[] = "00000000000000000000000000000000";
	struct cut_permit permits[CUT_PERMITS_MAX];
	struct group_config c;
	return group_config_of(g, o, any, GROUP_PATH, &c, permits, NULL) == 0 &&
	       group_probe(GROUP_PATH, NULL) == 0;
}

static int probe_kind(struct group *g, const struct order *o, struct err *e)
{
	int r = group_probe(g->kind == TARGET_ACCOUNT ? GROUP_UID : GROUP_ALL, e);
	if (r == 0 && g->kind == TARGET_PROCESS)
		r = group_probe(GROUP_COOKIE, e);
	g->follows =
	    r == 0 && (g->kind == TARGET_UNIT || g->kind == TARGET_CONTAINER) && can_follow(g, o);
	return r;
}

int plan_group(struct host *h, const struct order *o, const struct holds *others, struct plan *p,
               struct err *e)
{
	struct group *g = calloc(1, sizeof *g);
	if (!g)
		return no_memory(e);
	_cleanup_close_ int root = -1;
	int r = group_root(&root, e);
	if (r == 0)
		r = group_find(&o->targets[0], g, e);
	if (r == 0)
		r = refuse_second(g, others, e);
	if (r == 0)
		r = probe_kind(g, o, e);
	if (r == 0)
		r = add_hold(h, o, g, p, e);
	if (r == 0)
		r = add_sessions(h, g, p, e);
	if (r == 0)
		r = note_all(p, g, e);
	if (r == 0)
		r = set_dims(p, g, e);
	group_free(g);
	free(g);
	return r;
}

/* ---- what nobody claims ---- */

struct strays {
	const struct holds *claims;
	bool remove;
	struct buf *out;
	uint32_t netns; /* ours */
	uint8_t tokens[64][GROUP_TOKEN];
	size_t n;
	bool others; /* the cgroup at hand has programs of another network namespace's stanch */
	char (*leaves)[CGTREE_PATH_MAX];
	size_t n_leaves;
	int code;
	struct err *e;
};

#define LEAVES_MAX 64

static bool claims_token(const struct holds *claims, const uint8_t token[static GROUP_TOKEN])
{
	char text[STEP_TOKEN_MAX];
	for (size_t i = 0; i < GROUP_TOKEN; i++)
		snprintf(text + 2 * i, 3, "%02x", token[i]);
	for (size_t i = 0; i < claims->n; i++)
		if (!strcmp(claims->v[i].step->kind, kind_group.kind) &&
		    !strcmp(claims->v[i].step->token, text))
			return true;
	return false;
}

static bool claims_leaf(const struct holds *claims, const char *name)
{
	char leaf[GROUP_LEAF_MAX];
	for (size_t i = 0; i < claims->n; i++) {
		group_leaf_name(claims->v[i].step->token, leaf);
		if (!strcmp(claims->v[i].step->kind, kind_group.kind) && !strcmp(leaf, name))
			return true;
	}
	return false;
}

/* As with tables and devices: what a stanch of another network namespace made is its own matter. */
static bool note_token(void *arg, const struct group_config *c)
{
	struct strays *x = arg;
	if (c->netns && c->netns != x->netns)
		x->others = true;
	else if (!claims_token(x->claims, c->token) && x->n < ARRAY_SIZE(x->tokens))
		memcpy(x->tokens[x->n++], c->token, GROUP_TOKEN);
	return true;
}

static bool is_stray_leaf(const struct strays *x, const char *name)
{
	return !x->others && x->n_leaves < LEAVES_MAX && group_is_leaf(name) &&
	       !claims_leaf(x->claims, name);
}

static enum cgtree_next look_at(void *arg, int fd, const char *path, uint64_t id)
{
	struct strays *x = arg;
	char clean[200];
	proc_clean(path, strlen(path), clean, sizeof clean);
	x->n = 0;
	x->others = false;
	/* What cannot be asked is no stray: the kernel may be older than the programs. */
	(void)groupprog_each(fd, note_token, x, NULL);
	for (size_t i = 0; x->code == 0 && i < x->n; i++) {
		x->code = buf_addf(x->out, "programs that cut cgroup %s\n", clean);
		if (x->code == 0 && x->remove)
			x->code = groupprog_detach(fd, x->tokens[i], x->e);
	}
	if (x->code == 0 && is_stray_leaf(x, cgtree_name(path))) {
		x->code = buf_addf(x->out, "cgroup %s, made for a process that was cut\n", clean);
		snprintf(x->leaves[x->n_leaves++], CGTREE_PATH_MAX, "%s", path);
	}
	return x->code < 0 ? CGTREE_STOP : CGTREE_DEEPER;
}

/* Its processes go to the cgroup above: nobody knows any more where they came from. */
static int take_stray_leaf(int root, const char *path, struct err *e)
{
	struct group *g = calloc(1, sizeof *g);
	if (!g)
		return no_memory(e);
	size_t above = (size_t)(cgtree_name(path) - path) - 1;
	g->kind = TARGET_PROCESS;
	snprintf(g->path, sizeof g->path, "%.*s", (int)(above ? above : 1), path);
	snprintf(g->leaf, sizeof g->leaf, "%s", cgtree_name(path));
	int r = group_take_leaf(root, g, e);
	free(g);
	return r;
}

int group_strays(const struct holds *claims, bool remove, struct buf *out, struct err *e)
{
	struct strays *x = calloc(1, sizeof *x);
	_cleanup_close_ int root = -1;
	if (!x || group_root(&root, NULL) < 0) { /* without cgroups there is nothing of ours */
		free(x);
		return x ? 0 : no_memory(e);
	}
	x->claims = claims;
	x->netns = group_netns();
	x->remove = remove;
	x->out = out;
	x->e = e;
	x->leaves = calloc(LEAVES_MAX, sizeof *x->leaves);
	int r = x->leaves ? cgtree_walk(root, "/", look_at, x, e) : no_memory(e);
	if (r == 0)
		r = x->code;
	for (size_t i = 0; r == 0 && remove && i < x->n_leaves; i++)
		r = take_stray_leaf(root, x->leaves[i], e);
	free(x->leaves);
	free(x);
	return r;
}
