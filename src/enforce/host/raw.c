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
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/sys.h"
#include "enforce/host/host.h"
#include "kern/cutprog.h"
#include "kern/nl.h"
#include "kern/tc.h"

#define FIRST_PRIO 1
#define TCX_EGRESS 47 /* BPF_TCX_EGRESS, since Linux 6.6 */

/* Devices differ in what stands before the IP header and in who made their qdisc. */
#define KINDS_MAX 4

/* What the kernel has verified already: that takes longer than all the rest of an attachment. */
struct raw_programs {
	struct program {
		struct cut_config config; /* as it was put into its map */
		struct cutprog c;
	} v[KINDS_MAX];
	size_t n;
	struct cutprog spare; /* runs nowhere, its maps are empty; .prog -1: none */
};

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
		r = cutprog_whose(h->v[i].prog_id, &h->kin[i], e);
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

static uint64_t boot_nsec(usec_t now, usec_t left)
{
	return left ? (now + left) * 1000 : 0;
}

/* 0 stays 0 (for good); a deadline that has passed is 1. */
static usec_t usec_left(usec_t now, uint64_t until)
{
	if (until == 0)
		return 0;
	return until / 1000 > now ? until / 1000 - now : 1;
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
	int r = cutprog_open(h->v[h->ours].prog_id, &c, e);
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
	    .armed_left = usec_left(now, config->armed_until),
	    .narrow_left = usec_left(now, config->narrow_until),
	};
	return 0;
}

static void mask_of(const struct prefix *p, uint8_t ret[static 16])
{
	for (unsigned i = 0; i < p->len && i < 128; i++)
		ret[i / 8] |= (uint8_t)(0x80 >> i % 8);
}

static struct cut_permit translate(const struct permit *p)
{
	static const uint8_t kinds[_PERMIT_MAX] = {
	    [PERMIT_FLOW] = CUT_FLOW,      [PERMIT_ARP] = CUT_ARP,     [PERMIT_ND] = CUT_ND,
	    [PERMIT_RA] = CUT_RA,          [PERMIT_DHCP4] = CUT_DHCP4, [PERMIT_DHCP6] = CUT_DHCP6,
	    [PERMIT_TOOBIG] = CUT_NOTHING,
	};
	struct cut_permit k = {
	    .kind = kinds[p->kind],
	    .family = p->peer.addr.family,
	    .proto = p->proto,
	    .breakglass = p->breakglass,
	    .local_port = p->local_port,
	    .peer_port = p->peer_port,
	};
	uint8_t mask[16] = {0};
	mask_of(&p->peer, mask);
	memcpy(k.mask, mask, sizeof k.mask);
	memcpy(k.addr, p->peer.addr.bytes, sizeof k.addr);
	return k;
}

/* The list as the program's map has it; room for CUT_PERMITS_MAX. */
static int translate_all(const struct permit *p, size_t n, struct cut_permit *ret, struct err *e)
{
	if (n > CUT_PERMITS_MAX)
		return err_set(e, -E2BIG, "the tc program takes at most %d permits, not %zu",
		               CUT_PERMITS_MAX, n);
	memset(ret, 0, CUT_PERMITS_MAX * sizeof *ret);
	for (size_t i = 0; i < n; i++) {
		if ((unsigned)p[i].kind >= _PERMIT_MAX)
			return err_set(e, -EINVAL, "permit %zu is of no known kind", i);
		ret[i] = translate(&p[i]);
	}
	return 0;
}

/* How many bytes stand before the IP header of a frame at tc egress. */
static int link_header(int ifindex, uint32_t *ret, struct err *e)
{
	static const struct {
		uint16_t type;
		uint8_t bytes;
	} known[] = {
	    {ARPHRD_ETHER, ETH_HLEN}, {ARPHRD_NONE, 0},    {ARPHRD_PPP, 0}, {ARPHRD_RAWIP, 0},
	    {ARPHRD_TUNNEL, 0},       {ARPHRD_TUNNEL6, 0}, {ARPHRD_SIT, 0},
	};
	struct ifreq q = {.ifr_ifindex = ifindex};
	_cleanup_close_ int fd = sys->socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sys->ioctl(fd, SIOCGIFNAME, &q) < 0 || sys->ioctl(fd, SIOCGIFHWADDR, &q) < 0)
		return err_set(e, -errno, "asking what kind of device %d is: %s", ifindex,
		               strerror(errno));
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (known[i].type == q.ifr_hwaddr.sa_family) {
			*ret = known[i].bytes;
			return 0;
		}
	return err_set(e, -EOPNOTSUPP, "frames of link type %u cannot be read at tc egress",
	               q.ifr_hwaddr.sa_family);
}

static bool same_permits(const struct cut_config *c, const struct cut_permit *have,
                         const struct cut_permit *want, size_t n)
{
	return c->n_permits == n && !memcmp(have, want, n * sizeof *want);
}

