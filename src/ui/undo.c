/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "ui/ctx.h"
#include "ui/show.h"
#include "ui/verbs.h"

const struct opt undo_opts[] = {
    {"all", 0, OPT_FLAG, NULL,
     "every order of the incident that is still in force, and what no order claims"},
    {NULL},
};

/* Whatever is in force of the incident; none: no incident is in use. */
static int pick_all(struct ctx *c, struct session *s, unsigned **ret, size_t *n, struct err *e)
{
	char incident[INCIDENT_ID_MAX];
	const char *name = c->incident;
	struct incident *v = NULL;
	size_t n_v = 0;
	int r = name ? 0 : journal_incidents(s->journal, &v, &n_v, e);
	for (size_t i = 0; i < n_v; i++)
		if (v[i].in_use) {
			snprintf(incident, sizeof incident, "%s", v[i].name);
			name = incident;
		}
	free(v);
	return r < 0 || !name ? r : journal_list_orders(s->journal, name, true, ret, n, e);
}

static int pick(struct ctx *c, const struct args *a, struct session *s, unsigned **ret, size_t *n,
                struct err *e)
{
	if (args_has(a, "all"))
		return s->journal ? pick_all(c, s, ret, n, e) : 0;
	unsigned *ids = calloc(a->n_pos ? a->n_pos : 1, sizeof *ids);
	if (!ids)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < a->n_pos; i++)
		order_id_parse(a->pos[i], &ids[i], NULL);
	*ret = ids;
	*n = a->n_pos;
	return 0;
}

static void say_undo(struct ctx *c, const struct plan *p)
{
	char clean[2048];
	for (size_t i = p->n_steps; i-- > 0;) {
		const struct step *s = &p->steps[i];
		const char *text = s->undo_effect ? s->undo_effect : s->no_inverse;
		out_info(&c->out, "  %s%s", s->inverse ? "" : "stays: ",
		         out_clean(text ? text : s->kind, clean, sizeof clean));
	}
}

/* Shows what undo will do and collects the question. */
static int describe(struct ctx *c, struct session *s, unsigned id, struct buf *question,
                    int *rights, struct err *e)
{
	struct order o = {0};
	struct plan p = {0};
	struct buf targets = BUF_INIT(4096);
	int r = journal_get_order(s->journal, id, &o, &p, NULL, e);
	if (r < 0)
		return r;
	*rights = ctx_need_rights_for(c, "undo", &p);
	targets_text(&o, &targets);
	out_info(&c->out, "undo o%u, %s %s:", id, verb_str(o.verb), buf_str(&targets));
	say_undo(c, &p);
	if (c->out.json)
		out_json(&c->out, json_pack("{s:s, s:o, s:o}", "event_type", "undo_plan", "order",
		                            json_order(&o), "steps", json_steps(&p)));
	buf_addf(question, "%so%u (%s %s)", question->len ? ", " : "", id, verb_str(o.verb),
	         buf_str(&targets));
	buf_free(&targets);
	order_free(&o);
	plan_free(&p);
	return 0;
}

static int undo(struct ctx *c, struct session *s, unsigned id)
{
	struct err e = {0};
	struct report rep = {0};
	struct order o = {0};
	struct plan p = {0};
	int r = engine_undo(s->engine, id, &rep, &e);
	if (r < 0)
		return ctx_fail(c, EXIT_FAILED, &e);
	if (journal_get_order(s->journal, id, &o, &p, NULL, &e) == 0)
		show_result(c, &o, &p, &rep, "undo");
	order_free(&o);
	plan_free(&p);
	enum exit_code code = exit_of_outcome(rep.outcome);
	report_free(&rep);
	return code;
}

/* What no order claims goes along with all orders, shown and asked for like them. */
static int describe_strays(struct ctx *c, struct session *s, struct buf *question, bool *ret_any,
                           struct err *e)
{
	char *text = NULL;
	int r = engine_strays(s->engine, false, &text, e);
	if (r < 0 || !text)
		return r;
	out_info(&c->out, "undo what no order of this journal claims:");
	show_lines(&c->out, "  deletes", text);
	buf_addf(question, "%swhat no order claims", question->len ? ", " : "");
	free(text);
	*ret_any = true;
	return 0;
}

