/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "enforce/point_payload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/field.h"

#define TAG_PREFIX "stanch-"

/* --- from the order --- */

int point_order_prefixes(const struct point *p, const struct order *o, size_t max,
                         struct prefix **ret, size_t *ret_n, struct err *e)
{
	struct addr addrs[ASSET_ADDRS_MAX];
	size_t n = 0, block = o->verb == VERB_BLOCK ? o->n_targets : 0;
	int r = o->verb == VERB_ISOLATE
	            ? inventory_addrs(p->inventory, &o->targets[0], addrs, &n, e)
	            : 0;
	if (r < 0)
		return r;
	if (block + n > max)
		return err_set(e, -E2BIG, "an order reaches at most %zu prefixes at this device",
		               max);
	struct prefix *v = calloc(block + n + 1, sizeof *v);
	if (!v)
		return err_set(e, -ENOMEM, "out of memory while planning");
	for (size_t i = 0; i < block; i++)
		v[i] = o->targets[i].prefix;
	for (size_t i = 0; i < n; i++)
		v[block + i] = prefix_of(&addrs[i], addr_bits(&addrs[i]));
	*ret = v;
	*ret_n = block + n;
	return 0;
}

int point_order_permits(const struct order *o, struct permit **ret, size_t *ret_n, struct err *e)
{
	struct permit *v = calloc(o->n_permits + 1, sizeof *v);
	size_t n = 0;
	int r = v ? 0 : err_set(e, -ENOMEM, "out of memory while planning");
	for (size_t i = 0; r == 0 && i < o->n_permits; i++) {
		if (o->permits[i].breakglass)
			r = err_set(e, -EOPNOTSUPP,
			            "this point cannot widen when the deadline passes; use "
			            "--on-expiry open");
		else if (o->permits[i].kind == PERMIT_FLOW)
			v[n++] = o->permits[i];
	}
	if (r < 0) {
		free(v);
		return r;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

/* --- payloads --- */

json_t *point_prefixes_json(const struct prefix *v, size_t n)
{
	json_t *rows = json_array();
	char text[PREFIX_STR_MAX];
	for (size_t i = 0; rows && i < n; i++)
		if (json_array_append_new(rows, json_string(prefix_str(&v[i], text))) < 0) {
			json_decref(rows);
			return NULL;
		}
	return rows;
}

json_t *point_permits_json(const struct permit *v, size_t n)
{
	json_t *rows = json_array();
	char peer[PREFIX_STR_MAX];
	for (size_t i = 0; rows && i < n; i++) {
		json_t *row =
		    json_pack("{s:s, s:i, s:i, s:i}", "peer", prefix_str(&v[i].peer, peer), "proto",
		              (int)v[i].proto, "local_port", (int)v[i].local_port, "peer_port",
		              (int)v[i].peer_port);
		if (json_array_append_new(rows, row) < 0) {
			json_decref(rows);
			return NULL;
		}
	}
	return rows;
}

int point_take_prefixes(json_t *rows, size_t max, struct prefix **ret, size_t *ret_n, struct err *e)
{
	size_t n = json_array_size(rows);
	if (n == 0 || n > max)
		return err_set(e, -EBADMSG, "a payload has no prefixes, or too many");
	struct prefix *v = calloc(n, sizeof *v);
	int r = v ? 0 : err_set(e, -ENOMEM, "out of memory for a step's payload");
	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *text = json_string_value(json_array_get(rows, i));
		if (!text || prefix_parse(text, &v[i], NULL) < 0)
			r = err_set(e, -EBADMSG, "in a payload no prefix stands where one should");
	}
	if (r < 0) {
		free(v);
		return r;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

static int take_permit(json_t *row, struct permit *ret, struct err *e)
{
	const char *peer;
	int proto, local, remote;
	int r = field_unpack(row, "payload: permit", e, "{s:s, s:i, s:i, s:i!}", "peer", &peer,
	                     "proto", &proto, "local_port", &local, "peer_port", &remote);
	if (r == 0 && (proto < 0 || proto > 255 || local < 0 || local > 65535 || remote < 0 ||
	               remote > 65535 || prefix_parse(peer, &ret->peer, NULL) < 0))
		r = err_set(e, -EBADMSG, "a permit of a payload is out of range");
	if (r == 0) {
		ret->kind = PERMIT_FLOW;
		ret->proto = (uint8_t)proto;
		ret->local_port = (uint16_t)local;
		ret->peer_port = (uint16_t)remote;
	}
	return r;
}

int point_take_permits(json_t *rows, struct permit **ret, size_t *ret_n, struct err *e)
{
	size_t n = json_array_size(rows);
	if (n > PERMIT_MAX)
		return err_set(e, -EBADMSG, "a payload has too many permits");
	struct permit *v = calloc(n + 1, sizeof *v);
	int r = v ? 0 : err_set(e, -ENOMEM, "out of memory for a step's payload");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = take_permit(json_array_get(rows, i), &v[i], e);
	if (r < 0) {
		free(v);
		return r;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

bool point_name_is_plain(const char *s, const char *more)
{
	static const char plain[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:";
	if (!*s)
		return false;
	for (; *s; s++)
		if (!strchr(plain, *s) && !strchr(more, *s))
			return false;
	return true;
}

bool point_tag_is_ours(const char *tag)
{
	size_t n = strlen(TAG_PREFIX);
	return !strncmp(tag, TAG_PREFIX, n) && tag[n] &&
	       !tag[n + strspn(tag + n, "0123456789abcdef")];
}

/* --- answers --- */

void point_can(struct capabilities *k, const char *name, bool yes, const char *why_not)
{
	struct capability *c = &k->v[k->n++];
	*c = (struct capability){.name = name, .available = yes};
	if (!yes)
		snprintf(c->why_not, sizeof c->why_not, "%.*s", (int)sizeof c->why_not - 1,
		         why_not);
}

enum dim_state point_dim(enum verdict v)
{
	return v == VERDICT_HOLDS    ? DIM_CONTAINED
	       : v == VERDICT_ABSENT ? DIM_RELEASED
	                             : DIM_PARTIAL;
}

int point_rearm(const struct driver_ops *d, void *ctx, const struct order *o, const struct step *s,
                const struct holds *others, const char *what, struct err *e)
{
	struct readback rb = {0};
	int r = d->verify(ctx, o, s, others, &rb, e);
	if (r == 0 && rb.verdict == VERDICT_ABSENT)
		r = err_set(e, -ENOENT, "the %s of o%u are not there any more", what, o->id);
	readback_free(&rb);
	return r;
}
