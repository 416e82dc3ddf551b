/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Kind host.inbound: the table row around inbound.c.
 *
 * The program goes where frames come in. What stands on another device of ours (a bridge on its
 * ports, a VLAN or a macvlan on its card) hears only what has passed there; and the kernel takes no
 * program below a device that has one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"
#include "enforce/host/inbound.h"
#include "enforce/host/parts.h"

static bool gathers(const char *kind)
{
	static const char *const kinds[] = {"bridge", "bond", "team", "vrf"};
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kind, kinds[i]))
			return true;
	return false;
}

/* A veth says "lower" of its other end. */
static bool stands_on_ours(const struct link *dev)
{
	return gathers(dev->kind) ||
	       (dev->lower && dev->lower_nsid < 0 && strcmp(dev->kind, "veth") != 0);
}

static int each_device(bool all, device_fn cb, void *arg, struct err *e)
{
	_cleanup_free_ struct link *v = NULL;
	size_t n = 0;
	bool bridge;
	int r = host_devices(&v, &n, &bridge, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (all || !stands_on_ours(&v[i]))
			r = cb(arg, &v[i], e);
	return r;
}

int each_entrance(device_fn cb, void *arg, struct err *e)
{
	return each_device(false, cb, arg, e);
}

/* ---- apply ---- */

/* The programs to spare, out of the step's result. Numbers of another boot say nothing. */
static int kept_of(const struct step *s, struct kept_list *ret, bool *ret_first, struct err *e)
{
	int r = kept_from_json(s->result, ret, e);
	if (r < 0)
		return r;
	*ret_first = !s->result || !boot_same(ret->boot);
	if (*ret_first)
		ret->n = 0;
	return 0;
}

/* 0: none. */
static uint32_t kept_on(const struct kept_list *l, int ifindex)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].ifindex == ifindex)
			return l->v[i].prog_id;
	return 0;
}

static int keep_it(struct kept_list *l, int ifindex, uint32_t prog_id)
{
	if (l->n == KEPT_MAX)
		return -E2BIG;
	struct kept_program *v = realloc(l->v, (l->n + 1) * sizeof *v);
	if (!v)
		return -ENOMEM;
	l->v = v;
	v[l->n++] = (struct kept_program){ifindex, prog_id};
	return 0;
}

struct applying {
	struct cut_programs *programs;
	const struct order *o;
	struct hold_time t;
	struct step *s;
	struct kept_list kept;
	bool first;
	unsigned done;
	struct err why; /* of the last device that has none */
};

static int tell_of(struct applying *a, const struct link *dev, const struct inbound_report *report)
{
	if (report->displaced)
		step_add_problem(a->s,
		                 "on device %s XDP program %u, which came after the order, was "
		                 "taken away",
		                 dev->name, report->displaced);
	if (report->card)
		step_add_problem(
		    a->s, "the card of device %s runs a program of its own before ours", dev->name);
	if (!report->foreign)
		return 0;
	step_add_problem(a->s,
	                 "on device %s another XDP program (id %u) has the place of ours and keeps "
	                 "it: packet sockets hear what it lets in",
	                 dev->name, report->prog_id);
	return a->first ? keep_it(&a->kept, dev->ifindex, report->prog_id) : 0;
}

/* One device that cannot be had leaves the others covered; it is told. */
static int cover(void *arg, const struct link *dev, struct err *e)
{
	struct applying *a = arg;
	struct inbound_report report = {0};
	struct err why = {0};
	int r = inbound_attach(a->programs, dev->ifindex, a->o->permits, a->o->n_permits, &a->t,
	                       a->first ? INBOUND_SPARE_ALL : kept_on(&a->kept, dev->ifindex),
	                       &report, &why);
	if (r == -ENODEV) /* it went meanwhile */
		return 0;
	if (r < 0) {
		step_add_problem(a->s, "device %s: packet sockets hear what arrives there: %s",
		                 dev->name, why.text);
		a->why = why;
		return 0;
	}
	a->done++;
	r = tell_of(a, dev, &report);
	return r < 0 ? err_set(e, r, "out of memory for the programs of others") : 0;
}

static int uncover(void *arg, const struct link *dev, struct err *e)
{
	struct err why = {0};
	struct err *first = arg;
	int r = inbound_detach(dev->ifindex, &why);
	if (r < 0 && first->code == 0)
		err_set(first, r, "device %s: %s", dev->name, why.text);
	return 0;
}

static int apply(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                 struct err *e)
{
	struct applying a = {.programs = h->inbound, .o = o, .s = s};
	int r = hold_time_of(&o->deadlines, boot_now(), &a.t);
	if (r < 0)
		return err_set(e, r, "the order's deadline has passed already");
	a.t.drain = DRAIN_USEC; /* resets of containers' sockets arrive on our devices */
	r = kept_of(s, &a.kept, &a.first, e);
	if (r < 0)
		return r;
	snprintf(a.kept.boot, sizeof a.kept.boot, "%s", boot_id());
	r = each_device(false, cover, &a, e);
	cut_programs_done(h->inbound);
	h->inbound_loaded = false;
	if (r == 0 && !a.done && a.why.code)
		r = err_set(e, a.why.code, "%s", a.why.text);
	char *result = NULL;
	if (r == 0)
		r = kept_to_json(&a.kept, &result, e);
	free(a.kept.v);
	if (r < 0) {
		struct err ignored = {0};
		if (a.first)
			(void)each_device(true, uncover, &ignored, NULL);
		return r;
	}
	free(s->result);
	s->result = result;
	return 0;
}

