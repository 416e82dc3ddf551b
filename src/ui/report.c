/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ui/evidence.h"
#include "ui/show.h"

#define BODY_SHOWN 600

void html_escape(const char *text, struct buf *out)
{
	size_t n = strlen(text) + 1;
	char *clean = malloc(n);
	if (!clean) {
		out->error = -ENOMEM;
		return;
	}
	out_clean(text, clean, n);
	for (const char *p = clean; *p; p++) {
		const char *as = *p == '&'    ? "&amp;"
		                 : *p == '<'  ? "&lt;"
		                 : *p == '>'  ? "&gt;"
		                 : *p == '"'  ? "&quot;"
		                 : *p == '\'' ? "&#39;"
		                              : NULL;
		if (as)
			buf_addf(out, "%s", as);
		else
			buf_add(out, p, 1);
	}
	free(clean);
}

static void element(struct buf *out, const char *tag, const char *text)
{
	buf_addf(out, "<%s>", tag);
	html_escape(text, out);
	buf_addf(out, "</%.*s>", (int)strcspn(tag, " "), tag);
}

static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
    "style-src 'unsafe-inline'\">\n<title>Incident report</title>\n<style>\n"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:64em;margin:2em auto;padding:0 1em;"
    "color:#1a1a1a;background:#fff}\n"
    "h1{font-size:1.6em}h2{font-size:1.2em;margin-top:2em;border-bottom:1px solid #ccc}\n"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;"
    "padding:.25em .6em;border-bottom:1px solid #e4e4e4}\n"
    ".when{white-space:nowrap}summary{cursor:pointer}\n"
    "code{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}\n"
    ".contained,.held{color:#0a6b2d}.partial,.unknown,.unconfirmed{color:#9a5b00}"
    ".failed{color:#a11}\n"
    "@media(prefers-color-scheme:dark){body{background:#151515;color:#ddd}"
    ".contained,.held{color:#6c6}.partial,.unknown,.unconfirmed{color:#db5}.failed{color:#f77}}\n"
    "@media print{h2{break-after:avoid}}\n</style>\n</head>\n<body>\n";

static void html_steps(struct buf *out, const struct plan *p)
{
	buf_addf(out, "<table><tr><th>Step</th><th>Effect</th><th>Undo</th><th>State</th></tr>\n");
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct step *s = &p->steps[i];
		buf_addf(out, "<tr>");
		element(out, "td", s->kind);
		element(out, "td", s->effect ? s->effect : "");
		element(out, "td",
		        s->undo_effect  ? s->undo_effect
		        : s->no_inverse ? s->no_inverse
		                        : "");
		buf_addf(out, "<td>%s", step_state_str(s->state));
		if (s->problem) {
			buf_addf(out, ": ");
			html_escape(s->problem, out);
		}
		buf_addf(out, "</td></tr>\n");
	}
	buf_addf(out, "</table>\n");
}

static void html_dims(struct buf *out, const struct plan *p)
{
	buf_addf(out, "<p>Planned reach:");
	for (int d = 0; d < _DIM_MAX; d++) {
		if (p->dims[d] == DIM_NONE)
			continue;
		const char *state = dim_state_str(p->dims[d]);
		buf_addf(out, " %s <span class=\"%s\">%s</span>", dimension_str(d), state, state);
		if (p->dim_reasons[d]) {
			buf_addf(out, " (");
			html_escape(p->dim_reasons[d], out);
			buf_addf(out, ")");
		}
		buf_addf(out, ";");
	}
	buf_addf(out, "</p>\n");
}

static void html_permits(struct buf *out, const struct order *o)
{
	if (!o->n_permits)
		return;
	buf_addf(out, "<p>Let through:</p>\n<ul>\n");
	for (size_t i = 0; i < o->n_permits; i++) {
		struct buf text = BUF_INIT(4096);
		permit_describe(&o->permits[i], &text);
		element(out, "li", buf_str(&text));
		buf_free(&text);
	}
	buf_addf(out, "</ul>\n");
}

