/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/host/sweep.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/sys.h"
#include "base/table.h"
#include "enforce/host/netns.h"
#include "enforce/host/parts.h"
#include "kern/bulkprog.h"
#include "kern/cutprog.h"
#include "kern/link.h"
#include "kern/proc.h"
#include "kern/tc.h"
#include "kern/xdp.h"

void sweep_tell(struct sweep *s, bool hole, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	s->holes += hole;
	if (s->shown == SWEEP_LINES_MAX) {
		s->more++;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	s->shown += buf_addf(&s->lines, "%s\n", text) == 0;
}

/* ---- sockets ---- */

/* By what the kernel calls the protocol of a socket (xattr system.sockprotoname). */
static const struct sock_kind {
	const char *proto, *what, *can;
	bool hole;
} sock_kinds[] = {
    {"PACKET", "packet sockets", "contained: they hear and send what is kept, nothing else", false},
    {"XDP", "AF_XDP sockets", "what they send passes every layer of the cut", true},
    {"RAW", "raw IP sockets", "contained", false},
    {"RAWv6", "raw IPv6 sockets", "contained", false},
    {"SCTP", "SCTP sockets", "contained; this kernel cannot close them", false},
    {"SCTPv6", "SCTP sockets", "contained; this kernel cannot close them", false},
};

struct holder_count {
	int pid;
	unsigned n[ARRAY_SIZE(sock_kinds)];
};

static bool count_socket(void *arg, int fd, uint64_t inode)
{
	struct holder_count *c = arg;
	char path[64], name[32] = "";
	snprintf(path, sizeof path, "/proc/%d/fd/%d", c->pid, fd);
	if (getxattr(path, "system.sockprotoname", name, sizeof name - 1) <= 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(sock_kinds); i++)
		c->n[i] += !strcmp(name, sock_kinds[i].proto);
	return true;
}

/* A process of ours that holds the queues is none of theirs. */
bool sweep_is_us(int pid)
{
	struct stat a, b;
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/exe", pid);
	return stat(path, &a) == 0 && stat("/proc/self/exe", &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

static void look_at_process(struct sweep *s, int pid)
{
	struct holder_count c = {.pid = pid};
	struct proc_id p;
	if (proc_sockets(pid, count_socket, &c) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(sock_kinds); i++) {
		if (!c.n[i] || sweep_is_us(pid) || proc_read(pid, &p) < 0)
			continue;
		sweep_tell(s, sock_kinds[i].hole,
		           "%u %s of pid %d (%s, %s%s%s): %s; to end it: stanch kill %d", c.n[i],
		           sock_kinds[i].what, pid, p.comm, p.exe[0] ? p.exe : "no file",
		           p.unit[0] ? ", " : "", p.unit, sock_kinds[i].can, pid);
	}
}

static int look_at_sockets(struct sweep *s, bool whole_host, struct err *e)
{
	_cleanup_free_ int *pids = NULL;
	size_t n = 0;
	uint64_t home, its;
	int r = proc_ns_inode(0, "net", &home);
	if (r < 0)
		return err_set(e, r, "reading our own network namespace: %s", strerror(-r));
	r = proc_pids(&pids, &n, e);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (proc_ns_inode(pids[i], "net", &its) == 0 && (whole_host || its == home))
			look_at_process(s, pids[i]);
	return r;
}

/* ---- devices ---- */

static void clean(const struct link *dev, char name[static IFNAMSIZ])
{
	proc_clean(dev->name, strnlen(dev->name, IFNAMSIZ), name, IFNAMSIZ);
}

/* Programs of ours are told by their tags. */
static bool is_foreign(enum cutprog_way way, uint32_t prog_id)
{
	enum cutprog_kin cut = CUTPROG_FOREIGN;
	enum bulkprog_kin bulk = BULKPROG_FOREIGN;
	if (cutprog_whose(way, prog_id, &cut, NULL) == 0 && cut == CUTPROG_OURS)
		return false;
	return bulkprog_whose(prog_id, &bulk, NULL, NULL) < 0 || bulk != BULKPROG_OURS;
}

static void look_at_xdp(struct sweep *s, const struct link *dev)
{
	static const char *const by_mode[_XDP_MODE_MAX] = {
	    [XDP_NATIVE] = "xdpdrv", [XDP_GENERIC] = "xdpgeneric", [XDP_CARD] = "xdpoffload"};
	struct xdp_state x;
	char name[IFNAMSIZ], text[CUTPROG_TEXT_MAX];
	if (xdp_read(NULL, dev->ifindex, &x, NULL) < 0)
		return;
	clean(dev, name);
	for (int m = 0; m < _XDP_MODE_MAX; m++)
		if (x.prog_id[m] && is_foreign(CUTPROG_IN, x.prog_id[m]))
			sweep_tell(
			    s, true,
			    "XDP program %s on device %s: what it redirects to another device "
			    "passes "
			    "every layer of the cut; to end it: ip link set dev %s %s off",
			    cutprog_text(x.prog_id[m], text), name, name, by_mode[m]);
}

static void look_at_tc(struct sweep *s, const struct link *dev)
{
	static const enum tc_hook hooks[] = {TC_HOOK_INGRESS, TC_HOOK_EGRESS};
	char name[IFNAMSIZ], text[CUTPROG_TEXT_MAX];
	clean(dev, name);
	for (size_t h = 0; h < ARRAY_SIZE(hooks); h++) {
		_cleanup_free_ struct tc_filter *v = NULL;
		size_t n = 0;
		if (tc_filters(NULL, dev->ifindex, hooks[h], &v, &n, NULL) < 0)
			continue;
		for (size_t i = 0; i < n; i++)
			if (v[i].prog_id && is_foreign(CUTPROG_OUT, v[i].prog_id))
				sweep_tell(
				    s, false,
				    "tc program %s on device %s, %s: contained: what it redirects "
				    "meets ours; to end it: tc filter del dev %s %s pref %u",
				    cutprog_text(v[i].prog_id, text), name,
				    h ? "egress" : "ingress", name, h ? "egress" : "ingress",
				    v[i].prio);
	}
}

static void look_at_tunnel(struct sweep *s, const struct link *dev)
{
	static const char *const kinds[] = {"wireguard", "vxlan",  "geneve", "gre",    "gretap",
	                                    "ip6gre",    "erspan", "ipip",   "sit",    "ip6tnl",
	                                    "vti",       "xfrm",   "tun",    "l2tp",   "ppp",
	                                    "bareudp",   "gtp",    "amt",    "macsec", "ovpn"};
	char name[IFNAMSIZ];
	clean(dev, name);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strncmp(dev->kind, kinds[i], sizeof dev->kind))
			sweep_tell(
			    s, false,
			    "device %s is a tunnel (%s): contained: what it sends goes out through "
			    "our other devices; to end it: ip link del %s",
			    name, kinds[i], name);
}

static int look_at_devices(struct sweep *s, struct err *e)
{
	_cleanup_free_ struct link *v = NULL;
	size_t n = 0;
	int r = link_list(NULL, &v, &n, e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		look_at_xdp(s, &v[i]);
		look_at_tc(s, &v[i]);
		look_at_tunnel(s, &v[i]);
	}
	return r;
}

/* ---- the rest of the host ---- */

/* Cards are what has no kind of its own. */
static int look_at_namespace(void *arg, const struct netns_visit *at, struct err *e)
{
	_cleanup_free_ struct link *v = NULL;
	struct proc_id p = {0};
	size_t n = 0;
	if (link_list(NULL, &v, &n, NULL) < 0)
		return 0;
	(void)proc_read(at->pid, &p);
	for (size_t i = 0; i < n; i++) {
		char name[IFNAMSIZ];
		if (v[i].kind[0] || (v[i].flags & IFF_LOOPBACK))
			continue;
		clean(&v[i], name);
		sweep_tell(
		    arg, true,
		    "device %s is in another network namespace (of pid %d, %s%s%s): what is sent "
		    "there passes the cut; to bring it back: nsenter -t %d -n ip link set %s "
		    "netns 1",
		    name, at->pid, p.comm, p.unit[0] ? ", " : "", p.unit, at->pid, name);
	}
	return 0;
}

static bool first_namespace(void)
{
	uint64_t ours, first;
	return proc_ns_inode(0, "net", &ours) == 0 && proc_ns_inode(1, "net", &first) == 0 &&
	       ours == first;
}

int sweep_host(struct sweep *ret, struct err *e)
{
	struct sweep s = {.lines = BUF_INIT(1u << 16)};
	struct netns_counts counts;
	struct stat st;
	bool whole = first_namespace();
	int r = look_at_sockets(&s, whole, e);
	if (r == 0)
		r = look_at_devices(&s, e);
	if (r == 0)
		r = sweep_flowtables(&s, e);
	if (r == 0)
		r = sweep_routing(&s, e);
	if (r == 0)
		r = sweep_cgroups(&s, whole, e);
	if (r == 0 && whole)
		r = netns_every(look_at_namespace, &s, &counts, e);
	if (r == 0 && whole && stat("/proc/net/pktgen", &st) == 0)
		sweep_tell(
		    &s, true,
		    "the kernel's packet generator is loaded: what it sends passes every layer of "
		    "the cut; to end it: rmmod pktgen");
	if (r == 0 && s.more)
		buf_addf(&s.lines, "and %u more of their kind\n", s.more);
	if (r < 0)
		buf_free(&s.lines);
	else
		*ret = s;
	return r;
}