/* ---- verify ---- */

struct judging {
	const struct order *o;
	struct hold_time t;
	struct kept_list kept;
	struct buf drift, told; /* told: known limits, which are no drift */
	size_t n, found;
};

static int judge(void *arg, const struct link *dev, struct err *e)
{
	struct judging *j = arg;
	struct inbound_report report = {0};
	bool same = false;
	struct err why = {0};
	int r = inbound_compare(dev->ifindex, j->o->permits, j->o->n_permits, &report, &same, &why);
	if (r == -ENODEV)
		return 0;
	j->n++;
	j->found += report.attached;
	if (r < 0)
		buf_addf(&j->drift, "device %s: %s\n", dev->name, why.text);
	else if (report.foreign)
		buf_addf(kept_on(&j->kept, dev->ifindex) == report.prog_id ? &j->told : &j->drift,
		         "device %s has another XDP program (id %u) in the place of ours: packet "
		         "sockets hear what it lets in\n",
		         dev->name, report.prog_id);
	else if (!report.attached)
		buf_addf(&j->drift,
		         "device %s has no XDP program of ours: packet sockets hear what arrives\n",
		         dev->name);
	else if (!same)
		buf_addf(&j->drift,
		         "device %s: the permits of the XDP program are not the order's\n",
		         dev->name);
	else if (!time_agrees(j->t.armed, report.armed_left) ||
	         !time_agrees(j->t.narrow, report.narrow_left))
		buf_addf(&j->drift, "device %s: the XDP program's deadline is not the order's\n",
		         dev->name);
	if (r == 0 && report.card)
		buf_addf(&j->told, "the card of device %s runs a program of its own before ours\n",
		         dev->name);
	return 0;
}

static struct readback judged(struct judging *j, bool over)
{
	struct readback rb = {.verdict = VERDICT_HOLDS};
	bool drifted = j->drift.len > 0;
	rb.dims[DIM_RAW] = drifted || j->told.len ? DIM_PARTIAL : DIM_CONTAINED;
	if (over || (j->n && !j->found && !j->told.len)) {
		rb.verdict = VERDICT_ABSENT;
		rb.dims[DIM_RAW] = DIM_RELEASED;
	} else if (drifted) {
		rb.verdict = VERDICT_DRIFTED;
	}
	buf_addf(&j->drift, "%s", j->told.len ? buf_str(&j->told) : "");
	readback_tell(&rb, &j->drift);
	return rb;
}

static int verify(struct host *h, const struct order *o, const struct step *s,
                  const struct holds *others, struct readback *ret, struct err *e)
{
	struct judging j = {.o = o, .drift = BUF_INIT(1u << 20), .told = BUF_INIT(1u << 20)};
	bool over = hold_time_of(&o->deadlines, boot_now(), &j.t) == -ETIME, first;
	int r = kept_of(s, &j.kept, &first, e);
	if (r == 0)
		r = each_device(false, judge, &j, e);
	if (r == 0)
		*ret = judged(&j, over);
	free(j.kept.v);
	buf_free(&j.drift);
	buf_free(&j.told);
	return r;
}

/* ---- undo, rearm ---- */

static int undo(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                struct err *e)
{
	struct err first = {0};
	int r = inverse_check(kind_inbound.kind, s->inverse, e);
	if (r == 0)
		r = each_device(true, uncover, &first, e);
	return r == 0 && first.code ? err_set(e, first.code, "%s", first.text) : r;
}

struct rearming {
	struct hold_time t;
	struct err first;
};

static int move(void *arg, const struct link *dev, struct err *e)
{
	struct rearming *x = arg;
	struct err why = {0};
	int r = inbound_rearm(dev->ifindex, &x->t, &why);
	if (r < 0 && r != -ENODEV && r != -ENOENT && x->first.code == 0)
		err_set(&x->first, r == -ETIME ? -ENOENT : r, "device %s: %s", dev->name, why.text);
	return 0;
}

int inbound_time(const struct hold_time *t, struct err *e)
{
	struct rearming x = {.t = *t};
	int r = each_device(true, move, &x, e);
	return r == 0 && x.first.code ? err_set(e, x.first.code, "%s", x.first.text) : r;
}

static int rearm(struct host *h, const struct order *o, struct step *s, const struct holds *others,
                 struct err *e)
{
	struct hold_time t;
	int r = hold_time_of(&o->deadlines, boot_now(), &t);
	if (r < 0)
		return err_set(e, r, "the new deadline has passed already");
	return inbound_time(&t, e);
}

static int describe(const struct order *o, const struct step *s, struct buf *out, struct err *e)
{
	struct layers l;
	int r = layers_from_json(s->forward, &l, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < l.n_devices; i++)
		buf_addf(out,
		         "ip link set dev %s xdp object … (stanch's own, with the same permits; "
		         "xdpgeneric where the driver has none)\n",
		         l.devices[i].name);
	layers_free(&l);
	return out->error;
}

const struct step_kind kind_inbound = {
    .kind = "host.inbound",
    .apply = apply,
    .verify = verify,
    .undo = undo,
    .rearm = rearm,
    .describe = describe,
};
