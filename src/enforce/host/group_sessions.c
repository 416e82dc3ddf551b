/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The old sockets of a group: found, written down, closed, with their tracked connections.
 *
 * A socket belongs to the group when it was made in one of its cgroups, when a member has it open,
 * or, of an account, when its uid made it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/group.h"
#include "enforce/host/sessions.h"

#define SOCKS_MAX (1u << 20)

/* ---- what belongs to it ---- */

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static bool has(const uint64_t *v, size_t n, uint64_t key)
{
	return n && bsearch(&key, v, n, sizeof *v, compare);
}

static int add(uint64_t **v, size_t *n, uint64_t key)
{
	if (*n == SOCKS_MAX)
		return -E2BIG;
	if (!(*n & (*n - 1))) {
		uint64_t *w = realloc(*v, (*n ? *n * 2 : 1) * sizeof *w);
		if (!w)
			return -ENOMEM;
		*v = w;
	}
	(*v)[(*n)++] = key;
	return 0;
}

struct gathering {
	struct group_socks *s;
	int code;
};

static bool add_inode(void *arg, int fd, uint64_t inode)
{
	struct gathering *t = arg;
	t->code = add(&t->s->inodes, &t->s->n_inodes, inode);
	return t->code == 0;
}

static enum cgtree_next add_cgroup(void *arg, int fd, const char *path, uint64_t id)
{
	struct gathering *t = arg;
	t->code = add(&t->s->cgroups, &t->s->n_cgroups, id);
	return t->code < 0 ? CGTREE_STOP : CGTREE_DEEPER;
}

/* Of a process: what others have open, too, is not its alone. */
static int read_shared(const struct group *g, struct group_socks *s, struct err *e)
{
	_cleanup_free_ int *v = NULL;
	size_t n = 0;
	struct group_socks others = {0};
	struct gathering t = {.s = &others};
	int r = proc_pids(&v, &n, e);
	for (size_t i = 0; r == 0 && t.code == 0 && i < n; i++) {
		bool member = false;
		for (size_t k = 0; !member && k < g->n_members; k++)
			member = g->members[k].pid == v[i];
		if (!member)
			(void)proc_sockets(v[i], add_inode, &t);
	}
	for (size_t i = 0; r == 0 && t.code == 0 && i < others.n_inodes; i++)
		if (has(s->inodes, s->n_inodes, others.inodes[i]))
			t.code = add(&s->shared, &s->n_shared, others.inodes[i]);
	free(others.inodes);
	if (s->n_shared)
		qsort(s->shared, s->n_shared, sizeof *s->shared, compare);
	return r < 0 || t.code == 0
	           ? r
	           : err_set(e, t.code, "this host has too many sockets, or memory ran out");
}

static int read_cgroups(const struct group *g, struct gathering *t, struct err *e)
{
	_cleanup_close_ int root = -1;
	int r = group_root(&root, e);
	if (r == 0)
		r = cgtree_walk(root, g->path, add_cgroup, t, e);
	return r == -ENOENT ? 0 : r;
}

void group_socks_free(struct group_socks *s)
{
	free(s->cgroups);
	free(s->inodes);
	free(s->shared);
	memset(s, 0, sizeof *s);
}

int group_socks_read(const struct group *g, struct group_socks *ret, struct err *e)
{
	struct group_socks s = {.by_uid = g->kind == TARGET_ACCOUNT, .uid = g->uid};
	struct gathering t = {.s = &s};
	bool cgroups = g->kind == TARGET_UNIT || g->kind == TARGET_CONTAINER;
	int r = cgroups ? read_cgroups(g, &t, e) : 0;
	for (size_t i = 0; r == 0 && t.code == 0 && i < g->n_members; i++)
		(void)proc_sockets(g->members[i].pid, add_inode, &t); /* it may be gone */
	if (r == 0 && t.code < 0)
		r = err_set(e, t.code, "the group has too many sockets, or memory ran out");
	if (s.n_cgroups)
		qsort(s.cgroups, s.n_cgroups, sizeof *s.cgroups, compare);
	if (s.n_inodes)
		qsort(s.inodes, s.n_inodes, sizeof *s.inodes, compare);
	if (r == 0 && g->kind == TARGET_PROCESS)
		r = read_shared(g, &s, e);
	if (r < 0)
		group_socks_free(&s);
	else
		*ret = s;
	return r;
}

