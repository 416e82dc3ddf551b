/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bulk programs at tc ingress and egress of a device.
 *
 * Invariants
 *  1. New programs hang before old ones are taken away: at no moment is there none.
 *  2. Nothing of anyone else's is moved or removed. What is ours is known by the program itself
 *     (name and tag), not by the filter's name, which anyone may choose.
 *  3. The program of an isolation (host.raw) keeps the first place at egress: ours come second.
 *  4. Who made the qdisc stands in the map of devices; where host.raw still hangs on a qdisc that
 *     was made for us, or we on one made for it, both know, and the last to go removes it.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"
#include "enforce/host/bulk.h"
#include "kern/cutprog.h"
#include "kern/tc.h"

#define SECOND_PRIO 2

static const enum tc_hook hooks[] = {TC_HOOK_INGRESS, TC_HOOK_EGRESS};

/* One hook of a device as it reads now. */
struct hook {
	struct nl *nl;
	int ifindex;
	enum tc_hook which;
	struct tc_filter *v; /* owned; in the order they run */
	size_t n;
};

static int hook_read(struct nl *nl, int ifindex, enum tc_hook which, struct hook *ret,
                     struct err *e)
{
	struct hook h = {.nl = nl, .ifindex = ifindex, .which = which};
	int r = tc_filters(nl, ifindex, which, &h.v, &h.n, e);
	if (r == 0)
		*ret = h;
	return r;
}

/* A program that goes while we look is no error: it is not there. */
static int whose(const struct tc_filter *f, enum bulkprog_kin *ret, uint32_t *ret_maps,
                 struct err *e)
{
	struct err why = {0};
	*ret = BULKPROG_FOREIGN;
	*ret_maps = 0;
	if (f->prog_id == 0)
		return 0;
	int r = bulkprog_whose(f->prog_id, ret, ret_maps, &why);
	if (r == -ESTALE) { /* our program without our maps: a forgery */
		*ret = BULKPROG_KIN;
		return 0;
	}
	return r == 0 || r == -ENOENT ? 0 : err_set(e, r, "%s", why.text);
}

static bool is_cut(const struct tc_filter *f)
{
	enum cutprog_kin kin = CUTPROG_FOREIGN;
	return f->prog_id && cutprog_whose(CUTPROG_OUT, f->prog_id, &kin, NULL) == 0 &&
	       kin == CUTPROG_OURS;
}

/* ---- reading ---- */

static int open_first(const struct hook *h, struct bulkprog *ret, struct err *e)
{
	for (size_t i = 0; i < h->n; i++) {
		enum bulkprog_kin kin = BULKPROG_FOREIGN;
		uint32_t maps = 0;
		int r = whose(&h->v[i], &kin, &maps, e);
		if (r < 0)
			return r;
		if (kin == BULKPROG_OURS)
			return bulkprog_open(h->v[i].prog_id, ret, e);
	}
	return -ENOENT;
}

int bulk_open(const struct link *v, size_t n, struct bulkprog *ret, struct err *e)
{
	struct nl nl;
	int r = nl_open(&nl, NETLINK_ROUTE, e);
	if (r < 0)
		return r;
	r = -ENOENT;
	for (size_t i = 0; r == -ENOENT && i < n * ARRAY_SIZE(hooks); i++) {
		struct hook h = {0};
		struct err why = {0};
		r = hook_read(&nl, v[i / 2].ifindex, hooks[i % 2], &h, &why);
		if (r == 0) {
			r = open_first(&h, ret, &why);
			free(h.v);
		}
		if (r == -ENODEV || r == -ESTALE)
			r = -ENOENT;
		if (r < 0 && r != -ENOENT)
			err_set(e, r, "%s", why.text);
	}
	nl_close(&nl);
	return r == -ENOENT ? err_set(e, r, "no device has the bulk programs") : r;
}

static int judge_hook(const struct hook *h, uint32_t our_maps, bool *ret_ours,
                      struct bulk_device *d, struct err *e)
{
	bool ahead = false;
	for (size_t i = 0; i < h->n; i++) {
		enum bulkprog_kin kin = BULKPROG_FOREIGN;
		uint32_t maps = 0;
		int r = whose(&h->v[i], &kin, &maps, e);
		if (r < 0)
			return r;
		if (kin == BULKPROG_OURS && maps == our_maps) {
			d->foreign_ahead |= ahead && !*ret_ours;
			*ret_ours = true;
		} else if (kin != BULKPROG_FOREIGN) {
			d->kin = true;
		} else {
			ahead |= h->v[i].chain == 0 && !is_cut(&h->v[i]);
		}
	}
	return 0;
}

