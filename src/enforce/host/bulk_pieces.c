/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From entries as given to what the tries hold. An address is a number of 128 bits here, so that
 * both families are one case.
 *
 * Invariants
 *  1. Prefixes are nested or apart, never crossing: one walk in the order of their starts, with a
 *     stack of the open ones, finds every piece.
 *  2. "For good" is UINT64_MAX while times are compared.
 *  3. Pieces come out in order and disjoint; neighbours with the same time become one before they
 *     are cut into prefixes, which makes those the fewest.
 */
#include "enforce/host/bulk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"

#define FOREVER UINT64_MAX

__extension__ typedef unsigned __int128 number;

/* Both ends belong to it. */
struct piece {
	number first, last;
	uint64_t time; /* rank */
};

enum addr_family bulk_family(enum bulk_trie t)
{
	return t == BULK_V4 ? ADDR_V4 : ADDR_V6;
}

void bulk_sets_free(struct bulk_sets *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < _BULK_TRIE_MAX; i++)
		free(s->v[i]);
	memset(s, 0, sizeof *s);
}

void bulk_delta_free(struct bulk_delta *d)
{
	if (!d)
		return;
	free(d->put);
	free(d->del);
	memset(d, 0, sizeof *d);
}

static number number_of(const uint8_t *p, unsigned bits)
{
	number x = 0;
	for (unsigned i = 0; i < bits / 8; i++)
		x = x << 8 | p[i];
	return x;
}

/* The highest address of a prefix that begins at x. */
static number last_of(number x, unsigned len, unsigned bits)
{
	unsigned host = bits - len;
	return host == 128 ? ~(number)0 : x | (((number)1 << host) - 1);
}

static uint64_t rank(uint64_t until)
{
	return until ? until : FOREVER;
}

/* ---- growing output ---- */

struct pieces {
	struct piece *v;
	size_t n, cap;
	int error;
};

static void *grow(void *v, size_t size, size_t n, size_t *cap, int *error)
{
	if (n < *cap)
		return v;
	size_t more = *cap ? *cap * 2 : 1024;
	void *bigger = realloc(v, more * size);
	if (!bigger) {
		*error = -ENOMEM;
		return v;
	}
	*cap = more;
	return bigger;
}

static void add_piece(struct pieces *p, number first, number last, uint64_t time)
{
	struct piece *before = p->n ? &p->v[p->n - 1] : NULL;
	if (before && before->time == time && before->last + 1 == first) {
		before->last = last;
		return;
	}
	p->v = grow(p->v, sizeof *p->v, p->n, &p->cap, &p->error);
	if (p->n < p->cap)
		p->v[p->n++] = (struct piece){first, last, time};
}

/* ---- overlaps ---- */

struct walk {
	struct pieces out;
	struct piece stack[129]; /* no two are equal: as deep as an address has bits */
	size_t depth;
	number at;    /* first address that is not told yet */
	bool at_last; /* the last address of all is told */
};

static void emit_to(struct walk *w, number last)
{
	const struct piece *top = &w->stack[w->depth - 1];
	if (!w->at_last && w->at <= last) {
		add_piece(&w->out, w->at, last, top->time);
		w->at = last + 1;
		w->at_last = last == ~(number)0;
	}
}

static void close_before(struct walk *w, const struct piece *next)
{
	while (w->depth && (!next || w->stack[w->depth - 1].last < next->first)) {
		emit_to(w, w->stack[w->depth - 1].last);
		w->depth--;
	}
}

static void open_one(struct walk *w, struct piece p)
{
	close_before(w, &p);
	if (w->depth) {
		const struct piece *outer = &w->stack[w->depth - 1];
		if (p.first > 0)
			emit_to(w, p.first - 1);
		if (outer->time > p.time)
			p.time = outer->time;
	}
	w->at = p.first;
	w->stack[w->depth++] = p;
}

static int by_want(const void *a, const void *b)
{
	const struct bulk_want *x = a, *y = b;
	int d = addr_cmp(&x->prefix.addr, &y->prefix.addr);
	return d ? d : (int)x->prefix.len - (int)y->prefix.len;
}

