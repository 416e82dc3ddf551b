/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/scores.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "observe/beacon.h"
#include "observe/context.h"
#include "observe/dns_tunnel.h"
#include "observe/icmp_tunnel.h"
#include "observe/judge.h"
#include "observe/mismatch.h"
#include "observe/scan.h"
#include "observe/session.h"
#include "observe/strpool.h"
#include "observe/upload.h"

/* What one channel tells by itself. */
static const channel_score_fn of_channel[] = {
    beacon_score,
    icmp_tunnel_score,
    session_score,
    mismatch_score,
};

struct scores {
	struct scores_config c;
	struct channels *channels;
	struct domains *domains;
	struct strpool *names;
	uint64_t *resolved; /* RESOLVED_BITS */
	bool dns_seen, apps_seen;
	/* The program of the owner that came last: mostly the next one's, too. */
	char exe[sizeof(((struct owner *)0)->exe)];
	uint32_t exe_handle;
	/* Of the call of scores_findings at hand: */
	struct finding *found; /* SCORES_FINDINGS_MAX */
	size_t n_found;
	uint64_t left_out;
};

static int no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "out of memory while scoring; give a smaller bound");
}

int scores_new(const struct scores_config *c, struct scores **ret, struct err *e)
{
	struct channels_config cc = {.is_self = c->is_self,
	                             .arg = c->arg,
	                             .max = c->max_channels,
	                             .max_open = c->max_open,
	                             .max_samples = c->max_samples};
	size_t samples = c->max_samples ? c->max_samples : CHANNELS_SAMPLES;
	struct scores *s = calloc(1, sizeof(*s));

	if (!s)
		return no_memory(e);
	s->c = *c;
	if (s->c.n_resolvers > SCORES_RESOLVERS_MAX)
		s->c.n_resolvers = SCORES_RESOLVERS_MAX;
	s->resolved = calloc(RESOLVED_BITS / 64, sizeof(*s->resolved));
	s->found = calloc(SCORES_FINDINGS_MAX, sizeof(*s->found));
	if (!s->resolved || !s->found || channels_new(&cc, &s->channels) < 0 ||
	    domains_new(c->max_domains ? c->max_domains : SCORES_DOMAINS_MAX, samples / 2,
	                &s->domains) < 0 ||
	    strpool_new(SCORES_NAMES_BYTES, SCORES_NAMES_MAX, &s->names) < 0) {
		scores_free(s);
		return no_memory(e);
	}
	*ret = s;
	return 0;
}

void scores_free(struct scores *s)
{
	if (!s)
		return;
	channels_free(s->channels);
	domains_free(s->domains);
	strpool_free(s->names);
	free(s->resolved);
	free(s->found);
	free(s);
}

/* ---- what comes in ---- */

static uint32_t exe_of(struct scores *s, const struct owner *o)
{
	if (!o || !o->exe[0])
		return 0;
	if (strcmp(o->exe, s->exe) != 0) {
		s->exe_handle = strpool_put(s->names, o->exe);
		memcpy(s->exe, o->exe, sizeof(s->exe));
	}
	return s->exe_handle;
}

void scores_flow(struct scores *s, const struct flow *f, const struct owner *owner, bool final)
{
	channels_flow(s->channels, f, exe_of(s, owner), final);
}

void scores_resume(struct scores *s, const struct resume_event *r)
{
	if (beacon_may(r->flow.proto, r->flow.dest.port))
		channels_resume(s->channels, r);
}

void scores_dns(struct scores *s, const struct dns_event *d)
{
	domains_add(s->domains, d);
	for (size_t i = 0; d->response && i < d->n_addrs && i < DNS_EVENT_ADDRS; i++) {
		s->dns_seen = true;
		resolved_add(s->resolved, resolved_hash(&d->addrs[i], NULL));
		resolved_add(s->resolved, resolved_hash(&d->addrs[i], domain_registered(d->qname)));
	}
}

void scores_app(struct scores *s, const struct app_event *a)
{
	if (a->app < 0 || a->app >= _APP_PROTO_MAX)
		return;
	s->apps_seen |= a->app != APP_UNKNOWN;
	channels_app(s->channels, a, strpool_put(s->names, a->name));
}

/* ---- what comes out ---- */

static int compare(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	int c;

	if (x->score != y->score)
		return x->score < y->score ? 1 : -1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if ((c = addr_cmp(&x->src.addr, &y->src.addr)) ||
	    (c = addr_cmp(&x->dest.addr, &y->dest.addr)))
		return c;
	if (x->dest.port != y->dest.port)
		return x->dest.port < y->dest.port ? -1 : 1;
	if (x->src.port != y->src.port)
		return x->src.port < y->src.port ? -1 : 1;
	if (x->proto != y->proto)
		return x->proto < y->proto ? -1 : 1;
	return strcmp(x->domain, y->domain);
}

/* Of two channels that make one finding (echoes of both ways, of several codes) the better counts.
 */
static bool is_known(struct scores *s, const struct finding *f)
{
	for (size_t i = 0; i < s->n_found; i++)
		if (finding_same(&s->found[i], f)) {
			if (compare(f, &s->found[i]) < 0)
				s->found[i] = *f;
			return true;
		}
	return false;
}

