/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the sets of a block must hold. Prefixes are nested or apart, never crossing, so that one
 * walk in the order of their starts with a stack of the open ones finds every piece.
 *
 * Invariants: "for good" is UINT64_MAX while times are compared; pieces come out in order,
 * disjoint, and neighbours with the same time are one piece.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"
#include "enforce/host/parts.h"

#define FOREVER UINT64_MAX

void block_sets_free(struct block_sets *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < _BLOCK_SET_MAX; i++)
		free(s->v[i]);
	memset(s, 0, sizeof *s);
}

static uint64_t rank(uint64_t left)
{
	return left ? left : FOREVER;
}

static int by_prefix(const void *a, const void *b)
{
	const struct block_want *x = a, *y = b;
	int d = addr_cmp(&x->prefix.addr, &y->prefix.addr);
	return d ? d : (int)x->prefix.len - (int)y->prefix.len;
}

static bool is_host(const struct prefix *p)
{
	return p->len == addr_bits(&p->addr);
}

/* Output under construction. */
struct pieces {
	struct nft_elem *v;
	size_t n, cap;
	unsigned bytes; /* of a key */
	int error;
};

static struct nft_elem *grow(struct pieces *p)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 16;
		struct nft_elem *v = realloc(p->v, cap * sizeof *v);
		if (!v) {
			p->error = -ENOMEM;
			return NULL;
		}
		p->v = v;
		p->cap = cap;
	}
	struct nft_elem *el = &p->v[p->n++];
	memset(el, 0, sizeof *el);
	return el;
}

/* key + 1; false when there is nothing behind it. */
static bool step_up(uint8_t *key, unsigned bytes)
{
	for (unsigned i = bytes; i-- > 0;)
		if (++key[i] != 0)
			return true;
	return false;
}

static void add_host(struct pieces *p, const struct block_want *w)
{
	struct nft_elem *last = p->n ? &p->v[p->n - 1] : NULL;
	if (last && !memcmp(last->key, w->prefix.addr.bytes, NFT_KEY_MAX)) {
		if (rank(w->left) > rank(last->timeout))
			last->timeout = w->left;
		return;
	}
	struct nft_elem *el = grow(p);
	if (!el)
		return;
	memcpy(el->key, w->prefix.addr.bytes, NFT_KEY_MAX);
	el->timeout = w->left;
}

/* A piece from start to the address before end (or to the last of all when open). */
static void add_piece(struct pieces *p, const uint8_t *start, const uint8_t *end, bool open,
                      uint64_t time)
{
	uint64_t timeout = time == FOREVER ? 0 : time;
	if (!open && memcmp(start, end, NFT_KEY_MAX) >= 0)
		return;
	struct nft_elem *last = p->n > 1 ? &p->v[p->n - 2] : NULL;
	bool joins = last && p->v[p->n - 1].interval_end && last->timeout == timeout &&
	             !memcmp(p->v[p->n - 1].key, start, NFT_KEY_MAX);
	if (joins) {
		p->n--;
	} else {
		struct nft_elem *el = grow(p);
		if (!el)
			return;
		memcpy(el->key, start, NFT_KEY_MAX);
		el->timeout = timeout;
	}
	struct nft_elem *el = open ? NULL : grow(p);
	if (el) {
		memcpy(el->key, end, NFT_KEY_MAX);
		el->interval_end = true;
	}
}

/* A prefix that the walk is inside of. */
struct open_prefix {
	uint8_t end[NFT_KEY_MAX]; /* first address behind */
	bool open;                /* nothing is behind */
	uint64_t time;            /* the latest that it or one around it wants */
};

struct walk {
	struct pieces *out;
	struct open_prefix stack[130];
	size_t depth;
	uint8_t at[NFT_KEY_MAX]; /* everything before is out */
	bool done;               /* the last address of all is out */
};

/* Puts out what lies between `at` and the end of the innermost prefix, or `until` if it is before.
 */
static void close_until(struct walk *w, const uint8_t *until)
{
	while (w->depth && !w->done) {
		struct open_prefix *top = &w->stack[w->depth - 1];
		if (until && (top->open || memcmp(until, top->end, NFT_KEY_MAX) < 0)) {
			add_piece(w->out, w->at, until, false, top->time);
			memcpy(w->at, until, NFT_KEY_MAX);
			return;
		}
		add_piece(w->out, w->at, top->end, top->open, top->time);
		w->done = top->open;
		memcpy(w->at, top->end, NFT_KEY_MAX);
		w->depth--;
	}
}

static void open_one(struct walk *w, const struct block_want *want)
{
	close_until(w, want->prefix.addr.bytes);
	memcpy(w->at, want->prefix.addr.bytes, NFT_KEY_MAX);
	struct open_prefix *outer = w->depth ? &w->stack[w->depth - 1] : NULL;
	struct addr last = prefix_last(&want->prefix);
	struct open_prefix p = {.time = rank(want->left)};
	memcpy(p.end, last.bytes, NFT_KEY_MAX);
	p.open = !step_up(p.end, w->out->bytes);
	if (outer && outer->time > p.time)
		p.time = outer->time;
	w->stack[w->depth++] = p; /* no two are equal: as deep as an address has bits */
}

static void walk_nets(struct pieces *out, const struct block_want *v, size_t n, uint8_t family)
{
	struct walk w = {.out = out};
	for (size_t i = 0; i < n; i++) {
		if (v[i].prefix.addr.family != family || is_host(&v[i].prefix))
			continue;
		struct block_want one = v[i];
		/* Equal prefixes stand together: the latest time of them speaks for all. */
		for (; i + 1 < n && by_prefix(&v[i], &v[i + 1]) == 0; i++)
			if (rank(v[i + 1].left) > rank(one.left))
				one.left = v[i + 1].left;
		open_one(&w, &one);
	}
	close_until(&w, NULL);
}

int block_desired(const struct block_want *v, size_t n, struct block_sets *ret, struct err *e)
{
	struct pieces p[_BLOCK_SET_MAX] = {
	    [BLOCK_HOT4] = {.bytes = 4},
	    [BLOCK_HOT6] = {.bytes = 16},
	    [BLOCK_NET4] = {.bytes = 4},
	    [BLOCK_NET6] = {.bytes = 16},
	};
	_cleanup_free_ struct block_want *sorted = malloc((n + 1) * sizeof *sorted);
	if (!sorted)
		return err_set(e, -ENOMEM, "out of memory for %zu blocked prefixes", n);
	if (n)
		memcpy(sorted, v, n * sizeof *v);
	qsort(sorted, n, sizeof *sorted, by_prefix);
	for (size_t i = 0; i < n; i++)
		if (is_host(&sorted[i].prefix))
			add_host(
			    &p[sorted[i].prefix.addr.family == ADDR_V4 ? BLOCK_HOT4 : BLOCK_HOT6],
			    &sorted[i]);
	walk_nets(&p[BLOCK_NET4], sorted, n, ADDR_V4);
	walk_nets(&p[BLOCK_NET6], sorted, n, ADDR_V6);

	struct block_sets s = {0};
	int r = 0;
	for (size_t i = 0; i < _BLOCK_SET_MAX; i++) {
		s.v[i] = p[i].v;
		s.n[i] = p[i].n;
		r = r < 0 ? r : p[i].error;
	}
	if (r < 0) {
		block_sets_free(&s);
		return err_set(e, r, "out of memory for %zu blocked prefixes", n);
	}
	*ret = s;
	return 0;
}
