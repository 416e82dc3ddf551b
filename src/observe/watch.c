/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "observe/names.h"
#include "observe/owner.h"

#define OWNER_TRIES 10 /* ticks in which a flow changed and its owner was looked for in vain */
#define REFRESH_AT_LEAST                                                                           \
	(200 * USEC_PER_MSEC) /* between two looks at the sockets for flows that end */
#define RATE_SPAN (950 * USEC_PER_MSEC)

struct flow_key {
	struct endpoint src, dest;
	uint8_t proto;
	uint16_t vlan;
};

/* Protocol and name of a flow, which may come before it. */
struct app {
	struct flow_key key; /* vlan 0 */
	enum app_proto app;
	enum name_source source;
	const char *name;
	UT_hash_handle hh;
};

struct name {
	UT_hash_handle hh;
	char text[];
};

struct living {
	struct flow_key key;
	struct seen_flow f;
	uint64_t was_out, was_in; /* bytes at the last tick */
	unsigned tries;
	struct living *next_open; /* list of those whose owner is looked for at the next tick */
	bool open;
	UT_hash_handle hh;
};

struct watch {
	struct watch_config config;
	struct owners *owners; /* live: those that are known, and our own addresses */
	struct living *flows, *open;
	struct app *apps;
	struct name *names;
	struct pairs *done, *all; /* all: done and what lives, made when it is asked for */
	struct names *answers;
	struct scores *scores;
	struct watch_losses losses;
	uint64_t unowned; /* bytes of flows that ended without a known owner */
	usec_t refreshed, ticked;
	bool answered; /* there is an answer to look for names in */
};

static bool is_self(void *arg, const struct addr *a)
{
	const struct watch *w = arg;
	return w->owners && owners_is_self(w->owners, a);
}

static int scores_of(struct watch *w, struct err *e)
{
	struct scores_config c = {.is_self = is_self, .arg = w, .baseline = w->config.baseline};

	for (; c.n_resolvers < w->config.n_resolvers && c.n_resolvers < SCORES_RESOLVERS_MAX;
	     c.n_resolvers++)
		c.resolvers[c.n_resolvers] = w->config.resolvers[c.n_resolvers];
	return scores_new(&c, &w->scores, e);
}

int watch_new(const struct watch_config *config, struct watch **ret, struct err *e)
{
	struct watch *w = calloc(1, sizeof(*w));
	size_t n_pairs = config->live ? WATCH_PAIRS / 4 : WATCH_PAIRS;
	int r = w ? 0 : err_set(e, -ENOMEM, "out of memory for watching");

	if (r < 0)
		return r;
	w->config = *config;
	if (config->live &&
	    ((r = owners_new(&w->owners, e)) < 0 || (r = owners_refresh(w->owners, e)) < 0))
		goto fail;
	if ((r = scores_of(w, e)) < 0)
		goto fail;
	if ((r = names_new(NAMES_MEMORY, &w->answers, e)) < 0)
		goto fail;
	if ((r = pairs_new(n_pairs, is_self, w, &w->done)) < 0 ||
	    (r = pairs_new(n_pairs, is_self, w, &w->all)) < 0) {
		err_set(e, r, "out of memory for watching");
		goto fail;
	}
	*ret = w;
	return 0;
fail:
	watch_free(w);
	return r;
}

void watch_free(struct watch *w)
{
	struct living *l, *l2;
	struct app *a, *a2;
	struct name *n, *n2;

	if (!w)
		return;
	HASH_ITER(hh, w->flows, l, l2)
	{
		HASH_DEL(w->flows, l);
		free(l);
	}
	HASH_ITER(hh, w->apps, a, a2)
	{
		HASH_DEL(w->apps, a);
		free(a);
	}
	HASH_ITER(hh, w->names, n, n2)
	{
		HASH_DEL(w->names, n);
		free(n);
	}
	pairs_free(w->done);
	pairs_free(w->all);
	names_free(w->answers);
	scores_free(w->scores);
	owners_free(w->owners);
	free(w);
}

/* ---- keys, names ---- */

/* Hashed as bytes: padding must be zero. */
static struct flow_key key_of(const struct endpoint *src, const struct endpoint *dest,
                              uint8_t proto, uint16_t vlan)
{
	struct flow_key k;

	memset(&k, 0, sizeof(k));
	k.src.addr = src->addr;
	k.src.port = src->port;
	k.dest.addr = dest->addr;
	k.dest.port = dest->port;
	k.proto = proto;
	k.vlan = vlan;
	return k;
}

/* The one copy of a name. */
static const char *intern(struct watch *w, const char *text)
{
	size_t len = strlen(text);
	struct name *n;

	HASH_FIND(hh, w->names, text, len, n);
	if (n)
		return n->text;
	if (HASH_COUNT(w->names) >= WATCH_NAMES || !(n = malloc(sizeof(*n) + len + 1))) {
		w->losses.names++;
		return NULL;
	}
	memcpy(n->text, text, len + 1);
	HASH_ADD_KEYPTR(hh, w->names, n->text, len, n);
	if (n->hh.tbl)
		return n->text;
	free(n);
	w->losses.names++;
	return NULL;
}

