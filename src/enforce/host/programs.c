/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/host/programs.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/sys.h"
#include "base/table.h"

/* Devices differ in what stands before the IP header and in what we changed on them. */
#define KINDS_MAX 4

/* What the kernel has verified already: that takes longer than all the rest of an attachment. */
struct cut_programs {
	enum cutprog_way way;
	struct program {
		struct cut_config config; /* as it was put into its map */
		struct cutprog c;
	} v[KINDS_MAX];
	size_t n;
	struct cutprog spare; /* runs nowhere, its maps are empty; .prog -1: none */
};

/* ---- permits ---- */

static void mask_of(const struct prefix *p, uint8_t ret[static 16])
{
	for (unsigned i = 0; i < p->len && i < 128; i++)
		ret[i / 8] |= (uint8_t)(0x80 >> i % 8);
}

static struct cut_permit translate(const struct permit *p)
{
	static const uint8_t kinds[_PERMIT_MAX] = {
	    [PERMIT_FLOW] = CUT_FLOW,     [PERMIT_ARP] = CUT_ARP,     [PERMIT_ND] = CUT_ND,
	    [PERMIT_RA] = CUT_RA,         [PERMIT_DHCP4] = CUT_DHCP4, [PERMIT_DHCP6] = CUT_DHCP6,
	    [PERMIT_TOOBIG] = CUT_TOOBIG,
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

int cut_translate(const struct permit *p, size_t n, struct cut_permit *ret, struct err *e)
{
	if (n > CUT_PERMITS_MAX)
		return err_set(e, -E2BIG,
		               "a BPF program of the cut takes at most %d permits, not %zu",
		               CUT_PERMITS_MAX, n);
	memset(ret, 0, CUT_PERMITS_MAX * sizeof *ret);
	for (size_t i = 0; i < n; i++) {
		if ((unsigned)p[i].kind >= _PERMIT_MAX)
			return err_set(e, -EINVAL, "permit %zu is of no known kind", i);
		ret[i] = translate(&p[i]);
	}
	return 0;
}

bool cut_same(const struct cut_config *c, const struct cut_permit *have,
              const struct cut_permit *want, size_t n)
{
	return c->n_permits == n && !memcmp(have, want, n * sizeof *want);
}

int cut_link_header(int ifindex, uint32_t *ret, struct err *e)
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
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].type == q.ifr_hwaddr.sa_family) {
			*ret = known[i].bytes;
			return 0;
		}
	return err_set(e, -EOPNOTSUPP, "a BPF program cannot read frames of link type %u",
	               q.ifr_hwaddr.sa_family);
}

/* ---- clocks ---- */

static uint64_t boot_nsec(usec_t now, usec_t left)
{
	return left ? (now + left) * 1000 : 0;
}

void cut_config_times(struct cut_config *c, const struct hold_time *t)
{
	usec_t now = boot_now();
	c->armed_until = boot_nsec(now, t->armed);
	c->narrow_until = boot_nsec(now, t->narrow);
	c->drain_until = boot_nsec(now, t->drain);
}

int cut_set_timers(const struct cutprog *c, const struct hold_time *t, struct err *e)
{
	struct cut_config k;
	cut_config_times(&k, t);
	return cutprog_set_timers(c, k.armed_until, k.narrow_until, k.drain_until, e);
}

usec_t cut_left(usec_t now, uint64_t until)
{
	if (until == 0)
		return 0;
	return until / 1000 > now ? until / 1000 - now : 1;
}

/* ---- programs ---- */

struct cut_programs *cut_programs_new(enum cutprog_way way)
{
	struct cut_programs *p = calloc(1, sizeof *p);
	if (p) {
		p->way = way;
		p->spare = cutprog_none();
	}
	return p;
}

void cut_programs_done(struct cut_programs *p)
{
	while (p->n)
		cutprog_close(&p->v[--p->n].c);
}

void cut_programs_free(struct cut_programs *p)
{
	if (!p)
		return;
	cut_programs_done(p);
	cutprog_close(&p->spare);
	free(p);
}

static int load(struct cut_programs *ps, const struct cut_config *config,
                const struct cut_permit *p, struct cutprog *ret, struct err *e)
{
	if (ps->spare.prog < 0)
		return cutprog_load(ps->way, config, p, ret, e);
	struct cutprog c = ps->spare;
	ps->spare = cutprog_none();
	int r = cutprog_fill(&c, config, p, e);
	if (r < 0)
		cutprog_close(&c);
	else
		*ret = c;
	return r;
}

int cut_program_for(struct cut_programs *ps, const struct cut_config *config,
                    const struct cut_permit *p, const struct cutprog **ret, struct err *e)
{
	for (size_t i = 0; i < ps->n; i++)
		if (ps->v[i].config.link_header == config->link_header &&
		    ps->v[i].config.flags == config->flags) {
			*ret = &ps->v[i].c;
			return 0;
		}
	if (ps->n == KINDS_MAX)
		cut_programs_done(ps);
	int r = load(ps, config, p, &ps->v[ps->n].c, e);
	if (r < 0)
		return r;
	ps->v[ps->n].config = *config;
	*ret = &ps->v[ps->n++].c;
	return 0;
}

int cut_programs_probe(struct cut_programs *keep, enum cutprog_way way, struct err *e)
{
	const struct cut_config none = {.version = CUT_VERSION};
	struct cutprog c;
	int r = cutprog_load(way, &none, NULL, &c, e);
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
