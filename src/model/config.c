/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for one more of n; -E2BIG. */
static int room(size_t n, struct err *e)
{
	if (n < CONFIG_LIST_MAX)
		return 0;
	return err_set(e, -E2BIG, "takes at most %d values", CONFIG_LIST_MAX);
}

static int set_path(char dst[static CONFIG_STATE_MAX], const char *s, struct err *e)
{
	if (s[0] != '/')
		return err_set(e, -EINVAL, "\"%.60s\" is not an absolute path", s);
	if (strlen(s) >= CONFIG_STATE_MAX)
		return err_set(e, -EINVAL, "the path is longer than %d bytes",
		               CONFIG_STATE_MAX - 1);
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return err_set(e, -EINVAL, "the path has a control character in it");
	strcpy(dst, s);
	return 0;
}

static int set_state(struct config *c, const char *s, struct err *e)
{
	return set_path(c->state, s, e);
}

static int set_geo_country(struct config *c, const char *s, struct err *e)
{
	return set_path(c->geo_country, s, e);
}

static bool get_geo_country(const struct config *c, size_t i, char *dst, size_t n)
{
	return i == 0 && c->geo_country[0] && snprintf(dst, n, "%s", c->geo_country) >= 0;
}

static int set_geo_asn(struct config *c, const char *s, struct err *e)
{
	return set_path(c->geo_asn, s, e);
}

static bool get_geo_asn(const struct config *c, size_t i, char *dst, size_t n)
{
	return i == 0 && c->geo_asn[0] && snprintf(dst, n, "%s", c->geo_asn) >= 0;
}

static bool get_state(const struct config *c, size_t i, char *dst, size_t n)
{
	return i == 0 && snprintf(dst, n, "%s", c->state) >= 0;
}

static int add_endpoint(struct endpoint *v, size_t *n, const char *s, struct err *e)
{
	int r = room(*n, e);
	if (r == 0)
		r = endpoint_parse(s, &v[*n], e);
	if (r == 0)
		(*n)++;
	return r;
}

static bool get_endpoint(const struct endpoint *v, size_t count, size_t i, char *dst, size_t n)
{
	char text[ENDPOINT_STR_MAX];
	return i < count && snprintf(dst, n, "%s", endpoint_str(&v[i], text)) >= 0;
}

static int add_prefix(struct prefix *v, size_t *n, const char *s, struct err *e)
{
	int r = room(*n, e);
	if (r == 0)
		r = prefix_parse(s, &v[*n], e);
	if (r == 0)
		(*n)++;
	return r;
}

static bool get_prefix(const struct prefix *v, size_t count, size_t i, char *dst, size_t n)
{
	char text[PREFIX_STR_MAX];
	return i < count && snprintf(dst, n, "%s", prefix_str(&v[i], text)) >= 0;
}

static int set_keep(struct config *c, const char *s, struct err *e)
{
	return add_endpoint(c->keep, &c->n_keep, s, e);
}

static bool get_keep(const struct config *c, size_t i, char *dst, size_t n)
{
	return get_endpoint(c->keep, c->n_keep, i, dst, n);
}

static int set_keep_out(struct config *c, const char *s, struct err *e)
{
	return add_endpoint(c->keep_out, &c->n_keep_out, s, e);
}

static bool get_keep_out(const struct config *c, size_t i, char *dst, size_t n)
{
	return get_endpoint(c->keep_out, c->n_keep_out, i, dst, n);
}

static int set_keep_in(struct config *c, const char *s, struct err *e)
{
	int r = room(c->n_keep_in, e);
	if (r == 0)
		r = keep_in_parse(s, &c->keep_in[c->n_keep_in], e);
	if (r == 0)
		c->n_keep_in++;
	return r;
}

static bool get_keep_in(const struct config *c, size_t i, char *dst, size_t n)
{
	char text[PREFIX_STR_MAX + 8];
	return i < c->n_keep_in && snprintf(dst, n, "%s", keep_in_str(&c->keep_in[i], text)) >= 0;
}

static int set_break_glass(struct config *c, const char *s, struct err *e)
{
	return add_prefix(c->break_glass, &c->n_break_glass, s, e);
}

static bool get_break_glass(const struct config *c, size_t i, char *dst, size_t n)
{
	return get_prefix(c->break_glass, c->n_break_glass, i, dst, n);
}

static int set_protect(struct config *c, const char *s, struct err *e)
{
	return add_prefix(c->protect, &c->n_protect, s, e);
}

static bool get_protect(const struct config *c, size_t i, char *dst, size_t n)
{
	return get_prefix(c->protect, c->n_protect, i, dst, n);
}

static int set_confirm_within(struct config *c, const char *s, struct err *e)
{
	return duration_parse(s, &c->confirm_within, e);
}

static bool get_confirm_within(const struct config *c, size_t i, char *dst, size_t n)
{
	char text[TIME_STR_MAX];
	return i == 0 && snprintf(dst, n, "%s", duration_str(c->confirm_within, text)) >= 0;
}

static int set_on_expiry(struct config *c, const char *s, struct err *e)
{
	int v = on_expiry_parse(s);
	if (v < 0)
		return err_set(e, -EINVAL, "\"%.40s\" is neither open nor widen", s);
	c->on_expiry = (enum on_expiry)v;
	c->on_expiry_given = true;
	return 0;
}