/* One feed comes sorted from its file. */
static bool is_sorted(const struct bulk_want *v, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (by_want(&v[i - 1], &v[i]) > 0)
			return false;
	return true;
}

static int by_prefix(const void *a, const void *b)
{
	const struct prefix *x = a, *y = b;
	int d = addr_cmp(&x->addr, &y->addr);
	return d ? d : (int)x->len - (int)y->len;
}

static struct piece piece_of(const struct prefix *p, uint64_t time)
{
	unsigned bits = addr_bits(&p->addr);
	number first = number_of(p->addr.bytes, bits);
	return (struct piece){first, last_of(first, p->len, bits), time};
}

/* v is sorted. Equal prefixes stand together: the latest time of them speaks for all. */
static int wanted(const struct bulk_want *v, size_t n, enum addr_family f, struct pieces *ret)
{
	struct walk w = {.depth = 0};
	for (size_t i = 0; i < n; i++) {
		if (v[i].prefix.addr.family != f)
			continue;
		uint64_t time = rank(v[i].until);
		for (; i + 1 < n && by_want(&v[i], &v[i + 1]) == 0; i++)
			if (rank(v[i + 1].until) > time)
				time = rank(v[i + 1].until);
		open_one(&w, piece_of(&v[i].prefix, time));
	}
	close_before(&w, NULL);
	*ret = w.out;
	return w.out.error;
}

/* ---- what is allowed ---- */

/* Sorted intervals that may lie within each other. */
static void without(const struct pieces *from, const struct prefix *allow, size_t n,
                    struct pieces *out)
{
	size_t k = 0;
	for (size_t i = 0; i < from->n; i++) {
		struct piece left = from->v[i];
		bool any = true;
		while (k > 0 && piece_of(&allow[k - 1], 0).last >= left.first)
			k--;
		for (; any && k < n; k++) {
			struct piece a = piece_of(&allow[k], 0);
			if (a.first > left.last)
				break;
			if (a.last < left.first)
				continue;
			if (a.first > left.first)
				add_piece(out, left.first, a.first - 1, left.time);
			any = a.last < left.last;
			left.first = a.last + 1;
		}
		if (any)
			add_piece(out, left.first, left.last, left.time);
	}
}

/* Allowed prefixes of one family, those within others left out: disjoint and in order. */
static size_t outermost(const struct prefix *v, size_t n, enum addr_family f, struct prefix *ret)
{
	size_t k = 0;
	for (size_t i = 0; i < n; i++)
		if (v[i].addr.family == f && !(k && prefix_covers(&ret[k - 1], &v[i])))
			ret[k++] = v[i];
	return k;
}

/* ---- pieces to prefixes ---- */

static unsigned zeros(number x, unsigned bits)
{
	unsigned n = 0;
	while (n < bits && !(x >> n & 1))
		n++;
	return n;
}

struct entries {
	struct bulk_entry *v;
	size_t n, cap;
	int error;
};

static void add_entry(struct entries *out, number first, unsigned len, unsigned bits, uint64_t time)
{
	out->v = grow(out->v, sizeof *out->v, out->n, &out->cap, &out->error);
	if (out->n >= out->cap)
		return;
	struct bulk_entry *x = &out->v[out->n++];
	*x = (struct bulk_entry){.len = (uint8_t)len, .until = time == FOREVER ? 0 : time};
	for (unsigned i = bits / 8; i-- > 0; first >>= 8)
		x->addr[i] = (uint8_t)first;
}

/* The largest prefix that begins at `first` and ends no later than `last`, again and again. */
static void cut_up(const struct piece *p, unsigned bits, struct entries *out)
{
	number first = p->first;
	for (;;) {
		unsigned host = zeros(first, bits);
		while (host && last_of(first, bits - host, bits) > p->last)
			host--;
		add_entry(out, first, bits - host, bits, p->time);
		number last = last_of(first, bits - host, bits);
		if (last >= p->last || out->error)
			return;
		first = last + 1;
	}
}

