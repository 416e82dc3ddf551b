/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/upload.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "observe/judge.h"

/* Of the index: most that are another's show by their tag, without a look at the pair. */
struct word {
	uint32_t tag, at; /* at 0: free; else position + 1 */
};

/* Open addressing over an array of indices, so that pairs stay dense and in order of arrival. */
struct pairs {
	struct pair *v;
	size_t n, max, cap;
	struct word *index;
	size_t index_cap;
	struct pair rest;
	uint64_t floor; /* what was put out had no more bytes than that */
	size_t hand;    /* where putting out goes on */
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
	p->n = p->hand = 0;
	p->floor = p->bytes_out = 0;
	memset(&p->rest, 0, sizeof(p->rest));
	memset(p->index, 0, p->index_cap * sizeof(*p->index));
}

static uint64_t hash_of(const struct addr *ours, const struct addr *other)
{
	return hash_addr(other, hash_addr(ours, 0));
}

/* Where this pair stands, or the free word where it belongs. */
static struct word *slot(const struct pairs *p, const struct addr *ours, const struct addr *other,
                         uint64_t hash)
{
	for (size_t i = (size_t)hash;; i++) {
		struct word *w = &p->index[i & (p->index_cap - 1)];
		if (!w->at)
			return w;
		const struct pair *q = &p->v[w->at - 1];
		if (w->tag == (uint32_t)(hash >> 32) && addr_equal(&q->ours, ours) &&
		    addr_equal(&q->other, other))
			return w;
	}
}

static void put_word(const struct pairs *p, const struct addr *ours, const struct addr *other,
                     size_t at)
{
	uint64_t hash = hash_of(ours, other);

	*slot(p, ours, other, hash) = (struct word){(uint32_t)(hash >> 32), (uint32_t)at + 1};
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
	struct word *bigger = calloc(p->index_cap * 2, sizeof(*bigger));
	if (!bigger)
		return false;
	free(p->index);
	p->index = bigger;
	p->index_cap *= 2;
	for (size_t i = 0; i < p->n; i++)
		put_word(p, &p->v[i].ours, &p->v[i].other, i);
	return true;
}

static uint64_t bytes_of(const struct pair *q)
{
	return q->bytes_out + q->bytes_in;
}

/* The next one that has no more than the floor; when a whole round finds none, the least of that
 * round is the new floor: so what is put out is always among the least (Space-Saving). */
static size_t find_least(struct pairs *p)
{
	for (;;) {
		uint64_t least = UINT64_MAX;
		for (size_t seen = 0; seen < p->n; seen++) {
			size_t at = p->hand < p->n ? p->hand : 0;
			p->hand = at + 1;
			if (bytes_of(&p->v[at]) <= p->floor)
				return at;
			if (bytes_of(&p->v[at]) < least)
				least = bytes_of(&p->v[at]);
		}
		p->floor = least;
	}
}

static size_t home(const struct pairs *p, const struct pair *q)
{
	return (size_t)hash_of(&q->ours, &q->other) & (p->index_cap - 1);
}

/* Frees a place of the index and closes the gap. */
static void unindex(struct pairs *p, size_t gap)
{
	size_t mask = p->index_cap - 1;

	for (size_t i = (gap + 1) & mask; p->index[i].at; i = (i + 1) & mask) {
		size_t wanted = home(p, &p->v[p->index[i].at - 1]);
		if (((i - wanted) & mask) >= ((i - gap) & mask)) {
			p->index[gap] = p->index[i];
			gap = i;
		}
	}
	p->index[gap] = (struct word){0};
}

/* One of the least makes room, and is summed with the rest. */
static struct pair *replace(struct pairs *p, const struct addr *ours, const struct addr *other)
{
	size_t least = find_least(p);
	struct pair *q = &p->v[least], *rest = &p->rest;