int bulk_device_read(const struct bulkprog *b, const struct link *dev, struct bulk_device *ret,
                     struct err *e)
{
	struct bulk_device d = {0};
	struct nl nl;
	uint32_t maps;
	int r = bulkprog_maps(b, &maps, e);
	if (r < 0 || (r = nl_open(&nl, NETLINK_ROUTE, e)) < 0)
		return r;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(hooks); i++) {
		struct hook h = {0};
		r = hook_read(&nl, dev->ifindex, hooks[i], &h, e);
		if (r < 0)
			break;
		r = judge_hook(&h, maps, i ? &d.egress : &d.ingress, &d, e);
		free(h.v);
	}
	nl_close(&nl);
	if (r == 0)
		*ret = d;
	return r;
}

int bulk_named(const struct link *dev, unsigned *ret, struct err *e)
{
	struct nl nl;
	unsigned n = 0;
	int r = nl_open(&nl, NETLINK_ROUTE, e);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(hooks); i++) {
		struct hook h = {0};
		r = hook_read(&nl, dev->ifindex, hooks[i], &h, e);
		if (r < 0)
			break;
		for (size_t k = 0; r == 0 && k < h.n; k++) {
			enum bulkprog_kin kin = BULKPROG_FOREIGN;
			uint32_t maps = 0;
			r = whose(&h.v[k], &kin, &maps, e);
			n += r == 0 && kin != BULKPROG_FOREIGN;
		}
		free(h.v);
	}
	nl_close(&nl);
	if (r == 0)
		*ret = n;
	return r;
}

/* ---- attaching ---- */

/* Behind the first place; before what others have there, as far as a shared prio allows: the newest
 * filter of one prio runs first. */
static uint16_t choose_prio(const struct hook *h)
{
	for (size_t i = 0; i < h->n; i++) {
		const struct tc_filter *f = &h->v[i];
		bool shared = !strcmp(f->kind, "bpf") && f->protocol == ETH_P_ALL;
		if (f->chain == 0 && f->prio < SECOND_PRIO && shared && !is_cut(f))
			return f->prio;
	}
	return SECOND_PRIO;
}

int bulk_layer_of(const struct link *dev, enum bulk_layer *ret, struct err *e)
{
	static const struct {
		uint16_t type;
		enum bulk_layer layer;
	} known[] = {
	    {ARPHRD_ETHER, BULK_ETHERNET}, {ARPHRD_NONE, BULK_IP},
	    {ARPHRD_PPP, BULK_IP},         {ARPHRD_RAWIP, BULK_IP},
	    {ARPHRD_TUNNEL, BULK_IP},      {ARPHRD_TUNNEL6, BULK_IP},
	    {ARPHRD_SIT, BULK_IP},         {ARPHRD_LOOPBACK, BULK_ETHERNET},
	};
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].type == dev->type) {
			*ret = known[i].layer;
			return 0;
		}
	return err_set(e, -EOPNOTSUPP, "frames of link type %u cannot be read", dev->type);
}

/* Was the qdisc made for host.raw, whose program hangs there? */
static bool made_for_cut(const struct hook *h)
{
	bool made = false;
	for (size_t i = 0; i < h->n; i++) {
		struct cutprog c;
		struct cut_config k;
		if (!is_cut(&h->v[i]) || cutprog_open(CUTPROG_OUT, h->v[i].prog_id, &c, NULL) < 0)
			continue;
		made |= cutprog_read(&c, &k, NULL, NULL) == 0 && (k.flags & CUT_FLAG_MADE_CLSACT);
		cutprog_close(&c);
	}
	return made;
}

static int need_clsact(struct nl *nl, int ifindex, bool *ret_made, struct err *e)
{
	bool present = false;
	int r = tc_clsact_present(nl, ifindex, &present, e);
	if (r < 0 || present)
		return r;
	r = tc_clsact_add(nl, ifindex, e);
	if (r == -EEXIST)
		return err_set(e, -EBUSY, "an ingress qdisc holds the place of clsact");
	*ret_made = r == 0;
	return r;
}

static int note_maker(struct nl *nl, const struct bulkprog *b, int ifindex, bool made,
                      struct err *e)
{
	struct hook h = {0};
	struct bulk_device_note note = {0};
	if (bulkprog_get_device(b, ifindex, &note, NULL) == 0 && !made)
		return 0;
	int r = hook_read(nl, ifindex, TC_HOOK_EGRESS, &h, e);
	if (r < 0)
		return r;
	made |= made_for_cut(&h);
	free(h.v);
	note.flags = made ? BULK_FLAG_MADE_CLSACT : 0;
	return bulkprog_set_device(b, ifindex, &note, e);
}

