/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kern/cghook.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"
#include "kern/cgroup2.h"
#include "kern/cgtree.h"

#define AT_MAX    64 /* programs of one kind at one cgroup: the kernel's own bound */
#define LINKS_MAX 4096

/* Devices and sysctls carry no packet: their hooks are left out. */
static const struct {
	uint32_t type; /* enum bpf_attach_type */
	const char *name;
} hooks[] = {
    {BPF_CGROUP_INET_INGRESS, "cgroup_inet_ingress"},
    {BPF_CGROUP_INET_EGRESS, "cgroup_inet_egress"},
    {BPF_CGROUP_INET_SOCK_CREATE, "cgroup_inet_sock_create"},
    {BPF_CGROUP_INET_SOCK_RELEASE, "cgroup_inet_sock_release"},
    {BPF_CGROUP_SOCK_OPS, "cgroup_sock_ops"},
    {BPF_CGROUP_INET4_BIND, "cgroup_inet4_bind"},
    {BPF_CGROUP_INET6_BIND, "cgroup_inet6_bind"},
    {BPF_CGROUP_INET4_POST_BIND, "cgroup_inet4_post_bind"},
    {BPF_CGROUP_INET6_POST_BIND, "cgroup_inet6_post_bind"},
    {BPF_CGROUP_INET4_CONNECT, "cgroup_inet4_connect"},
    {BPF_CGROUP_INET6_CONNECT, "cgroup_inet6_connect"},
    {BPF_CGROUP_UDP4_SENDMSG, "cgroup_udp4_sendmsg"},
    {BPF_CGROUP_UDP6_SENDMSG, "cgroup_udp6_sendmsg"},
    {BPF_CGROUP_UDP4_RECVMSG, "cgroup_udp4_recvmsg"},
    {BPF_CGROUP_UDP6_RECVMSG, "cgroup_udp6_recvmsg"},
    {BPF_CGROUP_INET4_GETPEERNAME, "cgroup_inet4_getpeername"},
    {BPF_CGROUP_INET6_GETPEERNAME, "cgroup_inet6_getpeername"},
    {BPF_CGROUP_INET4_GETSOCKNAME, "cgroup_inet4_getsockname"},
    {BPF_CGROUP_INET6_GETSOCKNAME, "cgroup_inet6_getsockname"},
    {BPF_CGROUP_GETSOCKOPT, "cgroup_getsockopt"},
    {BPF_CGROUP_SETSOCKOPT, "cgroup_setsockopt"},
};

struct at_link {
	uint64_t cgroup;
	uint32_t type, prog_id, id;
};

struct walk {
	cghook_fn cb;
	void *arg;
	struct at_link *links; /* owned; LINKS_MAX of them */
	size_t n_links;
	int error;
};

static bool link_of(uint32_t id, struct at_link *ret)
{
	struct bpf_link_info info = {0};
	union bpf_attr a = {0};
	a.link_id = id;
	int fd = (int)sys->bpf(BPF_LINK_GET_FD_BY_ID, &a, sizeof a);
	if (fd < 0)
		return false;
	memset(&a, 0, sizeof a);
	a.info.bpf_fd = (uint32_t)fd;
	a.info.info_len = sizeof info;
	a.info.info = (uintptr_t)&info;
	bool ok = sys->bpf(BPF_OBJ_GET_INFO_BY_FD, &a, sizeof a) == 0 &&
	          info.type == BPF_LINK_TYPE_CGROUP;
	sys->close(fd);
	*ret = (struct at_link){info.cgroup.cgroup_id, info.cgroup.attach_type, info.prog_id, id};
	return ok;
}

static void read_links(struct walk *w)
{
	union bpf_attr a = {0};
	for (uint32_t id = 0; w->n_links < LINKS_MAX; id = a.next_id) {
		memset(&a, 0, sizeof a);
		a.start_id = id;
		if (sys->bpf(BPF_LINK_GET_NEXT_ID, &a, sizeof a) < 0)
			return; /* the last one, or a kernel without links */
		w->n_links += link_of(a.next_id, &w->links[w->n_links]);
	}
}

static uint32_t link_for(const struct walk *w, uint64_t cgroup, uint32_t type, uint32_t prog)
{
	for (size_t i = 0; i < w->n_links; i++) {
		const struct at_link *l = &w->links[i];
		if (l->cgroup == cgroup && l->type == type && l->prog_id == prog)
			return l->id;
	}
	return 0;
}

static enum cgtree_next look(void *arg, int fd, const char *path, uint64_t id)
{
	struct walk *w = arg;
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		uint32_t ids[AT_MAX] = {0};
		union bpf_attr a = {0};
		a.query.target_fd = (uint32_t)fd;
		a.query.attach_type = hooks[i].type;
		a.query.prog_ids = (uintptr_t)ids;
		a.query.prog_cnt = AT_MAX;
		/* What this kernel does not know stays empty; no right is told. */
		if (sys->bpf(BPF_PROG_QUERY, &a, sizeof a) < 0) {
			if (errno != EPERM)
				continue;
			w->error = -EPERM;
			return CGTREE_STOP;
		}
		for (uint32_t k = 0; k < a.query.prog_cnt && k < AT_MAX && w->error == 0; k++)
			w->error =
			    w->cb(w->arg, &(struct cghook){path, hooks[i].name, ids[k],
			                                   link_for(w, id, hooks[i].type, ids[k])});
	}
	return w->error ? CGTREE_STOP : CGTREE_DEEPER;
}

int cghook_each(cghook_fn cb, void *arg, struct err *e)
{
	struct walk w = {.cb = cb, .arg = arg};
	bool whole;
	int root, r = cgroup2_open(&root, &whole, e);
	if (r < 0)
		return r;
	w.links = calloc(LINKS_MAX, sizeof *w.links);
	if (!w.links)
		r = err_set(e, -ENOMEM, "out of memory for the links of cgroups");
	if (r == 0) {
		read_links(&w);
		r = cgtree_walk(root, "/", look, &w, e);
	}
	if (r == 0 && w.error)
		r = err_set(e, w.error, "asking which programs a cgroup has: %s",
		            strerror(-w.error));
	free(w.links);
	sys->close(root);
	return r;
}
