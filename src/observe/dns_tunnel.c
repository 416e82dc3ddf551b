/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/dns_tunnel.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "observe/beacon.h"
#include "observe/judge.h"

#define EVICT_LOOK 16

struct domain {
	struct addr client, server;
	bool servers_differ;
	uint8_t proto;
	char name[DNS_DOMAIN_MAX];
	uint64_t hash; /* of client and name */
	struct sketch names;
	uint32_t queries, responses, data_types, digits, reputation;
	uint64_t label_sum,
	    name_sum; /* characters: of longest labels, of names before the domain */
	double entropy_sum;
	uint64_t bytes_query, bytes_response, first_nsec, last_nsec;
	struct beats *beats;
};

struct domains {
	struct domain *v;
	size_t n, max, hand, samples, max_samples;
	uint32_t *index;
	size_t mask;
	uint64_t evicted;
};

int domains_new(size_t max, size_t max_samples, struct domains **ret)
{
	struct domains *d = calloc(1, sizeof(*d));
	size_t cap = 16;

	if (!d)
		return -ENOMEM;
	while (cap < max * 2)
		cap *= 2;
	d->max = max;
	d->max_samples = max_samples;
	d->mask = cap - 1;
	d->v = calloc(max, sizeof(*d->v));
	d->index = calloc(cap, sizeof(*d->index));
	if (!d->v || !d->index) {
		domains_free(d);
		return -ENOMEM;
	}
	*ret = d;
	return 0;
}

void domains_free(struct domains *d)
{
	if (!d)
		return;
	for (size_t i = 0; d->v && i < d->n; i++)
		beats_free(d->v[i].beats);
	free(d->v);
	free(d->index);
	free(d);
}

size_t domains_count(const struct domains *d)
{
	return d->n;
}

uint64_t domains_evicted(const struct domains *d)
{
	return d->evicted;
}

/* ---- the table ---- */

static uint64_t hash_text(const char *s, uint64_t h)
{
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
	return hash_mix(h, 5);
}

static uint32_t *slot(const struct domains *d, uint64_t hash, const struct addr *client,
                      const char *name)
{
	size_t i = (size_t)hash & d->mask;

	for (;; i = (i + 1) & d->mask) {
		const struct domain *x = d->index[i] ? &d->v[d->index[i] - 1] : NULL;
		if (!x ||
		    (x->hash == hash && addr_equal(&x->client, client) && !strcmp(x->name, name)))
			return &d->index[i];
	}
}

static void unindex(struct domains *d, size_t at)
{
	size_t i = (size_t)d->v[at].hash & d->mask, j;

	while (d->index[i] != at + 1)
		i = (i + 1) & d->mask;
	for (j = (i + 1) & d->mask; d->index[j]; j = (j + 1) & d->mask) {
		size_t home = (size_t)d->v[d->index[j] - 1].hash & d->mask;
		if (((j - home) & d->mask) < ((j - i) & d->mask))
			continue;
		d->index[i] = d->index[j];
		i = j;
	}
	d->index[i] = 0;
}

/* Of some, the one that was asked least, then the one that is silent for longest. */
static size_t evict(struct domains *d)
{
	size_t worst = d->hand % d->n;

	for (size_t i = 0; i < EVICT_LOOK; i++) {
		size_t at = d->hand++ % d->n;
		const struct domain *x = &d->v[at], *w = &d->v[worst];
		if (x->queries < w->queries ||
		    (x->queries == w->queries && x->last_nsec < w->last_nsec))
			worst = at;
	}
	unindex(d, worst);
	if (d->v[worst].beats)
		d->samples -= d->v[worst].beats->cap;
	beats_free(d->v[worst].beats);
	d->evicted++;
	return worst;
}

static struct domain *get(struct domains *d, const struct dns_event *e, const char *name)
{
	uint64_t hash = hash_text(name, hash_addr(&e->client.addr, 0));
	uint32_t *at = slot(d, hash, &e->client.addr, name);
	size_t i;

	if (*at)
		return &d->v[*at - 1];
	i = d->n < d->max ? d->n++ : evict(d);
	d->v[i] = (struct domain){.client = e->client.addr,
	                          .server = e->server.addr,
	                          .proto = e->proto,
	                          .hash = hash,
	                          .first_nsec = e->nsec};
	snprintf(d->v[i].name, sizeof(d->v[i].name), "%s", name);
	*slot(d, hash, &e->client.addr, name) = (uint32_t)i + 1;
	return &d->v[i];
}

