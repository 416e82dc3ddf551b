/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/feeds_spare.h"

#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"
#include "kern/link.h"
#include "ui/guard.h"

#define TOLD_MAX 10

/* ---- what this host needs ---- */

static void add(struct feed_builder *b, const struct addr *a, unsigned len, const char *why)
{
	struct prefix p = prefix_of(a, len);
	if (a->family != ADDR_NONE)
		feed_add(b, &p, 0, 0, why);
}

static void add_all(struct feed_builder *b, const struct addr *v, size_t n, const char *why)
{
	for (size_t i = 0; i < n; i++)
		add(b, &v[i], addr_bits(&v[i]), why);
}

static void add_kept(struct feed_builder *b, const struct config *c)
{
	for (size_t i = 0; i < c->n_keep; i++)
		add(b, &c->keep[i].addr, addr_bits(&c->keep[i].addr), "kept");
	for (size_t i = 0; i < c->n_keep_out; i++)
		add(b, &c->keep_out[i].addr, addr_bits(&c->keep_out[i].addr), "kept");
	for (size_t i = 0; i < c->n_keep_in; i++)
		feed_add(b, &c->keep_in[i].peer, 0, 0, "kept");
	for (size_t i = 0; i < c->n_break_glass; i++)
		feed_add(b, &c->break_glass[i], 0, 0, "break glass");
}

/* Without these a link does not work: DHCP, address resolution, multicast, the own host. */
static int add_link_scope(struct feed_builder *b, struct err *e)
{
	static const char *const all[] = {"0.0.0.0/8",   "127.0.0.0/8",    "169.254.0.0/16",
	                                  "224.0.0.0/4", "::/127",         "fe80::/10",
	                                  "ff00::/8",    "255.255.255.255"};
	struct prefix p;
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(all); i++)
		if ((r = prefix_parse(all[i], &p, e)) == 0)
			feed_add(b, &p, 0, 0, "loopback, link-local, multicast");
	return r;
}

static int add_networks(struct feed_builder *b, struct err *e)
{
	_cleanup_free_ struct link_addr *v = NULL;
	size_t n = 0;
	int r = link_addr_list(NULL, &v, &n, e);
	for (size_t i = 0; i < n; i++)
		if (!addr_is_loopback(&v[i].addr)) {
			add(b, &v[i].addr, v[i].prefix_len, "own network");
			add(b, &v[i].addr, addr_bits(&v[i].addr), "own address");
		}
	return r;
}

int spare_own(struct cut *k, struct feed_builder *b, struct err *e)
{
	struct surroundings s = {0};
	int r = cut_forced(k, "loopback") ? 0 : add_link_scope(b, e);
	if (r == 0 && !cut_forced(k, "own"))
		r = add_networks(b, e);
	if (r == 0)
		r = surroundings_read(&s, e);
	if (r < 0)
		return r;
	if (!cut_forced(k, "gateway"))
		add_all(b, s.gateways, s.n_gateways, "gateway");
	if (!cut_forced(k, "resolver"))
		add_all(b, s.resolvers, s.n_resolvers, "name server");
	for (size_t i = 0; !cut_forced(k, "operator") && i < k->sessions.n; i++)
		add(b, &k->sessions.v[i].peer.addr, addr_bits(&k->sessions.v[i].peer.addr),
		    "your own session");
	if (!cut_forced(k, "kept"))
		add_kept(b, &k->keeps);
	for (size_t i = 0; !cut_forced(k, "protected") && i < k->keeps.n_protect; i++)
		feed_add(b, &k->keeps.protect[i], 0, 0, "protected");
	return 0;
}

/* ---- hits ---- */

/* Where the two overlap: what lies within the other. Entries of a feed are sorted, and prefixes
 * nested or apart, so that one walk over both finds all. */
struct hits {
	uint64_t n;
	struct buf text;
};

static void hit(struct hits *h, const struct feed *f, const struct feed_entry *x,
                const struct feed *by, const struct feed_entry *allow, const char *why)
{
	char a[PREFIX_STR_MAX], b[PREFIX_STR_MAX];
	struct prefix p = feed_prefix(x), q = feed_prefix(allow);
	if (h->n++ >= TOLD_MAX)
		return;
	buf_addf(&h->text, "%s of %s", prefix_str(&p, a), f->source);
	if (x->line)
		buf_addf(&h->text, " (line %u)", x->line);
	if (prefix_covers(&q, &p))
		buf_addf(&h->text, " is spared: ");
	else
		buf_addf(&h->text, " is blocked without ");
	buf_addf(&h->text, "%s%s%s, by %s\n", prefix_str(&q, b), why[0] ? ", " : "", why,
	         by->source);
}

static bool before(const struct prefix *a, const struct prefix *b)
{
	struct addr last = prefix_last(a);
	return addr_cmp(&last, &b->addr) < 0;
}

/* Wider entries may stand far ahead of what they cover: those are found by the addresses at which a
 * prefix that covers q can begin, one for each length. */
static void hits_of(struct hits *h, const struct feed *f, const struct feed_view *v,
                    const struct feed *by, const struct feed_entry *allow, const char *why)
{
	struct prefix q = feed_prefix(allow);
	for (unsigned len = 0; len < q.len; len++) {
		struct prefix outer = prefix_of(&q.addr, len);
		for (size_t i = feed_lower(v, &outer.addr); i < v->n; i++) {
			struct prefix x = feed_prefix(&v->v[i]);
			if (!addr_equal(&x.addr, &outer.addr) || x.len > len)
				break;
			if (x.len == len)
				hit(h, f, &v->v[i], by, allow, why);
		}
	}
	for (size_t i = feed_lower(v, &q.addr); i < v->n; i++) {
		struct prefix x = feed_prefix(&v->v[i]);
		if (before(&q, &x))
			break;
		if (x.len >= q.len)
			hit(h, f, &v->v[i], by, allow, why);
	}
}

static int tell_pair(struct hits *h, const struct feed *f, const struct feed *by, struct err *e)
{
	struct feed_view v, w;
	int r = feed_open(f, &v, e);
	if (r < 0)
		return r;
	r = feed_open(by, &w, e);
	for (size_t i = 0; r == 0 && i < w.n; i++)
		hits_of(h, f, &v, by, &w.v[i], w.text + w.v[i].note);
	feed_close(&v);
	if (r == 0)
		feed_close(&w);
	return r;
}

int spare_tell(struct cut *k)
{
	const struct order *o = &k->order;
	struct hits h = {.text = BUF_INIT(1u << 16)};
	struct err e = {0};
	int r = 0;
	for (size_t i = 0; r == 0 && i < o->n_feeds; i++)
		for (size_t j = 0; r == 0 && o->feeds[i].role == FEED_BLOCK && j < o->n_feeds; j++)
			if (o->feeds[j].role == FEED_ALLOW)
				r = tell_pair(&h, &o->feeds[i], &o->feeds[j], &e);
	if (h.n) {
		buf_addf(&k->notes, "%s", buf_str(&h.text));
		if (h.n > TOLD_MAX)
			buf_addf(&k->notes, "%llu such hits in all\n", (unsigned long long)h.n);
	}
	buf_free(&h.text);
	return r < 0 ? ctx_fail(k->c, EXIT_FAILED, &e) : EXIT_DONE;
}