	rest->bytes_out += q->bytes_out;
	rest->bytes_in += q->bytes_in;
	rest->pkts_out += q->pkts_out;
	rest->pkts_in += q->pkts_in;
	rest->flows += q->flows;
	if (!rest->first_nsec || q->first_nsec < rest->first_nsec)
		rest->first_nsec = q->first_nsec;
	if (q->last_nsec > rest->last_nsec)
		rest->last_nsec = q->last_nsec;
	unindex(p, (size_t)(slot(p, &q->ours, &q->other, hash_of(&q->ours, &q->other)) - p->index));
	*q = (struct pair){.ours = *ours, .other = *other};
	put_word(p, ours, other, least);
	return q;
}

static struct pair *pair_of(struct pairs *p, const struct addr *ours, const struct addr *other)
{
	uint64_t hash = hash_of(ours, other);
	struct word *w = slot(p, ours, other, hash);

	if (w->at)
		return &p->v[w->at - 1];
	if (p->n >= p->max)
		return replace(p, ours, other);
	if (!grow(p))
		return &p->rest;
	w = slot(p, ours, other, hash);
	p->v[p->n] = (struct pair){.ours = *ours, .other = *other};
	*w = (struct word){(uint32_t)(hash >> 32), (uint32_t)++p->n};
	return &p->v[p->n - 1];
}

/* 2: this host, 1: inside, 0: outside. */
static int nearness(const struct pairs *p, const struct addr *a)
{
	if (p->is_self && p->is_self(p->arg, a))
		return 2;
	return addr_is_inside(a);
}

bool pairs_we_opened(const struct pairs *p, const struct flow *f)
{
	return nearness(p, &f->src.addr) >= nearness(p, &f->dest.addr);
}

void pairs_add(struct pairs *p, const struct flow *f, const struct owner *owner)
{
	bool we_opened = pairs_we_opened(p, f);
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
	struct word *index = malloc(src->index_cap * sizeof(*index));

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
	dst->floor = src->floor;
	dst->hand = src->hand;
	dst->bytes_out = src->bytes_out;
	return 0;
}

