/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Kind host.queues: AF_XDP sockets send past every layer of a cut. Each queue of a device takes one
 * such socket, and ours has it (holder.h). What stands on another device of ours sends through that
 * one's hooks and needs none.
 */
#include <errno.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/holder.h"
#include "enforce/host/parts.h"
#include "kern/xsk.h"

#define RETRIES    5
#define RETRY_MSEC 20

/* Goes through every queue that there is. */
struct round {
	int fds[HOLDER_FDS_MAX]; /* that were free and are ours now */
	size_t n;
	struct busy {
		int ifindex;
		uint32_t queue;
	} busy[HOLDER_FDS_MAX]; /* taken by somebody, us included */
	size_t taken;
	struct buf told;
	bool none; /* this kernel has no such sockets */
};

/* Of one queue; -ENXIO: there are no more. */
static int take_queue(struct round *x, const struct link *dev, uint32_t q, struct err *e)
{
	if (x->n == HOLDER_FDS_MAX || x->taken == HOLDER_FDS_MAX)
		return err_set(e, -E2BIG, "there are more than %d queues to hold", HOLDER_FDS_MAX);
	int r = xsk_hold(dev->ifindex, q, &x->fds[x->n], e);
	if (r == -EBUSY)
		x->busy[x->taken++] = (struct busy){dev->ifindex, q};
	x->n += r == 0;
	return r == -EBUSY ? 0 : r;
}

static int take_queues(void *arg, const struct link *dev, struct err *e)
{
	struct round *x = arg;
	size_t before = x->n;
	int r = 0;
	for (uint32_t q = 0; r == 0 && q < XSK_QUEUES_MAX && !x->none; q++) {
		struct err why = {0};
		r = take_queue(x, dev, q, &why);
		x->none = r == -EAFNOSUPPORT;
		if (r == -E2BIG)
			return err_set(e, r, "%s", why.text);
		if (r < 0 && r != -ENXIO && r != -ENODEV && !x->none)
			buf_addf(&x->told, "device %s: its queues cannot be held: %s\n", dev->name,
			         why.text);
	}
	if (x->n > before)
		buf_addf(&x->told, "device %s: an AF_XDP socket may send there past the cut\n",
		         dev->name);
	return 0;
}

/* A socket that was closed keeps its place until the kernel gets round to it. */
static void try_again(struct round *x)
{
	size_t left = 0;
	for (size_t i = 0; i < x->taken; i++) {
		int r = x->n < HOLDER_FDS_MAX
		            ? xsk_hold(x->busy[i].ifindex, x->busy[i].queue, &x->fds[x->n], NULL)
		            : -EBUSY;
		if (r == 0)
			x->n++;
		else if (r == -EBUSY)
			x->busy[left++] = x->busy[i];
	}
	x->taken = left;
}

/* ours: so many are expected to be taken. */
static int look(unsigned ours, struct round *ret, struct err *e)
{
	*ret = (struct round){.told = BUF_INIT(1u << 20)};
	int r = each_entrance(take_queues, ret, e);
	for (int i = 0; r == 0 && ret->taken > ours && i < RETRIES; i++) {
		sys->poll(NULL, 0, RETRY_MSEC);
		try_again(ret);
	}
	return r;
}

static void let_go(struct round *x)
{
	while (x->n)
		sys->close(x->fds[--x->n]);
	buf_free(&x->told);
}

static usec_t until(const struct hold_time *t)
{
	return t->armed ? boot_now() + t->armed : 0;
}

static void tell_taken(struct step *s, unsigned taken)
{
	if (taken)
		step_add_problem(s,
		                 "%u queues are taken by AF_XDP sockets of others, which send past "
		                 "the cut",
		                 taken);
}

/* An isolation that is applied again has another token. There is one at a time: what an earlier one
 * left goes on under ours. */
static int inherit(const char *token, struct err *e)
{
	_cleanup_free_ struct holder_name *v = NULL;
	size_t n = 0;
	int r = holder_list(&v, &n, e);
	if (r == 0 && n && strcmp(v[0].token, token) != 0)
		r = holder_rename(v[0].token, token, e);
	for (size_t i = 1; r == 0 && i < n; i++)
		if (strcmp(v[i].token, token) != 0)
			r = holder_end(v[i].token, e);
	return r;
}

