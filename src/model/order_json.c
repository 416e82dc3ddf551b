/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Orders as JSON, the form the journal keeps. What comes back is untrusted input. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "model/field.h"
#include "model/order.h"

/* Largest JSON text of an order: 65,536 targets with long names. */
#define ORDER_JSON_MAX (64u << 20)

static json_t *prefix_json(const struct prefix *p)
{
	char s[PREFIX_STR_MAX];
	return p->addr.family == ADDR_NONE ? json_null() : json_string(prefix_str(p, s));
}

static json_t *target_json(const struct target *t)
{
	return json_pack("{s:s, s:s, s:o, s:s}", "kind", target_kind_str(t->kind), "name", t->name,
	                 "prefix", prefix_json(&t->prefix), "domain", t->domain);
}

static json_t *permit_json(const struct permit *p)
{
	return json_pack("{s:s, s:o, s:i, s:i, s:i, s:b, s:s}", "kind", permit_kind_str(p->kind),
	                 "peer", prefix_json(&p->peer), "proto", (int)p->proto, "local_port",
	                 (int)p->local_port, "peer_port", (int)p->peer_port, "breakglass",
	                 (int)p->breakglass, "why", p->why);
}

static json_t *feed_json(const struct feed *f)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "role", feed_role_str(f->role), "source",
	                 f->source, "format", f->format, "sha256", f->sha256, "entries",
	                 (json_int_t)f->n, "read_at", (json_int_t)f->read_at);
}

/* Only where there are any: orders without are written as they always were. */
static bool put_feeds(json_t *root, const struct order *o)
{
	json_t *feeds = o->n_feeds ? json_array() : NULL;
	bool ok = feeds || !o->n_feeds;
	for (size_t i = 0; ok && i < o->n_feeds; i++)
		ok = json_array_append_new(feeds, feed_json(&o->feeds[i])) == 0;
	if (ok && feeds)
		return json_object_set_new(root, "feeds", feeds) == 0;
	json_decref(feeds);
	return ok;
}

static json_t *deadlines_json(const struct deadlines *d)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:s, s:s}", "confirm_by_boot",
	                 (json_int_t)d->confirm_by_boot, "confirm_by_wall",
	                 (json_int_t)d->confirm_by_wall, "until_wall", (json_int_t)d->until_wall,
	                 "until_boot", (json_int_t)d->until_boot, "boot", d->boot, "on_expiry",
	                 on_expiry_str(d->on_expiry));
}

static json_t *order_object(const struct order *o)
{
	json_t *targets = json_array(), *permits = json_array();
	bool ok = targets && permits;
	for (size_t i = 0; ok && i < o->n_targets; i++)
		ok = json_array_append_new(targets, target_json(&o->targets[i])) == 0;
	for (size_t i = 0; ok && i < o->n_permits; i++)
		ok = json_array_append_new(permits, permit_json(&o->permits[i])) == 0;
	if (!ok) {
		json_decref(targets);
		json_decref(permits);
		return NULL;
	}
	json_t *root =
	    json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:b, s:s}", "id", (json_int_t)o->id, "verb",
	              verb_str(o->verb), "state", order_state_str(o->state), "targets", targets,
	              "permits", permits, "deadlines", deadlines_json(&o->deadlines),
	              "all_or_nothing", (int)o->all_or_nothing, "reason", o->reason);
	if (root && !put_feeds(root, o)) {
		json_decref(root);
		return NULL;
	}
	return root;
}

int order_to_json(const struct order *o, struct buf *out)
{
	json_t *root = order_object(o);
	if (!root)
		return -ENOMEM;
	char *text = field_dump(root);
	json_decref(root);
	if (!text)
		return -ENOMEM;
	int r = buf_add(out, text, strlen(text));
	free(text);
	return r;
}

static int parse_prefix(json_t *v, struct prefix *ret, struct err *e)
{
	memset(ret, 0, sizeof *ret);
	if (json_is_null(v))
		return 0;
	const char *s = json_string_value(v);
	if (!s)
		return err_set(e, -EBADMSG, "a prefix is neither text nor null");
	return prefix_parse(s, ret, e) < 0 ? err_prefix(e, -EBADMSG, "prefix") : 0;
}

