/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/screen_data.h"

#include <errno.h>
#include <net/if_arp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define KEY_TEXT 64

/* A process that became another program is another row; unknown ones are told apart by why. */
struct proc_key {
	int pid;
	char text[KEY_TEXT];
};

struct proc {
	struct proc_key key;
	struct proc_row ended, now;
	UT_hash_handle hh;
};

struct tally {
	struct proc *procs;
	const struct owner *last_owner; /* flows of one owner come in rows */
	struct proc *last;
	struct finding findings[SCREEN_FINDINGS];
	size_t n_findings;
	struct rate_table rates;
	struct iface_row ifaces[SCREEN_IFACES];
	size_t n_ifaces;
	uint64_t flows_left_out, procs_left_out;
};

static const struct owner nobody = {.why_unknown = "nobody looked for it"};

int screen_data_new(const struct screen_about *about, struct screen_data **ret)
{
	struct screen_data *d = calloc(1, sizeof(*d));

	if (!d || !(d->tally = calloc(1, sizeof(*d->tally)))) {
		free(d);
		return -ENOMEM;
	}
	d->about = *about;
	*ret = d;
	return 0;
}

void screen_data_free(struct screen_data *d)
{
	struct proc *p, *p2;

	if (!d)
		return;
	HASH_ITER(hh, d->tally->procs, p, p2)
	{
		HASH_DEL(d->tally->procs, p);
		free(p);
	}
	rate_table_free(&d->tally->rates);
	free(d->tally);
	free(d->flows);
	free(d->procs);
	free(d->users);
	free(d);
}

/* ---- users ---- */

static int by_uid(const void *a, const void *b)
{
	const struct user_row *x = a, *y = b;
	return (x->uid > y->uid) - (x->uid < y->uid);
}

/* The file itself: a look-up by NSS may ask the network, which may be cut. */
void screen_data_users(struct screen_data *d, const char *passwd)
{
	FILE *f = fopen(passwd, "re");
	struct passwd *p;

	d->users = f ? calloc(SCREEN_USERS, sizeof(*d->users)) : NULL;
	while (d->users && d->n_users < SCREEN_USERS && (p = fgetpwent(f))) {
		struct user_row *u = &d->users[d->n_users++];
		u->uid = p->pw_uid;
		snprintf(u->name, sizeof(u->name), "%s", p->pw_name);
	}
	if (d->users)
		qsort(d->users, d->n_users, sizeof(*d->users), by_uid);
	if (f)
		fclose(f);
}

const char *screen_data_user(const struct screen_data *d, uint32_t uid, char dst[static 12])
{
	const struct user_row key = {.uid = uid};
	const struct user_row *u =
	    d->users ? bsearch(&key, d->users, d->n_users, sizeof(key), by_uid) : NULL;

	if (u)
		return u->name;
	snprintf(dst, 12, "%u", uid);
	return dst;
}

/* ---- processes ---- */

static struct proc *proc_of(struct tally *t, const struct owner *o)
{
	struct proc_key k;
	struct proc *p;

	if (t->last && o == t->last_owner)
		return t->last;
	memset(&k, 0, sizeof(k));
	k.pid = o->pid;
	snprintf(k.text, sizeof(k.text), "%s", o->pid ? o->comm : o->why_unknown);
	HASH_FIND(hh, t->procs, &k, sizeof(k), p);
	if (!p && HASH_COUNT(t->procs) < SCREEN_PROCS && (p = calloc(1, sizeof(*p)))) {
		p->key = k;
		HASH_ADD(hh, t->procs, key, sizeof(p->key), p);
		if (!p->hh.tbl) {
			free(p);
			p = NULL;
		}
	}
	if (!p) {
		t->procs_left_out++;
		return NULL;
	}
	p->ended.owner = o;
	t->last_owner = o;
	t->last = p;
	return p;
}

static void add_to(struct proc_row *r, const struct flow_row *f)
{
	r->out += f->out;
	r->in += f->in;
	r->rate_out += f->rate_out;
	r->rate_in += f->rate_in;
	r->flows++;
}

/* ---- flows ---- */

static struct flow_row row_of(const struct seen_flow *f, bool we_opened)
{
	const struct flow *n = &f->flow;
	uint64_t there[2] = {n->bytes_toserver, f->rate_out},
	         back[2] = {n->bytes_toclient, f->rate_in};
	const uint64_t *out = we_opened ? there : back, *in = we_opened ? back : there;

	return (struct flow_row){.f = *f,
	                         .we_opened = we_opened,
	                         .out = out[0],
	                         .in = in[0],
	                         .rate_out = out[1],
	                         .rate_in = in[1]};
}

static bool room_for_flow(struct screen_data *d)
{
	size_t cap = d->cap_flows ? d->cap_flows * 2 : 256;
	struct flow_row *v;

	if (d->n_flows < d->cap_flows)
		return true;
	if (d->n_flows >= SCREEN_FLOWS || !(v = realloc(d->flows, cap * sizeof(*v))))
		return false;
	d->flows = v;
	d->cap_flows = cap;
	return true;
}

static void keep_flow(struct screen_data *d, const struct flow_row *r)
{
	if (room_for_flow(d))
		d->flows[d->n_flows++] = *r;
	else
		d->tally->flows_left_out++;
}

