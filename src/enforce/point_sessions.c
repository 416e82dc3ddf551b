/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/point_sessions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTE_PEERS 6 /* named; the rest is counted */

void point_sessions_free(struct point_sessions *t)
{
	free(t->v);
	*t = (struct point_sessions){0};
}

/* Room grows by doubling: at every power of two. */
int point_sessions_add(void *arg, const struct session_row *row)
{
	struct point_sessions *t = arg;
	if (t->n >= POINT_SESSIONS_MAX)
		return -E2BIG;
	if ((t->n & (t->n - 1)) == 0) {
		struct session_row *v = reallocarray(t->v, t->n ? 2 * t->n : 1, sizeof *v);
		if (!v)
			return -ENOMEM;
		t->v = v;
	}
	t->v[t->n++] = *row;
	return 0;
}

int point_sessions_err(int r, const char *point, struct err *e)
{
	if (r == -EBADMSG)
		return err_set(e, r, "%s shows a session table that cannot be read as one", point);
	if (r == -E2BIG)
		return err_set(e, r, "%s shows more than %d sessions", point, POINT_SESSIONS_MAX);
	return r < 0 ? err_set(e, r, "out of memory for the sessions of %s", point) : r;
}

static int compare_ends(const struct endpoint *a, const struct endpoint *b)
{
	int x = addr_cmp(&a->addr, &b->addr);
	return x ? x : (int)a->port - (int)b->port;
}

static int compare(const void *a, const void *b)
{
	const struct session_row *x = a, *y = b;
	int r = compare_ends(&x->source, &y->source);
	if (!r)
		r = compare_ends(&x->destination, &y->destination);
	return r ? r : (int)x->proto - (int)y->proto;
}

/* Asked for by source and by destination, a session may be shown twice. */
static void sort_out(struct point_sessions *t)
{
	size_t n = 0;
	if (t->n)
		qsort(t->v, t->n, sizeof *t->v, compare);
	for (size_t i = 0; i < t->n; i++)
		if (!n || compare(&t->v[n - 1], &t->v[i]) != 0)
			t->v[n++] = t->v[i];
	t->n = n;
}

static bool is_in(const struct point_scope *s, const struct addr *a)
{
	for (size_t i = 0; i < s->n_prefixes; i++)
		if (prefix_has(&s->prefixes[i], a))
			return true;
	return false;
}

static bool keeps(const struct point_scope *s, const struct session_row *r,
                  const struct endpoint *near, const struct endpoint *far)
{
	for (size_t i = 0; i < s->n_permits; i++)
		if (permit_matches_flow(&s->permits[i], &far->addr, r->proto, near->port,
		                        far->port))
			return true;
	return false;
}

/* The side that the order is not about; NULL: neither is the order's. */
static const struct endpoint *far_end(const struct point_scope *s, const struct session_row *r,
                                      bool *kept)
{
	bool from = is_in(s, &r->source.addr), to = is_in(s, &r->destination.addr);
	*kept = (from && keeps(s, r, &r->source, &r->destination)) ||
	        (to && keeps(s, r, &r->destination, &r->source));
	return from ? &r->destination : to ? &r->source : NULL;
}

static const char *row_text(const struct session_row *r, char dst[static 2 * ENDPOINT_STR_MAX + 20])
{
	char a[ENDPOINT_STR_MAX], b[ENDPOINT_STR_MAX];
	snprintf(dst, 2 * ENDPOINT_STR_MAX + 20, "%s -> %s, protocol %u",
	         endpoint_str(&r->source, a), endpoint_str(&r->destination, b), r->proto);
	return dst;
}

int point_sessions_verdict(struct point_sessions *t, const struct point_scope *s,
                           struct readback *ret, struct err *e)
{
	const struct session_row *first = NULL;
	char text[2 * ENDPOINT_STR_MAX + 20];
	size_t left = 0, kept = 0;
	int r;
	sort_out(t);
	for (size_t i = 0; i < t->n; i++) {
		bool is_kept;
		if (!far_end(s, &t->v[i], &is_kept))
			continue;
		kept += is_kept;
		left += !is_kept;
		first = !is_kept && !first ? &t->v[i] : first;
	}
	ret->verdict = left ? VERDICT_DRIFTED : t->not_asked ? VERDICT_UNKNOWN : VERDICT_HOLDS;
	if (left)
		r = asprintf(&ret->drift, "%zu sessions of these addresses are left, the first: %s",
		             left, row_text(first, text));
	else if (t->not_asked)
		r = asprintf(
		    &ret->drift,
		    "%zu prefixes are no single addresses: this device cannot be asked for "
		    "their sessions",
		    t->not_asked);
	else
		r = asprintf(&ret->held,
		             "the device's session table was read back: 0 sessions of these "
		             "addresses are left, %zu are kept",
		             kept);
	return r < 0 ? err_set(e, -ENOMEM, "out of memory") : 0;
}

/* --- the plan's note --- */

struct peer {
	struct addr addr;
	size_t n;
};

static int by_address(const void *a, const void *b)
{
	return addr_cmp(&((const struct peer *)a)->addr, &((const struct peer *)b)->addr);
}

static int by_count(const void *a, const void *b)
{
	const struct peer *x = a, *y = b;
	return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : addr_cmp(&x->addr, &y->addr);
}

/* Equal neighbours become one; the number that is left. */
static size_t count_peers(struct peer *v, size_t n)
{
	size_t m = 0;
	qsort(v, n, sizeof *v, by_address);
	for (size_t i = 0; i < n; i++)
		if (m && addr_equal(&v[m - 1].addr, &v[i].addr))
			v[m - 1].n++;
		else
			v[m++] = v[i];
	qsort(v, m, sizeof *v, by_count);
	return m;
}

int point_sessions_note(struct point_sessions *t, const struct point_scope *s, struct plan *p,
                        struct err *e)
{
	struct buf who = BUF_INIT(4096);
	size_t n = 0, kept = 0;
	char text[ADDR_STR_MAX];
	sort_out(t);
	struct peer *v = calloc(t->n + 1, sizeof *v);
	if (!v)
		return err_set(e, -ENOMEM, "out of memory while planning");
	for (size_t i = 0; i < t->n; i++) {
		bool is_kept;
		const struct endpoint *far = far_end(s, &t->v[i], &is_kept);
		kept += far && is_kept;
		if (far && !is_kept)
			v[n++] = (struct peer){far->addr, 1};
	}
	size_t peers = count_peers(v, n);
	for (size_t i = 0; i < peers && i < NOTE_PEERS; i++)
		buf_addf(&who, "%s%s (%zu)", i ? ", " : ": with ", addr_str(&v[i].addr, text),
		         v[i].n);
	if (peers > NOTE_PEERS)
		buf_addf(&who, " and %zu more", peers - NOTE_PEERS);
	int r = plan_note(p,
	                  "by the device's session table %zu sessions of these addresses will be "
	                  "cut now%s; %zu are kept%s",
	                  n, buf_str(&who), kept,
	                  t->not_asked ? "; prefixes could not be asked for" : "");
	free(v);
	buf_free(&who);
	return r < 0 ? err_set(e, r, "out of memory while planning") : 0;
}
