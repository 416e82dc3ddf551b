/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/host/scope.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/sys.h"
#include "enforce/host/bulk.h"
#include "kern/link.h"

int scope_open(const struct session_scope *want, struct scope *ret, struct err *e)
{
	_cleanup_free_ struct link_addr *v = NULL;
	size_t n;
	int r = link_addr_list(NULL, &v, &n, e);
	if (r < 0)
		return r;
	struct addr *own = calloc(n + 1, sizeof *own);
	if (!own)
		return err_set(e, -ENOMEM, "out of memory for %zu addresses", n);
	for (size_t i = 0; i < n; i++)
		own[i] = v[i].addr;
	*ret = (struct scope){.want = want, .own = own, .n_own = n};
	return 0;
}

void scope_close(struct scope *s)
{
	free(s->own);
	s->own = NULL;
	s->n_own = 0;
}

static bool is_own(const struct scope *s, const struct addr *a)
{
	if (addr_is_loopback(a))
		return true;
	for (size_t i = 0; i < s->n_own; i++)
		if (addr_equal(&s->own[i], a))
			return true;
	return false;
}

static bool is_unset(const struct addr *a)
{
	static const struct addr v4 = {.family = ADDR_V4}, v6 = {.family = ADDR_V6};
	return a->family == ADDR_NONE || addr_equal(a, &v4) || addr_equal(a, &v6);
}

static bool in_prefixes(const struct scope *s, const struct addr *a)
{
	for (size_t i = 0; i < s->want->n_prefixes; i++)
		if (prefix_has(&s->want->prefixes[i], a))
			return true;
	return s->want->bulk && bulk_find(s->want->bulk, a);
}

static bool renews_lease(const struct permit *p, uint8_t proto, uint16_t local, uint16_t peer)
{
	return proto == IPPROTO_UDP && ((p->kind == PERMIT_DHCP4 && local == 68 && peer == 67) ||
	                                (p->kind == PERMIT_DHCP6 && local == 546 && peer == 547));
}

/* Break-glass permits open later: they keep nothing now. */
static bool is_permitted(const struct scope *s, const struct endpoint *peer, uint8_t proto,
                         uint16_t local_port)
{
	for (size_t i = 0; i < s->want->n_permits; i++) {
		const struct permit *p = &s->want->permits[i];
		if (!p->breakglass &&
		    (permit_matches_flow(p, &peer->addr, proto, local_port, peer->port) ||
		     renews_lease(p, proto, local_port, peer->port)))
			return true;
	}
	return false;
}

bool scope_takes_sock(const struct scope *s, const struct diag_sock *k)
{
	if (k->state == DIAG_LISTEN || is_unset(&k->peer.addr) || is_own(s, &k->peer.addr) ||
	    addr_is_loopback(&k->local.addr) || addr_equal(&k->local.addr, &k->peer.addr))
		return false;
	if (!s->want->permits)
		return in_prefixes(s, &k->peer.addr);
	return !is_permitted(s, &k->peer, k->proto, k->local.port);
}

static bool flow_in_prefixes(const struct scope *s, const struct ct_flow *f)
{
	return in_prefixes(s, &f->orig.src.addr) || in_prefixes(s, &f->orig.dst.addr) ||
	       in_prefixes(s, &f->reply.src.addr) || in_prefixes(s, &f->reply.dst.addr);
}

bool scope_takes_flow(const struct scope *s, const struct ct_flow *f)
{
	const struct ct_tuple *o = &f->orig, *r = &f->reply;
	bool from_us = is_own(s, &o->src.addr);
	bool to_us = is_own(s, &o->dst.addr) || is_own(s, &r->src.addr);
	if (from_us && to_us)
		return false;
	if (!s->want->permits)
		return flow_in_prefixes(s, f);
	if (from_us && is_permitted(s, &o->dst, o->proto, o->src.port))
		return false;
	return !to_us || !is_permitted(s, &o->src, o->proto, o->dst.port);
}
