/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The XDP layer of one device: what no permit names does not reach this host, its packet sockets
 * included.
 *
 * Invariants
 *  1. A change of permits is a new program that takes the old one's place in one moment: there is
 *     never none, or one with half a list.
 *  2. Nobody else's program is replaced or removed that the caller wants spared: what was there
 * before the cut. One that came later is somebody's way out of it.
 *  3. What belongs to us is known by the program itself (name and tag).
 *  4. What the kernel turned off for us stands in the program's own map, so that a crash does not
 *     forget it.
 */
#include "enforce/host/inbound.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/sys.h"
#include "base/table.h"
#include "kern/nl.h"

/* A device's place for a program, as it reads now. */
struct seat {
	struct nl nl;
	int ifindex;
	enum xdp_mode mode;   /* of the program that is there */
	uint32_t prog_id;     /* 0: nobody sits */
	enum cutprog_kin kin; /* of who sits */
	bool card;            /* the card has a program of its own beside it */
};

static int seat_read(struct seat *s, struct err *e)
{
	struct xdp_state x;
	int r = xdp_read(&s->nl, s->ifindex, &x, e);
	if (r < 0)
		return r;
	s->mode = x.prog_id[XDP_NATIVE] ? XDP_NATIVE : XDP_GENERIC;
	s->prog_id = x.prog_id[s->mode];
	s->card = x.prog_id[XDP_CARD] != 0;
	s->kin = CUTPROG_FOREIGN;
	if (!s->prog_id)
		return 0;
	r = cutprog_whose(CUTPROG_IN, s->prog_id, &s->kin, e);
	return r == -ENOENT ? 0 : r;
}

static void seat_close(struct seat *s)
{
	nl_close(&s->nl);
}

static int seat_open(int ifindex, struct seat *ret, struct err *e)
{
	struct seat s = {.ifindex = ifindex, .nl = {.fd = -1}};
	int r = nl_open(&s.nl, NETLINK_ROUTE, e);
	if (r == 0)
		r = seat_read(&s, e);
	if (r < 0)
		seat_close(&s);
	else
		*ret = s;
	return r;
}

static bool is_ours(const struct seat *s)
{
	return s->prog_id && s->kin == CUTPROG_OURS;
}

static int report(const struct seat *s, struct inbound_report *ret, struct cut_config *config,
                  struct cut_permit *permits, struct err *e)
{
	struct cutprog c;
	*ret = (struct inbound_report){
	    .mode = s->mode,
	    .prog_id = s->prog_id,
	    .card = s->card,
	    .named = s->prog_id && s->kin != CUTPROG_FOREIGN,
	    .foreign = s->prog_id && s->kin == CUTPROG_FOREIGN,
	};
	if (!is_ours(s))
		return 0;
	usec_t now = boot_now();
	int r = cutprog_open(CUTPROG_IN, s->prog_id, &c, e);
	if (r < 0)
		return r;
	r = cutprog_read(&c, config, permits, e);
	cutprog_close(&c);
	if (r < 0)
		return r;
	ret->attached = true;
	ret->armed_left = cut_left(now, config->armed_until);
	ret->narrow_left = cut_left(now, config->narrow_until);
	return 0;
}

/* ---- the device's driver ---- */

static int ask_driver(int ifindex, void *q)
{
	struct ifreq f = {.ifr_ifindex = ifindex};
	_cleanup_close_ int fd = sys->socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sys->ioctl(fd, SIOCGIFNAME, &f) < 0)
		return -errno;
	f.ifr_data = q;
	return sys->ioctl(fd, SIOCETHTOOL, &f) < 0 ? -errno : 0;
}

/* Drivers that take a program without a reset. Others may go down for seconds, which the operator,
 * and the check of his way in, could not tell from being locked out; there the program runs behind
 * the driver, where it sees the same frames. */