/* ---- one query ---- */

/* In the order of RFC 1035, 2782, 2535 and later: what answers with text or names of choice. */
static bool carries_data(uint16_t qtype)
{
	static const uint16_t usual[] = {1,  2,  6,  12, 28, 33, 35, 41,  43,
	                                 46, 47, 48, 50, 52, 64, 65, 255, 257};

	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if (usual[i] == qtype)
			return false;
	return true;
}

static double entropy(const char *s, size_t n)
{
	unsigned count[256] = {0}, total = 0;
	double h = 0;

	for (size_t i = 0; i < n; i++)
		if (s[i] != '.') {
			count[(unsigned char)s[i]]++;
			total++;
		}
	for (size_t i = 0; total && i < 256; i++)
		if (count[i])
			h -= count[i] * log2((double)count[i] / total) / total;
	return h;
}

static size_t longest_label(const char *s, size_t n)
{
	size_t longest = 0, now = 0;

	for (size_t i = 0; i < n; i++) {
		now = s[i] == '.' ? 0 : now + 1;
		longest = now > longest ? now : longest;
	}
	return longest;
}

static void add_query(struct domains *d, struct domain *x, const struct dns_event *e,
                      size_t sub_len)
{
	struct beat b = {e->nsec, e->size, 0};

	x->queries++;
	x->bytes_query += e->size;
	x->data_types += carries_data(e->qtype);
	x->servers_differ |= !addr_equal(&x->server, &e->server.addr);
	sketch_add(&x->names, hash_text(e->qname, 9));
	x->digits += sub_len && strspn(e->qname, "0123456789.-") >= sub_len;
	x->label_sum += longest_label(e->qname, sub_len);
	x->name_sum += sub_len;
	x->entropy_sum += entropy(e->qname, sub_len);
	beats_add(&x->beats, &b, &d->samples, d->max_samples);
}

static void add_response(struct domain *x, const struct dns_event *e)
{
	bool local = e->n_addrs > 0;

	for (size_t i = 0; i < e->n_addrs && i < DNS_EVENT_ADDRS; i++)
		local &= e->addrs[i].family == ADDR_V4 && e->addrs[i].bytes[0] == 127;
	x->responses++;
	x->bytes_response += e->size;
	x->reputation += local;
}

static bool ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && !strcmp(name + n - m, end);
}

void domains_add(struct domains *d, const struct dns_event *e)
{
	static const char *const never[] = {".arpa", ".local", ".lan", ".localdomain", ".home"};
	const char *name = domain_registered(e->qname);
	struct domain *x;

	if (!strchr(name, '.') || strlen(name) >= DNS_DOMAIN_MAX)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (ends_in(name, never[i]))
			return;
	x = get(d, e, name);
	if (e->nsec > x->last_nsec)
		x->last_nsec = e->nsec;
	if (e->nsec < x->first_nsec)
		x->first_nsec = e->nsec;
	if (e->response)
		add_response(x, e);
	else
		add_query(d, x, e, name > e->qname ? (size_t)(name - e->qname) - 1 : 0);
}

/* ---- scores ---- */

static void begin(const struct domain *x, const struct score_context *c, enum finding_kind kind,
                  struct finding *f)
{
	char text[ADDR_STR_MAX];

	memset(f, 0, sizeof(*f));
	f->kind = kind;
	f->src.addr = x->client;
	f->dest = (struct endpoint){x->server, 53};
	f->proto = x->proto;
	f->bytes_out = x->bytes_query;
	f->bytes_in = x->bytes_response;
	f->first = x->first_nsec / 1000;
	f->last = x->last_nsec / 1000;
	snprintf(f->domain, sizeof(f->domain), "%s", x->name);
	snprintf(f->selector, sizeof(f->selector), "%s", x->name);
	/* What goes through a resolver is not stopped by blocking addresses. */
	if (!x->servers_differ && context_outside(c, &x->server) &&
	    !context_is_resolver(c, &x->server))
		finding_order(f, "block %s", addr_str(&x->server, text));
	else if (channels_nearness(c->channels, &x->client) == 2)
		finding_order(f, "isolate self");
	else
		finding_order(f, "block %s", addr_str(&x->client, text));
}