void screen_data_final(struct screen_data *d, const struct seen_flow *f, bool we_opened)
{
	struct flow_row r = row_of(f, we_opened);
	struct proc *p = NULL;

	/* A capture does not know processes, a log may. */
	if (d->about.live || f->owner)
		p = proc_of(d->tally, f->owner ? f->owner : &nobody);
	r.rate_out = r.rate_in = 0;
	if (p)
		add_to(&p->ended, &r);
	if (d->about.live)
		return;
	uint64_t nsec = f->flow.end_nsec - f->flow.start_nsec;
	double seconds = nsec > UINT64_C(1000000000) ? (double)nsec / 1e9 : 1;
	r.rate_out = (uint64_t)((double)r.out / seconds);
	r.rate_in = (uint64_t)((double)r.in / seconds);
	keep_flow(d, &r);
}

/* ---- findings, interfaces ---- */

void screen_data_finding(struct screen_data *d, const struct finding *f)
{
	struct tally *t = d->tally;

	if (t->n_findings < SCREEN_FINDINGS)
		t->findings[t->n_findings++] = *f;
}

void screen_data_forget_findings(struct screen_data *d)
{
	d->tally->n_findings = 0;
}

static bool wanted(const struct screen_about *a, const struct link *l)
{
	for (size_t i = 0; i < a->n_ifaces; i++)
		if (!strncmp(a->iface[i], l->name, IFNAMSIZ))
			return true;
	return !a->n_ifaces && l->flags & IFF_UP && l->type != ARPHRD_LOOPBACK;
}

static struct iface_row *iface_of(struct tally *t, const char *name)
{
	for (size_t i = 0; i < t->n_ifaces; i++)
		if (!strncmp(t->ifaces[i].name, name, IFNAMSIZ))
			return &t->ifaces[i];
	if (t->n_ifaces == SCREEN_IFACES)
		return NULL;
	struct iface_row *r = &t->ifaces[t->n_ifaces++];
	*r = (struct iface_row){.dropped = 0};
	memcpy(r->name, name, sizeof(r->name));
	memset(r->out, 0xff, sizeof(r->out));
	memset(r->in, 0xff, sizeof(r->in));
	return r;
}

static void push(uint64_t v[static SCREEN_SECONDS], uint64_t new)
{
	memmove(v, v + 1, (SCREEN_SECONDS - 1) * sizeof(*v));
	v[SCREEN_SECONDS - 1] = new;
}

void screen_data_links(struct screen_data *d, const struct link *l, size_t n, usec_t boot)
{
	struct tally *t = d->tally;
	struct link mine[SCREEN_IFACES];
	size_t n_mine = 0;

	for (size_t i = 0; i < n && n_mine < SCREEN_IFACES; i++)
		if (wanted(&d->about, &l[i]))
			mine[n_mine++] = l[i];
	if (rate_sample(&t->rates, mine, n_mine, boot) < 0)
		return;
	for (size_t i = 0; i < t->rates.n; i++) {
		const struct rate_row *r = &t->rates.rows[i];
		struct iface_row *row = r->seen ? iface_of(t, r->name) : NULL;
		if (!row || (!r->interval && !r->reset))
			continue;
		push(row->out, rate_per_second(r->delta.tx_bytes, r->interval));
		push(row->in, rate_per_second(r->delta.rx_bytes, r->interval));
		row->dropped += r->delta.rx_dropped + r->delta.tx_dropped;
		row->seconds++;
	}
}

/* ---- the moment ---- */

void screen_data_begin(struct screen_data *d)
{
	struct proc *p, *p2;

	if (d->about.live)
		d->n_flows = d->tally->flows_left_out = 0;
	HASH_ITER(hh, d->tally->procs, p, p2)
	p->now = (struct proc_row){.owner = NULL};
}

void screen_data_living(struct screen_data *d, const struct seen_flow *f, bool we_opened)
{
	const struct flow_row r = row_of(f, we_opened);
	struct proc *p = NULL;

	if (d->about.live)
		keep_flow(d, &r);
	if (d->about.live || f->owner)
		p = proc_of(d->tally, f->owner ? f->owner : &nobody);
	if (p)
		add_to(&p->now, &r);
}

static void show_procs(struct screen_data *d)
{
	size_t n = HASH_COUNT(d->tally->procs);
	struct proc_row *v = realloc(d->procs, (n ? n : 1) * sizeof(*v));
	struct proc *p, *p2;

	if (!v)
		return;
	d->procs = v;
	d->n_procs = 0;
	d->unowned = 0;
	HASH_ITER(hh, d->tally->procs, p, p2)
	{
		struct proc_row *r = &d->procs[d->n_procs++];
		*r = p->ended;
		r->out += p->now.out;
		r->in += p->now.in;
		r->rate_out = p->now.rate_out;
		r->rate_in = p->now.rate_in;
		r->living = p->now.flows;
		r->flows += p->now.flows;
		d->unowned += r->owner->pid ? 0 : r->out + r->in;
	}
}

void screen_data_end(struct screen_data *d, const struct source_stats *s,
                     const struct watch_losses *l, usec_t wall)
{
	const struct tally *t = d->tally;

	show_procs(d);
	memcpy(d->findings, t->findings, t->n_findings * sizeof(d->findings[0]));
	d->n_findings = t->n_findings;
	memcpy(d->ifaces, t->ifaces, sizeof(d->ifaces));
	d->n_ifaces = t->n_ifaces;
	d->stats = *s;
	d->losses = *l;
	d->left_out = t->flows_left_out + t->procs_left_out;
	d->now = d->about.live ? wall : s->last_nsec / 1000;
}