const struct pair *pairs_find(const struct pairs *p, const struct addr *ours,
                              const struct addr *other)
{
	uint32_t at = slot(p, ours, other, hash_of(ours, other))->at;

	return at ? &p->v[at - 1] : NULL;
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

uint64_t pairs_floor(const struct pairs *p)
{
	return p->floor;
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

static void explain(const struct pair *q, double ratio, double rate, double share,
                    struct finding *f)
{
	char other[ADDR_STR_MAX];

	addr_str(&q->other, other);
	finding_reason(
	    f, "%.1f MB sent to %s in %" PRIu64 " flow%s; counts from %.0f MB, fully at %.0f MB",
	    (double)q->bytes_out / 1e6, other, q->flows, q->flows == 1 ? "" : "s",
	    UPLOAD_VOLUME_LOW / 1e6, UPLOAD_VOLUME_HIGH / 1e6);
	if (q->bytes_in)
		finding_reason(
		    f,
		    "%.1f bytes out for each byte in (%.1f MB in); counts from %.0f, fully at %.0f",
		    ratio, (double)q->bytes_in / 1e6, UPLOAD_RATIO_LOW, UPLOAD_RATIO_HIGH);
	else
		finding_reason(f, "nothing came back");
	finding_reason(f, "%.1f kB a second on average; counts from %.0f, fully at %.0f",
	               rate / 1e3, UPLOAD_RATE_LOW / 1e3, UPLOAD_RATE_HIGH / 1e3);
	finding_reason(f,
	               "%.0f %% of all bytes that went out; counts from %.0f %%, fully at %.0f %%",
	               share * 100, UPLOAD_SHARE_LOW * 100, UPLOAD_SHARE_HIGH * 100);
	if (!q->we_opened)
		finding_reason(f, "%s opened the connection, and we answered with the data", other);
	snprintf(f->benign, sizeof(f->benign),
	         "a backup, a video call or a file sent on purpose looks the same: ask whose it "
	         "is and whether the address is known");
	snprintf(f->selector, sizeof(f->selector), "%s", other);
	finding_order(f, "block %s", other);
}

bool upload_score(const struct pairs *p, const struct pair *q, struct finding *ret)
{
	double seconds = (double)(q->last_nsec - q->first_nsec) / 1e9;
	/* What took less than a second says little about a rate. */
	double rate = (double)q->bytes_out / (seconds < 1 ? 1 : seconds);
	double ratio = (double)q->bytes_out / (double)(q->bytes_in ? q->bytes_in : 1);
	double volume, rest, two_way,
	    share = p->bytes_out ? (double)q->bytes_out / (double)p->bytes_out : 0;
	struct finding f = {.kind = FINDING_UPLOAD};

	if (q->bytes_out < UPLOAD_MIN_BYTES || nearness(p, &q->other) ||
	    addr_is_multicast(&q->other))
		return false;
	volume = score_part((double)q->bytes_out, UPLOAD_VOLUME_LOW, UPLOAD_VOLUME_HIGH);
	two_way = score_part(ratio, UPLOAD_RATIO_LOW, UPLOAD_RATIO_HIGH);
	rest = UPLOAD_W_RATIO * two_way +
	       UPLOAD_W_RATE * score_part(rate, UPLOAD_RATE_LOW, UPLOAD_RATE_HIGH) +
	       UPLOAD_W_SHARE * score_part(share, UPLOAD_SHARE_LOW, UPLOAD_SHARE_HIGH);
	f.score = UPLOAD_W_VOLUME * volume + rest * (volume < 0.5 ? 2 * volume : 1);
	f.score = score_round(f.score * (0.75 + 0.25 * score_clamp(two_way / UPLOAD_RATIO_WHOLE)));
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

/* ---- from channels ---- */

/* Below this a channel does not get a pair; what it sent counts in the sum of all. */
#define CHANNEL_MIN (UPLOAD_MIN_BYTES / 16)

static void add_channel(struct pairs *p, const struct channel *c)
{
	struct pair *q;

	p->bytes_out += c->bytes_out;
	if (c->bytes_out < CHANNEL_MIN)
		return;
	q = pair_of(p, &c->ours, &c->other);
	q->bytes_out += c->bytes_out;
	q->bytes_in += c->bytes_in;
	q->pkts_out += c->pkts_out;
	q->pkts_in += c->pkts_in;
	q->flows += c->conns;
	if (!q->first_nsec || c->first_nsec < q->first_nsec)
		q->first_nsec = c->first_nsec;
	if (c->last_nsec > q->last_nsec)
		q->last_nsec = c->last_nsec;
	if (c->bytes_out + c->bytes_in < q->main_bytes)
		return;
	q->main_bytes = c->bytes_out + c->bytes_in;
	q->main_port = c->port;
	q->main_proto = c->proto;
	q->we_opened = c->flags & CHANNEL_WE_OPENED;
	q->channel = c;
}

/* Where people keep and send files, by registered domain. Data is stolen to them, too: look. */
static bool is_file_service(const char *name)
{
	static const char *const services[] = {
	    "google.com",     "googleapis.com",  "googleusercontent.com",
	    "youtube.com",    "dropbox.com",     "dropboxapi.com",
	    "icloud.com",     "apple.com",       "icloud-content.com",
	    "microsoft.com",  "onedrive.com",    "live.com",
	    "sharepoint.com", "office.com",      "office365.com",
	    "box.com",        "github.com",      "gitlab.com",
	    "zoom.us",        "webex.com",       "slack.com",
	    "facebook.com",   "fbcdn.net",       "instagram.com",
	    "whatsapp.net",   "backblazeb2.com", "adobe.com",
	    "vimeo.com"};
	const char *domain = domain_registered(name);

	for (size_t i = 0; name[0] && i < ARRAY_SIZE(services); i++)
		if (!strcmp(services[i], domain))
			return true;
	return false;
}

static double weigh_usual(const struct score_context *x, const struct channel *c, struct finding *f)
{
	const char *name = context_name(x, c), *exe = strpool_get(x->names, c->exe);
	char where[ADDR_STR_MAX];
	struct usual u;
	double factor = context_novelty(x, c, f);

	if (!x->baseline ||
	    !baseline_usual(x->baseline, exe,
	                    name[0] ? domain_registered(name) : addr_str(&c->other, where),
	                    x->last_nsec / 1000, &u) ||
	    f->bytes_out > 2 * u.day_bytes)
		return factor;
	finding_reason(f,
	               "it sent %.1f MB there in one day before; up to twice that counts %.0f %%",
	               (double)u.day_bytes / 1e6, UPLOAD_USUAL * 100);
	return factor * UPLOAD_USUAL;
}

/* How many outside hosts came to this service and got an answer; counts no further than needed. */
static unsigned visitors(const struct score_context *x, const struct channel *c)
{
	unsigned n = 0;

	for (size_t i = 0; i < channels_count(x->channels) && n < UPLOAD_VISITORS; i++) {
		const struct channel *v = channels_at(x->channels, i);
		n += !(v->flags & CHANNEL_WE_OPENED) && v->port == c->port &&
		     v->proto == c->proto && v->conns > v->failed &&
		     addr_equal(&v->ours, &c->ours) && context_outside(x, &v->other);
	}
	return n;
}

/* Who comes to a server gets what it serves. */
static double weigh_served(const struct score_context *x, const struct channel *c,
                           struct finding *f)
{
	if (c->flags & CHANNEL_WE_OPENED || visitors(x, c) < UPLOAD_VISITORS)
		return 1;
	finding_reason(f, "a service on port %u that %d or more outside hosts use: counts %.0f %%",
	               c->port, UPLOAD_VISITORS, UPLOAD_SERVED * 100);
	return UPLOAD_SERVED;
}

static bool weigh(const struct score_context *x, const struct pair *q, struct finding *f)
{
	const struct channel *c = q->channel;
	const char *name = c ? context_name(x, c) : "";
	double factor = c ? weigh_usual(x, c, f) * weigh_served(x, c, f) : 1;

	snprintf(f->domain, sizeof(f->domain), "%s", name);
	if (x->dns_seen && is_file_service(name)) {
		finding_reason(f, "%.60s is a service that many send files to: counts %.0f %%",
		               name, UPLOAD_KNOWN * 100);
		factor *= UPLOAD_KNOWN;
	}
	if (q->main_proto == IPPROTO_UDP && q->main_port != 443 &&
	    (double)q->bytes_out < UPLOAD_MEDIA_RATIO * (double)q->bytes_in) {
		finding_reason(
		    f, "UDP with an answer of at least 1 in %.0f, like a call: counts %.0f %%",
		    UPLOAD_MEDIA_RATIO, UPLOAD_MEDIA * 100);
		factor *= UPLOAD_MEDIA;
	}
	f->score = score_round(f->score * factor);
	return f->score >= UPLOAD_SAY;
}

int upload_findings(const struct score_context *x, void (*cb)(void *arg, const struct finding *f),
                    void *arg)
{
	struct pairs *p = NULL;
	struct finding f;
	int r = pairs_new(channels_count(x->channels) + 1, NULL, NULL, &p);

	if (r < 0)
		return r;
	for (size_t i = 0; i < channels_count(x->channels); i++)
		add_channel(p, channels_at(x->channels, i));
	for (size_t i = 0; i < p->n; i++)
		if (context_outside(x, &p->v[i].other) && upload_score(p, &p->v[i], &f) &&
		    weigh(x, &p->v[i], &f))
			cb(arg, &f);
	pairs_free(p);
	return 0;
}
