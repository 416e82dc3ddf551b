/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sockets of every network namespace that a process is in, and which unix sockets belong
 * together. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"
#include "kern/diag.h"
#include "kern/nl.h"
#include "triage/procs.h"

#define TEXT_MAX  (64u << 20)
#define SOCKS_MAX (1u << 21)

static bool sock_add(struct procs *p, size_t *cap, const struct sock_row *s)
{
	if (p->n_socks == *cap) {
		size_t more = *cap ? *cap * 2 : 1024;
		struct sock_row *w =
		    more > SOCKS_MAX ? NULL : reallocarray(p->socks, more, sizeof(*w));
		if (!w)
			return false;
		p->socks = w;
		*cap = more;
	}
	p->socks[p->n_socks++] = *s;
	return true;
}

static const struct {
	const char *name;
	enum sock_kind kind;
} tables[] = {
    {"tcp", ON_TCP}, {"tcp6", ON_TCP}, {"udp", ON_UDP},       {"udp6", ON_UDP},
    {"raw", ON_RAW}, {"raw6", ON_RAW}, {"packet", ON_PACKET}, {"icmp", ON_UDP},
};

static int read_table(struct triage *t, struct procs *p, size_t *cap, const struct proc_row *r,
                      size_t which, struct buf *b)
{
	struct sock_row s = {.kind = tables[which].kind, .net = r->net};
	char path[48];
	const char *text, *line;
	size_t left, n;

	snprintf(path, sizeof(path), "%d/net/%s", r->stat.pid, tables[which].name);
	_cleanup_close_ int fd = sys->openat(t->proc, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	buf_reset(b);
	int read = triage_read_fd(fd, b);
	text = buf_str(b);
	left = b->len;
	while (procfs_line(&text, &left, &line, &n)) {
		bool ok = s.kind == ON_PACKET ? procfs_packet(line, n, &s.packet)
		                              : procfs_inet(line, n, &s.inet);
		s.inode = s.kind == ON_PACKET ? s.packet.inode : s.inet.inode;
		if (ok && s.inode && !sock_add(p, cap, &s))
			return -E2BIG;
	}
	return read;
}

struct peers {
	struct procs *p;
	size_t cap, *socks_cap;
	uint64_t net;
};

static bool on_xdp(void *arg, uint64_t inode)
{
	struct peers *u = arg;
	struct sock_row s = {.inode = inode, .net = u->net, .kind = ON_XDP};

	return sock_add(u->p, u->socks_cap, &s);
}

static bool on_unix(void *arg, uint64_t inode, uint64_t peer)
{
	struct peers *u = arg;
	struct procs *p = u->p;

	if (p->n_peers == u->cap) {
		size_t more = u->cap ? u->cap * 2 : 1024;
		struct unix_peer *w =
		    more > SOCKS_MAX ? NULL : reallocarray(p->peers, more, sizeof(*w));
		if (!w)
			return false;
		p->peers = w;
		u->cap = more;
	}
	p->peers[p->n_peers++] = (struct unix_peer){inode, peer};
	return true;
}

/* A netlink socket speaks of the namespace that it was opened in, so we step into it for that one
 * call. */
static int open_in(struct triage *t, const struct proc_row *r, int home, struct nl *nl)
{
	char path[32];
	int ret;

	snprintf(path, sizeof(path), "%d/ns/net", r->stat.pid);
	_cleanup_close_ int fd = sys->openat(t->proc, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sys->setns(fd, CLONE_NEWNET) < 0)
		return -errno;
	ret = nl_open(nl, NETLINK_SOCK_DIAG, NULL);
	if (sys->setns(home, CLONE_NEWNET) < 0)
		ret = -EXDEV;
	return ret;
}

static int read_peers(struct triage *t, struct peers *u, const struct proc_row *r, uint64_t ours,
                      int home)
{
	struct nl nl = {.fd = -1};
	int ret = r->net == ours ? nl_open(&nl, NETLINK_SOCK_DIAG, NULL) : open_in(t, r, home, &nl);

	if (ret < 0)
		return ret;
	ret = diag_unix(&nl, on_unix, u, NULL);
	/* Not every kernel has such sockets or lists them: then nobody can be told by them. */
	u->net = r->net;
	if (diag_xdp(&nl, on_xdp, u, NULL) < 0)
		triage_unseen(t, "AF_XDP sockets: this kernel does not list them");
	nl_close(&nl);
	return ret;
}

static void one_namespace(struct triage *t, struct peers *u, size_t *cap, const struct proc_row *r,
                          uint64_t ours, int home)
{
	struct buf b = BUF_INIT(TEXT_MAX);
	int ret = 0;

	for (size_t k = 0; k < ARRAY_SIZE(tables) && ret >= 0; k++)
		ret = read_table(t, u->p, cap, r, k, &b);
	buf_free(&b);
	if (ret < 0)
		triage_unseen(t, "sockets of the namespace of pid %d: %s", r->stat.pid,
		              strerror(-ret));
	ret = read_peers(t, u, r, ours, home);
	if (ret < 0)
		triage_unseen(t, "which unix sockets are joined, for pid %d: %s", r->stat.pid,
		              strerror(-ret));
}

void procs_read_sockets(struct triage *t, struct procs *p)
{
	uint64_t seen[PROCS_NAMESPACES], ours = 0;
	size_t n = 0, cap = 0, k;
	struct peers u = {.p = p, .socks_cap = &cap};
	_cleanup_close_ int home = sys->open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC, 0);
	struct stat st;

	if (home >= 0 && !fstat(home, &st))
		ours = st.st_ino;
	for (size_t i = 0; i < p->n && !triage_over(t); i++) {
		const struct proc_row *r = &p->rows[i];
		for (k = 0; k < n && seen[k] != r->net; k++)
			;
		if (!r->net || k < n)
			continue;
		if (n == PROCS_NAMESPACES) {
			t->stats->limit = true;
			break;
		}
		seen[n++] = r->net;
		one_namespace(t, &u, &cap, r, ours, home);
	}
	if (!n)
		triage_unseen(t, "sockets: no process's network namespace may be read");
}