static int parse_target(json_t *v, struct target *t, struct err *e)
{
	const char *kind, *name, *domain;
	json_t *prefix;
	memset(t, 0, sizeof *t);
	int r = field_unpack(v, "target", e, "{s:s, s:s, s:o, s:s !}", "kind", &kind, "name", &name,
	                     "prefix", &prefix, "domain", &domain);
	if (r < 0)
		return r;
	int k = target_kind_parse(kind);
	if (k < 0)
		return err_set(e, -EBADMSG, "target kind \"%.30s\" is unknown", kind);
	t->kind = (enum target_kind)k;
	r = field_copy(t->name, sizeof t->name, name, "target name", e);
	if (r == 0)
		r = field_copy(t->domain, sizeof t->domain, domain, "target domain", e);
	if (r == 0)
		r = parse_prefix(prefix, &t->prefix, e);
	if (r == 0 && t->kind == TARGET_PREFIX && t->prefix.addr.family == ADDR_NONE)
		r = err_set(e, -EBADMSG, "target \"%s\" has no prefix", t->name);
	return r;
}

static int parse_permit(json_t *v, struct permit *p, struct err *e)
{
	const char *kind, *why;
	json_t *peer;
	int proto, local, remote, breakglass;
	memset(p, 0, sizeof *p);
	int r = field_unpack(v, "permit", e, "{s:s, s:o, s:i, s:i, s:i, s:b, s:s !}", "kind", &kind,
	                     "peer", &peer, "proto", &proto, "local_port", &local, "peer_port",
	                     &remote, "breakglass", &breakglass, "why", &why);
	if (r < 0)
		return r;
	int k = permit_kind_parse(kind);
	if (k < 0)
		return err_set(e, -EBADMSG, "permit kind \"%.30s\" is unknown", kind);
	if (proto < 0 || proto > 255 || local < 0 || local > 65535 || remote < 0 || remote > 65535)
		return err_set(e, -EBADMSG, "permit: protocol or port out of range");
	p->kind = (enum permit_kind)k;
	p->proto = (uint8_t)proto;
	p->local_port = (uint16_t)local;
	p->peer_port = (uint16_t)remote;
	p->breakglass = breakglass;
	r = field_copy(p->why, sizeof p->why, why, "permit reason", e);
	if (r == 0)
		r = parse_prefix(peer, &p->peer, e);
	bool needs_peer = k == PERMIT_FLOW || k == PERMIT_ARP || k == PERMIT_ND;
	if (r == 0 && needs_peer && p->peer.addr.family == ADDR_NONE)
		r = err_set(e, -EBADMSG, "permit of kind %s has no peer", kind);
	return r;
}

static int parse_deadlines(json_t *v, struct deadlines *d, struct err *e)
{
	const char *boot, *on_expiry;
	json_int_t cb, cw, uw, ub;
	int r = field_unpack(v, "deadlines", e, "{s:I, s:I, s:I, s:I, s:s, s:s !}",
	                     "confirm_by_boot", &cb, "confirm_by_wall", &cw, "until_wall", &uw,
	                     "until_boot", &ub, "boot", &boot, "on_expiry", &on_expiry);
	if (r < 0)
		return r;
	int x = on_expiry_parse(on_expiry);
	if (x < 0 || cb < 0 || cw < 0 || uw < 0 || ub < 0)
		return err_set(e, -EBADMSG, "deadlines: a value is out of range");
	*d = (struct deadlines){.confirm_by_boot = (usec_t)cb,
	                        .confirm_by_wall = (usec_t)cw,
	                        .until_wall = (usec_t)uw,
	                        .until_boot = (usec_t)ub,
	                        .on_expiry = (enum on_expiry)x};
	return field_copy(d->boot, sizeof d->boot, boot, "boot id", e);
}