static int hand_over(struct step *s, struct round *x, const struct hold_time *t, unsigned ours,
                     struct err *e)
{
	int r = holder_add(s->token, x->fds, x->n, until(t), e);
	if (r == 0)
		tell_taken(s, x->taken > ours ? (unsigned)x->taken - ours : 0);
	return r;
}

/* The guard starts no programs; a process that is there already it can hand more to. */
static int apply(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                 struct err *e)
{
	struct holder_state state = {0};
	struct hold_time t;
	struct round x;
	int r = hold_time_of(&o->deadlines, boot_now(), &t);
	if (r < 0)
		return err_set(e, r, "the order's deadline has passed already");
	bool alive = holder_ask(s->token, &state, NULL) == 0;
	if (!alive && h->guards)
		return err_set(e, -EOPNOTSUPP,
		               "the process that holds the AF_XDP queues has ended; start it again "
		               "with: stanch reassert");
	if (!alive && (r = inherit(s->token, e)) < 0)
		return r;
	(void)holder_ask(s->token, &state, NULL);
	r = look(state.n, &x, e);
	if (r == 0 && !x.none)
		r = hand_over(s, &x, &t, state.n, e);
	let_go(&x);
	return r;
}

static struct readback judged(const struct round *x, const struct holder_state *state, bool alive,
                              bool over, const struct hold_time *t)
{
	struct readback rb = {.verdict = VERDICT_HOLDS};
	struct buf drift = BUF_INIT(1u << 20);
	usec_t now = boot_now();
	usec_t left = state->until > now ? state->until - now : state->until ? 1 : 0;
	buf_addf(&drift, "%s", x->told.len ? buf_str(&x->told) : "");
	if (alive && !over && !time_agrees(t->armed, left))
		buf_addf(&drift, "the process that holds the AF_XDP queues has another deadline\n");
	bool drifted = drift.len > 0;
	if (x->taken > state->n)
		buf_addf(&drift,
		         "%u AF_XDP queues are taken by sockets of others, which send past the "
		         "cut\n",
		         (unsigned)x->taken - state->n);
	rb.dims[DIM_RAW] = drift.len ? DIM_PARTIAL : DIM_CONTAINED;
	if (!x->none && (over || (x->n && !alive))) {
		rb.verdict = VERDICT_ABSENT;
		rb.dims[DIM_RAW] = over ? DIM_RELEASED : DIM_PARTIAL;
	} else if (drifted) {
		rb.verdict = VERDICT_DRIFTED;
	}
	readback_tell(&rb, &drift);
	return rb;
}

/* By trying: a queue that we can take is not held. */
static int verify(struct host *h, const struct order *o, const struct step *s,
                  const struct holds *others, struct readback *ret, struct err *e)
{
	struct hold_time t = {0};
	struct holder_state state = {0};
	struct round x;
	bool over = hold_time_of(&o->deadlines, boot_now(), &t) == -ETIME;
	bool alive = holder_ask(s->token, &state, NULL) == 0;
	int r = look(state.n, &x, e);
	if (r == 0)
		*ret = judged(&x, &state, alive, over, &t);
	let_go(&x);
	return r;
}

static int undo(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                struct err *e)
{
	int r = inverse_check(kind_queues.kind, s->inverse, e);
	return r < 0 ? r : holder_end(s->token, e);
}

static int rearm(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                 struct err *e)
{
	struct hold_time t;
	int r = hold_time_of(&o->deadlines, boot_now(), &t);
	if (r < 0)
		return err_set(e, r, "the new deadline has passed already");
	r = holder_set_time(s->token, until(&t), e);
	return r == -ENOENT ? 0 : r; /* that it has ended is for verify to tell */
}

static int describe(const struct order *o, const struct step *s, struct buf *out, struct err *e)
{
	return buf_addf(out, "# no command does this: an AF_XDP socket of stanch's own is bound to "
	                     "each queue\n");
}

const struct step_kind kind_queues = {
    .kind = "host.queues",
    .apply = apply,
    .verify = verify,
    .undo = undo,
    .rearm = rearm,
    .describe = describe,
};
