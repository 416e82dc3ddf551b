/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tc layer of one device.
 *
 * Invariants
 *  1. A change of permits is a new program put in front of the old one, which goes only when the
 *     new one reads back: at no moment is there none, or one with half a list.
 *  2. Nothing of anyone else's is moved or removed. Where another filter keeps the first place,
 *     that is told (foreign_ahead).
 *  3. What belongs to us is known by the program itself (name and tag), not by the filter's name,
 *     which anyone may choose.
 *  4. Who made the qdisc stands in the program's own map, so that a crash does not forget it.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/programs.h"
#include "kern/nl.h"
#include "kern/tc.h"

#define FIRST_PRIO 1
#define TCX_EGRESS 47 /* BPF_TCX_EGRESS, since Linux 6.6 */

/* The egress hook of a device as it reads now. */
struct hook {
	struct nl nl;
	int ifindex;
	struct tc_filter *v;   /* owned; in the order they run */
	enum cutprog_kin *kin; /* owned; of v[i] */
	size_t n;
	size_t ours; /* index of the first that is ours by its tag; n: none */
};

static void hook_forget(struct hook *h)
{
	free(h->v);
	free(h->kin);
	h->v = NULL;
	h->kin = NULL;
	h->n = h->ours = 0;
}

static void hook_close(struct hook *h)
{
	hook_forget(h);
	nl_close(&h->nl);
}

static int hook_read(struct hook *h, struct err *e)
{
	hook_forget(h);
	int r = tc_filters(&h->nl, h->ifindex, TC_HOOK_EGRESS, &h->v, &h->n, e);
	if (r < 0)
		return r;
	h->ours = h->n;
	h->kin = calloc(h->n + 1, sizeof *h->kin);
	if (!h->kin)
		return err_set(e, -ENOMEM, "out of memory for %zu tc filters", h->n);
	for (size_t i = 0; i < h->n; i++) {
		if (h->v[i].prog_id == 0)
			continue;
		r = cutprog_whose(CUTPROG_OUT, h->v[i].prog_id, &h->kin[i], e);
		if (r < 0 && r != -ENOENT)
			return r;
		if (h->kin[i] == CUTPROG_OURS && h->ours == h->n)
			h->ours = i;
	}
	return 0;
}

static int hook_open(int ifindex, struct hook *ret, struct err *e)
{
	struct hook h = {.ifindex = ifindex, .nl = {.fd = -1}};
	int r = nl_open(&h.nl, NETLINK_ROUTE, e);
	if (r == 0)
		r = hook_read(&h, e);
	if (r < 0)
		hook_close(&h);
	else
		*ret = h;
	return r;
}

/* TCX programs run before every filter of the qdisc. Kernels without them know no such query. */
static bool tcx_present(int ifindex)
{
	union bpf_attr a = {0};
	a.query.target_fd = (uint32_t)ifindex; /* target_ifindex in newer headers: the same bytes */
	a.query.attach_type = TCX_EGRESS;
	return sys->bpf(BPF_PROG_QUERY, &a, sizeof a) == 0 && a.query.prog_cnt > 0;
}

static bool foreign_ahead(const struct hook *h)
{
	for (size_t i = 0; i < h->ours && i < h->n; i++)
		if (h->v[i].chain == 0 && h->kin[i] == CUTPROG_FOREIGN)
			return true;
	return tcx_present(h->ifindex);
}

/* permits may be NULL, else it has room for CUT_PERMITS_MAX. */
static int report(const struct hook *h, struct raw_report *ret, struct cut_config *config,
                  struct cut_permit *permits, struct err *e)
{
	struct cutprog c;
	*ret = (struct raw_report){0};
	for (size_t i = 0; i < h->n; i++)
		ret->n_named += h->kin[i] != CUTPROG_FOREIGN;
	if (h->ours == h->n)
		return 0;
	usec_t now = boot_now();
	int r = cutprog_open(CUTPROG_OUT, h->v[h->ours].prog_id, &c, e);
	if (r < 0)
		return r;
	r = cutprog_read(&c, config, permits, e);
	cutprog_close(&c);
	if (r < 0)
		return r;
	*ret = (struct raw_report){
	    .attached = true,
	    .foreign_ahead = foreign_ahead(h),
	    .n_named = ret->n_named,
	    .made_clsact = config->flags & CUT_FLAG_MADE_CLSACT,
	    .prog_id = h->v[h->ours].prog_id,
	    .armed_left = cut_left(now, config->armed_until),
	    .narrow_left = cut_left(now, config->narrow_until),
	};
	return 0;
}