static int parse_lists(json_t *targets, json_t *permits, struct order *o, struct err *e)
{
	size_t i;
	json_t *v;
	int r = 0;
	json_array_foreach(targets, i, v)
	{
		struct target t;
		r = parse_target(v, &t, e);
		if (r == 0)
			r = order_add_target(o, &t, e);
		if (r < 0)
			return r;
	}
	json_array_foreach(permits, i, v)
	{
		struct permit p;
		r = parse_permit(v, &p, e);
		if (r == 0)
			r = order_add_permit(o, &p, e);
		if (r < 0)
			return r;
	}
	return r;
}

static bool is_sha256(const char *s)
{
	return strlen(s) == FEED_SHA256_MAX - 1 &&
	       strspn(s, "0123456789abcdef") == FEED_SHA256_MAX - 1;
}

static int parse_feed(json_t *v, struct feed *f, struct err *e)
{
	const char *role, *source, *format, *sha256;
	json_int_t n, read_at;
	memset(f, 0, sizeof *f);
	f->fd = -1;
	int r = field_unpack(v, "feed", e, "{s:s, s:s, s:s, s:s, s:I, s:I !}", "role", &role,
	                     "source", &source, "format", &format, "sha256", &sha256, "entries", &n,
	                     "read_at", &read_at);
	if (r < 0)
		return r;
	int x = feed_role_parse(role);
	if (x < 0 || n < 0 || n > FEED_ENTRIES_MAX || read_at < 0 || !is_sha256(sha256))
		return err_set(e, -EBADMSG, "feed: a value is out of range");
	f->role = (enum feed_role)x;
	f->n = (uint64_t)n;
	f->read_at = (usec_t)read_at;
	memcpy(f->sha256, sha256, sizeof f->sha256);
	r = field_copy(f->source, sizeof f->source, source, "feed source", e);
	return r < 0 ? r : field_copy(f->format, sizeof f->format, format, "feed format", e);
}

/* NULL: an order without feeds. */
static int parse_feeds(json_t *list, struct order *o, struct err *e)
{
	int r = !list || json_is_array(list) ? 0 : err_set(e, -EBADMSG, "feeds are no list");
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		struct feed f;
		r = parse_feed(json_array_get(list, i), &f, e);
		if (r == 0)
			r = order_add_feed(o, &f, e);
	}
	return r;
}

static int parse_order(json_t *root, struct order *o, struct err *e)
{
	const char *verb, *state, *reason;
	json_t *targets, *permits, *deadlines, *feeds = NULL;
	json_int_t id;
	int all;
	int r = field_unpack(root, "order", e, "{s:I, s:s, s:s, s:o, s:o, s:o, s:b, s:s, s?o !}",
	                     "id", &id, "verb", &verb, "state", &state, "targets", &targets,
	                     "permits", &permits, "deadlines", &deadlines, "all_or_nothing", &all,
	                     "reason", &reason, "feeds", &feeds);
	if (r < 0)
		return r;
	int v = verb_parse(verb), s = order_state_parse(state);
	if (v < 0 || s < 0 || id < 0 || id > UINT32_MAX)
		return err_set(e, -EBADMSG, "order: unknown verb, unknown state or bad id");
	o->id = (unsigned)id;
	o->verb = (enum verb)v;
	o->state = (enum order_state)s;
	o->all_or_nothing = all;
	r = field_copy(o->reason, sizeof o->reason, reason, "reason", e);
	if (r == 0)
		r = parse_deadlines(deadlines, &o->deadlines, e);
	if (r == 0)
		r = parse_feeds(feeds, o, e);
	return r < 0 ? r : parse_lists(targets, permits, o, e);
}

int order_from_json(const char *json, struct order *ret, struct err *e)
{
	json_t *root;
	int r = field_load(json, ORDER_JSON_MAX, "order", &root, e);
	if (r < 0)
		return r;
	struct order o = {0};
	r = parse_order(root, &o, e);
	json_decref(root);
	if (r < 0)
		order_free(&o);
	else
		*ret = o;
	return r;
}
