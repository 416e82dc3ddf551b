/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "model/inventory.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static int check_addr(const char *text, struct err *e)
{
	struct addr a;
	if (addr_parse(text, &a) < 0)
		return err_set(e, -EINVAL, "\"%.60s\" is no address", text);
	return 0;
}

static int check_duration(const char *text, struct err *e)
{
	usec_t d;
	return duration_parse(text, &d, e);
}

const struct setting_key asset_keys[] = {
    {"address", true, true, "ADDR", "Every address it has; an order is about all of them.",
     check_addr},
    {"points", true, false, "POINT", "Which points isolate it when --via names none.", NULL},
    {"instance", false, false, "ID", "Its instance in the cloud: i-0123456789abcdef0.", NULL},
    {"interface", true, false, "POINT:NAME",
     "The interface that faces it at a point: core-junos:ge-0/0/1.0, edge-asa:inside.", NULL},
    {"zone", false, false, "NAME", "The zone it is in.", NULL},
    {NULL},
};

const struct setting_key point_keys[] = {
    {"driver", false, true, "DRIVER", "What kind of point it is.", NULL},
    {"timeout", false, false, "DUR", "How long one answer may take (default 30s).", check_duration},
    {NULL},
};

const struct setting_key *setting_key_find(const struct setting_key *keys, const char *name)
{
	for (; keys && keys->name; keys++)
		if (!strcmp(keys->name, name))
			return keys;
	return NULL;
}

/* Names go into journals, screens and devices: letters, digits, and what joins them. */
static int check_title(const char *s, struct err *e)
{
	size_t n = strlen(s);
	bool good = n > 0 && n < SECTION_NAME_MAX && isalnum((unsigned char)s[0]);
	for (size_t i = 0; good && i < n; i++)
		good = isalnum((unsigned char)s[i]) || strchr("-_.", s[i]);
	if (good)
		return 0;
	return err_set(e, -EINVAL,
	               "\"%.70s\" is no name: letters, digits, \"-\", \"_\" and \".\", at most %d",
	               s, SECTION_NAME_MAX - 1);
}

static struct asset *find_asset(const struct inventory *inv, const char *name)
{
	for (size_t i = 0; i < inv->n_assets; i++)
		if (!strcmp(inv->assets[i]->s.name, name))
			return inv->assets[i];
	return NULL;
}

static struct section *find_point(const struct inventory *inv, const char *name)
{
	for (size_t i = 0; i < inv->n_points; i++)
		if (!strcmp(inv->points[i]->name, name))
			return inv->points[i];
	return NULL;
}

/* Room for one more pointer in v, zeroed; *one is its size. */
static void *add_one(void *list, size_t *n, size_t max, size_t size, struct err *e)
{
	void ***v = list;
	if (*n >= max) {
		err_set(e, -E2BIG, "at most %zu of them fit", max);
		return NULL;
	}
	void **more = reallocarray(*v, *n + 1, sizeof *more);
	void *one = more ? calloc(1, size) : NULL;
	if (more)
		*v = more;
	if (!one) {
		err_set(e, -ENOMEM, "out of memory reading the inventory");
		return NULL;
	}
	more[(*n)++] = one;
	return one;
}

static struct section *section_of(struct inventory *inv, enum section_kind kind, const char *title,
                                  unsigned line, struct err *e)
{
	struct asset *a = kind == SECTION_ASSET ? find_asset(inv, title) : NULL;
	struct section *s = kind == SECTION_POINT ? find_point(inv, title) : a ? &a->s : NULL;
	if (s || check_title(title, e) < 0)
		return s;
	if (kind == SECTION_ASSET) {
		a = add_one(&inv->assets, &inv->n_assets, ASSETS_MAX, sizeof *a, e);
		s = a ? &a->s : NULL;
	} else {
		s = add_one(&inv->points, &inv->n_points, POINTS_MAX, sizeof *s, e);
	}
	if (s) {
		strcpy(s->name, title);
		s->line = line;
	}
	return s;
}

static int add_asset_addr(struct asset *a, const char *text, struct err *e)
{
	if (a->n_addrs >= ASSET_ADDRS_MAX)
		return err_set(e, -E2BIG, "takes at most %d addresses", ASSET_ADDRS_MAX);
	if (addr_parse(text, &a->addrs[a->n_addrs]) < 0)
		return err_set(e, -EINVAL, "\"%.60s\" is no address", text);
	a->n_addrs++;
	return 0;
}

int inventory_set(struct inventory *inv, enum section_kind kind, const char *title, unsigned line,
                  const struct setting_key *key, const char *text, struct err *e)
{
	struct err why = {0};
	struct section *s = section_of(inv, kind, title, line, &why);
	if (!s)
		return err_set(e, why.code, "%s", why.text);
	if (!*text || strlen(text) >= SETTING_VALUE_MAX)
		return err_set(e, -EINVAL, "takes 1 to %d bytes", SETTING_VALUE_MAX - 1);
	if (s->n >= SETTINGS_MAX)
		return err_set(e, -E2BIG, "\"%s\" has more than %d values", title, SETTINGS_MAX);
	if (!key->list && section_get(s, key->name, 0))
		return err_set(e, -EINVAL, "is set twice");
	int r = key->check ? key->check(text, e) : 0;
	if (r == 0 && kind == SECTION_ASSET && !strcmp(key->name, "address"))
		r = add_asset_addr(find_asset(inv, title), text, e);
	char *copy = r == 0 ? strdup(text) : NULL;
	if (r == 0 && !copy)
		r = err_set(e, -ENOMEM, "out of memory reading the inventory");
	if (r == 0)
		s->v[s->n++] = (struct setting){key, copy, line};
	return r;
}

