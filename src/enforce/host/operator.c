/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Finds the operator's way in. Each hint ends at a TCP socket that the kernel lists as established
 * in this network namespace; what the environment or a file says without such a socket is listed as
 * not live and never kept by itself.
 */
#include "enforce/host/operator.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "kern/diag.h"
#include "kern/proc.h"

#define CHAIN_MAX   32
#define SOCKETS_MAX 65536
/* Clients of terminal multiplexers that are looked at; a host with more has other troubles. */
#define CLIENTS_MAX 64

struct live_socket {
	struct endpoint peer, local;
	uint64_t inode;
};

struct search {
	struct live_socket *sockets; /* owned; listed when the first hint asks for one */
	size_t n_sockets;
	bool listed;
	int code; /* of listing them */
	struct err why;
	struct operator_sessions *found;
	const char *how; /* format of the hint at hand: "%s (pid %d)" is put behind it */
	const struct proc_id *holder;
};

static bool collect(void *arg, const struct diag_sock *s)
{
	struct search *f = arg;
	if (addr_is_loopback(&s->peer.addr))
		return true;
	if (f->n_sockets == SOCKETS_MAX)
		return false;
	f->sockets[f->n_sockets++] =
	    (struct live_socket){.peer = s->peer, .local = s->local, .inode = s->inode};
	return true;
}

static bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

static void add(struct operator_sessions *found, const struct operator_session *s)
{
	for (size_t i = 0; i < found->n; i++)
		if (endpoint_equal(&found->v[i].peer, &s->peer) &&
		    endpoint_equal(&found->v[i].local, &s->local))
			return;
	if (found->n < OPERATOR_SESSIONS_MAX)
		found->v[found->n++] = *s;
}

static int list_sockets(struct search *f)
{
	if (f->listed)
		return f->code;
	f->listed = true;
	f->sockets = calloc(SOCKETS_MAX, sizeof *f->sockets);
	if (!f->sockets)
		f->code = err_set(&f->why, -ENOMEM, "out of memory");
	else
		f->code = diag_inet(NULL, AF_UNSPEC, IPPROTO_TCP, DIAG_STATE_BIT(DIAG_ESTABLISHED),
		                    collect, f, &f->why);
	return f->code;
}

static bool take_socket(void *arg, int fd, uint64_t inode)
{
	struct search *f = arg;
	if (list_sockets(f) < 0)
		return false;
	for (size_t i = 0; i < f->n_sockets; i++) {
		const struct live_socket *l = &f->sockets[i];
		if (l->inode != inode)
			continue;
		struct operator_session s = {.peer = l->peer, .local = l->local, .live = true};
		snprintf(s.how, sizeof s.how, "%s %s (pid %d)", f->how, f->holder->comm,
		         f->holder->pid);
		add(f->found, &s);
	}
	return true;
}

static void take_held(struct search *f, const struct proc_id *chain, size_t n, const char *how)
{
	f->how = how;
	for (size_t i = 0; i < n; i++) {
		if (chain[i].pid == 1)
			continue; /* holds the sockets of every socket unit */
		f->holder = &chain[i];
		proc_sockets(chain[i].pid, take_socket, f);
	}
}

/* Every socket that pid or one of its parents holds. */
static void take_chain(struct search *f, int pid, const char *how)
{
	struct proc_id *chain = calloc(CHAIN_MAX, sizeof *chain);
	size_t n = 0;
	if (chain && proc_chain(pid, chain, CHAIN_MAX, &n) == 0)
		take_held(f, chain, n, how);
	free(chain);
}

/* One address and one port out of *text, which moves on. A link-local address comes with its device
 * behind a '%', which its socket does not have. */
static bool parse_endpoint(char **text, struct endpoint *ret)
{
	char *address = strsep(text, " "), *port = strsep(text, " "), *rest;
	if (!address || !port || *port < '0' || *port > '9')
		return false;
	unsigned long v = strtoul(port, &rest, 10);
	if (*rest || v == 0 || v > UINT16_MAX)
		return false;
	ret->port = (uint16_t)v;
	address[strcspn(address, "%")] = 0;
	return addr_parse(address, &ret->addr) == 0;
}

/* sshd sets SSH_CONNECTION to "client port server port" (ssh(1), ENVIRONMENT). */
static void take_environment(struct search *f)
{
	const char *given = getenv("SSH_CONNECTION");
	char text[256], *at = text;
	struct operator_session s = {.how = "SSH_CONNECTION"};
	if (!given || strlen(given) >= sizeof text)
		return;
	memcpy(text, given, strlen(given) + 1);
	if (!parse_endpoint(&at, &s.peer) || !parse_endpoint(&at, &s.local) || at ||
	    list_sockets(f) < 0)
		return;
	for (size_t i = 0; i < f->n_sockets && !s.live; i++)
		s.live = endpoint_equal(&f->sockets[i].peer, &s.peer) &&
		         endpoint_equal(&f->sockets[i].local, &s.local);
	add(f->found, &s);
}

/* The leader of a logind session, from its state file; 0: none. */
static int session_leader(const char *id)
{
	char path[128], text[4096];
	snprintf(path, sizeof path, "/run/systemd/sessions/%.32s", id);
	int fd = sys->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	if (fd < 0)
		return 0;
	ssize_t n = sys->read(fd, text, sizeof text - 1);
	sys->close(fd);
	text[n > 0 ? n : 0] = 0;
	const char *at = strstr(text, "\nLEADER=");
	long pid = at ? strtol(at + strlen("\nLEADER="), NULL, 10) : 0;
	return pid > 1 && pid < INT_MAX ? (int)pid : 0;
}

static void take_logind(struct search *f, const struct proc_id *self)
{
	char id[33];
	if (sscanf(self->unit, "session-%32[0-9a-z].scope", id) != 1)
		return;
	int leader = session_leader(id);
	if (leader)
		take_chain(f, leader, "logind session of");
}

static bool is_server(const char *comm)
{
	return !strncmp(comm, "tmux", 4) || !strcmp(comm, "screen") || !strcmp(comm, "SCREEN");
}

/* A multiplexer's server has left the session that started it; whoever is attached now came in by a
 * client process of the same user. */
static void take_clients(struct search *f, const struct proc_id *server)
{
	int *pids;
	size_t n, taken = 0;
	if (proc_pids(&pids, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n && taken < CLIENTS_MAX; i++) {
		struct proc_id p;
		if (pids[i] == server->pid || proc_read(pids[i], &p) < 0 || p.uid != server->uid ||
		    !is_server(p.comm))
			continue;
		take_chain(f, pids[i], "terminal client under");
		taken++;
	}
	free(pids);
}

static void take_ancestors(struct search *f)
{
	struct proc_id *chain = calloc(CHAIN_MAX, sizeof *chain);
	size_t n = 0;
	if (chain && proc_chain(getpid(), chain, CHAIN_MAX, &n) == 0) {
		take_held(f, chain, n, "socket of ancestor");
		for (size_t i = 0; i < n; i++)
			if (is_server(chain[i].comm))
				take_clients(f, &chain[i]);
		if (n)
			take_logind(f, &chain[0]);
	}
	free(chain);
}

int operator_find(struct operator_sessions *ret, struct err *e)
{
	struct operator_sessions found = {0};
	struct search f = {.found = &found};
	take_ancestors(&f);
	take_environment(&f);
	free(f.sockets);
	if (f.code < 0)
		return err_set(e, f.code, "the operator's session cannot be looked for: %s",
		               f.why.text);
	*ret = found;
	return 0;
}
