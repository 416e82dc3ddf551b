/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "ui/ctx.h"
#include "ui/verbs.h"

static json_t *point_json(const struct point *p, const struct capabilities *k)
{
	json_t *list = json_array();
	for (size_t i = 0; i < k->n; i++)
		json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "name", k->v[i].name,
		                                      "available", k->v[i].available, "why_not",
		                                      k->v[i].why_not));
	return json_pack("{s:s, s:s, s:s, s:o}", "event_type", "point", "point", p->name, "driver",
	                 p->driver->name, "capabilities", list);
}

static void show_point(struct ctx *c, const struct point *p, const struct capabilities *k)
{
	struct out_table t = {.n_columns = 3, .indent = 2};
	out_line(&c->out, "%s%s%s (driver %s)", out_on(&c->out, STYLE_STRONG), p->name,
	         out_off(&c->out, STYLE_STRONG), p->driver->name);
	for (size_t i = 0; i < k->n; i++) {
		bool yes = k->v[i].available;
		const char *cells[] = {k->v[i].name, yes ? "yes" : "no", k->v[i].why_not};
		enum out_style styles[] = {STYLE_PLAIN, yes ? STYLE_GOOD : STYLE_WARN, STYLE_FAINT};
		if (out_table_row(&t, cells, styles) < 0)
			break;
	}
	out_table_print(&c->out, &t);
	out_table_free(&t);
	out_json(&c->out, c->out.json ? point_json(p, k) : NULL);
}

int verb_points(struct ctx *c, const struct args *a)
{
	struct err e = {0};
	struct engine *g = NULL;
	int worst = EXIT_DONE;
	int r = engine_new(NULL, c->points, c->n_points, &g, &e);
	if (r < 0)
		return ctx_fail(c, EXIT_FAILED, &e);
	for (size_t i = 0; i < c->n_points; i++) {
		struct capabilities k = {0};
		if (engine_probe(g, c->points[i].name, &k, &e) == 0)
			show_point(c, &c->points[i], &k);
		else
			worst = ctx_fail(c, EXIT_REFUSED, &e);
	}
	if (!may_change_network())
		out_info(&c->out, "\nLooked without root: as root more may be possible.");
	engine_free(g);
	return worst;
}
