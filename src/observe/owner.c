/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Invariants
 *  1. Sockets, addresses and holders are bounded; what is over is not found, hence "unknown".
 *  2. A holder is read (proc_read) right after the scan that found it and kept by socket inode, so
 *     that a process which ends later is still named. Inodes that no socket has any more are
 *     forgotten at each refresh.
 */
#include "observe/owner.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/sys.h"
#include "base/table.h"
#include "kern/diag.h"
#include "kern/link.h"
#include "kern/nl.h"
#include "kern/proc.h"

#define SOCKETS_MAX (1u << 20)
#define SCAN_MIN    (50 * USEC_PER_MSEC)
#define SCAN_TIMES  4 /* rest that many times as long as the scan took */
#define ADDRS_MAX   65536u

struct key {
	struct endpoint local, peer;
	uint8_t proto;
};

struct sock {
	struct key key;
	struct owner_socket s;
	UT_hash_handle hh;
};

struct self {
	struct addr addr;
	UT_hash_handle hh;
};

struct holder {
	uint64_t inode;
	struct owner owner;
	unsigned seen; /* generation */
	UT_hash_handle hh;
};

struct kept {
	struct owner owner; /* the key: all of its bytes, zero behind each text */
	UT_hash_handle hh;
};

struct owners {
	struct kept *kept;
	struct nl diag, route;
	struct sock *socks;
	struct self *self;
	struct holder *holders;
	struct inode_map *map;
	usec_t next_scan;
	unsigned generation, map_generation;
};

static struct key key_of(uint8_t proto, const struct endpoint *local, const struct endpoint *peer)
{
	struct key k;

	memset(&k, 0, sizeof(k)); /* padding is hashed, too */
	k.local.addr = local->addr;
	k.local.port = local->port;
	if (peer && peer->port) {
		k.peer.addr = peer->addr;
		k.peer.port = peer->port;
	}
	k.proto = proto;
	return k;
}

int owners_new(struct owners **ret, struct err *e)
{
	struct owners *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return err_set(e, -ENOMEM, "out of memory for owners of flows");
	o->diag.fd = o->route.fd = -1;
	if ((r = inode_map_new(&o->map)) < 0)
		err_set(e, r, "out of memory for owners of flows");
	else if ((r = nl_open(&o->diag, NETLINK_SOCK_DIAG, e)) < 0)
		o->diag.fd = -1;
	else if ((r = nl_open(&o->route, NETLINK_ROUTE, e)) < 0)
		o->route.fd = -1;
	if (r < 0) {
		owners_free(o);
		return r;
	}
	*ret = o;
	return 0;
}

static void drop_sockets(struct owners *o)
{
	struct sock *s, *s2;
	struct self *a, *a2;

	HASH_ITER(hh, o->socks, s, s2)
	{
		HASH_DEL(o->socks, s);
		free(s);
	}
	HASH_ITER(hh, o->self, a, a2)
	{
		HASH_DEL(o->self, a);
		free(a);
	}
}

static void drop_holders(struct owners *o, unsigned older_than)
{
	struct holder *h, *h2;

	HASH_ITER(hh, o->holders, h, h2)
	{
		if (h->seen >= older_than)
			continue;
		HASH_DEL(o->holders, h);
		free(h);
	}
}

void owners_free(struct owners *o)
{
	struct kept *k, *k2;

	if (!o)
		return;
	drop_sockets(o);
	drop_holders(o, UINT32_MAX);
	HASH_ITER(hh, o->kept, k, k2)
	{
		HASH_DEL(o->kept, k);
		free(k);
	}
	inode_map_free(o->map);
	if (o->diag.fd >= 0)
		nl_close(&o->diag);
	if (o->route.fd >= 0)
		nl_close(&o->route);
	free(o);
}

int owners_add(struct owners *o, const struct owner_socket *s)
{
	struct key k = key_of(s->proto, &s->local, &s->peer);
	struct sock *found;
	struct holder *h;

	if (HASH_COUNT(o->socks) >= SOCKETS_MAX)
		return -E2BIG;
	HASH_FIND(hh, o->holders, &s->inode, sizeof(s->inode), h);
	if (h)
		h->seen = o->generation;
	HASH_FIND(hh, o->socks, &k, sizeof(k), found);
	if (found) { /* SO_REUSEPORT: the one with a file */
		if (!found->s.inode)
			found->s = *s;
		return 0;
	}
	if (!(found = calloc(1, sizeof(*found))))
		return -ENOMEM;
	found->key = k;
	found->s = *s;
	HASH_ADD(hh, o->socks, key, sizeof(found->key), found);
	if (!found->hh.tbl) {
		free(found);
		return -ENOMEM;
	}
	return 0;
}