static int one_family(const struct bulk_want *v, size_t n, const struct prefix *allow,
                      size_t n_allow, enum addr_family f, struct entries *out)
{
	struct pieces all = {0}, rest = {0};
	struct prefix *outer = malloc((n_allow + 1) * sizeof *outer);
	int r = outer ? wanted(v, n, f, &all) : -ENOMEM;
	if (r == 0) {
		without(&all, outer, outermost(allow, n_allow, f, outer), &rest);
		r = rest.error;
	}
	for (size_t i = 0; r == 0 && i < rest.n; i++) {
		cut_up(&rest.v[i], f == ADDR_V4 ? 32 : 128, out);
		r = out->error;
	}
	free(outer);
	free(all.v);
	free(rest.v);
	return r;
}

int bulk_desired(struct bulk_want *v, size_t n, struct prefix *allow, size_t n_allow,
                 struct bulk_sets *ret, struct err *e)
{
	struct bulk_sets s = {0};
	int r = 0;
	if (!is_sorted(v, n))
		qsort(v, n, sizeof *v, by_want);
	if (n_allow)
		qsort(allow, n_allow, sizeof *allow, by_prefix);
	for (size_t t = 0; r == 0 && t < _BULK_TRIE_MAX; t++) {
		struct entries out = {0};
		r = one_family(v, n, allow, n_allow, bulk_family((enum bulk_trie)t), &out);
		s.v[t] = out.v;
		s.n[t] = out.n;
	}
	if (r < 0) {
		bulk_sets_free(&s);
		return err_set(e, r, "out of memory for %zu blocked prefixes", n);
	}
	*ret = s;
	return 0;
}

/* ---- looking up, comparing ---- */

const struct bulk_entry *bulk_find(const struct bulk_sets *s, const struct addr *a)
{
	enum bulk_trie t = a->family == ADDR_V4 ? BULK_V4 : BULK_V6;
	size_t low = 0, high = a->family == ADDR_NONE ? 0 : s->n[t];
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (memcmp(s->v[t][mid].addr, a->bytes, sizeof a->bytes) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return NULL;
	const struct bulk_entry *x = &s->v[t][low - 1];
	struct prefix p = {.addr = {.family = a->family}, .len = x->len};
	memcpy(p.addr.bytes, x->addr, sizeof p.addr.bytes);
	return prefix_has(&p, a) ? x : NULL;
}

static int by_entry(const struct bulk_entry *x, const struct bulk_entry *y)
{
	int d = memcmp(x->addr, y->addr, sizeof x->addr);
	return d ? d : (int)x->len - (int)y->len;
}

static bool same_time(uint64_t a, uint64_t b, uint64_t slack)
{
	if (!a || !b)
		return a == b;
	return (a > b ? a - b : b - a) <= slack;
}

int bulk_diff(const struct bulk_entry *want, size_t n_want, const struct bulk_entry *have,
              size_t n_have, uint64_t slack, struct bulk_delta *ret, struct err *e)
{
	struct bulk_delta d = {0};
	struct {
		size_t put, del;
	} cap = {0};
	int error = 0;
	size_t i = 0, k = 0;
	while (error == 0 && (i < n_want || k < n_have)) {
		int c = i == n_want ? 1 : k == n_have ? -1 : by_entry(&want[i], &have[k]);
		if (c < 0 || (c == 0 && !same_time(want[i].until, have[k].until, slack))) {
			d.put = grow(d.put, sizeof *d.put, d.n_put, &cap.put, &error);
			if (!error)
				d.put[d.n_put++] = want[i];
		} else if (c > 0) {
			d.del = grow(d.del, sizeof *d.del, d.n_del, &cap.del, &error);
			if (!error)
				d.del[d.n_del++] = have[k];
		}
		i += c <= 0;
		k += c >= 0;
	}
	if (error) {
		bulk_delta_free(&d);
		return err_set(e, error, "out of memory for %zu prefixes", n_want + n_have);
	}
	*ret = d;
	return 0;
}