static bool native_is_gentle(int ifindex)
{
	static const char *const drivers[] = {"veth", "virtio_net"};
	struct ethtool_drvinfo d = {.cmd = ETHTOOL_GDRVINFO};
	if (ask_driver(ifindex, &d) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (!strncmp(d.driver, drivers[i], sizeof d.driver))
			return true;
	return false;
}

/* The kernel turns LRO off where it attaches a generic program, and not on again. */
static bool has_lro(int ifindex)
{
	struct ethtool_value v = {.cmd = ETHTOOL_GFLAGS};
	return ask_driver(ifindex, &v) == 0 && (v.data & ETH_FLAG_LRO);
}

static void bring_lro_back(int ifindex)
{
	struct ethtool_value v = {.cmd = ETHTOOL_GFLAGS};
	if (ask_driver(ifindex, &v) < 0 || (v.data & ETH_FLAG_LRO))
		return;
	v.cmd = ETHTOOL_SFLAGS;
	v.data |= ETH_FLAG_LRO;
	(void)ask_driver(ifindex, &v);
}

/* ---- attaching ---- */

/* Is what is there already what is wanted, so that only the timers need to move? *ret_flags: what
 * the program that is there knows of the device. */
static int reuse(const struct seat *s, const struct cut_permit *want, size_t n,
                 const struct hold_time *t, bool *ret_done, uint32_t *ret_flags, struct err *e)
{
	struct cut_permit have[CUT_PERMITS_MAX] = {0};
	struct cut_config config;
	struct cutprog c;
	if (!is_ours(s))
		return 0;
	int r = cutprog_open(CUTPROG_IN, s->prog_id, &c, e);
	if (r < 0)
		return r;
	r = cutprog_read(&c, &config, have, e);
	if (r == 0) {
		*ret_flags = config.flags;
		if (cut_same(&config, have, want, n)) {
			r = cut_set_timers(&c, t, e);
			*ret_done = r == 0;
		}
	}
	cutprog_close(&c);
	return r;
}

/* Takes the place of the program that has it, in the mode that it has. One that hangs on a link of
 * its own can only be taken away first. */
static int succeed_it(struct seat *s, int prog, struct err *e)
{
	_cleanup_close_ int old = -1;
	struct err why = {0};
	int r = cutprog_fd(s->prog_id, &old, e);
	if (r < 0)
		return r;
	r = xdp_attach(&s->nl, s->ifindex, s->mode, prog, old, &why);
	if (r == -EBUSY && xdp_unlink(s->ifindex, s->prog_id, &why) == 0)
		r = xdp_attach(&s->nl, s->ifindex, s->mode, prog, -1, &why);
	return r < 0 ? err_set(e, r, "taking the place of XDP program %u: %s", s->prog_id, why.text)
	             : 0;
}

static int sit_down(struct seat *s, int prog, struct err *e)
{
	if (s->prog_id)
		return succeed_it(s, prog, e);
	if (native_is_gentle(s->ifindex) &&
	    xdp_attach(&s->nl, s->ifindex, XDP_NATIVE, prog, -1, NULL) == 0)
		return 0;
	int r = xdp_attach(&s->nl, s->ifindex, XDP_GENERIC, prog, -1, e);
	return r < 0 ? err_prefix(e, r, "attaching an XDP program") : 0;
}

static int put(struct seat *s, struct cut_programs *ps, const struct cut_config *config,
               const struct cut_permit *p, struct err *e)
{
	const struct cutprog *c;
	uint32_t id = 0;
	int r = cut_program_for(ps, config, p, &c, e);
	if (r == 0)
		r = cutprog_id(c, &id, e);
	if (r == 0)
		r = sit_down(s, c->prog, e);
	if (r == 0)
		r = seat_read(s, e);
	if (r == 0 && s->prog_id != id)
		r = err_set(e, -EIO, "the XDP program does not read back from device %d",
		            s->ifindex);
	return r;
}

int inbound_attach(struct cut_programs *ps, int ifindex, const struct permit *permits, size_t n,
                   const struct hold_time *t, uint32_t spare, struct inbound_report *ret,
                   struct err *e)
{
	struct cut_permit want[CUT_PERMITS_MAX];
	struct cut_config config = {.version = CUT_VERSION, .n_permits = (uint32_t)n};
	struct seat s;
	bool done = false;
	int r = cut_translate(permits, n, want, e);
	if (r == 0)
		r = cut_link_header(ifindex, &config.link_header, e);
	if (r < 0 || (r = seat_open(ifindex, &s, e)) < 0)
		return r;
	bool foreign = s.prog_id && s.kin == CUTPROG_FOREIGN;
	uint32_t displaced = foreign ? s.prog_id : 0;
	if (!s.prog_id)
		config.flags = has_lro(ifindex) ? CUT_FLAG_HAD_LRO : 0;
	done = foreign && (spare == INBOUND_SPARE_ALL || spare == s.prog_id);
	r = reuse(&s, want, n, t, &done, &config.flags, e);
	if (r == 0 && !done) {
		cut_config_times(&config, t);
		r = put(&s, ps, &config, want, e);
	}
	if (r == 0)
		r = report(&s, ret, &config, NULL, e);
	if (r == 0 && ret->attached)
		ret->displaced = displaced;
	seat_close(&s);
	return r;
}

/* ---- reading, moving the timers, taking away ---- */

int inbound_compare(int ifindex, const struct permit *permits, size_t n, struct inbound_report *ret,
                    bool *ret_same, struct err *e)
{
	struct cut_permit want[CUT_PERMITS_MAX], have[CUT_PERMITS_MAX] = {0};
	struct cut_config config = {0};
	struct inbound_report out;
	struct seat s;
	int r = cut_translate(permits, n, want, e);
	if (r < 0 || (r = seat_open(ifindex, &s, e)) < 0)
		return r;
	r = report(&s, &out, &config, have, e);
	seat_close(&s);
	if (r < 0)
		return r;
	*ret = out;
	*ret_same = out.attached && cut_same(&config, have, want, n);
	return 0;
}

int inbound_read(int ifindex, struct inbound_report *ret, struct err *e)
{
	struct cut_config config;
	struct seat s;
	int r = seat_open(ifindex, &s, e);
	if (r < 0)
		return r;
	r = report(&s, ret, &config, NULL, e);
	seat_close(&s);
	return r;
}

int inbound_rearm(int ifindex, const struct hold_time *t, struct err *e)
{
	struct cut_config config;
	struct cutprog c = cutprog_none();
	struct seat s;
	int r = seat_open(ifindex, &s, e);
	if (r < 0)
		return r;
	r = is_ours(&s) ? cutprog_open(CUTPROG_IN, s.prog_id, &c, e)
	                : err_set(e, -ENOENT, "device %d has no XDP program of ours", ifindex);
	if (r == 0)
		r = cutprog_read(&c, &config, NULL, e);
	if (r == 0 && config.armed_until && config.armed_until / 1000 <= boot_now())
		r = err_set(e, -ETIME, "the deadline of its XDP program has passed");
	if (r == 0)
		r = cut_set_timers(&c, t, e);
	cutprog_close(&c);
	seat_close(&s);
	return r;
}

static int get_up(struct seat *s, struct err *e)
{
	struct cut_config config = {0};
	struct cutprog c = cutprog_none();
	_cleanup_close_ int prog = -1;
	if (is_ours(s) && cutprog_open(CUTPROG_IN, s->prog_id, &c, NULL) == 0)
		(void)cutprog_read(&c, &config, NULL, NULL);
	cutprog_close(&c);
	int r = cutprog_fd(s->prog_id, &prog, e);
	if (r == 0)
		r = xdp_detach(&s->nl, s->ifindex, s->mode, prog, e);
	if (r == 0 && (config.flags & CUT_FLAG_HAD_LRO))
		bring_lro_back(s->ifindex);
	return r;
}

int inbound_detach(int ifindex, struct err *e)
{
	struct seat s;
	int r = seat_open(ifindex, &s, e);
	if (r == 0 && s.prog_id && s.kin != CUTPROG_FOREIGN)
		r = get_up(&s, e);
	else if (r < 0)
		return r == -ENODEV ? 0 : r;
	seat_close(&s);
	return r == -ENODEV ? 0 : r;
}