static struct app *app_of(struct watch *w, const struct flow_key *k)
{
	struct app *a;

	HASH_FIND(hh, w->apps, k, sizeof(*k), a);
	return a;
}

static struct living *living_of(struct watch *w, const struct flow_key *k)
{
	struct living *l;

	HASH_FIND(hh, w->flows, k, sizeof(*k), l);
	return l;
}

/* What is known of a flow moves to it; who opened it may have been seen the other way round. */
static void take_app(struct watch *w, struct seen_flow *f)
{
	struct flow_key k = key_of(&f->flow.src, &f->flow.dest, f->flow.proto, 0);
	struct app *a = app_of(w, &k);

	if (!a) {
		k = key_of(&f->flow.dest, &f->flow.src, f->flow.proto, 0);
		a = app_of(w, &k);
	}
	if (!a)
		return;
	f->app = a->app;
	f->source = a->source;
	f->name = a->name;
	HASH_DEL(w->apps, a);
	free(a);
}

/* Of those whose flow never comes (it may be none of this source's) the oldest makes room. */
static struct app *make_app(struct watch *w, const struct flow_key *k)
{
	struct app *a = w->apps;

	if (HASH_COUNT(w->apps) >= WATCH_APPS) {
		HASH_DEL(w->apps, a);
		w->losses.apps++;
	} else if (!(a = malloc(sizeof(*a)))) {
		w->losses.apps++;
		return NULL;
	}
	memset(a, 0, sizeof(*a));
	a->key = *k;
	HASH_ADD(hh, w->apps, key, sizeof(a->key), a);
	if (a->hh.tbl)
		return a;
	free(a);
	w->losses.apps++;
	return NULL;
}

void watch_app(void *arg, const struct app_event *event)
{
	struct watch *w = arg;
	struct flow_key k = key_of(&event->src, &event->dest, event->proto, 0);
	struct living *l = living_of(w, &k);
	const char *name = event->name[0] ? intern(w, event->name) : NULL;
	struct app *a = l ? NULL : app_of(w, &k);

	scores_app(w->scores, event);
	if (l) {
		l->f.app = event->app;
		l->f.source = event->source;
		l->f.name = name;
		return;
	}
	if (!a && !(a = make_app(w, &k)))
		return;
	a->app = event->app;
	a->source = event->source;
	a->name = name;
}

void watch_dns(void *arg, const struct dns_event *d)
{
	struct watch *w = arg;

	names_answer(w->answers, d);
	w->answered |= d->n_addrs > 0;
	scores_dns(w->scores, d);
}

void watch_resume(void *arg, const struct resume_event *r)
{
	scores_resume(((struct watch *)arg)->scores, r);
}

/* What the client was answered for the address; behind a stub on loopback the stub asked. */
static void take_answer(struct watch *w, struct seen_flow *f)
{
	static const uint8_t stub[4] = {127, 0, 0, 1};
	const struct addr local = addr_v4(stub);
	const char *name = NULL;

	if (!w->answered || f->name ||
	    (names_find(w->answers, &f->flow.src.addr, &f->flow.dest.addr, f->flow.start_nsec,
	                &name) != 1 &&
	     (!is_self(w, &f->flow.src.addr) ||
	      names_find(w->answers, &local, &f->flow.dest.addr, f->flow.start_nsec, &name) != 1)))
		return;
	f->name = intern(w, name);
	f->source = f->name ? NAME_DNS : NAME_NONE;
}

/* ---- flows ---- */

static bool owned(const struct seen_flow *f)
{
	return f->owner && f->owner->pid;
}

static void look_for_owner(struct watch *w, const struct flow *f, const struct owner **ret)
{
	struct owner o;

	owners_find(w->owners, f, &o);
	if (o.pid || !*ret || !(*ret)->pid)
		*ret = owners_keep(w->owners, &o);
}

/* Sockets are read again when a tick's flows ask for it, and for a flow that comes and ends. */
static void refresh(struct watch *w, usec_t not_older)
{
	usec_t now = boot_now();

	if (w->refreshed && now - w->refreshed < not_older)
		return;
	owners_refresh(w->owners, NULL);
	w->refreshed = boot_now();
}

static struct living *make_living(struct watch *w, const struct flow *f, const struct flow_key *k)
{
	struct living *l;

	if (HASH_COUNT(w->flows) >= WATCH_FLOWS || !(l = calloc(1, sizeof(*l)))) {
		w->losses.flows++;
		return NULL;
	}
	l->key = *k;
	l->f.flow = *f;
	HASH_ADD(hh, w->flows, key, sizeof(l->key), l);
	if (l->hh.tbl)
		return l;
	free(l);
	w->losses.flows++;
	return NULL;
}

static void drop_living(struct watch *w, struct living *l)
{
	/* Messages of one tick come in order: what ends here may still be on the list. */
	if (l->open)
		for (struct living **p = &w->open; *p; p = &(*p)->next_open)
			if (*p == l) {
				*p = l->next_open;
				break;
			}
	HASH_DEL(w->flows, l);
	free(l);
}