static bool get_on_expiry(const struct config *c, size_t i, char *dst, size_t n)
{
	return i == 0 && snprintf(dst, n, "%s", on_expiry_str(config_on_expiry(c))) >= 0;
}

const struct config_key config_keys[] = {
    {"state", CONFIG_TEXT, "DIR", "Where the journal and its key are kept.", set_state, get_state},
    {"keep", CONFIG_LIST, "ADDR[:PORT]",
     "Traffic that every isolation lets through, both ways, PORT on either side.", set_keep,
     get_keep},
    {"keep_in", CONFIG_LIST, "PREFIX[@LOCALPORT]",
     "Who may reach this host, at TCP LOCALPORT, through every isolation.", set_keep_in,
     get_keep_in},
    {"keep_out", CONFIG_LIST, "ADDR[:PORT]", "What this host may reach through every isolation.",
     set_keep_out, get_keep_out},
    {"break_glass", CONFIG_LIST, "PREFIX",
     "From where SSH opens when a deadline passes and on_expiry is widen.", set_break_glass,
     get_break_glass},
    {"protect", CONFIG_LIST, "PREFIX", "What must never be blocked.", set_protect, get_protect},
    {"confirm_within", CONFIG_DURATION, "DUR", "The dead man's switch of an isolation.",
     set_confirm_within, get_confirm_within},
    {"on_expiry", CONFIG_ENUM, "open|widen",
     "What it does. Not set: widen if break_glass names a prefix, else open.", set_on_expiry,
     get_on_expiry},
    {"geo_country", CONFIG_TEXT, "FILE",
     "A file in MaxMind's format that watch takes countries from. Not set: none.", set_geo_country,
     get_geo_country},
    {"geo_asn", CONFIG_TEXT, "FILE", "The same for autonomous systems; it may be the same file.",
     set_geo_asn, get_geo_asn},
    {NULL},
};
_Static_assert(sizeof config_keys / sizeof config_keys[0] <= CONFIG_KEYS_MAX + 1,
               "each key has its line");

void config_init(struct config *c)
{
	memset(c, 0, sizeof *c);
	strcpy(c->state, STATE_DIR_DEFAULT);
	c->confirm_within = 600 * USEC_PER_SEC;
}

void config_free(struct config *c)
{
	inventory_free(c->inventory);
	c->inventory = NULL;
}

const struct config_key *config_key_find(const char *name)
{
	for (const struct config_key *k = config_keys; k->name; k++)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}

unsigned config_line(const struct config *c, const char *name)
{
	const struct config_key *k = config_key_find(name);
	return k ? c->line[k - config_keys] : 0;
}

enum on_expiry config_on_expiry(const struct config *c)
{
	if (c->on_expiry_given)
		return c->on_expiry;
	return c->n_break_glass ? EXPIRY_WIDEN : EXPIRY_OPEN;
}

/* In double quotes, as the parser reads it back. */
static void quote(struct buf *out, const char *s)
{
	buf_add(out, "\"", 1);
	for (; *s; s++) {
		if (*s == '"' || *s == '\\' || *s == '$')
			buf_add(out, "\\", 1);
		buf_add(out, s, 1);
	}
	buf_add(out, "\"", 1);
}

int config_print(const struct config *c, struct buf *out)
{
	char text[CONFIG_STATE_MAX];
	for (const struct config_key *k = config_keys; k->name; k++) {
		bool list = k->type == CONFIG_LIST;
		if (!list && !k->get(c, 0, text, sizeof text))
			continue;
		buf_addf(out, "%s = %s", k->name, list ? "{" : "");
		for (size_t i = 0; k->get(c, i, text, sizeof text); i++) {
			if (i)
				buf_add(out, ", ", 2);
			quote(out, text);
		}
		buf_addf(out, "%s\n", list ? "}" : "");
	}
	const struct inventory *inv = c->inventory;
	for (size_t i = 0; inv && i < inv->n_assets; i++)
		section_print(&inv->assets[i]->s, "asset", asset_keys, out);
	for (size_t i = 0; inv && i < inv->n_points; i++)
		section_print(inv->points[i], "point", point_keys, out);
	return out->error;
}

int keep_in_parse(const char *s, struct keep_in *ret, struct err *e)
{
	char text[PREFIX_STR_MAX + 8];
	if (strlen(s) >= sizeof text)
		return err_set(e, -EINVAL, "\"%.60s\" is too long for PREFIX[@LOCALPORT]", s);
	strcpy(text, s);
	struct keep_in k = {0};
	char *at = strchr(text, '@'), *end = NULL;
	if (at) {
		*at++ = 0;
		unsigned long port = strtoul(at, &end, 10);
		if (*at < '0' || *at > '9' || *end || port == 0 || port > 65535)
			return err_set(e, -EINVAL,
			               "\"%s\": behind @ stands no port from 1 to 65535", s);
		k.local_port = (uint16_t)port;
	}
	int r = prefix_parse(text, &k.peer, e);
	if (r == 0)
		*ret = k;
	return r;
}

const char *keep_in_str(const struct keep_in *k, char dst[static PREFIX_STR_MAX + 8])
{
	char p[PREFIX_STR_MAX];
	prefix_str(&k->peer, p);
	if (k->local_port)
		snprintf(dst, PREFIX_STR_MAX + 8, "%s@%u", p, k->local_port);
	else
		strcpy(dst, p);
	return dst;
}