bool group_has_sock(const struct group_socks *s, const struct diag_sock *k)
{
	return (k->inode && has(s->inodes, s->n_inodes, k->inode)) ||
	       (k->cgroup && has(s->cgroups, s->n_cgroups, k->cgroup)) ||
	       (s->by_uid && k->inode && k->uid == s->uid);
}

/* ---- counting, cookies ---- */

struct listing {
	const struct group_socks *socks;
	struct group_socket_counts counts;
	uint64_t *cookies; /* owned */
	size_t n;
	int code;
};

static bool list_one(void *arg, const struct diag_sock *k)
{
	struct listing *l = arg;
	if (!group_has_sock(l->socks, k))
		return true;
	bool talks = k->state == DIAG_ESTABLISHED && !addr_is_loopback(&k->peer.addr);
	l->counts.connected += talks;
	l->counts.listening += k->state == DIAG_LISTEN;
	l->counts.other += !talks && k->state != DIAG_LISTEN;
	if (!k->peer.port && has(l->socks->shared, l->socks->n_shared, k->inode)) {
		l->counts.shared++;
		return true;
	}
	l->code =
	    add(&l->cookies, &l->n, (uint64_t)k->id.idiag_cookie[1] << 32 | k->id.idiag_cookie[0]);
	return l->code == 0;
}

static bool count_packet(void *arg, const struct diag_packet *k)
{
	struct listing *l = arg;
	l->counts.packet += has(l->socks->inodes, l->socks->n_inodes, k->inode);
	return true;
}

static int list_here(struct listing *l, struct err *e)
{
	static const int protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, IPPROTO_RAW};
	int r = 0;
	for (size_t i = 0; r == 0 && l->code == 0 && i < ARRAY_SIZE(protos); i++) {
		struct err why = {0};
		r = diag_inet(NULL, AF_UNSPEC, protos[i], DIAG_ALL_STATES, list_one, l, &why);
		if (r == -EOPNOTSUPP)
			r = 0;
		else if (r < 0)
			err_set(e, r, "%s", why.text);
	}
	struct err why = {0};
	if (r == 0 && (r = diag_packet(NULL, count_packet, l, &why)) < 0)
		r = r == -EOPNOTSUPP ? 0 : err_set(e, r, "%s", why.text);
	return r < 0 || l->code == 0 ? r : err_set(e, l->code, "too many sockets");
}

static int list_place(void *arg, const struct place *p, struct err *e)
{
	return list_here(arg, e);
}

static int list_socks(const struct group *g, struct listing *l, struct err *e)
{
	const struct session_scope all = {0};
	struct group_socks s = {0};
	int r = group_socks_read(g, &s, e);
	if (r < 0)
		return r;
	l->socks = &s;
	r = sessions_each_place(&all, false, list_place, l, NULL, e);
	l->socks = NULL;
	group_socks_free(&s);
	return r;
}

int group_count_socks(const struct group *g, struct group_socket_counts *ret, struct err *e)
{
	struct listing l = {0};
	int r = list_socks(g, &l, e);
	free(l.cookies);
	if (r == 0)
		*ret = l.counts;
	return r;
}

int group_cookies_of(const struct group *g, uint64_t **ret, size_t *ret_n, struct err *e)
{
	struct listing l = {0};
	int r = list_socks(g, &l, e);
	if (r < 0) {
		free(l.cookies);
		return r;
	}
	*ret = l.cookies;
	*ret_n = l.n;
	return 0;
}

/* ---- the scope of an order ---- */

