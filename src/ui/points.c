/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "ui/ctx.h"
#include "ui/show.h"
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

const struct opt points_opts[] = {
    {"dry-run", 'n', OPT_FLAG, NULL, "setup: only show what is missing"},
    {"yes", 'y', OPT_FLAG, NULL, "setup: answer the question with yes"},
    {NULL},
};

static int show_all(struct ctx *c, struct engine *g)
{
	int worst = EXIT_DONE;
	for (size_t i = 0; i < c->n_points; i++) {
		struct err e = {0};
		struct capabilities k = {0};
		if (engine_probe(g, c->points[i].name, &k, &e) == 0)
			show_point(c, &c->points[i], &k);
		else
			worst = ctx_fail(c, EXIT_REFUSED, &e);
	}
	if (!may_change_network())
		out_info(&c->out, "\nLooked without root: as root more may be possible.");
	return worst;
}

static int setup(struct ctx *c, const struct args *a, struct engine *g, const char *point)
{
	struct err e = {0};
	struct buf missing = BUF_INIT(64 << 10);
	int code = EXIT_DONE, r = engine_setup(g, point, false, &missing, &e);
	if (r < 0)
		code = ctx_fail(c, ctx_exit_of(r), &e);
	else if (!missing.len)
		out_line(&c->out, "%s is prepared; nothing to do", point);
	else
		show_lines(&c->out, "to be made", buf_str(&missing));
	bool go = r == 0 && missing.len && !args_has(a, "dry-run");
	if (go)
		code = ctx_ask(c, a, "Prepare %s, with a commit there?", point);
	if (go && code == EXIT_DONE) {
		buf_reset(&missing);
		r = engine_setup(g, point, true, &missing, &e);
		code = r < 0 ? ctx_fail(c, EXIT_FAILED, &e) : EXIT_DONE;
		if (r == 0)
			out_line(&c->out, "%s is prepared, and was read back", point);
	}
	buf_free(&missing);
	return code;
}

int verb_points(struct ctx *c, const struct args *a)
{
	struct err e = {0};
	struct engine *g = NULL;
	if (a->n_pos && (a->n_pos != 2 || strcmp(a->pos[0], "setup") != 0)) {
		out_error(&c->out, "usage: stanch points %s", a->verb->synopsis);
		return EXIT_USAGE;
	}
	int r = engine_new(NULL, c->points, c->n_points, &g, &e);
	if (r < 0)
		return ctx_fail(c, EXIT_FAILED, &e);
	int code = a->n_pos ? setup(c, a, g, a->pos[1]) : show_all(c, g);
	engine_free(g);
	return code;
}