static int html_order(struct session *s, unsigned id, struct buf *out, struct err *e)
{
	struct order o = {0};
	struct plan p = {0};
	struct buf targets = BUF_INIT(1 << 20);
	int r = journal_get_order(s->journal, id, &o, &p, NULL, e);
	if (r < 0)
		return r;
	targets_text(&o, &targets);
	buf_addf(out, "<h2>o%u %s ", id, verb_str(o.verb));
	html_escape(buf_str(&targets), out);
	buf_addf(out, " &mdash; <span class=\"%s\">%s</span></h2>\n", order_state_str(o.state),
	         order_state_str(o.state));
	if (o.reason[0])
		element(out, "p", o.reason);
	html_steps(out, &p);
	html_dims(out, &p);
	html_permits(out, &o);
	buf_free(&targets);
	order_free(&o);
	plan_free(&p);
	return 0;
}

/* ---- findings ---- */

#define FINDINGS_MAX 256 /* on the page */

static int html_finding(struct session *s, unsigned id, struct buf *out, struct err *e)
{
	struct finding f;
	char src[ADDR_STR_MAX], dest[ADDR_STR_MAX], first[TIME_STR_MAX], last[TIME_STR_MAX];
	int r = journal_get_finding(s->journal, id, &f, e);

	if (r < 0)
		return r;
	buf_addf(out, "<h2>f%u ", id);
	html_escape(finding_of_host(&f) ? f.rule : finding_kind_str(f.kind), out);
	buf_addf(out, ", score <span class=\"%s\">%.2f</span>: ",
	         f.score >= FINDING_SCORE_ACT ? "failed" : "partial", f.score);
	if (finding_of_host(&f)) {
		html_escape(f.subject, out);
	} else {
		html_escape(addr_str(&f.src.addr, src), out);
		buf_addf(out, " &rarr; ");
		html_escape(f.domain[0]          ? f.domain
		            : f.dest.addr.family ? addr_str(&f.dest.addr, dest)
		                                 : "many",
		            out);
	}
	buf_addf(out, "</h2>\n<p>%s to %s</p>\n<ul>\n", time_str(f.first, first),
	         time_str(f.last, last));
	for (size_t i = 0; i < f.n_reasons; i++)
		element(out, "li", f.reasons[i]);
	buf_addf(out, "</ul>\n<p>Harmless if: ");
	html_escape(f.benign, out);
	if (f.technique[0]) {
		buf_addf(out, ". ATT&amp;CK ");
		html_escape(f.technique, out);
	}
	buf_addf(out, "</p>\n");
	return 0;
}

static int html_findings(struct session *s, const char *incident, struct buf *out, struct err *e)
{
	unsigned *ids = NULL;
	size_t n = 0;
	int r = journal_list_findings(s->journal, incident, &ids, &n, e);

	for (size_t i = 0; i < n && i < FINDINGS_MAX && r == 0; i++)
		r = html_finding(s, ids[i], out, e);
	if (n > FINDINGS_MAX)
		buf_addf(out, "<p>%zu more findings stand in the timeline.</p>\n",
		         n - FINDINGS_MAX);
	free(ids);
	return r;
}

/* ---- the journal ---- */

struct walk {
	struct buf *html;
	json_t *json;
};

