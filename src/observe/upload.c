/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/upload.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"

/* Open addressing over an array of indices, so that pairs stay dense and in order of arrival. */
struct pairs {
	struct pair *v;
	size_t n, max, cap;
	uint32_t *index; /* 0: free; else position + 1 */
	size_t index_cap;
	struct pair rest;
	uint64_t bytes_out;
	bool (*is_self)(void *arg, const struct addr *a);
	void *arg;
};

int pairs_new(size_t max, bool (*is_self)(void *arg, const struct addr *a), void *arg,
              struct pairs **ret)
{
	struct pairs *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->max = max;
	p->is_self = is_self;
	p->arg = arg;
	p->index_cap = 1024;
	if (!(p->index = calloc(p->index_cap, sizeof(*p->index)))) {
		free(p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

void pairs_free(struct pairs *p)
{
	if (!p)
		return;
	free(p->v);
	free(p->index);
	free(p);
}

void pairs_clear(struct pairs *p)
{
	p->n = 0;
	p->bytes_out = 0;
	memset(&p->rest, 0, sizeof(p->rest));
	memset(p->index, 0, p->index_cap * sizeof(*p->index));
}

static uint64_t hash_addr(const struct addr *a, uint64_t h)
{
	uint64_t w[2];

	memcpy(w, a->bytes, sizeof(w));
	h = (h ^ w[0] ^ a->family) * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ h >> 29 ^ w[1]) * UINT64_C(0xbf58476d1ce4e5b9);
	return h ^ h >> 32;
}

static uint32_t *slot(const struct pairs *p, const struct addr *ours, const struct addr *other)
{
	size_t i = (size_t)hash_addr(other, hash_addr(ours, 0)) & (p->index_cap - 1);

	for (;; i = (i + 1) & (p->index_cap - 1)) {
		const struct pair *q = p->index[i] ? &p->v[p->index[i] - 1] : NULL;
		if (!q || (addr_equal(&q->ours, ours) && addr_equal(&q->other, other)))
			return &p->index[i];
	}
}

static bool grow(struct pairs *p)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 256;
		struct pair *v = realloc(p->v, cap * sizeof(*v));
		if (!v)
			return false;
		p->v = v;
		p->cap = cap;
	}
	if (p->n < p->index_cap / 4 * 3)
		return true;
	uint32_t *bigger = calloc(p->index_cap * 2, sizeof(*bigger));
	if (!bigger)
		return false;
	free(p->index);
	p->index = bigger;
	p->index_cap *= 2;
	for (size_t i = 0; i < p->n; i++)
		*slot(p, &p->v[i].ours, &p->v[i].other) = (uint32_t)i + 1;
	return true;
}

static struct pair *pair_of(struct pairs *p, const struct addr *ours, const struct addr *other)
{
	uint32_t *at = slot(p, ours, other);

	if (*at)
		return &p->v[*at - 1];
	if (p->n >= p->max || !grow(p))
		return &p->rest;
	at = slot(p, ours, other);
	p->v[p->n] = (struct pair){.ours = *ours, .other = *other};
	*at = (uint32_t)++p->n;
	return &p->v[p->n - 1];
}

/* 2: this host, 1: inside, 0: outside. */
static int nearness(const struct pairs *p, const struct addr *a)
{
	if (p->is_self && p->is_self(p->arg, a))
		return 2;
	return addr_is_inside(a);
}

void pairs_add(struct pairs *p, const struct flow *f, const struct owner *owner)
{
	bool we_opened = nearness(p, &f->src.addr) >= nearness(p, &f->dest.addr);
	const struct addr *ours = we_opened ? &f->src.addr : &f->dest.addr;
	const struct addr *other = we_opened ? &f->dest.addr : &f->src.addr;
	uint64_t out = we_opened ? f->bytes_toserver : f->bytes_toclient;
	uint64_t in = we_opened ? f->bytes_toclient : f->bytes_toserver;
	struct pair *q = pair_of(p, ours, other);

	q->bytes_out += out;
	q->bytes_in += in;
	q->pkts_out += we_opened ? f->pkts_toserver : f->pkts_toclient;
	q->pkts_in += we_opened ? f->pkts_toclient : f->pkts_toserver;
	q->flows++;
	p->bytes_out += out;
	if (!q->first_nsec || f->start_nsec < q->first_nsec)
		q->first_nsec = f->start_nsec;
	if (f->end_nsec > q->last_nsec)
		q->last_nsec = f->end_nsec;
	if (out + in < q->main_bytes)
		return;
	q->main_bytes = out + in;
	q->main_port = f->dest.port;
	q->main_proto = f->proto;
	q->we_opened = we_opened;
	/* Another owner, but never none for one. */
	if (owner && (owner->pid || !q->owner || !q->owner->pid))
		q->owner = owner;
}

int pairs_copy(struct pairs *dst, const struct pairs *src)
{
	struct pair *v = malloc((src->n ? src->n : 1) * sizeof(*v));
	uint32_t *index = malloc(src->index_cap * sizeof(*index));

	if (!v || !index) {
		free(v);
		free(index);
		return -ENOMEM;
	}
	if (src->n)
		memcpy(v, src->v, src->n * sizeof(*v));
	memcpy(index, src->index, src->index_cap * sizeof(*index));
	free(dst->v);
	free(dst->index);
	dst->v = v;
	dst->index = index;
	dst->n = src->n;
	dst->cap = src->n ? src->n : 1;
	dst->index_cap = src->index_cap;
	dst->rest = src->rest;
	dst->bytes_out = src->bytes_out;
	return 0;
}

