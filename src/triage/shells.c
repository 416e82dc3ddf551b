/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Shells that somebody far away types into. Two of a shell's descriptors 0 to 2 lead to an inet
 * socket: by themselves, or by way of a process at the other end of a pipe, a terminal or a pair of
 * unix sockets. What harmless thing has the same shape is told apart by who holds the socket
 * (a login service) and by what the shell was asked to do (a script that a service starts for each
 * connection is not a shell that waits for commands).
 */
#include <stdio.h>
#include <string.h>

#include "base/table.h"
#include "triage/odd.h"
#include "triage/program.h"
#include "triage/rules.h"

#define HOPS_MAX   3
#define OTHERS_MAX 32

struct lead {
	const struct sock_row *sock;
	const struct proc_row *relay; /* NULL: the process itself has it */
	const char *via;              /* "a pipe" */
	unsigned n;                   /* of fd 0, 1, 2 */
};

/* Services that are there to give somebody far away a shell. */
static bool login_service(const struct proc_row *r)
{
	static const char *const names[] = {"sshd",
	                                    "sshd-session",
	                                    "sshd-auth",
	                                    "dropbear",
	                                    "mosh-server",
	                                    "in.telnetd",
	                                    "telnetd",
	                                    "in.rlogind",
	                                    "in.rshd",
	                                    "tmux",
	                                    "tmux: server",
	                                    "screen",
	                                    "SCREEN",
	                                    "login",
	                                    "cockpit-bridge",
	                                    "cockpit-ws",
	                                    "cockpit-session",
	                                    "ttyd",
	                                    "xterm",
	                                    "konsole",
	                                    "xrdp-sesman",
	                                    "lxterminal",
	                                    "kitty",
	                                    "alacritty",
	                                    "foot",
	                                    "terminator",
	                                    "xfce4-terminal",
	                                    "mate-terminal",
	                                    "gnome-terminal-server",
	                                    "gnome-terminal-",
	                                    "kgx",
	                                    "ptyxis-agent",
	                                    "code",
	                                    "containerd-shim",
	                                    "conmon",
	                                    "dockerd",
	                                    "kubelet",
	                                    "emacs",
	                                    "vim",
	                                    NULL};

	return odd_system_path(r->exe) && !r->exe_deleted && odd_any(odd_base(r->exe), names);
}

static bool leads_out(const struct sock_row *s)
{
	return s && s->kind != ON_PACKET && s->kind != ON_XDP && s->inet.state != 10 &&
	       (s->kind != ON_UDP || s->inet.peer.port);
}

static const struct sock_row *sock_of(const struct procs *p, const struct proc_fd *f)
{
	return f && f->kind == PROCFS_FD_SOCKET ? procs_sock(p, f->id) : NULL;
}

/* The socket that two or three of its first descriptors are. */
static struct lead direct(const struct procs *p, const struct proc_row *r)
{
	struct lead best = {0};

	for (int fd = 0; fd < 3; fd++) {
		const struct sock_row *s = sock_of(p, procs_fd(p, r, fd));
		if (!leads_out(s))
			continue;
		best.n++;
		best.sock = s;
	}
	return best;
}

/* Is g, of another process, the other end of f? */
static bool other_end(const struct procs *p, const struct proc_row *r, const struct proc_fd *f,
                      const struct proc_fd *g)
{
	const struct proc_row *q = &p->rows[g->row];

	if (q == r || (g->kind == PROCFS_FD_PIPE && g->writes == f->writes))
		return false;
	/* Terminals are counted anew in each container. */
	return g->kind != PROCFS_FD_PTMX || q->mnt == r->mnt;
}

/* Who is at the other end of f. */
static size_t other_ends(const struct procs *p, const struct proc_row *r, const struct proc_fd *f,
                         const struct proc_row *ret[static OTHERS_MAX], const char **via)
{
	static const char *const ways[] = {[PROCFS_FD_SOCKET] = "a pair of sockets",
	                                   [PROCFS_FD_PIPE] = "a pipe",
	                                   [PROCFS_FD_PTS] = "a terminal"};
	enum procfs_fd kind = f->kind == PROCFS_FD_PTS ? PROCFS_FD_PTMX : f->kind;
	uint64_t id = kind == PROCFS_FD_SOCKET ? procs_peer(p, f->id) : f->id;
	size_t first, n, found = 0;

	if (f->kind >= ARRAY_SIZE(ways) || !ways[f->kind] || (kind == PROCFS_FD_SOCKET && !id))
		return 0;
	*via = ways[f->kind];
	n = procs_holders(p, kind, id, &first);
	for (size_t i = 0; i < n && found < OTHERS_MAX; i++) {
		const struct proc_fd *g = &p->fds[p->by_id[first + i]];
		if (other_end(p, r, f, g) && (!found || ret[found - 1] != &p->rows[g->row]))
			ret[found++] = &p->rows[g->row];
	}
	return found;
}