static int walk_entry(void *arg, const struct journal_entry *e)
{
	struct walk *w = arg;
	char when[TIME_STR_MAX], body[BODY_SHOWN + 8];
	time_str(e->wall, when);
	if (w->json) {
		json_array_append_new(w->json,
		                      json_pack("{s:I, s:s, s:s, s:s, s:s}", "seq",
		                                (json_int_t)e->seq, "time", when, "kind", e->kind,
		                                "subject", e->subject, "hash", e->hash));
		return 0;
	}
	bool cut = strlen(e->body) > BODY_SHOWN;
	snprintf(body, sizeof body, "%.*s%s", BODY_SHOWN, e->body, cut ? " …" : "");
	buf_addf(w->html, "<tr><td>%" PRIu64 "</td><td class=\"when\">%s</td>", e->seq, when);
	element(w->html, "td", e->kind);
	element(w->html, "td", e->subject);
	buf_addf(w->html, "<td><details><summary><code>%.12s…</code></summary><code>", e->hash);
	html_escape(e->hash, w->html);
	buf_addf(w->html, "<br>");
	html_escape(body, w->html);
	buf_addf(w->html, "</code></details></td></tr>\n");
	return w->html->error;
}

static void html_top(struct session *s, const char *incident, struct buf *out)
{
	char when[TIME_STR_MAX], head[HASH_HEX_MAX] = "";
	journal_head(s->journal, head, NULL);
	buf_addf(out, "%s", page_head);
	buf_addf(out, "<h1>Incident ");
	html_escape(incident, out);
	buf_addf(out, "</h1>\n<p>Written %s. Journal head <code>", time_str(wall_now(), when));
	html_escape(head, out);
	buf_addf(out, "</code></p>\n");
}

int report_html(struct session *s, const char *incident, struct buf *out, struct err *e)
{
	unsigned *ids = NULL;
	size_t n = 0;
	int r = journal_list_orders(s->journal, incident, false, &ids, &n, e);
	if (r < 0)
		return r;
	html_top(s, incident, out);
	r = html_findings(s, incident, out, e);
	for (size_t i = 0; i < n && r == 0; i++)
		r = html_order(s, ids[i], out, e);
	free(ids);
	if (r == 0)
		r = evidence_html(s, incident, out, e);
	buf_addf(out, "<h2>Timeline of the journal</h2>\n<table><tr><th>Seq</th><th>Time</th>"
	              "<th>Kind</th><th>About</th><th>Hash and entry</th></tr>\n");
	struct walk w = {.html = out};
	if (r == 0)
		r = journal_walk(s->journal, 0, walk_entry, &w, e);
	buf_addf(out, "</table>\n</body>\n</html>\n");
	if (r == 0 && out->error)
		r = err_set(e, out->error, "the report is too big or memory ran out");
	return r;
}

static int json_one(struct session *s, unsigned id, json_t *into, struct err *e)
{
	struct order o = {0};
	struct plan p = {0};
	int r = journal_get_order(s->journal, id, &o, &p, NULL, e);
	if (r < 0)
		return r;
	json_t *j = json_order(&o);
	json_object_set_new(j, "steps", json_steps(&p));
	json_object_set_new(j, "planned_dimensions", json_dims(p.dims, p.dim_reasons));
	json_array_append_new(into, j);
	order_free(&o);
	plan_free(&p);
	return 0;
}

int report_json(struct session *s, const char *incident, json_t **ret, struct err *e)
{
	unsigned *ids = NULL;
	size_t n = 0;
	char head[HASH_HEX_MAX] = "";
	json_t *orders = json_array(), *evidence = NULL;
	struct walk w = {.json = json_array()};
	int r = journal_list_orders(s->journal, incident, false, &ids, &n, e);
	for (size_t i = 0; i < n && r == 0; i++)
		r = json_one(s, ids[i], orders, e);
	free(ids);
	if (r == 0)
		r = evidence_array(s, incident, &evidence, e);
	if (r == 0)
		r = journal_walk(s->journal, 0, walk_entry, &w, e);
	journal_head(s->journal, head, NULL);
	json_t *all = json_pack("{s:s, s:s, s:s, s:o, s:o?, s:o}", "event_type", "report",
	                        "incident", incident, "journal_head", head, "orders", orders,
	                        "evidence", evidence, "entries", w.json);
	if (r < 0 || !all) {
		json_decref(all);
		return r < 0 ? r : err_set(e, -ENOMEM, "out of memory");
	}
	*ret = all;
	return 0;
}
