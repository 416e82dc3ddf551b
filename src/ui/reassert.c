/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>

#include "ui/ctx.h"
#include "ui/show.h"
#include "ui/verbs.h"

const struct opt reassert_opts[] = {
    {"dry-run", 'n', OPT_FLAG, NULL, "say which orders would be applied again; change nothing"},
    {NULL},
};

static int dry_run(struct ctx *c, struct session *s)
{
	struct err e = {0};
	unsigned *ids = NULL;
	size_t n = 0, shown = 0;
	int r = s->journal ? journal_list_orders(s->journal, NULL, true, &ids, &n, &e) : 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct order o = {0};
		struct plan p = {0};
		struct buf b = BUF_INIT(4096);
		r = journal_get_order(s->journal, ids[i], &o, &p, NULL, &e);
		bool over = o.deadlines.until_wall && o.deadlines.until_wall <= wall_now();
		if (r == 0 && o.state == ORDER_HELD && !over) {
			targets_text(&o, &b);
			out_line(&c->out, "o%u %s %s would be applied again", o.id,
			         verb_str(o.verb), buf_str(&b));
			out_json(&c->out, json_pack("{s:s, s:o}", "event_type", "would_reassert",
			                            "order", json_order(&o)));
			shown++;
		}
		buf_free(&b);
		order_free(&o);
		plan_free(&p);
	}
	free(ids);
	if (r < 0)
		return ctx_fail(c, ctx_exit_of(r), &e);
	if (!shown)
		out_line(&c->out, "No confirmed order is in force.");
	return EXIT_DONE;
}

static int reassert(struct ctx *c, struct session *s)
{
	struct err e = {0};
	struct report rep = {0};
	int r = engine_reassert(s->engine, &rep, &e);
	if (r < 0)
		return ctx_fail(c, EXIT_FAILED, &e);
	if (rep.text && rep.text[0])
		show_lines(&c->out, "reassert", rep.text);
	else
		out_info(&c->out, "reassert: nothing to apply again");
	out_json(&c->out, json_pack("{s:s, s:o, s:s}", "event_type", "reassert_done", "messages",
	                            json_lines(rep.text), "journal_head", rep.head));
	enum exit_code code = exit_of_outcome(rep.outcome);
	report_free(&rep);
	return code;
}

int verb_reassert(struct ctx *c, const struct args *a)
{
	struct err e = {0};
	struct session s = {0};
	bool dry = args_has(a, "dry-run");
	/* A host that never ordered anything gets no journal from its boot. */
	int r = session_open_read(c, &s, &e);
	bool empty = r == 0 && !s.journal;
	if (r == 0 && !dry && !empty) {
		session_close(&s);
		r = session_open(c, JOURNAL_WRITE, &s, &e);
	}
	if (r < 0)
		return ctx_fail(c, ctx_exit_of(r), &e);
	int code = EXIT_DONE;
	if (dry)
		code = dry_run(c, &s);
	else if (empty)
		out_info(&c->out, "reassert: there is no journal at %s; nothing to apply again",
		         c->state_dir);
	else
		code = reassert(c, &s);
	session_close(&s);
	return code;
}
