/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the orders in force to what the tries hold together. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "base/table.h"
#include "enforce/host/bulk.h"
#include "seal/sha256.h"

/* ---- what is wanted ---- */

struct lists {
	struct bulk_want *wants; /* owned */
	struct prefix *allow;    /* owned */
	size_t n_wants, cap_wants, n_allow, cap_allow;
};

static void lists_free(struct lists *l)
{
	free(l->wants);
	free(l->allow);
	memset(l, 0, sizeof *l);
}

static int room(void **v, size_t size, size_t n, size_t *cap, struct err *e)
{
	if (n <= *cap)
		return 0;
	void *bigger = realloc(*v, n * size);
	if (!bigger)
		return err_set(e, -ENOMEM, "out of memory for %zu prefixes", n);
	*v = bigger;
	*cap = n;
	return 0;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return !a || !b ? a + b : a < b ? a : b;
}

/* Until when an order holds, on the boot clock in ns; 0: for good; -ETIME. Exact where the order
 * is of this boot, so that it reads the same each time. */
int bulk_order_until(const struct deadlines *d, uint64_t *ret)
{
	uint64_t left;
	usec_t now = boot_now();
	int r = block_left(d, now, &left);
	if (r < 0)
		return r;
	if (boot_same(d->boot))
		*ret = sooner(d->confirm_by_boot, d->until_boot) * 1000;
	else
		*ret = left ? (now + left * 1000) * 1000 : 0;
	return 0;
}

/* Entries end by the wall clock; whole seconds, so that a slewed clock reads the same. */
static bool entry_until(uint32_t until, uint64_t order, uint64_t wall_to_boot, uint64_t now,
                        uint64_t *ret)
{
	uint64_t at = until ? until - wall_to_boot : 0;
	if (until && (until <= wall_to_boot || at <= now))
		return false;
	*ret = sooner(at * UINT64_C(1000000000), order);
	return true;
}

/* The bytes must be those that the order names: they lay on a disk. */
static int open_checked(const struct feed *f, struct feed_view *ret, struct err *e)
{
	uint8_t hash[SHA256_LEN];
	char hex[SHA256_HEX_MAX];
	int r = feed_open(f, ret, e);
	if (r < 0)
		return r;
	r = sha256_of(ret->bytes, ret->n_bytes, hash);
	if (r == 0 && strcmp(hex_encode(hash, sizeof hash, hex), f->sha256) != 0)
		r = -EBADMSG;
	if (r < 0) {
		feed_close(ret);
		return err_set(e, r,
		               "the stored entries of %.200s are not those that the order took: "
		               "their hash differs",
		               f->source);
	}
	return 0;
}

static int add_allowed(struct lists *l, const struct feed_view *v, struct err *e)
{
	void *p = l->allow;
	int r = room(&p, sizeof *l->allow, l->n_allow + v->n, &l->cap_allow, e);
	l->allow = p;
	for (size_t i = 0; r == 0 && i < v->n; i++)
		l->allow[l->n_allow++] = feed_prefix(&v->v[i]);
	return r;
}

static int add_blocked(struct lists *l, const struct feed_view *v, uint64_t until, struct err *e)
{
	uint64_t wall_to_boot = (wall_now() - boot_now()) / USEC_PER_SEC;
	uint64_t now = boot_now() / USEC_PER_SEC;
	void *p = l->wants;
	int r = room(&p, sizeof *l->wants, l->n_wants + v->n, &l->cap_wants, e);
	l->wants = p;
	for (size_t i = 0; r == 0 && i < v->n; i++) {
		struct bulk_want w = {.prefix = feed_prefix(&v->v[i])};
		if (entry_until(v->v[i].until, until, wall_to_boot, now, &w.until))
			l->wants[l->n_wants++] = w;
	}
	return r;
}

static int of_order(const struct order *o, struct bulk_sets *ret, struct err *e)
{
	struct lists l = {0};
	uint64_t until;
	int r = 0;
	if (bulk_order_until(&o->deadlines, &until) < 0) {
		*ret = (struct bulk_sets){0};
		return 0;
	}
	for (size_t i = 0; r == 0 && i < o->n_feeds; i++) {
		struct feed_view v;
		r = open_checked(&o->feeds[i], &v, e);
		if (r < 0)
			break;
		r = o->feeds[i].role == FEED_ALLOW ? add_allowed(&l, &v, e)
		                                   : add_blocked(&l, &v, until, e);
		feed_close(&v);
	}
	if (r == 0)
		r = bulk_desired(l.wants, l.n_wants, l.allow, l.n_allow, ret, e);
	lists_free(&l);
	return r;
}