static void section_drop(struct section *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i].text);
}

void inventory_free(struct inventory *inv)
{
	if (!inv)
		return;
	for (size_t i = 0; i < inv->n_assets; i++) {
		section_drop(&inv->assets[i]->s);
		free(inv->assets[i]);
	}
	for (size_t i = 0; i < inv->n_points; i++) {
		section_drop(inv->points[i]);
		free(inv->points[i]);
	}
	free(inv->assets);
	free(inv->points);
	free(inv);
}

static int check_required(const struct section *s, const struct setting_key *keys, struct err *e)
{
	for (; keys && keys->name; keys++)
		if (keys->required && !section_get(s, keys->name, 0))
			return err_set(e, -EINVAL, "\"%s\" does not say its %s", s->name,
			               keys->name);
	return 0;
}

int section_check(const struct section *s, const struct setting_key *common,
                  const struct setting_key *own, unsigned *ret_line, struct err *e)
{
	for (size_t i = 0; i < s->n; i++) {
		const char *name = s->v[i].key->name;
		if (setting_key_find(common, name) || setting_key_find(own, name))
			continue;
		*ret_line = s->v[i].line;
		return err_set(e, -EINVAL, "\"%s\" takes no %s", s->name, name);
	}
	*ret_line = s->line;
	int r = check_required(s, common, e);
	return r < 0 ? r : check_required(s, own, e);
}

const char *section_get(const struct section *s, const char *key, size_t i)
{
	for (size_t k = 0; k < s->n; k++)
		if (!strcmp(s->v[k].key->name, key) && i-- == 0)
			return s->v[k].text;
	return NULL;
}

static void print_key(const struct section *s, const struct setting_key *key, struct buf *out)
{
	const char *text;
	if (!section_get(s, key->name, 0))
		return;
	buf_addf(out, "  %s = %s", key->name, key->list ? "{" : "");
	for (size_t i = 0; (text = section_get(s, key->name, i)); i++) {
		buf_addf(out, "%s\"", i ? ", " : "");
		for (; *text; text++)
			buf_addf(out, "%s%c", strchr("\"\\$", *text) ? "\\" : "", *text);
		buf_addf(out, "\"");
	}
	buf_addf(out, "%s\n", key->list ? "}" : "");
}

/* The key that comes first behind `after` by name and is not in common; NULL: none. */
static const struct setting_key *next_key(const struct section *s, const struct setting_key *common,
                                          const struct setting_key *after)
{
	const struct setting_key *best = NULL;
	for (size_t i = 0; i < s->n; i++) {
		const struct setting_key *k = s->v[i].key;
		if (!setting_key_find(common, k->name) &&
		    (!after || strcmp(k->name, after->name) > 0) &&
		    (!best || strcmp(k->name, best->name) < 0))
			best = k;
	}
	return best;
}

void section_print(const struct section *s, const char *kind, const struct setting_key *common,
                   struct buf *out)
{
	buf_addf(out, "%s \"%s\" {\n", kind, s->name);
	for (const struct setting_key *k = common; k->name; k++)
		print_key(s, k, out);
	for (const struct setting_key *k = NULL; (k = next_key(s, common, k));)
		print_key(s, k, out);
	buf_addf(out, "}\n");
}

static bool asset_has(const struct asset *a, const struct addr *addr)
{
	for (size_t i = 0; i < a->n_addrs; i++)
		if (addr_equal(&a->addrs[i], addr))
			return true;
	return false;
}

const struct asset *inventory_asset(const struct inventory *inv, const char *name)
{
	struct addr addr;
	const struct asset *a = inv ? find_asset(inv, name) : NULL;
	if (a || !inv || addr_parse(name, &addr) < 0)
		return a;
	for (size_t i = 0; i < inv->n_assets; i++)
		if (asset_has(inv->assets[i], &addr))
			return inv->assets[i];
	return NULL;
}

const struct section *inventory_point(const struct inventory *inv, const char *name)
{
	return inv ? find_point(inv, name) : NULL;
}

int inventory_addrs(const struct inventory *inv, const struct target *t,
                    struct addr ret[static ASSET_ADDRS_MAX], size_t *ret_n, struct err *e)
{
	const struct asset *a = inventory_asset(inv, t->name);
	if (a) {
		memcpy(ret, a->addrs, a->n_addrs * sizeof *ret);
		*ret_n = a->n_addrs;
		return 0;
	}
	if (addr_parse(t->name, &ret[0]) < 0)
		return err_set(e, -ENOENT,
		               "no asset of the configuration is called \"%.60s\", and it is no "
		               "address",
		               t->name);
	*ret_n = 1;
	return 0;
}
