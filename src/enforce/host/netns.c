/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/host/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "kern/link.h"
#include "kern/nl.h"
#include "kern/proc.h"

struct candidate {
	struct netns_visit v;
	int fd; /* of the namespace */
};

struct walk {
	bool every; /* not only our containers' */
	netns_fn visit;
	void *arg;
	struct candidate *v;
	size_t n;
	int home; /* our own namespace */
	usec_t until;
	struct netns_counts counts;
	int result;
	struct err err;
};

static bool known(const struct walk *w, uint64_t inode)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].v.inode == inode)
			return true;
	return false;
}

/* Adds the namespace of a process, if it is a new one. */
static void look_at(struct walk *w, int pid, uint64_t home)
{
	char path[64];
	uint64_t inode, again;
	if (proc_ns_inode(pid, "net", &inode) < 0 || inode == home || known(w, inode))
		return;
	if (w->n == NETNS_MAX) {
		w->counts.cut_short = true;
		return;
	}
	w->counts.seen++;
	snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
	int fd = sys->open(path, O_RDONLY | O_CLOEXEC, 0);
	/* The pid may have changed hands in between. */
	if (fd < 0 || proc_ns_inode(pid, "net", &again) < 0 || again != inode) {
		if (fd >= 0)
			sys->close(fd);
		w->counts.denied++;
		return;
	}
	w->v[w->n++] = (struct candidate){.v = {.inode = inode, .pid = pid}, .fd = fd};
}

static int find_all(struct walk *w, struct err *e)
{
	_cleanup_free_ int *pids = NULL;
	size_t n;
	uint64_t home;
	int r = proc_ns_inode(0, "net", &home);
	if (r < 0)
		return err_set(e, r, "reading our own network namespace: %s", strerror(-r));
	r = proc_pids(&pids, &n, e);
	for (size_t i = 0; r == 0 && i < n && !w->counts.cut_short; i++)
		look_at(w, pids[i], home);
	return r;
}

static int read_nsid(const struct nlattr *a, void *arg)
{
	int *id = arg;
	if (mnl_attr_get_type(a) == NETNSA_NSID && mnl_attr_get_payload_len(a) >= sizeof(uint32_t))
		*id = (int)mnl_attr_get_u32(a);
	return MNL_CB_OK;
}

static int on_nsid(const struct nlmsghdr *h, void *arg)
{
	return mnl_attr_parse(h, sizeof(struct rtgenmsg), read_nsid, arg);
}

/* The number by which the namespace we are in knows another one; -1: none. */
static int nsid_of(struct nl *nl, int fd)
{
	char bytes[128] = {0};
	int id = -1;
	struct nlmsghdr *h = mnl_nlmsg_put_header(bytes);
	h->nlmsg_type = RTM_GETNSID;
	struct rtgenmsg *g = mnl_nlmsg_put_extra_header(h, sizeof *g);
	g->rtgen_family = AF_UNSPEC;
	mnl_attr_put_u32(h, NETNSA_FD, (uint32_t)fd);
	return nl_talk(nl, h, on_nsid, &id, NULL) < 0 ? -1 : id;
}

static bool has_default(const struct route *v, size_t n, int ifindex)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].ifindex == ifindex && route_is_default(&v[i]))
			return true;
	return false;
}

/* Asked from within a namespace: does it send through the one that `home` is? */
static bool sends_through(int home)
{
	_cleanup_free_ struct link *links = NULL;
	_cleanup_free_ struct route *routes = NULL;
	size_t n_links = 0, n_routes = 0;
	struct nl nl;
	bool yes = false;
	if (nl_open(&nl, NETLINK_ROUTE, NULL) < 0)
		return false;
	/* First the links: listing them is what gives a namespace at their other end its number. */
	if (link_list(&nl, &links, &n_links, NULL) == 0 &&
	    route_list(&nl, &routes, &n_routes, NULL) == 0) {
		int id = nsid_of(&nl, home);
		for (size_t i = 0; i < n_links && id >= 0 && !yes; i++)
			yes = links[i].lower_nsid == id &&
			      has_default(routes, n_routes, links[i].ifindex);
	}
	nl_close(&nl);
	return yes;
}

static void *walk_all(void *arg)
{
	struct walk *w = arg;
	for (size_t i = 0; i < w->n && w->result == 0; i++) {
		if (boot_now() > w->until) {
			w->counts.cut_short = true;
			break;
		}
		if (sys->setns(w->v[i].fd, CLONE_NEWNET) < 0) {
			w->counts.denied++;
			continue;
		}
		if (!w->every && !sends_through(w->home))
			continue;
		w->counts.visited++;
		w->result = w->visit(w->arg, &w->v[i].v, &w->err);
	}
	return NULL;
}

static int run(struct walk *w, struct err *e)
{
	pthread_t thread;
	w->home = sys->open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC, 0);
	if (w->home < 0)
		return err_set(e, -errno, "opening our own network namespace: %s", strerror(errno));
	int r = pthread_create(&thread, NULL, walk_all, w);
	if (r == 0) {
		pthread_join(thread, NULL);
		r = w->result < 0 ? err_set(e, w->result, "%s", w->err.text) : 0;
	} else {
		r = err_set(e, -r, "starting a thread: %s", strerror(r));
	}
	sys->close(w->home);
	return r;
}

static int each(bool every, netns_fn visit, void *arg, struct netns_counts *ret, struct err *e)
{
	struct walk w = {
	    .every = every, .visit = visit, .arg = arg, .until = boot_now() + NETNS_USEC};
	w.v = calloc(NETNS_MAX, sizeof *w.v);
	if (!w.v)
		return err_set(e, -ENOMEM, "out of memory for network namespaces");
	int r = find_all(&w, e);
	if (r == 0 && w.n)
		r = run(&w, e);
	for (size_t i = 0; i < w.n; i++)
		sys->close(w.v[i].fd);
	free(w.v);
	if (r == 0)
		*ret = w.counts;
	return r;
}

int netns_each(netns_fn visit, void *arg, struct netns_counts *ret, struct err *e)
{
	return each(false, visit, arg, ret, e);
}

int netns_every(netns_fn visit, void *arg, struct netns_counts *ret, struct err *e)
{
	return each(true, visit, arg, ret, e);
}