static int add_sets(struct lists *l, const struct bulk_sets *s, struct err *e)
{
	for (size_t t = 0; t < _BULK_TRIE_MAX; t++) {
		void *p = l->wants;
		int r = room(&p, sizeof *l->wants, l->n_wants + s->n[t], &l->cap_wants, e);
		l->wants = p;
		if (r < 0)
			return r;
		for (size_t i = 0; i < s->n[t]; i++) {
			const struct bulk_entry *x = &s->v[t][i];
			struct bulk_want *w = &l->wants[l->n_wants++];
			*w = (struct bulk_want){.until = x->until};
			w->prefix.addr.family = (uint8_t)bulk_family((enum bulk_trie)t);
			w->prefix.len = x->len;
			memcpy(w->prefix.addr.bytes, x->addr, sizeof x->addr);
		}
	}
	return 0;
}

/* What one order's lists allow another one's may block. */
static int union_of(const struct order *const *all, size_t n, struct bulk_sets *ret, struct err *e)
{
	struct lists l = {0};
	struct bulk_sets s = {0};
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = of_order(all[i], &s, e);
		if (r < 0 || n == 1)
			break;
		r = add_sets(&l, &s, e);
		bulk_sets_free(&s);
	}
	if (r == 0 && n > 1)
		r = bulk_desired(l.wants, l.n_wants, NULL, 0, &s, e);
	lists_free(&l);
	if (r < 0)
		bulk_sets_free(&s);
	else
		*ret = s;
	return r;
}

/* ---- one command asks for the same several times ---- */

static void forget(struct bulk_slot *s)
{
	free(s->key);
	bulk_sets_free(&s->sets);
	s->key = NULL;
}

void bulk_cache_free(struct bulk_cache *c)
{
	for (size_t i = 0; c && i < BULK_CACHED; i++)
		forget(&c->v[i]);
	free(c);
}

/* Orders that want the same until the same moment. */
static char *key_of(const struct order *const *all, size_t n)
{
	struct buf b = BUF_INIT(1u << 20);
	for (size_t i = 0; i < n; i++) {
		uint64_t until = 0;
		bulk_order_until(&all[i]->deadlines, &until);
		buf_addf(&b, "order %" PRIu64, until / BULK_SLACK_NSEC);
		for (size_t k = 0; k < all[i]->n_feeds; k++)
			buf_addf(&b, " %d%s", all[i]->feeds[k].role, all[i]->feeds[k].sha256);
	}
	char *key = buf_steal(&b);
	buf_free(&b);
	return key;
}

static int cached(struct host *h, const struct order *const *all, size_t n,
                  const struct bulk_sets **ret, struct err *e)
{
	char *key = key_of(all, n);
	if (!h->bulk)
		h->bulk = calloc(1, sizeof *h->bulk);
	if (!h->bulk || !key) {
		free(key);
		return err_set(e, -ENOMEM, "out of memory");
	}
	for (size_t i = 0; i < BULK_CACHED; i++)
		if (h->bulk->v[i].key && !strcmp(h->bulk->v[i].key, key)) {
			free(key);
			*ret = &h->bulk->v[i].sets;
			return 0;
		}
	struct bulk_slot *s = &h->bulk->v[h->bulk->next];
	forget(s);
	h->bulk->seen.want = NULL; /* it may have been this slot's */
	int r = union_of(all, n, &s->sets, e);
	if (r < 0) {
		free(key);
		return r;
	}
	s->key = key;
	h->bulk->next = (h->bulk->next + 1) % BULK_CACHED;
	*ret = &s->sets;
	return 0;
}

int bulk_of_order(struct host *h, const struct order *o, const struct bulk_sets **ret,
                  struct err *e)
{
	return cached(h, &o, 1, ret, e);
}

/* *ret_orders: how many want anything. */
int bulk_wanted(struct host *h, const struct order *o, const struct holds *others,
                const struct bulk_sets **ret, size_t *ret_orders, struct err *e)
{
	const struct order *all[1 + 1024];
	size_t n = 0;
	uint64_t until;
	if (o && bulk_order_until(&o->deadlines, &until) == 0)
		all[n++] = o;
	for (size_t i = 0; others && i < others->n && n < ARRAY_SIZE(all); i++)
		if (others->v[i].step && !strcmp(others->v[i].step->kind, kind_bulk.kind) &&
		    bulk_order_until(&others->v[i].order->deadlines, &until) == 0)
			all[n++] = others->v[i].order;
	*ret_orders = n;
	return n == ARRAY_SIZE(all) ? err_set(e, -E2BIG, "too many orders with feeds hold")
	                            : cached(h, all, n, ret, e);
}
