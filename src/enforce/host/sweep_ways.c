/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What leads connections elsewhere by the kernel's own tables: flow tables, rules of policy
 * routing, programs of others at cgroups. The devices' layers stand behind all of them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/sweep.h"
#include "kern/cghook.h"
#include "kern/cgtree.h"
#include "kern/cutprog.h"
#include "kern/groupprog.h"
#include "kern/link.h"
#include "kern/nft.h"
#include "kern/proc.h"

/* ---- flow tables ---- */

static void tell_owner_of(struct nl *nl, const struct nft_flowtable *f, char dst[static 96])
{
	struct nft_table head;
	struct proc_id p;
	dst[0] = 0;
	if (nft_read_head(nl, f->family, f->table, &head, NULL) < 0 || !head.owner)
		return;
	/* A netlink port is the process's pid for its first socket: a hint. */
	if (head.owner <= INT32_MAX && proc_read((int)head.owner, &p) == 0)
		snprintf(dst, 96, ", owned by pid %u (%s)", head.owner, p.comm);
	else
		snprintf(dst, 96, ", owned by netlink port %u", head.owner);
}

int sweep_flowtables(struct sweep *s, struct err *e)
{
	_cleanup_free_ struct nft_flowtable *v = NULL;
	struct nl nl;
	size_t n = 0;
	int r = nl_open(&nl, NETLINK_NETFILTER, e);
	if (r < 0)
		return r;
	r = nft_flowtables(&nl, &v, &n, e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *family = nft_family_str(v[i].family);
		char table[NFT_NAME_CAP], name[NFT_NAME_CAP], dev[IFNAMSIZ], owner[96];
		proc_clean(v[i].table, strlen(v[i].table), table, sizeof table);
		proc_clean(v[i].name, strlen(v[i].name), name, sizeof name);
		proc_clean(v[i].devices[0], strlen(v[i].devices[0]), dev, sizeof dev);
		tell_owner_of(&nl, &v[i], owner);
		sweep_tell(
		    s, false,
		    "flow table %s of nftables table %s %s%s, on %zu devices%s%s: contained: "
		    "what it forwards past the rules meets ours at the device; to end it: nft "
		    "delete flowtable %s %s %s (its rules first)",
		    name, family, table, owner, v[i].n_devices, dev[0] ? ", the first " : "", dev,
		    family, table, name);
	}
	nl_close(&nl);
	/* A kernel without flow tables has none. */
	return r == -EOPNOTSUPP || r == -EINVAL ? 0 : r;
}

/* ---- policy routing ---- */

int sweep_routing(struct sweep *s, struct err *e)
{
	_cleanup_free_ struct route_rule *v = NULL;
	size_t n = 0;
	int r = route_rule_list(NULL, &v, &n, e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		char by[16];
		if (route_rule_is_usual(&v[i]))
			continue;
		sweep_tell(
		    s, false,
		    "IPv%u routing rule %u asks table %u (made by: %s): contained: it chooses "
		    "the device, the cut is on all; to end it: ip -%u rule del priority %u",
		    v[i].family, v[i].priority, v[i].table, route_protocol_str(v[i].protocol, by),
		    v[i].family, v[i].priority);
	}
	return r;
}

/* ---- programs at cgroups ---- */

struct groups {
	struct sweep *s;
	bool whole;
	uint64_t home; /* our network namespace */
	int *pids;     /* owned */
	size_t n_pids;
};

/* Does a process of our network namespace live there, or below? */
static bool touches_us(const struct groups *g, const char *path)
{
	uint64_t its;
	char at[CGTREE_PATH_MAX];
	for (size_t i = 0; !g->whole && i < g->n_pids; i++)
		if (proc_ns_inode(g->pids[i], "net", &its) == 0 && its == g->home &&
		    cgtree_path_of(g->pids[i], at) == 0 && cgtree_below(at, path))
			return true;
	return g->whole;
}

struct holding {
	uint32_t prog_id;
	bool found;
};

static bool is_held(void *arg, uint32_t prog_id)
{
	struct holding *h = arg;
	h->found = prog_id == h->prog_id;
	return !h->found;
}

/* The first process that has it open; 0: none, the kernel alone keeps it. */
static int holder_of(const struct groups *g, uint32_t prog_id)
{
	struct holding h = {.prog_id = prog_id};
	for (size_t i = 0; i < g->n_pids; i++)
		if (proc_programs(g->pids[i], is_held, &h) == 0 && h.found)
			return g->pids[i];
	return 0;
}

static int look_at_hook(void *arg, const struct cghook *h)
{
	struct groups *g = arg;
	struct proc_id p = {0};
	char path[256], text[CUTPROG_TEXT_MAX], by[96] = "nobody has it open", end[384];
	/* Once the page is full nobody's time is spent on whose the rest are. */
	if (g->s->shown == SWEEP_LINES_MAX || !touches_us(g, h->path) ||
	    groupprog_is_ours(h->prog_id))
		return 0;
	int pid = holder_of(g, h->prog_id);
	if (pid && sweep_is_us(pid))
		return 0;
	if (pid && proc_read(pid, &p) == 0)
		snprintf(by, sizeof by, "of pid %d, %s%s%.40s", pid, p.comm, p.unit[0] ? ", " : "",
		         p.unit);
	proc_clean(h->path, strlen(h->path), path, sizeof path);
	if (h->link_id)
		snprintf(end, sizeof end, "bpftool link detach id %u", h->link_id);
	else
		snprintf(end, sizeof end, "bpftool cgroup detach /sys/fs/cgroup%s %s id %u", path,
		         h->hook, h->prog_id);
	sweep_tell(g->s, false,
	           "BPF program %s at cgroup %s, %s (%s): contained: it can refuse or lead "
	           "elsewhere, and let nothing out; to end it: %s",
	           cutprog_text(h->prog_id, text), path, h->hook, by, end);
	return 0;
}

int sweep_cgroups(struct sweep *s, bool whole, struct err *e)
{
	struct groups g = {.s = s, .whole = whole};
	struct err why = {0};
	int r = proc_ns_inode(0, "net", &g.home);
	if (r < 0)
		return err_set(e, r, "reading our own network namespace: %s", strerror(-r));
	r = proc_pids(&g.pids, &g.n_pids, e);
	if (r < 0)
		return r;
	r = cghook_each(look_at_hook, &g, &why);
	free(g.pids);
	if (r == -ENOMEM)
		return err_set(e, r, "%s", why.text);
	if (r < 0)
		sweep_tell(s, false, "programs at cgroups were not looked for: %s", why.text);
	return 0;
}