static const struct sock_row *outward(const struct procs *p, const struct proc_row *r)
{
	const struct sock_row *best = NULL;

	for (uint32_t i = 0; i < r->n_fds; i++) {
		const struct sock_row *s = sock_of(p, &p->fds[r->first_fd + i]);
		if (!s || !leads_out(s) || (s->kind == ON_TCP && s->inet.state != 1))
			continue;
		if (!best || (addr_is_loopback(&best->inet.peer.addr) &&
		              !addr_is_loopback(&s->inet.peer.addr)))
			best = s;
	}
	return best;
}

struct relays {
	const struct proc_row *v[3 * OTHERS_MAX];
	const char *via[3 * OTHERS_MAX];
	unsigned count[3 * OTHERS_MAX];
	size_t n;
};

static void collect(const struct procs *p, const struct proc_row *r, struct relays *all)
{
	for (int fd = 0; fd < 3; fd++) {
		const struct proc_row *ends[OTHERS_MAX];
		const struct proc_fd *f = procs_fd(p, r, fd);
		const char *via = "";
		size_t n = f ? other_ends(p, r, f, ends, &via) : 0;
		for (size_t i = 0; i < n; i++) {
			size_t k = 0;
			while (k < all->n && all->v[k] != ends[i])
				k++;
			if (k == all->n) {
				all->v[all->n] = ends[i];
				all->via[all->n] = via;
				all->count[all->n++] = 0;
			}
			all->count[k]++;
		}
	}
}

/* Somebody who holds an inet socket, at the other end; also by way of further processes. */
static struct lead relayed(const struct procs *p, const struct proc_row *r, int hops)
{
	struct relays all = {.n = 0};
	struct lead none = {0};

	collect(p, r, &all);
	for (size_t i = 0; i < all.n; i++) {
		const struct sock_row *s = outward(p, all.v[i]);
		unsigned enough = program_of(all.v[i]).netcat ? 1 : 2;
		if (all.count[i] < enough)
			continue;
		if (login_service(all.v[i]))
			return none;
		if (s)
			return (struct lead){s, all.v[i], all.via[i], all.count[i]};
		if (hops > 1) {
			struct lead further = relayed(p, all.v[i], hops - 1);
			if (further.sock)
				return further;
		}
	}
	return none;
}

/* A service that is started for each connection: its parent has accepted it for it. */
static bool for_each_connection(const struct triage *t, const struct procs *p,
                                const struct proc_row *r)
{
	static const char *const servers[] = {"inetd",
	                                      "xinetd",
	                                      "openbsd-inetd",
	                                      "tcpserver",
	                                      "tcpsvd",
	                                      "socat",
	                                      "inetutils-inetd",
	                                      "ucspi-tcp",
	                                      "git-daemon",
	                                      "systemd-socket-activate",
	                                      "stunnel4",
	                                      "stunnel",
	                                      NULL};
	const struct proc_row *up = procs_parent(p, r);
	char unit[PROCS_EXE];
	const char *at;

	if (!up)
		return false;
	if (odd_system_path(up->exe) && odd_any(odd_base(up->exe), servers))
		return true;
	/* systemd names such an instance by the connection: "echo@3-192.0.2.1:7-….service". */
	at = strchr(procs_unit(t, r, unit, sizeof(unit)), '@');
	return !strcmp(odd_base(up->exe), "systemd") && at && at[1] >= '0' && at[1] <= '9' &&
	       strchr(at, '-');
}

/* Where somebody listens on the port, the other side has come here. */
static bool came_here(const struct procs *p, const struct sock_row *s)
{
	for (size_t i = 0; i < p->n_socks; i++) {
		const struct sock_row *l = &p->socks[i];
		if (l->kind == s->kind && l->net == s->net && l->inet.state == 10 &&
		    l->inet.local.port == s->inet.local.port)
			return true;
	}
	return false;
}

static double direct_score(const struct program *g, const struct proc_row *r, bool service)
{
	if (g->shell || g->interpreter) {
		if (g->way == WAY_BARE)
			return 0.95;
		if (g->way == WAY_INLINE)
			return service ? 0.35 : 0.90;
		return g->odd_script ? 0.85 : service ? 0.30 : 0.75;
	}
	if (g->odd || (r->exe_deleted && !g->system))
		return 0.85;
	return service || g->system ? 0 : 0.50;
}