static void keep(void *arg, const struct finding *f)
{
	struct scores *s = arg;
	size_t worst = 0;

	if (is_known(s, f))
		return;
	if (s->n_found < SCORES_FINDINGS_MAX) {
		s->found[s->n_found++] = *f;
		return;
	}
	s->left_out++;
	for (size_t i = 1; i < s->n_found; i++)
		if (compare(&s->found[i], &s->found[worst]) > 0)
			worst = i;
	if (compare(f, &s->found[worst]) < 0)
		s->found[worst] = *f;
}

static bool may_beat(const struct channel *c)
{
	return c->flags & CHANNEL_BEATS;
}

/* How many hosts share the destinations of those that may be beacons. NULL where none may. */
static int count_popular(const struct channels *t, struct popularity **ret, size_t *ret_mask)
{
	struct popularity *p;
	size_t n = 0, mask = 15;

	*ret = NULL;
	for (size_t i = 0; i < channels_count(t); i++)
		n += may_beat(channels_at(t, i));
	if (!n)
		return 0;
	while (mask < n * 2)
		mask = mask * 2 + 1;
	if (!(p = calloc(mask + 1, sizeof(*p))))
		return -ENOMEM;
	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < channels_count(t); i++) {
			const struct channel *c = channels_at(t, i);
			if (!pass && !may_beat(c))
				continue;
			uint64_t key = context_popularity_key(c);
			size_t at = key & mask;
			while (p[at].key && p[at].key != key)
				at = (at + 1) & mask;
			if (!pass)
				p[at].key = key;
			else if (p[at].key)
				p[at].hosts++;
		}
	*ret = p;
	*ret_mask = mask;
	return 0;
}

static void count_hosts(struct score_context *x)
{
	struct sketch hosts = {{0}};

	for (size_t i = 0; i < channels_count(x->channels); i++)
		sketch_add(&hosts, hash_addr(&channels_at(x->channels, i)->ours, 17));
	x->hosts = sketch_count(&hosts);
}

static void score_channels(struct scores *s, const struct score_context *x)
{
	struct finding f;

	for (size_t i = 0; i < channels_count(x->channels); i++)
		for (size_t k = 0; k < ARRAY_SIZE(of_channel); k++)
			if (of_channel[k](x, channels_at(x->channels, i), &f))
				keep(s, &f);
}

int scores_findings(struct scores *s, void (*cb)(void *arg, const struct finding *f), void *arg,
                    struct err *e)
{
	struct score_context x = {.channels = s->channels,
	                          .names = s->names,
	                          .baseline = s->c.baseline,
	                          .resolvers = s->c.resolvers,
	                          .n_resolvers = s->c.n_resolvers,
	                          .dns_seen = s->dns_seen,
	                          .apps_seen = s->apps_seen,
	                          .resolved = s->resolved};
	struct popularity *popular;
	int r;

	channels_settle(s->channels);
	r = count_popular(s->channels, &popular, &x.popular_mask);

	if (r < 0)
		return no_memory(e);
	s->n_found = 0;
	s->left_out = 0;
	x.popular = popular;
	channels_span(s->channels, &x.first_nsec, &x.last_nsec);
	count_hosts(&x);
	score_channels(s, &x);
	domains_findings(s->domains, &x, keep, s);
	if ((r = upload_findings(&x, keep, s)) == 0)
		r = scan_findings(&x, keep, s);
	free(popular);
	if (r < 0)
		return no_memory(e);
	qsort(s->found, s->n_found, sizeof(*s->found), compare);
	for (size_t i = 0; i < s->n_found; i++)
		cb(arg, &s->found[i]);
	return 0;
}

void scores_stats(struct scores *s, struct scores_stats *ret)
{
	channels_settle(s->channels);
	*ret = (struct scores_stats){.domains = domains_count(s->domains),
	                             .domains_evicted = domains_evicted(s->domains),
	                             .names_refused = strpool_refused(s->names),
	                             .left_out = s->left_out};
	channels_stats(s->channels, &ret->channels);
}

void scores_learn(struct scores *s, struct baseline *b)
{
	struct score_context x = {.channels = s->channels,
	                          .names = s->names,
	                          .dns_seen = s->dns_seen,
	                          .resolved = s->resolved};
	char text[ADDR_STR_MAX];

	if (baseline_frozen(b))
		return;
	channels_settle(s->channels);
	for (size_t i = 0; i < channels_count(s->channels); i++) {
		struct channel *c = channels_at(s->channels, i);
		uint64_t kb = c->bytes_out / 1000, more = kb - c->learned_kb;
		/* Who comes to us from outside decides nothing about what we usually do. */
		if (!(c->flags & CHANNEL_WE_OPENED) || c->conns == c->failed ||
		    !context_outside(&x, &c->other) || (c->learned_kb && !more))
			continue;
		const char *name = context_name(&x, c);
		baseline_seen(b, strpool_get(s->names, c->exe),
		              name[0] ? domain_registered(name) : addr_str(&c->other, text),
		              c->last_nsec / 1000, more * 1000);
		c->learned_kb = kb > UINT32_MAX ? UINT32_MAX : (uint32_t)kb;
	}
}