static bool tunnel(const struct domain *x, const struct score_context *c, struct finding *f)
{
	double q = x->queries, unique = fmin(sketch_count(&x->names), q);
	double label = (double)x->label_sum / q, entropy_mean = x->entropy_sum / q;
	double once = unique / q, types = x->data_types / q;
	double bytes =
	    x->bytes_query / q + (x->responses ? (double)x->bytes_response / x->responses : 0);
	double carried = (once > 0.9 ? q : unique) * (double)x->name_sum / q;
	double width = score_part(carried, DNS_WIDTH_LOW, DNS_WIDTH_HIGH);
	double lookups =
	    fmax((double)x->reputation / (x->responses ? x->responses : 1), x->digits / q);

	if (unique < DNS_MIN_NAMES || width <= 0)
		return false;
	begin(x, c, FINDING_DNS_TUNNEL, f);
	f->score = DNS_W_LABEL * score_ramp(label, DNS_LABEL_LOW, DNS_LABEL_HIGH) +
	           DNS_W_ENTROPY * score_ramp(entropy_mean, DNS_ENTROPY_LOW, DNS_ENTROPY_HIGH) +
	           DNS_W_ONCE * score_ramp(once, DNS_ONCE_LOW, DNS_ONCE_HIGH) +
	           DNS_W_TYPES * score_ramp(types, 0, DNS_TYPES_HIGH) +
	           DNS_W_BYTES * score_part(bytes, DNS_BYTES_LOW, DNS_BYTES_HIGH);
	f->score = score_round(f->score * width * (1 - 0.35 * lookups));
	finding_reason(f,
	               "about %.0f names of %s in %u queries carry %.1f kB; counts from %.1f, "
	               "fully at %.0f",
	               unique, x->name, x->queries, carried / 1e3, DNS_WIDTH_LOW / 1e3,
	               DNS_WIDTH_HIGH / 1e3);
	finding_reason(f,
	               "longest label %.0f characters on average; counts from %.0f, fully at %.0f",
	               label, DNS_LABEL_LOW, DNS_LABEL_HIGH);
	finding_reason(f, "entropy %.1f bits a character; counts from %.1f, fully at %.1f",
	               entropy_mean, DNS_ENTROPY_LOW, DNS_ENTROPY_HIGH);
	finding_reason(f, "%.0f %% of the queries for types that carry data, fully at %.0f %%",
	               types * 100, DNS_TYPES_HIGH * 100);
	finding_reason(f, "%.0f bytes a query and answer; counts from %.0f, fully at %.0f", bytes,
	               DNS_BYTES_LOW, DNS_BYTES_HIGH);
	if (lookups > 0.1)
		finding_reason(f, "%.0f %% look like reputation look-ups: lowers by up to 35 %%",
		               lookups * 100);
	snprintf(f->benign, sizeof(f->benign),
	         "virus scanners and mail filters look up hashes so, and some trackers: ask "
	         "which program asks, and whose domain it is");
	return f->score >= FINDING_SCORE_SAY;
}

/* The same name again and again is a cache that runs out; a beacon must ask for new ones. */
static bool dns_beacon(const struct domain *x, const struct score_context *c, struct finding *f)
{
	double once = fmin(1, sketch_count(&x->names) / x->queries);
	double types = (double)x->data_types / x->queries, coverage;
	double fresh = fmax(score_ramp(once, 0.15, 0.45), score_ramp(types, 0, 0.3));
	struct beat_parts p;

	if (!beats_parts(x->beats, &p))
		return false;
	begin(x, c, FINDING_BEACON, f);
	f->score = beats_score(&p, c->first_nsec, c->last_nsec, &coverage);
	beats_explain(&p, coverage, "queries", f);
	finding_reason(f,
	               "%.0f %% of the names are new (from 45 %% on whole), %.0f %% of the types "
	               "carry data (from 30 %%); neither counts 45 %%",
	               once * 100, types * 100);
	f->score = score_round(f->score * (0.45 + 0.55 * fresh));
	snprintf(f->benign, sizeof(f->benign),
	         "monitoring and licence checks ask so, and short times to live: ask which "
	         "program asks, and whose domain it is");
	return f->score >= FINDING_SCORE_SAY;
}

void domains_findings(const struct domains *d, const struct score_context *x,
                      void (*cb)(void *arg, const struct finding *f), void *arg)
{
	struct finding f, b;

	for (size_t i = 0; i < d->n; i++) {
		const struct domain *v = &d->v[i];
		if (v->queries < DNS_MIN_NAMES)
			continue;
		bool is_tunnel = tunnel(v, x, &f), is_beacon = dns_beacon(v, x, &b);
		if (is_tunnel)
			cb(arg, &f);
		if (is_beacon && (!is_tunnel || b.score > f.score))
			cb(arg, &b);
	}
}