static bool suspect_relay(const struct program *by, const struct proc_row *relay)
{
	bool runs_code = by->interpreter && (by->way != WAY_SCRIPT || by->odd_script);

	return by->netcat || by->odd || runs_code || (relay->exe_deleted && !by->system);
}

static double relayed_score(const struct program *g, const struct proc_row *relay)
{
	struct program by = program_of(relay);
	bool own_code = by.interpreter || by.shell || !by.system;

	if (!suspect_relay(&by, relay))
		return g->way == WAY_BARE && own_code ? 0.45 : 0;
	if (g->way == WAY_BARE)
		return 0.90;
	return g->way == WAY_INLINE && !by.netcat ? 0.60 : 0.35;
}

static void tell(struct triage *t, const struct procs *p, const struct proc_row *r,
                 const struct lead *l, double score)
{
	char local[ENDPOINT_STR_MAX], peer[ENDPOINT_STR_MAX], addr[ADDR_STR_MAX];
	struct finding f;

	procs_begin(t, p, came_here(p, l->sock) ? "bind_shell" : "reverse_shell", r, &f);
	f.score = score;
	f.src = l->sock->inet.local;
	f.dest = l->sock->inet.peer;
	finding_reason(&f, "%u of its descriptors 0 to 2 lead to a socket: %s with %s", l->n,
	               endpoint_str(&f.src, local), endpoint_str(&f.dest, peer));
	if (l->relay)
		finding_reason(&f, "by way of %s to %s (pid %d, %.80s)", l->via,
		               l->relay->stat.comm, l->relay->stat.pid, l->relay->exe);
	if (f.dest.addr.family && f.dest.port && !addr_is_loopback(&f.dest.addr) &&
	    score >= FINDING_SCORE_ACT)
		finding_order(&f, "block %s", addr_str(&f.dest.addr, addr));
	if (l->relay && score >= FINDING_SCORE_ACT)
		finding_order(&f, "kill %d", l->relay->stat.pid);
	procs_found(t, r, &f);
}

/* Descriptors beyond 2: a shell that opened /dev/tcp by itself. One that it got from a service that
 * forgot to close it is held by that service, too. */
static const struct sock_row *own_socket(const struct procs *p, const struct proc_row *r)
{
	for (uint32_t i = 0; i < r->n_fds; i++) {
		const struct proc_fd *f = &p->fds[r->first_fd + i];
		const struct sock_row *s = f->fd > 2 ? sock_of(p, f) : NULL;
		size_t first, n = leads_out(s) ? procs_holders(p, f->kind, f->id, &first) : 0;
		bool given = false;
		for (size_t k = 0; k < n; k++) {
			const struct proc_row *q = &p->rows[p->fds[p->by_id[first + k]].row];
			given = given || (!program_of(q).shell && q->stat.start < r->stat.start);
		}
		if (s && n && !given)
			return s;
	}
	return NULL;
}

static void look_own_socket(struct triage *t, const struct procs *p, const struct proc_row *r)
{
	const struct sock_row *s = own_socket(p, r);
	char peer[ENDPOINT_STR_MAX];
	struct finding f;

	if (!s)
		return;
	procs_begin(t, p, "shell_socket", r, &f);
	if (addr_is_loopback(&s->inet.peer.addr))
		f.score = 0.45;
	finding_reason(&f, "it holds a socket of its own, with %s",
	               endpoint_str(&s->inet.peer, peer));
	procs_found(t, r, &f);
}

/* A program that a shell on a socket has started, not one of its own. */
static bool child_of_shell(const struct procs *p, const struct proc_row *r,
                           const struct sock_row *s)
{
	const struct proc_row *up = procs_parent(p, r);
	struct lead l = {0};

	if (up)
		l = direct(p, up);
	return l.n >= 2 && l.sock && l.sock->inode == s->inode;
}

void look_shell(struct triage *t, const struct procs *p, const struct proc_row *r)
{
	struct program g = program_of(r);
	struct lead l = direct(p, r);
	double score;

	if (l.n >= 2 && l.sock) {
		if (!g.shell && !g.interpreter && child_of_shell(p, r, l.sock))
			return;
		score = direct_score(&g, r, for_each_connection(t, p, r));
		if (score > 0)
			tell(t, p, r, &l, score);
		return;
	}
	if (!g.shell)
		return;
	l = relayed(p, r, HOPS_MAX);
	score = l.sock && l.relay ? relayed_score(&g, l.relay) : 0;
	if (l.sock && score > 0)
		tell(t, p, r, &l, score);
	else
		look_own_socket(t, p, r);
}