int owners_add_self(struct owners *o, const struct addr *a)
{
	struct self *s;

	HASH_FIND(hh, o->self, a, sizeof(*a), s);
	if (s)
		return 0;
	if (HASH_COUNT(o->self) >= ADDRS_MAX)
		return -E2BIG;
	if (!(s = calloc(1, sizeof(*s))))
		return -ENOMEM;
	s->addr = *a;
	HASH_ADD(hh, o->self, addr, sizeof(s->addr), s);
	if (!s->hh.tbl) {
		free(s);
		return -ENOMEM;
	}
	return 0;
}

bool owners_is_self(const struct owners *o, const struct addr *a)
{
	struct self *s;

	HASH_FIND(hh, o->self, a, sizeof(*a), s);
	return s || addr_is_loopback(a);
}

/* Without a file in these states: in a listener's queue. Orphans are in others. */
#define WAITING_STATES                                                                             \
	(DIAG_STATE_BIT(DIAG_ESTABLISHED) | DIAG_STATE_BIT(DIAG_CLOSE_WAIT) |                      \
	 DIAG_STATE_BIT(DIAG_SYN_RECV) | DIAG_STATE_BIT(DIAG_NEW_SYN_RECV))

static bool on_socket(void *arg, const struct diag_sock *d)
{
	const struct owner_socket s = {
	    .proto = d->proto,
	    .local = d->local,
	    .peer = d->peer,
	    .v6only = d->v6only || d->family == AF_INET,
	    .inode = d->inode,
	    .uid = d->uid,
	    .waiting =
	        d->proto == IPPROTO_TCP && !d->inode && DIAG_STATE_BIT(d->state) & WAITING_STATES,
	};
	return owners_add(arg, &s) == 0;
}

int owners_refresh(struct owners *o, struct err *e)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE};
	_cleanup_free_ struct link_addr *addrs = NULL;
	size_t n = 0;
	int r;

	drop_sockets(o);
	o->generation++;
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		r = diag_inet(&o->diag, AF_UNSPEC, protos[i], DIAG_ALL_STATES, on_socket, o, e);
		/* udplite is a module that few have. */
		if (r < 0 && protos[i] != IPPROTO_UDPLITE)
			return r;
	}
	drop_holders(o, o->generation);
	if ((r = link_addr_list(&o->route, &addrs, &n, e)) < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if ((r = owners_add_self(o, &addrs[i].addr)) < 0)
			return err_set(e, r, "too many addresses on this host");
	return 0;
}

static const struct owner_socket *lookup(const struct owners *o, uint8_t proto,
                                         const struct endpoint *local, const struct endpoint *peer)
{
	struct key k = key_of(proto, local, peer);
	struct sock *s;

	HASH_FIND(hh, o->socks, &k, sizeof(k), s);
	return s ? &s->s : NULL;
}

/* Not connected: bound to our address, or to any address of its family, or a v6 one that takes v4.
 */
static const struct owner_socket *lookup_open(const struct owners *o, uint8_t proto,
                                              const struct endpoint *local)
{
	struct endpoint any = {.addr.family = local->addr.family, .port = local->port};
	const struct owner_socket *s = lookup(o, proto, local, NULL);

	if (!s)
		s = lookup(o, proto, &any, NULL);
	if (!s && local->addr.family == ADDR_V4) {
		any.addr.family = ADDR_V6;
		s = lookup(o, proto, &any, NULL);
		if (s && s->v6only)
			s = NULL;
	}
	return s;
}