static int undo_strays(struct ctx *c, struct session *s)
{
	struct err e = {0};
	char *gone = NULL, *left = NULL;
	int r = engine_strays(s->engine, true, &gone, &e);
	if (r == 0)
		r = engine_strays(s->engine, false, &left, &e);
	if (r < 0)
		ctx_fail(c, EXIT_PARTIAL, &e);
	show_lines(&c->out, "deleted", gone && r == 0 && !left ? gone : "");
	show_lines(&c->out, "still there", left ? left : "");
	int code = r < 0 || left ? EXIT_PARTIAL : EXIT_DONE;
	free(gone);
	free(left);
	return code;
}

static int undo_picked(struct ctx *c, struct session *s, const unsigned *ids, size_t n, bool strays)
{
	int worst = EXIT_DONE;
	/* Later orders may rest on earlier ones: last first. */
	for (size_t i = n; i-- > 0;) {
		int code = undo(c, s, ids[i]);
		worst = code > worst ? code : worst;
	}
	int code = strays ? undo_strays(c, s) : EXIT_DONE;
	return code > worst ? code : worst;
}

/* A journal that was under /run for a while brings an incident of its own, which is in use then:
 * what `--all` leaves in force is named, so that nobody takes it for gone. */
static int tell_others(struct ctx *c, struct session *s, struct err *e)
{
	struct incident *v = NULL;
	char clean[INCIDENT_ID_MAX];
	size_t n_v = 0;
	int r = journal_incidents(s->journal, &v, &n_v, e);
	for (size_t i = 0; r == 0 && i < n_v; i++) {
		unsigned *ids = NULL;
		size_t n = 0;
		if (c->incident ? !strcmp(v[i].name, c->incident) : v[i].in_use)
			continue;
		r = journal_list_orders(s->journal, v[i].name, true, &ids, &n, e);
		out_clean(v[i].name, clean, sizeof clean);
		if (r == 0 && n) {
			out_line(&c->out,
			         "of incident %s %zu orders stay in force, the first is o%u; to "
			         "take them back: stanch undo --all --incident %s",
			         clean, n, ids[0], clean);
			if (c->out.json)
				out_json(&c->out, json_pack("{s:s, s:s, s:I}", "event_type",
				                            "stays_in_force", "incident", clean,
				                            "orders", (json_int_t)n));
		}
		free(ids);
	}
	free(v);
	return r;
}

static int undo_all(struct ctx *c, const struct args *a, struct session *s, const unsigned *ids,
                    size_t n)
{
	struct err e = {0};
	struct buf question = BUF_INIT(64 << 10);
	bool strays = false;
	int code, r = 0, rights = EXIT_DONE;
	for (size_t i = 0; i < n && r == 0 && rights == EXIT_DONE; i++)
		r = describe(c, s, ids[i], &question, &rights, &e);
	if (r == 0 && args_has(a, "all"))
		r = describe_strays(c, s, &question, &strays, &e);
	if (r == 0 && args_has(a, "all") && s->journal)
		r = tell_others(c, s, &e);
	if (r < 0)
		code = ctx_fail(c, ctx_exit_of(r), &e);
	else if (rights != EXIT_DONE)
		code = rights;
	else if (n == 0 && !strays)
		out_line(&c->out, "Nothing of this incident is in force."), code = EXIT_DONE;
	else if (args_has(a, "dry-run"))
		out_info(&c->out, "\nNothing was changed (--dry-run)."), code = EXIT_DONE;
	else if ((code = ctx_ask(c, a, "Undo %s?", buf_str(&question))) == EXIT_DONE)
		code = undo_picked(c, s, ids, n, strays);
	buf_free(&question);
	return code;
}

int verb_undo(struct ctx *c, const struct args *a)
{
	struct err e = {0};
	struct session s = {0};
	unsigned *ids = NULL, id;
	size_t n = 0;
	if (args_has(a, "all") == (a->n_pos > 0)) {
		out_error(&c->out, "undo takes either orders or --all; usage: stanch undo %s",
		          a->verb->synopsis);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < a->n_pos; i++)
		if (order_id_parse(a->pos[i], &id, &e) < 0)
			return ctx_fail(c, EXIT_USAGE, &e);
	int r = args_has(a, "dry-run") ? session_open_read(c, &s, &e)
	                               : session_open(c, JOURNAL_CUT, &s, &e);
	if (r == 0 && !s.journal && a->n_pos)
		r = err_set(&e, -ENOENT, "there is no journal at %s yet, so no %s", c->state_dir,
		            a->pos[0]);
	if (r == 0)
		r = pick(c, a, &s, &ids, &n, &e);
	int code = r < 0 ? ctx_fail(c, ctx_exit_of(r), &e) : undo_all(c, a, &s, ids, n);
	free(ids);
	session_close(&s);
	return code;
}