/* Is what is there already what is wanted, so that only the timers need to move? */
static int reuse(const struct hook *h, const struct cut_permit *want, size_t n,
                 const struct hold_time *t, bool *ret_done, bool *ret_made, struct err *e)
{
	struct cut_permit have[CUT_PERMITS_MAX] = {0};
	struct cut_config config;
	struct cutprog c;
	if (h->ours == h->n)
		return 0;
	int r = cutprog_open(CUTPROG_OUT, h->v[h->ours].prog_id, &c, e);
	if (r < 0)
		return r;
	r = cutprog_read(&c, &config, have, e);
	if (r == 0) {
		*ret_made = config.flags & CUT_FLAG_MADE_CLSACT;
		if (cut_same(&config, have, want, n) && !foreign_ahead(h)) {
			r = cut_set_timers(&c, t, e);
			*ret_done = r == 0;
		}
	}
	cutprog_close(&c);
	return r;
}

/* The first place if it is free or can be shared, else the lowest free one. */
static uint16_t choose_prio(const struct hook *h)
{
	uint16_t prio = FIRST_PRIO;
	for (size_t i = 0; i < h->n && h->v[i].chain == 0 && prio < UINT16_MAX; i++) {
		const struct tc_filter *f = &h->v[i];
		if (f->prio != prio || (!strcmp(f->kind, "bpf") && f->protocol == ETH_P_ALL))
			break;
		while (i + 1 < h->n && h->v[i + 1].chain == 0 && h->v[i + 1].prio == prio)
			i++;
		prio++;
	}
	return prio;
}

/* Removes programs of ours and of our name, but the one to keep (0: none). */
static int remove_ours(struct hook *h, uint32_t keep, struct err *e)
{
	for (size_t i = 0; i < h->n; i++) {
		if (h->kin[i] == CUTPROG_FOREIGN || h->v[i].prog_id == keep)
			continue;
		int r = tc_filter_delete(&h->nl, h->ifindex, TC_HOOK_EGRESS, &h->v[i], e);
		if (r < 0 && r != -ENOENT)
			return err_prefix(e, r, "removing the tc program of device %d", h->ifindex);
	}
	return 0;
}

static int put_in_front(struct hook *h, struct cut_programs *ps, const struct cut_config *config,
                        const struct cut_permit *p, struct err *e)
{
	const struct cutprog *c;
	uint32_t id = 0;
	int r = cut_program_for(ps, config, p, &c, e);
	if (r < 0)
		return r;
	r = cutprog_id(c, &id, e);
	if (r == 0)
		r = tc_bpf_add(&h->nl, h->ifindex, TC_HOOK_EGRESS, choose_prio(h), c->prog,
		               CUTPROG_NAME, e);
	if (r < 0)
		return err_prefix(e, r, "attaching at tc egress");
	r = hook_read(h, e);
	if (r == 0 && (h->ours == h->n || h->v[h->ours].prog_id != id))
		r = err_set(e, -EIO, "the tc program does not read back from device %d",
		            h->ifindex);
	bool alone = true;
	for (size_t i = 0; r == 0 && i < h->n; i++)
		alone = alone && (h->kin[i] == CUTPROG_FOREIGN || h->v[i].prog_id == id);
	if (r < 0 || alone)
		return r;
	r = remove_ours(h, id, e);
	return r < 0 ? r : hook_read(h, e);
}

static int need_clsact(struct hook *h, bool *ret_made, struct err *e)
{
	bool present = false;
	int r = tc_clsact_present(&h->nl, h->ifindex, &present, e);
	if (r < 0 || present)
		return r;
	r = tc_clsact_add(&h->nl, h->ifindex, e);
	if (r == -EEXIST)
		return err_set(e, -EBUSY,
		               "an ingress qdisc holds the place of clsact, which is needed to "
		               "filter what is sent");
	if (r == 0)
		*ret_made = true;
	return r < 0 ? err_prefix(e, r, "adding the clsact qdisc") : 0;
}

/* Removes the qdisc only when nobody hangs on it any more. */
static int drop_clsact(struct hook *h, struct err *e)
{
	static const enum tc_hook hooks[] = {TC_HOOK_INGRESS, TC_HOOK_EGRESS};
	for (size_t i = 0; i < 2; i++) {
		struct tc_filter *v = NULL;
		size_t n = 0;
		int r = tc_filters(&h->nl, h->ifindex, hooks[i], &v, &n, e);
		free(v);
		if (r < 0 || n)
			return r;
	}
	int r = tc_clsact_delete(&h->nl, h->ifindex, e);
	return r == -ENOENT ? 0 : r;
}

