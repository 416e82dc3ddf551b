/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/via.h"

#include <string.h>

#include "ui/verbs.h"

void points_fill(struct ctx *c)
{
	const struct inventory *inv = c->config.inventory;
	for (size_t i = 0; i < point_table_n; i++) {
		c->points[c->n_points] = point_table[i];
		c->points[c->n_points++].inventory = inv;
	}
	for (size_t i = 0; inv && i < inv->n_points; i++) {
		const struct section *s = inv->points[i];
		const struct driver_ops *const *d = driver_table;
		while (*d && strcmp((*d)->name, section_get(s, "driver", 0)) != 0)
			d++;
		if (*d && c->n_points < POINTS_TOTAL_MAX)
			c->points[c->n_points++] = (struct point){s->name, *d, s, inv};
	}
}

static const struct point *find(const struct ctx *c, const char *name, size_t n)
{
	for (size_t i = 0; i < c->n_points; i++)
		if (strlen(c->points[i].name) == n && !memcmp(c->points[i].name, name, n))
			return &c->points[i];
	return NULL;
}

static int add(struct ctx *c, const char *name, size_t n, struct point_names *at)
{
	const struct point *p = find(c, name, n);
	if (!p) {
		out_error(&c->out,
		          "there is no point \"%.*s\" in %s; see stanch points. Nothing was "
		          "changed",
		          n < 60 ? (int)n : 60, name, c->config_path);
		return EXIT_REFUSED;
	}
	for (size_t i = 0; i < at->n; i++)
		if (at->v[i] == p->name)
			return EXIT_DONE;
	at->v[at->n++] = p->name;
	return EXIT_DONE;
}

static int add_list(struct ctx *c, const char *list, struct point_names *at)
{
	for (int r;; list++) {
		size_t n = strcspn(list, ",");
		if ((r = add(c, list, n, at)) != EXIT_DONE || !list[n])
			return r;
		list += n;
	}
}

static int add_default(struct ctx *c, const struct asset *asset, struct point_names *at)
{
	const char *name;
	int r = EXIT_DONE;
	if (!asset)
		return add(c, SELF, strlen(SELF), at);
	for (size_t i = 0; r == EXIT_DONE && (name = section_get(&asset->s, "points", i)); i++)
		r = add(c, name, strlen(name), at);
	if (r == EXIT_DONE && !at->n) {
		out_error(&c->out,
		          "the configuration names no points for %s; say --via POINT (see stanch "
		          "points). Nothing was changed",
		          asset->s.name);
		return EXIT_REFUSED;
	}
	return r;
}

int via_points(struct ctx *c, const struct args *a, const struct asset *asset,
               struct point_names *ret)
{
	struct point_names at = {.n = 0};
	const struct arg_value *v;
	int r = EXIT_DONE;
	for (size_t i = 0; r == EXIT_DONE && (v = args_nth(a, "via", i)); i++)
		r = add_list(c, v->text, &at);
	if (r == EXIT_DONE && !at.n)
		r = add_default(c, asset, &at);
	if (r == EXIT_DONE)
		*ret = at;
	return r;
}

bool via_has_self(const struct point_names *at)
{
	for (size_t i = 0; i < at->n; i++)
		if (!strcmp(at->v[i], SELF))
			return true;
	return false;
}

void via_text(const struct point_names *at, struct buf *out)
{
	for (size_t i = 0; i < at->n; i++)
		buf_addf(out, "%s%s", i ? ", " : "", at->v[i]);
}
