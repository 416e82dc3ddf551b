/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/roundtrip.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "kern/diag.h"
#include "kern/proc.h"

#define TICK_MSEC 50

/* --- TCP connects to kept addresses --- */

static bool came_from_there(int error)
{
	return error == 0 || error == ECONNREFUSED;
}

static int connect_start(const struct endpoint *to, bool *ret_up)
{
	struct sockaddr_storage sa;
	socklen_t n = addr_to_sockaddr(&to->addr, to->port, &sa);
	int fd = sys->socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	*ret_up = false;
	if (fd < 0)
		return -1;
	if (sys->connect(fd, (struct sockaddr *)&sa, n) == 0 || came_from_there(errno))
		*ret_up = true;
	else if (errno == EINPROGRESS)
		return fd;
	sys->close(fd);
	return -1;
}

static void connect_look(struct pollfd *p, bool *ret_up)
{
	int error = 0;
	socklen_t n = sizeof error;
	if (p->fd < 0 || !(p->revents & (POLLOUT | POLLERR | POLLHUP)))
		return;
	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0)
		*ret_up = came_from_there(error);
	sys->close(p->fd);
	p->fd = -1;
}

void roundtrip_connect(const struct endpoint *v, size_t n, int timeout_ms, bool *ret_up)
{
	struct pollfd fds[ROUNDTRIP_PATHS_MAX];
	usec_t end = boot_now() + (usec_t)timeout_ms * USEC_PER_MSEC;
	size_t open = 0;
	for (size_t i = 0; i < n && i < ROUNDTRIP_PATHS_MAX; i++) {
		fds[i] = (struct pollfd){.fd = connect_start(&v[i], &ret_up[i]), .events = POLLOUT};
		open += fds[i].fd >= 0;
	}
	while (open && boot_now() < end) {
		int left = (int)((end - boot_now()) / USEC_PER_MSEC) + 1;
		if (sys->poll(fds, n, left) < 0 && errno != EINTR)
			break;
		open = 0;
		for (size_t i = 0; i < n; i++) {
			connect_look(&fds[i], &ret_up[i]);
			open += fds[i].fd >= 0;
		}
	}
	for (size_t i = 0; i < n; i++)
		if (fds[i].fd >= 0)
			sys->close(fds[i].fd);
}

static void add_path(struct roundtrip *t, const struct addr *a, uint16_t port)
{
	for (size_t i = 0; i < t->n_paths; i++)
		if (t->paths[i].port == port && addr_equal(&t->paths[i].addr, a))
			return;
	if (t->n_paths < ROUNDTRIP_PATHS_MAX && port)
		t->paths[t->n_paths++] = (struct endpoint){*a, port};
}

void roundtrip_paths(struct roundtrip *t, const struct order *o, const struct config *keeps)
{
	for (size_t i = 0; i < o->n_permits; i++) {
		const struct permit *p = &o->permits[i];
		bool tcp = p->proto == 0 || p->proto == IPPROTO_TCP;
		if (p->kind == PERMIT_FLOW && tcp && !p->breakglass && !p->local_port &&
		    p->peer.len == addr_bits(&p->peer.addr))
			add_path(t, &p->peer.addr, p->peer_port);
	}
	for (size_t i = 0; i < keeps->n_keep; i++)
		add_path(t, &keeps->keep[i].addr, keeps->keep[i].port);
	for (size_t i = 0; i < keeps->n_keep_out; i++)
		add_path(t, &keeps->keep_out[i].addr, keeps->keep_out[i].port);
}

void roundtrip_before(struct roundtrip *t)
{
	roundtrip_connect(t->paths, t->n_paths, ROUNDTRIP_LOOK_MSEC, t->answered);
}

/* --- the operator's own sessions --- */

struct sample {
	const struct operator_sessions *sessions;
	struct diag_sock v[OPERATOR_SESSIONS_MAX];
	bool seen[OPERATOR_SESSIONS_MAX];
};

static bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

static bool take_sample(void *arg, const struct diag_sock *s)
{
	struct sample *m = arg;
	for (size_t i = 0; i < m->sessions->n; i++)
		if (endpoint_equal(&m->sessions->v[i].peer, &s->peer) &&
		    endpoint_equal(&m->sessions->v[i].local, &s->local)) {
			m->v[i] = *s;
			m->seen[i] = true;
		}
	return true;
}

static int sample(const struct operator_sessions *s, struct sample *ret, struct err *e)
{
	*ret = (struct sample){.sessions = s};
	return diag_inet(NULL, AF_UNSPEC, IPPROTO_TCP, DIAG_STATE_BIT(DIAG_ESTABLISHED),
	                 take_sample, ret, e);
}

