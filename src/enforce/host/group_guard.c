/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Would an isolation of a group cut whoever orders it? */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "enforce/host/group.h"

#define CHAIN_MAX 32

static const struct group_member *member_of(const struct group *g, int pid)
{
	for (size_t i = 0; i < g->n_members; i++)
		if (g->members[i].pid == pid)
			return &g->members[i];
	return NULL;
}

const struct group_member *group_chain_meets(const struct group *g, int pid)
{
	const struct group_member *m = NULL;
	struct proc_id *chain = calloc(CHAIN_MAX, sizeof *chain);
	size_t n = 0;
	if (chain && proc_chain(pid, chain, CHAIN_MAX, &n) == 0)
		for (size_t i = 0; !m && i < n; i++)
			m = chain[i].pid == 1 ? NULL : member_of(g, chain[i].pid);
	free(chain);
	return m;
}

struct look {
	const struct operator_sessions *sessions;
	struct inode_map *map;
	const struct group *g;
	const struct group_member *found;
};

static bool same(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

static bool look_at_socket(void *arg, const struct diag_sock *k)
{
	struct look *l = arg;
	for (size_t i = 0; i < l->sessions->n; i++) {
		if (!same(&l->sessions->v[i].peer, &k->peer) ||
		    !same(&l->sessions->v[i].local, &k->local))
			continue;
		int pid = inode_map_find(l->map, k->inode, NULL);
		l->found = pid > 1 ? group_chain_meets(l->g, pid) : NULL;
	}
	return !l->found;
}

/* Who serves the operator's sessions: through a terminal multiplexer they are no ancestors. */
static int sessions_meet(const struct operator_sessions *s, struct look *l, struct err *e)
{
	if (!s->n)
		return 0;
	int r = inode_map_new(&l->map);
	if (r == 0)
		r = inode_map_scan(l->map, NULL, e);
	if (r == 0)
		r = diag_inet(NULL, AF_UNSPEC, IPPROTO_TCP, DIAG_STATE_BIT(DIAG_ESTABLISHED),
		              look_at_socket, l, e);
	inode_map_free(l->map);
	return r;
}

bool group_logged_in_as(uint32_t uid)
{
	char text[16], all[16];
	_cleanup_close_ int fd = sys->open("/proc/self/loginuid", O_RDONLY | O_CLOEXEC, 0);
	ssize_t n = fd < 0 ? -1 : sys->read(fd, text, sizeof text - 1);
	if (n <= 0)
		return false;
	text[n] = 0;
	snprintf(all, sizeof all, "%u", uid);
	return !strcmp(text, all);
}

int group_meets_operator(const struct target *t, const struct operator_sessions *s, bool *ret,
                         char why[static GROUP_WHY_MAX], size_t *ret_members, struct err *e)
{
	struct group *g = calloc(1, sizeof *g);
	struct look l = {.sessions = s, .g = g};
	if (!g)
		return err_set(e, -ENOMEM, "out of memory");
	int r = group_find(t, g, e);
	if (r == 0)
		l.found = group_chain_meets(g, getpid());
	if (r == 0 && !l.found)
		r = sessions_meet(s, &l, e);
	bool by_login = r == 0 && t->kind == TARGET_ACCOUNT && group_logged_in_as(g->uid);
	if (r == 0) {
		*ret = l.found || by_login;
		*ret_members = g->n_members + g->n_unnamed;
		if (l.found)
			snprintf(why, GROUP_WHY_MAX, "%s (%d)", l.found->comm, l.found->pid);
		else
			snprintf(why, GROUP_WHY_MAX, "you logged in as uid %u", g->uid);
	}
	group_free(g);
	free(g);
	return r;
}