const struct pair *pairs_at(const struct pairs *p, size_t i)
{
	return &p->v[i];
}

size_t pairs_count(const struct pairs *p)
{
	return p->n;
}

const struct pair *pairs_rest(const struct pairs *p)
{
	return &p->rest;
}

uint64_t pairs_bytes_out(const struct pairs *p)
{
	return p->bytes_out;
}

static uint64_t measure(const struct pair *q, enum pairs_by by)
{
	return by == PAIRS_BYTES_OUT  ? q->bytes_out
	       : by == PAIRS_BYTES_IN ? q->bytes_in
	                              : q->pkts_out + q->pkts_in;
}

size_t pairs_top(const struct pairs *p, enum pairs_by by, size_t n, const struct pair **ret)
{
	size_t have = 0;

	for (size_t i = 0; i < p->n; i++) {
		uint64_t m = measure(&p->v[i], by);
		size_t at = have;
		if (!m || (have == n && (!n || m <= measure(ret[n - 1], by))))
			continue;
		if (have < n)
			have++;
		else
			at = n - 1;
		for (; at && measure(ret[at - 1], by) < m; at--)
			ret[at] = ret[at - 1];
		ret[at] = &p->v[i];
	}
	return have;
}

/* 0 at low, 1 at high, on a log scale between. */
static double part(double v, double low, double high)
{
	if (v <= low)
		return 0;
	return v >= high ? 1 : log(v / low) / log(high / low);
}

static void reason(struct finding *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void reason(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	if (f->n_reasons == FINDING_REASONS_MAX)
		return;
	va_start(ap, fmt);
	vsnprintf(f->reasons[f->n_reasons++], FINDING_REASON_MAX, fmt, ap);
	va_end(ap);
}

static void explain(const struct pair *q, double ratio, double rate, double share,
                    struct finding *f)
{
	char other[ADDR_STR_MAX];

	addr_str(&q->other, other);
	reason(f, "%.1f MB sent to %s in %" PRIu64 " flow%s; counts from %.0f MB, fully at %.0f MB",
	       (double)q->bytes_out / 1e6, other, q->flows, q->flows == 1 ? "" : "s",
	       UPLOAD_VOLUME_LOW / 1e6, UPLOAD_VOLUME_HIGH / 1e6);
	if (q->bytes_in)
		reason(
		    f,
		    "%.1f bytes out for each byte in (%.1f MB in); counts from %.0f, fully at %.0f",
		    ratio, (double)q->bytes_in / 1e6, UPLOAD_RATIO_LOW, UPLOAD_RATIO_HIGH);
	else
		reason(f, "nothing came back");
	reason(f, "%.1f kB a second on average; counts from %.0f, fully at %.0f", rate / 1e3,
	       UPLOAD_RATE_LOW / 1e3, UPLOAD_RATE_HIGH / 1e3);
	reason(f, "%.0f %% of all bytes that went out; counts from %.0f %%, fully at %.0f %%",
	       share * 100, UPLOAD_SHARE_LOW * 100, UPLOAD_SHARE_HIGH * 100);
	if (!q->we_opened)
		reason(f, "%s opened the connection, and we answered with the data", other);
	snprintf(f->benign, sizeof(f->benign),
	         "a backup, a video call or a file sent on purpose looks the same: ask whose it "
	         "is and whether the address is known");
	snprintf(f->selector, sizeof(f->selector), "%s", other);
}

bool upload_score(const struct pairs *p, const struct pair *q, struct finding *ret)
{
	double seconds = (double)(q->last_nsec - q->first_nsec) / 1e9;
	/* What took less than a second says little about a rate. */
	double rate = (double)q->bytes_out / (seconds < 1 ? 1 : seconds);
	double ratio = (double)q->bytes_out / (double)(q->bytes_in ? q->bytes_in : 1);
	double volume, rest, share = p->bytes_out ? (double)q->bytes_out / (double)p->bytes_out : 0;
	struct finding f = {.kind = FINDING_UPLOAD};

	if (q->bytes_out < UPLOAD_MIN_BYTES || nearness(p, &q->other) ||
	    addr_is_multicast(&q->other))
		return false;
	volume = part((double)q->bytes_out, UPLOAD_VOLUME_LOW, UPLOAD_VOLUME_HIGH);
	rest = UPLOAD_W_RATIO * part(ratio, UPLOAD_RATIO_LOW, UPLOAD_RATIO_HIGH) +
	       UPLOAD_W_RATE * part(rate, UPLOAD_RATE_LOW, UPLOAD_RATE_HIGH) +
	       UPLOAD_W_SHARE * part(share, UPLOAD_SHARE_LOW, UPLOAD_SHARE_HIGH);
	f.score = UPLOAD_W_VOLUME * volume + rest * (volume < 0.5 ? 2 * volume : 1);
	f.score = round(f.score * 1000) / 1000;
	if (f.score < UPLOAD_SAY || ratio < 1)
		return false;
	f.src.addr = q->ours;
	f.dest.addr = q->other;
	f.dest.port = q->we_opened ? q->main_port : 0;
	f.src.port = q->we_opened ? 0 : q->main_port;
	f.proto = q->main_proto;
	f.bytes_out = q->bytes_out;
	f.bytes_in = q->bytes_in;
	f.first = q->first_nsec / 1000;
	f.last = q->last_nsec / 1000;
	explain(q, ratio, rate, share, &f);
	*ret = f;
	return true;
}