/* Something must travel for an acknowledgement to come back: a line where the operator reads. */
static void say_something(struct ctx *c, const struct order *o)
{
	int tty = open("/dev/tty", O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char line[96];
	int n = snprintf(line, sizeof line, "o%u is in force; checking your way in ...\n", o->id);
	if (tty >= 0) {
		ssize_t written = write(tty, line, (size_t)n);
		close(tty);
		if (written == n)
			return;
	}
	if (c->out.json || c->out.quiet)
		fputs(line, stderr);
	else
		out_line(&c->out, "%.*s", n - 1, line);
	fflush(c->out.to);
}

enum proof { PROOF_NOTHING_SENT, PROOF_WAITING, PROOF_ACKED };

static enum proof proof_of(const struct diag_sock *was, const struct diag_sock *is, usec_t since)
{
	uint64_t passed_msec = (boot_now() - since) / USEC_PER_MSEC;
	if (is->tcp.bytes_acked > was->tcp.bytes_acked ||
	    is->tcp.bytes_received > was->tcp.bytes_received)
		return PROOF_ACKED;
	bool sent = is->tcp.bytes_sent > was->tcp.bytes_sent || is->wqueue > 0;
	/* An acknowledgement of what was under way before the cut is no proof. */
	if (is->tcp.last_ack_recv_msec + TICK_MSEC < passed_msec && was->wqueue == 0 && sent)
		return PROOF_ACKED;
	return sent ? PROOF_WAITING : PROOF_NOTHING_SENT;
}

/* Counts sessions by proof; true once one is proven. */
static bool look_at_sessions(struct roundtrip *t, const struct sample *was, usec_t since,
                             unsigned *ret_waiting)
{
	struct sample is;
	char peer[ENDPOINT_STR_MAX];
	*ret_waiting = 0;
	if (sample(t->sessions, &is, NULL) < 0)
		return false;
	for (size_t i = 0; i < t->sessions->n; i++) {
		if (!was->seen[i])
			continue;
		/* A session that was torn down by the cut was possible, and failed. */
		enum proof p = is.seen[i] ? proof_of(&was->v[i], &is.v[i], since) : PROOF_WAITING;
		*ret_waiting += p == PROOF_WAITING;
		if (p != PROOF_ACKED)
			continue;
		snprintf(t->how, sizeof t->how, "your session from %s answers",
		         endpoint_str(&t->sessions->v[i].peer, peer));
		return true;
	}
	return false;
}

static void check_sessions(struct roundtrip *t, const struct sample *was, usec_t since)
{
	unsigned waiting = 0;
	usec_t end = since + ROUNDTRIP_WAIT_MSEC * USEC_PER_MSEC;
	/* Where nothing is under way after a second, nothing will be. */
	usec_t idle = since + USEC_PER_SEC;
	int wait = 1; /* an answer mostly comes at once; then look less often */
	do {
		poll(NULL, 0, wait);
		wait = wait * 2 < TICK_MSEC ? wait * 2 : TICK_MSEC;
		if (look_at_sessions(t, was, since, &waiting)) {
			t->possible++;
			t->passed++;
			return;
		}
	} while (boot_now() < end && (waiting || boot_now() < idle));
	t->possible += waiting;
}

static void check_paths(struct roundtrip *t)
{
	struct endpoint v[ROUNDTRIP_PATHS_MAX];
	bool up[ROUNDTRIP_PATHS_MAX] = {false};
	char text[ENDPOINT_STR_MAX];
	size_t n = 0;
	for (size_t i = 0; i < t->n_paths; i++)
		if (t->answered[i])
			v[n++] = t->paths[i];
	roundtrip_connect(v, n, ROUNDTRIP_WAIT_MSEC, up);
	t->possible += (unsigned)n;
	for (size_t i = 0; i < n; i++) {
		if (!up[i])
			continue;
		t->passed++;
		if (!t->how[0])
			snprintf(t->how, sizeof t->how, "%s answers", endpoint_str(&v[i], text));
	}
}

int roundtrip_check(void *arg, const struct order *o, struct err *e)
{
	struct roundtrip *t = arg;
	struct sample was;
	bool sampled = t->sessions->n && sample(t->sessions, &was, NULL) == 0;
	usec_t since = boot_now();
	t->possible = t->passed = 0;
	t->how[0] = 0;
	if (sampled) {
		say_something(t->c, o);
		check_sessions(t, &was, since);
	}
	if (!t->passed)
		check_paths(t);
	if (t->possible && !t->passed)
		return err_set(e, -EHOSTUNREACH,
		               "none of %u ways in answered within %d s; all is taken back. Add "
		               "--keep ADDR:PORT for the path you come by",
		               t->possible, ROUNDTRIP_WAIT_MSEC / 1000);
	return 0;
}

bool roundtrip_new_session(const struct operator_sessions *s, usec_t since_boot, char how[128])
{
	struct sample m;
	struct inode_map *map = NULL;
	struct inode_map_stats stats;
	bool found = false;
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
	char peer[ENDPOINT_STR_MAX];
	if (sample(s, &m, NULL) < 0 || inode_map_new(&map) < 0)
		return false;
	if (inode_map_scan(map, &stats, NULL) == 0)
		for (size_t i = 0; i < s->n && !found; i++) {
			struct proc_id who;
			int pid = m.seen[i] ? inode_map_find(map, m.v[i].inode, NULL) : 0;
			if (!pid || proc_read(pid, &who) < 0)
				continue;
			found = hz && who.start_ticks * USEC_PER_SEC / hz > since_boot;
			if (found)
				snprintf(how, 128, "a new session from %s",
				         endpoint_str(&s->v[i].peer, peer));
		}
	inode_map_free(map);
	return found;
}