struct group_scope {
	struct session_scope s;
	struct group *g; /* owned */
	struct group_socks socks;
	struct permit *permits; /* owned */
	struct pair {
		uint8_t proto;
		struct endpoint local, peer;
	} * pairs; /* owned; of the sockets that were there */
	size_t n_pairs;
	int code;
};

static void scope_end(struct group_scope *x)
{
	group_free(x->g);
	free(x->g);
	group_socks_free(&x->socks);
	free(x->permits);
	free(x->pairs);
}

static bool only_sock(void *arg, const struct diag_sock *k)
{
	const struct group_scope *x = arg;
	return group_has_sock(&x->socks, k);
}

static bool only_packet(void *arg, const struct diag_packet *k)
{
	const struct group_scope *x = arg;
	return has(x->socks.inodes, x->socks.n_inodes, k->inode);
}

static bool same(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

/* As the socket sees it, at either end, before any translation of addresses. */
static bool only_flow(void *arg, const struct ct_flow *f)
{
	const struct group_scope *x = arg;
	for (size_t i = 0; i < x->n_pairs; i++) {
		const struct pair *p = &x->pairs[i];
		if (p->proto == f->orig.proto &&
		    ((same(&p->local, &f->orig.src) && same(&p->peer, &f->orig.dst)) ||
		     (same(&p->local, &f->reply.src) && same(&p->peer, &f->reply.dst))))
			return true;
	}
	return false;
}

static bool note_pair(void *arg, const struct diag_sock *k)
{
	struct group_scope *x = arg;
	if (x->n_pairs == SOCKS_MAX)
		return false;
	if (!(x->n_pairs & (x->n_pairs - 1))) {
		struct pair *v = realloc(x->pairs, (x->n_pairs ? x->n_pairs * 2 : 1) * sizeof *v);
		if (!v) {
			x->code = -ENOMEM;
			return false;
		}
		x->pairs = v;
	}
	x->pairs[x->n_pairs++] = (struct pair){k->proto, k->local, k->peer};
	return true;
}

static int note_place(void *arg, const struct place *p, struct err *e)
{
	return sessions_each_socket(p, note_pair, arg, e);
}

static int scope_begin(struct host *h, const struct order *o, const struct step *s,
                       struct group_scope *x, struct err *e)
{
	*x = (struct group_scope){.g = calloc(1, sizeof *x->g)};
	x->permits = calloc(o->n_permits + 1, sizeof *x->permits);
	if (!x->g || !x->permits) {
		free(x->g);
		free(x->permits);
		return err_set(e, -ENOMEM, "out of memory for a group's sockets");
	}
	int r = group_from_json(s->forward, x->g, e);
	/* Break-glass opens later: a session that fits only that ends now. */
	for (size_t i = 0; r == 0 && i < o->n_permits; i++)
		if (!o->permits[i].breakglass)
			x->permits[x->s.n_permits++] = o->permits[i];
	x->s.netfilter = &h->nl;
	x->s.permits = x->permits;
	x->s.only_sock = only_sock;
	x->s.only_packet = only_packet;
	x->s.only_flow = only_flow;
	x->s.only_arg = x;
	if (r == 0)
		r = group_read_members(x->g, e);
	if (r == 0)
		r = group_socks_read(x->g, &x->socks, e);
	if (r == 0)
		r = sessions_each_place(&x->s, false, note_place, x, NULL, e);
	if (r == 0 && x->code < 0)
		r = err_set(e, x->code, "out of memory for a group's sockets");
	if (r < 0)
		scope_end(x);
	return r;
}

/* ---- slots ---- */

static int prepare(struct host *h, const struct order *o, struct step *s, struct err *e)
{
	struct group_scope x;
	char *json = NULL;
	int r = scope_begin(h, o, s, &x, e);
	if (r < 0)
		return r;
	r = sessions_evidence(&x.s, &json, e);
	if (r == 0) {
		free(s->evidence);
		s->evidence = json;
	}
	scope_end(&x);
	return r;
}

static void add_problem(struct step *s, const char *what, const char *why)
{
	char *text = NULL;
	if (asprintf(&text, "%s%s%s: %s", s->problem ? s->problem : "", s->problem ? "; " : "",
	             what, why) < 0)
		return;
	free(s->problem);
	s->problem = text;
}

static const struct step *group_step_of(const struct order *o, const struct holds *others)
{
	for (size_t i = 0; others && i < others->n; i++) {
		const struct hold *v = &others->v[i];
		if (v->order && v->order->id == o->id && !strcmp(v->step->kind, kind_group.kind))
			return v->step;
	}
	return NULL;
}

/* Resets have left: from now on the cut is whole. */
static int end_drain(const struct order *o, const struct group *g, const struct holds *others,
                     struct err *e)
{
	const struct step *s = group_step_of(o, others);
	struct hold_time t;
	if (!s || hold_time_of(&o->deadlines, boot_now(), &t) < 0)
		return 0;
	return group_set_timers(g, s->token, &t, e);
}

static int apply(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                 struct err *e)
{
	struct group_scope x;
	struct session_counts c = {0};
	struct err why = {0};
	char *result = NULL;
	int r = scope_begin(h, o, s, &x, e);
	if (r < 0)
		return r;
	if (sessions_destroy_sockets(&x.s, &c, &why) < 0)
		add_problem(s, "sockets were not all closed", why.text);
	r = end_drain(o, x.g, others, e);
	why.code = 0;
	if (r == 0 && sessions_delete_flows(&x.s, &c, &why) < 0)
		add_problem(s, "tracked connections were not all forgotten", why.text);
	scope_end(&x);
	if (r == 0)
		r = counts_to_json(&c, &result, e);
	if (r == 0) {
		free(s->result);
		s->result = result;
	}
	return r;
}

static int verify(struct host *h, const struct order *o, const struct step *s,
                  const struct holds *others, struct readback *ret, struct err *e)
{
	struct group_scope x;
	struct session_counts c = {0};
	int r = scope_begin(h, o, s, &x, e);
	if (r < 0)
		return r;
	r = sessions_count(&x.s, &c, e);
	scope_end(&x);
	if (r < 0)
		return r;
	struct readback rb = {.verdict = VERDICT_HOLDS};
	bool left = c.sockets_seen || c.packet_sockets;
	rb.dims[DIM_SESSIONS] = left ? DIM_PARTIAL : DIM_CONTAINED;
	/* New attempts of the same programs look like this, too: the cut holds them. */
	if (left &&
	    asprintf(&rb.drift,
	             "%u sockets of the group outside of what is kept are still (or again) there, "
	             "and %u packet sockets\n",
	             c.sockets_seen, c.packet_sockets) < 0)
		rb.drift = NULL;
	*ret = rb;
	return 0;
}

static int describe(const struct order *o, const struct step *s, struct buf *out, struct err *e)
{
	struct group *g = calloc(1, sizeof *g);
	if (!g)
		return err_set(e, -ENOMEM, "out of memory");
	int r = group_from_json(s->forward, g, e);
	if (r == 0 && (g->kind == TARGET_UNIT || g->kind == TARGET_CONTAINER)) {
		buf_addf(out, "ss -K -t -u state connected cgroup /sys/fs/cgroup");
		buf_add(out, g->path, strlen(g->path));
		buf_addf(out, "   # whose peer is not kept\n");
	}
	for (size_t i = 0; r == 0 && i < g->n_members; i++)
		buf_addf(out, "ss -K -t -u state connected   # of process %d\n", g->members[i].pid);
	if (r == 0)
		r = buf_addf(out, "conntrack -D   # the entries of those sockets\n");
	group_free(g);
	free(g);
	return r;
}

const struct step_kind kind_group_sessions = {
    .kind = "host.group-sessions",
    .prepare = prepare,
    .apply = apply,
    .verify = verify,
    .describe = describe,
};