static int set_timers(const struct cutprog *c, const struct hold_time *t, struct err *e)
{
	usec_t now = boot_now();
	return cutprog_set_timers(c, boot_nsec(now, t->armed), boot_nsec(now, t->narrow),
	                          boot_nsec(now, t->drain), e);
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
	int r = cutprog_open(h->v[h->ours].prog_id, &c, e);
	if (r < 0)
		return r;
	r = cutprog_read(&c, &config, have, e);
	if (r == 0) {
		*ret_made = config.flags & CUT_FLAG_MADE_CLSACT;
		if (same_permits(&config, have, want, n) && !foreign_ahead(h)) {
			r = set_timers(&c, t, e);
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

struct raw_programs *raw_programs_new(void)
{
	struct raw_programs *p = calloc(1, sizeof *p);
	if (p)
		p->spare = (struct cutprog){-1, -1, -1, -1};
	return p;
}

static void programs_forget(struct raw_programs *p)
{
	while (p->n)
		cutprog_close(&p->v[--p->n].c);
}

void raw_programs_free(struct raw_programs *p)
{
	if (!p)
		return;
	programs_forget(p);
	cutprog_close(&p->spare);
	free(p);
}

static int load(struct raw_programs *ps, const struct cut_config *config,
                const struct cut_permit *p, struct cutprog *ret, struct err *e)
{
	if (ps->spare.prog < 0)
		return cutprog_load(config, p, ret, e);
	struct cutprog c = ps->spare;
	ps->spare = (struct cutprog){-1, -1, -1, -1};
	int r = cutprog_fill(&c, config, p, e);
	if (r < 0)
		cutprog_close(&c);
	else
		*ret = c;
	return r;
}

/* The program for this kind of device, loaded by the first that asks for it. */
static int program_for(struct raw_programs *ps, const struct cut_config *config,
                       const struct cut_permit *p, const struct cutprog **ret, struct err *e)
{
	for (size_t i = 0; i < ps->n; i++)
		if (ps->v[i].config.link_header == config->link_header &&
		    ps->v[i].config.flags == config->flags) {
			*ret = &ps->v[i].c;
			return 0;
		}
	if (ps->n == KINDS_MAX)
		programs_forget(ps);
	int r = load(ps, config, p, &ps->v[ps->n].c, e);
	if (r < 0)
		return r;
	ps->v[ps->n].config = *config;
	*ret = &ps->v[ps->n++].c;
	return 0;
}

static int put_in_front(struct hook *h, struct raw_programs *ps, const struct cut_config *config,
                        const struct cut_permit *p, struct err *e)
{
	const struct cutprog *c;
	uint32_t id = 0;
	int r = program_for(ps, config, p, &c, e);
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

static int attach(struct raw_programs *ps, int ifindex, const struct permit *permits, size_t n,
                  const struct hold_time *t, struct raw_report *ret, struct err *e)
{
	struct cut_permit want[CUT_PERMITS_MAX];
	struct cut_config config = {.version = CUT_VERSION, .n_permits = (uint32_t)n};
	struct hook h;
	bool done = false, made = false, made_now = false;
	int r = translate_all(permits, n, want, e);
	if (r == 0)
		r = link_header(ifindex, &config.link_header, e);
	if (r < 0 || (r = hook_open(ifindex, &h, e)) < 0)
		return r;
	bool had_one = h.ours < h.n;
	r = reuse(&h, want, n, t, &done, &made, e);
	if (r == 0 && !done) {
		usec_t now = boot_now();
		config.armed_until = boot_nsec(now, t->armed);
		config.narrow_until = boot_nsec(now, t->narrow);
		config.drain_until = boot_nsec(now, t->drain);
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

int raw_attach(struct raw_programs *ps, int ifindex, const struct permit *permits, size_t n,
               const struct hold_time *t, struct raw_report *ret, struct err *e)
{
	struct raw_programs own = {.spare = {-1, -1, -1, -1}};
	int r = attach(ps ? ps : &own, ifindex, permits, n, t, ret, e);
	programs_forget(&own);
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
	                  : cutprog_open(h.v[h.ours].prog_id, ret, e);
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
	int r = translate_all(permits, n, want, e);
	if (r < 0 || (r = hook_open(ifindex, &h, e)) < 0)
		return r;
	r = report(&h, &out, &config, have, e);
	if (r == 0) {
		*ret = out;
		*ret_same = out.attached && same_permits(&config, have, want, n);
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
		r = set_timers(&c, t, e);
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

int raw_probe(struct raw_programs *keep, struct err *e)
{
	const struct cut_config none = {.version = CUT_VERSION};
	struct cutprog c;
	int r = cutprog_load(&none, NULL, &c, e);
	if (r < 0)
		return r;
	if (keep) {
		cutprog_close(&keep->spare);
		keep->spare = c;
	} else {
		cutprog_close(&c);
	}
	return 0;
}

void raw_programs_done(struct raw_programs *p)
{
	programs_forget(p);
}
