/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/whence.h"

#include <errno.h>
#include <stdlib.h>

#include "enforce/host/host.h"
#include "ui/show.h"

struct asked {
	struct ctx *c;
	const struct addr *a;
	char text[ADDR_STR_MAX];
	unsigned found;
};

static void tell_entry(struct asked *q, unsigned order, const struct feed *f,
                       const struct feed_view *v, const struct feed_entry *x)
{
	char prefix[PREFIX_STR_MAX], until[TIME_STR_MAX] = "";
	struct prefix p = feed_prefix(x);
	const char *note = v->text + x->note;
	if (x->until)
		time_str(x->until * USEC_PER_SEC, until);
	out_line(&q->c->out, "  o%u: %s of %s, line %u%s%s%s%s%s: %s", order,
	         prefix_str(&p, prefix), f->source, x->line, note[0] ? ", \"" : "", note,
	         note[0] ? "\"" : "", until[0] ? ", until " : "", until,
	         f->role == FEED_ALLOW ? "spared" : "to be blocked");
	out_json(&q->c->out,
	         json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:i, s:s, s:s?}", "event_type", "whence",
	                   "address", q->text, "order", (int)order, "role", feed_role_str(f->role),
	                   "prefix", prefix, "source", f->source, "line", (int)x->line, "note",
	                   note, "until", until[0] ? until : NULL));
	q->found++;
}

/* Entries that hold the address begin at one of the addresses that its prefixes begin at. */
static int look_in(struct asked *q, unsigned order, const struct feed *f, struct err *e)
{
	struct feed_view v;
	int r = feed_open(f, &v, e);
	if (r < 0)
		return r;
	for (unsigned len = 0; len <= addr_bits(q->a); len++) {
		struct prefix outer = prefix_of(q->a, len);
		for (size_t i = feed_lower(&v, &outer.addr); i < v.n; i++) {
			struct prefix x = feed_prefix(&v.v[i]);
			if (!addr_equal(&x.addr, &outer.addr) || x.len > len)
				break;
			if (x.len == len)
				tell_entry(q, order, f, &v, &v.v[i]);
		}
	}
	feed_close(&v);
	return 0;
}

static int look_at(struct asked *q, const struct order *o, struct err *e)
{
	int r = 0;
	for (size_t i = 0; o->verb == VERB_BLOCK && i < o->n_targets; i++) {
		char text[PREFIX_STR_MAX];
		if (!prefix_has(&o->targets[i].prefix, q->a))
			continue;
		prefix_str(&o->targets[i].prefix, text);
		out_line(&q->c->out, "  o%u: %s was ordered by name", o->id, text);
		out_json(&q->c->out,
		         json_pack("{s:s, s:s, s:i, s:s, s:s}", "event_type", "whence", "address",
		                   q->text, "order", (int)o->id, "role", "block", "prefix", text));
		q->found++;
	}
	for (size_t i = 0; r == 0 && i < o->n_feeds; i++)
		r = look_in(q, o->id, &o->feeds[i], e);
	return r;
}

static void tell_kernel(struct asked *q)
{
	struct err e = {0};
	usec_t left = 0;
	char text[TIME_STR_MAX];
	int r = may_change_network() ? host_ask_feeds(q->a, &left, &e)
	                             : err_set(&e, -EPERM, "that needs root");
	if (r == 0)
		out_line(&q->c->out, "  kernel: the tries of feeds hold it%s%s",
		         left ? ", for another " : " for good",
		         left ? left_text(left, 0, text) : "");
	else if (r == -ENOENT)
		out_line(&q->c->out, "  kernel: no trie of feeds holds it");
	else
		out_line(&q->c->out, "  kernel: not asked: %s", e.text);
	out_json(&q->c->out, json_pack("{s:s, s:s, s:s}", "event_type", "whence_kernel", "address",
	                               q->text, "feeds",
	                               r == 0         ? "held"
	                               : r == -ENOENT ? "not held"
	                                              : "unknown"));
}

int whence(struct ctx *c, struct session *s, const struct addr *a)
{
	struct asked q = {.c = c, .a = a};
	struct err e = {0};
	unsigned *ids = NULL;
	size_t n = 0;
	addr_str(a, q.text);
	out_line(&c->out, "%s", q.text);
	int r = s->journal ? journal_list_orders(s->journal, NULL, true, &ids, &n, &e) : 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct order o = {0};
		struct plan p = {0};
		r = journal_get_order(s->journal, ids[i], &o, &p, NULL, &e);
		if (r == 0)
			r = look_at(&q, &o, &e);
		order_free(&o);
		plan_free(&p);
	}
	free(ids);
	if (r == 0 && !q.found)
		out_line(&c->out, "  no order in force names it");
	tell_kernel(&q);
	return r < 0 ? ctx_fail(c, EXIT_FAILED, &e) : EXIT_DONE;
}