const struct owner_socket *owners_match(const struct owners *o, const struct flow *f)
{
	const struct owner_socket *s = lookup(o, f->proto, &f->src, &f->dest);

	if (!s)
		s = lookup(o, f->proto, &f->dest, &f->src);
	if (s && s->waiting)
		s = lookup_open(o, f->proto, &s->local);
	/* A port alone names a socket only where the address is ours. */
	if (!s && owners_is_self(o, &f->src.addr) && f->proto != IPPROTO_TCP)
		s = lookup_open(o, f->proto, &f->src);
	if (!s && owners_is_self(o, &f->dest.addr))
		s = lookup_open(o, f->proto, &f->dest);
	return s;
}

/* Reads /proc again if that is not too soon; true: it did. */
static bool scan(struct owners *o)
{
	usec_t begin = boot_now(), took;

	if (begin < o->next_scan)
		return false;
	if (inode_map_scan(o->map, NULL, NULL) < 0)
		return false;
	o->map_generation = o->generation;
	took = boot_now() - begin;
	o->next_scan = boot_now() + (took * SCAN_TIMES > SCAN_MIN ? took * SCAN_TIMES : SCAN_MIN);
	return true;
}

static bool read_holder(struct owners *o, uint64_t inode, struct owner *ret)
{
	struct proc_id p;
	struct holder *h;
	int pid = inode_map_find(o->map, inode, NULL);

	if (!pid || proc_read(pid, &p) < 0)
		return false;
	memset(ret, 0, sizeof(*ret));
	ret->pid = p.pid;
	ret->uid = p.uid;
	memcpy(ret->comm, p.comm, sizeof(ret->comm));
	memcpy(ret->exe, p.exe, sizeof(ret->exe));
	memcpy(ret->unit, p.unit, sizeof(ret->unit));
	if (!(h = calloc(1, sizeof(*h))))
		return true;
	h->inode = inode;
	h->owner = *ret;
	h->seen = o->generation;
	HASH_ADD(hh, o->holders, inode, sizeof(h->inode), h);
	if (!h->hh.tbl)
		free(h);
	return true;
}

static bool unknown(struct owner *ret, const char *why)
{
	snprintf(ret->why_unknown, sizeof(ret->why_unknown), "%s", why);
	return false;
}

bool owners_find(struct owners *o, const struct flow *f, struct owner *ret)
{
	const struct owner_socket *s;
	struct holder *h;

	memset(ret, 0, sizeof(*ret));
	if (f->proto != IPPROTO_TCP && f->proto != IPPROTO_UDP && f->proto != IPPROTO_UDPLITE)
		return unknown(ret, "this protocol has no socket to look up");
	if (!(s = owners_match(o, f)))
		return unknown(ret,
		               owners_is_self(o, &f->src.addr) || owners_is_self(o, &f->dest.addr)
		                   ? "its socket was not open when we looked"
		                   : "not of this network namespace");
	ret->uid = s->uid;
	if (!s->inode)
		return unknown(ret, "its process has closed the socket");
	HASH_FIND(hh, o->holders, &s->inode, sizeof(s->inode), h);
	if (h) {
		*ret = h->owner;
		return true;
	}
	if (read_holder(o, s->inode, ret) || (scan(o) && read_holder(o, s->inode, ret)))
		return true;
	return unknown(ret, "no process that we may look into holds the socket");
}

const struct owner *owners_keep(struct owners *o, const struct owner *owner)
{
	struct owner key;
	struct kept *k;

	memset(&key, 0, sizeof(key));
	key.pid = owner->pid;
	key.uid = owner->uid;
	key.cgroup = owner->cgroup;
	key.netns = owner->netns;
	snprintf(key.comm, sizeof(key.comm), "%s", owner->comm);
	snprintf(key.exe, sizeof(key.exe), "%s", owner->exe);
	snprintf(key.unit, sizeof(key.unit), "%s", owner->unit);
	snprintf(key.chain, sizeof(key.chain), "%s", owner->chain);
	snprintf(key.why_unknown, sizeof(key.why_unknown), "%s", owner->why_unknown);
	HASH_FIND(hh, o->kept, &key, sizeof(key), k);
	if (k)
		return &k->owner;
	if (HASH_COUNT(o->kept) >= OWNERS_KEPT_MAX || !(k = calloc(1, sizeof(*k))))
		return NULL;
	memcpy(&k->owner, &key, sizeof(key));
	HASH_ADD(hh, o->kept, owner, sizeof(k->owner), k);
	if (!k->hh.tbl) {
		free(k);
		return NULL;
	}
	return &k->owner;
}