static void on_changed(struct watch *w, const struct flow *f, const struct owner *owner)
{
	struct flow_key k = key_of(&f->src, &f->dest, f->proto, f->vlan);
	struct living *l = living_of(w, &k);

	if (!l && !(l = make_living(w, f, &k)))
		return;
	l->f.flow = *f;
	if (owner)
		l->f.owner = owner;
	if (!l->f.app)
		take_app(w, &l->f);
	take_answer(w, &l->f);
	scores_flow(w->scores, f, l->f.owner, false);
	if (!w->config.look_at_owners || l->open || owned(&l->f) || l->tries >= OWNER_TRIES)
		return;
	l->open = true;
	l->next_open = w->open;
	w->open = l;
}

static void on_final(struct watch *w, const struct flow *f, const struct owner *owner)
{
	struct seen_flow out = {.flow = *f, .owner = owner};
	struct living *l = NULL;

	if (w->flows) {
		struct flow_key k = key_of(&f->src, &f->dest, f->proto, f->vlan);
		l = living_of(w, &k);
	}
	if (l) {
		out = l->f;
		out.flow = *f;
		out.owner = owner ? owner : l->f.owner;
	}
	if (w->apps && !out.app)
		take_app(w, &out);
	if (w->config.look_at_owners && !owned(&out) && (!l || l->tries < OWNER_TRIES)) {
		refresh(w, REFRESH_AT_LEAST);
		look_for_owner(w, f, &out.owner);
	}
	take_answer(w, &out);
	if (!owned(&out))
		w->unowned += f->bytes_toserver + f->bytes_toclient;
	pairs_add(w->done, f, out.owner);
	scores_flow(w->scores, f, out.owner, true);
	if (w->config.final)
		w->config.final(w->config.arg, &out);
	if (l)
		drop_living(w, l);
}

void watch_owned_flow(void *arg, const struct flow *f, const struct owner *owner, bool final)
{
	struct watch *w = arg;

	if (owner && w->owners)
		owner = owners_keep(w->owners, owner);
	if (final)
		on_final(w, f, owner);
	else
		on_changed(w, f, owner);
}

void watch_flow(void *arg, const struct flow *f, bool final)
{
	watch_owned_flow(arg, f, NULL, final);
}

/* ---- ticks ---- */

static void find_owners(struct watch *w)
{
	if (w->open)
		refresh(w, 0);
	for (struct living *l = w->open; l; l = l->next_open) {
		look_for_owner(w, &l->f.flow, &l->f.owner);
		l->tries++;
		l->open = false;
	}
	w->open = NULL;
}

static uint64_t rate(uint64_t now, uint64_t *was, usec_t passed)
{
	uint64_t grown = now > *was ? now - *was : 0;

	*was = now;
	return passed ? grown * USEC_PER_SEC / passed : 0;
}

static void make_rates(struct watch *w)
{
	usec_t now = boot_now(), passed = w->ticked ? now - w->ticked : 0;
	struct living *l, *l2;

	/* Of shorter spans they would jump. */
	if (w->ticked && passed < RATE_SPAN)
		return;
	HASH_ITER(hh, w->flows, l, l2)
	{
		l->f.rate_out = rate(l->f.flow.bytes_toserver, &l->was_out, passed);
		l->f.rate_in = rate(l->f.flow.bytes_toclient, &l->was_in, passed);
	}
	w->ticked = now;
}

void watch_tick(struct watch *w)
{
	find_owners(w);
	make_rates(w);
}

/* ---- what is known ---- */

const struct pairs *watch_pairs(struct watch *w)
{
	struct living *l, *l2;

	/* Of what has ended, nothing changes: no copy is needed. */
	if (!w->flows || pairs_copy(w->all, w->done) < 0)
		return w->done;
	HASH_ITER(hh, w->flows, l, l2)
	pairs_add(w->all, &l->f.flow, l->f.owner);
	return w->all;
}

bool watch_we_opened(const struct watch *w, const struct flow *f)
{
	return pairs_we_opened(w->done, f);
}

void watch_each(struct watch *w, bool (*cb)(void *arg, const struct seen_flow *f), void *arg)
{
	struct living *l, *l2;

	HASH_ITER(hh, w->flows, l, l2)
	if (!cb(arg, &l->f))
		return;
}

size_t watch_count(const struct watch *w)
{
	return HASH_COUNT(w->flows);
}

int watch_findings(struct watch *w, void (*cb)(void *arg, const struct finding *f), void *arg,
                   struct err *e)
{
	return scores_findings(w->scores, cb, arg, e);
}

struct watch_losses watch_losses(const struct watch *w)
{
	struct watch_losses l = w->losses;

	scores_stats(w->scores, &l.scores);
	return l;
}

uint64_t watch_unowned(const struct watch *w)
{
	uint64_t sum = w->unowned;

	for (const struct living *l = w->flows; l; l = l->hh.next)
		if (!owned(&l->f))
			sum += l->f.flow.bytes_toserver + l->f.flow.bytes_toclient;
	return sum;
}

void watch_learn(struct watch *w, struct baseline *b)
{
	scores_learn(w->scores, b);
}