/* Leaves the device as it was found. */
static void give_up(struct hook *h, bool made)
{
	if (hook_read(h, NULL) == 0)
		(void)remove_ours(h, 0, NULL);
	if (made)
		(void)drop_clsact(h, NULL);
}

static int attach(struct cut_programs *ps, int ifindex, const struct permit *permits, size_t n,
                  const struct hold_time *t, struct raw_report *ret, struct err *e)
{
	struct cut_permit want[CUT_PERMITS_MAX];
	struct cut_config config = {.version = CUT_VERSION, .n_permits = (uint32_t)n};
	struct hook h;
	bool done = false, made = false, made_now = false;
	int r = cut_translate(permits, n, want, e);
	if (r == 0)
		r = cut_link_header(ifindex, &config.link_header, e);
	if (r < 0 || (r = hook_open(ifindex, &h, e)) < 0)
		return r;
	bool had_one = h.ours < h.n;
	r = reuse(&h, want, n, t, &done, &made, e);
	if (r == 0 && !done) {
		cut_config_times(&config, t);
		r = need_clsact(&h, &made_now, e);
		config.flags = made || made_now ? CUT_FLAG_MADE_CLSACT : 0;
		if (r == 0)
			r = put_in_front(&h, ps, &config, want, e);
	}
	if (r == 0)
		r = report(&h, ret, &config, NULL, e);
	if (r < 0 && !had_one)
		give_up(&h, made_now);
	hook_close(&h);
	return r;
}

int raw_attach(struct cut_programs *ps, int ifindex, const struct permit *permits, size_t n,
               const struct hold_time *t, struct raw_report *ret, struct err *e)
{
	struct cut_programs *own = ps ? NULL : cut_programs_new(CUTPROG_OUT);
	if (!ps && !own)
		return err_set(e, -ENOMEM, "out of memory for a tc program");
	int r = attach(ps ? ps : own, ifindex, permits, n, t, ret, e);
	cut_programs_free(own);
	return r;
}

int raw_read(int ifindex, struct raw_report *ret, struct err *e)
{
	struct cut_config config;
	struct hook h;
	int r = hook_open(ifindex, &h, e);
	if (r < 0)
		return r;
	r = report(&h, ret, &config, NULL, e);
	hook_close(&h);
	return r;
}

/* Opens the program that is ours on this device; -ENOENT: there is none. */
static int open_ours(int ifindex, struct cutprog *ret, struct err *e)
{
	struct hook h;
	int r = hook_open(ifindex, &h, e);
	if (r < 0)
		return r;
	r = h.ours == h.n ? err_set(e, -ENOENT, "device %d has no tc program of ours", ifindex)
	                  : cutprog_open(CUTPROG_OUT, h.v[h.ours].prog_id, ret, e);
	hook_close(&h);
	return r;
}

int raw_compare(int ifindex, const struct permit *permits, size_t n, struct raw_report *ret,
                bool *ret_same, struct err *e)
{
	struct cut_permit want[CUT_PERMITS_MAX], have[CUT_PERMITS_MAX] = {0};
	struct cut_config config = {0};
	struct raw_report out = {0};
	struct hook h;
	int r = cut_translate(permits, n, want, e);
	if (r < 0 || (r = hook_open(ifindex, &h, e)) < 0)
		return r;
	r = report(&h, &out, &config, have, e);
	if (r == 0) {
		*ret = out;
		*ret_same = out.attached && cut_same(&config, have, want, n);
	}
	hook_close(&h);
	return r;
}

int raw_rearm(int ifindex, const struct hold_time *t, struct err *e)
{
	struct cutprog c;
	struct cut_config config;
	int r = open_ours(ifindex, &c, e);
	if (r < 0)
		return r;
	r = cutprog_read(&c, &config, NULL, e);
	if (r == 0 && config.armed_until && config.armed_until / 1000 <= boot_now())
		r = err_set(e, -ETIME, "the deadline of its tc program has passed");
	if (r == 0)
		r = cut_set_timers(&c, t, e);
	cutprog_close(&c);
	return r;
}

int raw_detach(int ifindex, bool made_clsact, struct err *e)
{
	struct hook h;
	int r = hook_open(ifindex, &h, e);
	if (r < 0)
		return r == -ENODEV ? 0 : r; /* the device took it all along */
	r = remove_ours(&h, 0, e);
	if (r == 0 && made_clsact)
		r = drop_clsact(&h, e);
	hook_close(&h);
	return r == -ENODEV ? 0 : r;
}

int raw_probe(struct cut_programs *keep, struct err *e)
{
	return cut_programs_probe(keep, CUTPROG_OUT, e);
}
