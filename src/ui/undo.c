/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "ui/ctx.h"
#include "ui/show.h"
#include "ui/verbs.h"

const struct opt undo_opts[] = {
    {"all", 0, OPT_FLAG, NULL, "every order of the incident that is still in force"},
    {NULL},
};

static int pick(struct ctx *c, const struct args *a, struct session *s, unsigned **ret, size_t *n,
                struct err *e)
{
	char incident[INCIDENT_ID_MAX];
	const char *name = c->incident;
	if (args_has(a, "all")) {
		struct incident *v = NULL;
		size_t n_v = 0;
		int r = name ? 0 : journal_incidents(s->journal, &v, &n_v, e);
		for (size_t i = 0; i < n_v; i++)
			if (v[i].in_use) {
				snprintf(incident, sizeof incident, "%s", v[i].name);
				name = incident;
			}
		free(v);
		if (r == 0 && !name)
			r = err_set(e, -ENOENT,
			            "no incident is in use; name one by --incident ID "
			            "(see stanch incident list)");
		return r < 0 ? r : journal_list_orders(s->journal, name, true, ret, n, e);
	}
	unsigned *ids = calloc(a->n_pos, sizeof *ids);
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
                    struct err *e)
{
	struct order o = {0};
	struct plan p = {0};
	struct buf targets = BUF_INIT(4096);
	int r = journal_get_order(s->journal, id, &o, &p, NULL, e);
	if (r < 0)
		return r;
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

static int undo_all(struct ctx *c, const struct args *a, struct session *s, const unsigned *ids,
                    size_t n)
{
	struct err e = {0};
	struct buf question = BUF_INIT(64 << 10);
	int worst = EXIT_DONE, r = 0;
	for (size_t i = 0; i < n && r == 0; i++)
		r = describe(c, s, ids[i], &question, &e);
	if (r < 0)
		worst = ctx_fail(c, ctx_exit_of(r), &e);
	else if (n == 0)
		out_line(&c->out, "Nothing of this incident is in force.");
	else if (args_has(a, "dry-run"))
		out_info(&c->out, "\nNothing was changed (--dry-run).");
	else
		worst = ctx_ask(c, a, "Undo %s?", buf_str(&question));
	bool go = r == 0 && worst == EXIT_DONE && !args_has(a, "dry-run");
	/* Later orders may rest on earlier ones: last first. */
	for (size_t i = n; go && i-- > 0;) {
		int code = undo(c, s, ids[i]);
		worst = code > worst ? code : worst;
	}
	buf_free(&question);
	return worst;
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
	enum journal_mode mode = args_has(a, "dry-run") ? JOURNAL_READ : JOURNAL_CUT;
	int r = session_open(c, mode, &s, &e);
	if (r == 0)
		r = pick(c, a, &s, &ids, &n, &e);
	int code = r < 0 ? ctx_fail(c, ctx_exit_of(r), &e) : undo_all(c, a, &s, ids, n);
	free(ids);
	session_close(&s);
	return code;
}