/* Removes programs of our name, but those with the tries to keep (0: none). */
static int remove_named(const struct hook *h, uint32_t keep, struct err *e)
{
	for (size_t i = 0; i < h->n; i++) {
		enum bulkprog_kin kin = BULKPROG_FOREIGN;
		uint32_t maps = 0;
		int r = whose(&h->v[i], &kin, &maps, e);
		if (r == 0 && kin != BULKPROG_FOREIGN && !(keep && maps == keep))
			r = tc_filter_delete(h->nl, h->ifindex, h->which, &h->v[i], e);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

static int attach_hook(struct nl *nl, const struct bulkprog *b, uint32_t maps, int ifindex,
                       enum bulk_layer layer, enum tc_hook which, struct err *e)
{
	struct hook h = {0};
	struct bulk_device d = {0};
	bool there = false;
	int r = hook_read(nl, ifindex, which, &h, e);
	if (r < 0)
		return r;
	r = judge_hook(&h, maps, &there, &d, e);
	if (r == 0 && !there)
		r = tc_bpf_add(nl, ifindex, which, choose_prio(&h), b->progs[layer],
		               layer == BULK_IP ? BULKPROG_NAME_IP : BULKPROG_NAME, e);
	if (r == 0 && d.kin)
		r = remove_named(&h, maps, e);
	free(h.v);
	return r;
}

int bulk_attach(const struct bulkprog *b, const struct link *dev, struct err *e)
{
	struct nl nl;
	enum bulk_layer layer = BULK_ETHERNET;
	uint32_t maps = 0;
	bool made = false;
	int r = bulk_layer_of(dev, &layer, e);
	if (r == 0)
		r = bulkprog_maps(b, &maps, e);
	if (r < 0 || (r = nl_open(&nl, NETLINK_ROUTE, e)) < 0)
		return r;
	r = need_clsact(&nl, dev->ifindex, &made, e);
	if (r == 0)
		r = note_maker(&nl, b, dev->ifindex, made, e);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(hooks); i++)
		r = attach_hook(&nl, b, maps, dev->ifindex, layer, hooks[i], e);
	nl_close(&nl);
	return r;
}

/* ---- detaching ---- */

/* The qdisc was made for us and host.raw stays on it: from now on it was made for that one. */
static int hand_over(const struct hook *h, struct err *e)
{
	for (size_t i = 0; i < h->n; i++) {
		struct cutprog c;
		struct cut_config k;
		struct cut_permit p[CUT_PERMITS_MAX];
		if (!is_cut(&h->v[i]))
			continue;
		int r = cutprog_open(CUTPROG_OUT, h->v[i].prog_id, &c, e);
		if (r < 0)
			return r;
		r = cutprog_read(&c, &k, p, e);
		k.flags |= CUT_FLAG_MADE_CLSACT;
		if (r == 0)
			r = cutprog_fill(&c, &k, p, e);
		cutprog_close(&c);
		if (r < 0)
			return r;
	}
	return 0;
}

static int drop_clsact(struct nl *nl, int ifindex, struct err *e)
{
	size_t left = 0;
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		struct hook h = {0};
		int r = hook_read(nl, ifindex, hooks[i], &h, e);
		if (r < 0)
			return r;
		left += h.n;
		r = hooks[i] == TC_HOOK_EGRESS ? hand_over(&h, e) : 0;
		free(h.v);
		if (r < 0)
			return r;
	}
	int r = left ? 0 : tc_clsact_delete(nl, ifindex, e);
	return r == -ENOENT ? 0 : r;
}

int bulk_detach(const struct bulkprog *b, const struct link *dev, struct err *e)
{
	struct nl nl;
	struct bulk_device_note note = {0};
	int r = nl_open(&nl, NETLINK_ROUTE, e);
	if (r < 0)
		return r;
	if (b && bulkprog_get_device(b, dev->ifindex, &note, NULL) < 0)
		note.flags = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(hooks); i++) {
		struct hook h = {0};
		r = hook_read(&nl, dev->ifindex, hooks[i], &h, e);
		if (r < 0)
			break;
		r = remove_named(&h, 0, e);
		free(h.v);
	}
	if (r == 0 && (note.flags & BULK_FLAG_MADE_CLSACT))
		r = drop_clsact(&nl, dev->ifindex, e);
	nl_close(&nl);
	return r == -ENODEV ? 0 : r;
}
