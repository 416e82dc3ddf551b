/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/evidence.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/field.h"
#include "ui/report.h"

json_t *evidence_object(const struct evidence *v, const char *incident)
{
	char id[16], begun[TIME_STR_MAX], ended[TIME_STR_MAX];
	json_t *j = NULL;
	char *text = evidence_json(v);
	int r = text ? field_load(text, 1u << 20, "evidence", &j, NULL) : -ENOMEM;
	free(text);
	if (r < 0)
		return NULL;
	snprintf(id, sizeof id, "e%u", v->id);
	json_object_set_new(j, "event_type", json_string("evidence"));
	json_object_set_new(j, "id", json_string(id));
	json_object_set_new(j, "incident", json_string(incident));
	json_object_set_new(j, "begun", json_string(time_str(v->begun, begun)));
	json_object_set_new(j, "ended",
	                    v->ended ? json_string(time_str(v->ended, ended)) : json_null());
	return j;
}

void evidence_show(struct ctx *c, const struct evidence *v, const char *incident)
{
	struct out *o = &c->out;
	char size[16], missing[16];
	bool bad = v->state != EVIDENCE_WHOLE;
	out_json(o, o->json ? evidence_object(v, incident) : NULL);
	out_line(o, "%se%u%s %s of %s: %s%s%s", out_on(o, STYLE_STRONG), v->id,
	         out_off(o, STYLE_STRONG), v->kind, v->source,
	         out_on(o, bad ? STYLE_WARN : STYLE_GOOD), evidence_state_str(v->state),
	         out_off(o, bad ? STYLE_WARN : STYLE_GOOD));
	if (v->bytes)
		out_line(o, "  %s%s%s%s", out_bytes(v->bytes, size),
		         v->missing ? ", of these " : "",
		         v->missing ? out_bytes(v->missing, missing) : "",
		         v->missing ? " could not be read" : "");
	if (v->sha256[0])
		out_line(o, "  sha256 %s", v->sha256);
	if (v->manifest[0])
		out_line(o, "  %" PRIu64 " files in %s\n  manifest %s", v->files, v->place,
		         v->manifest);
	if (v->problem[0])
		out_line(o, "  %s", v->problem);
}

/* --- all of an incident --- */

static int each(struct session *s, const char *incident,
                int (*cb)(void *arg, const struct evidence *v, const char *incident), void *arg,
                struct err *e)
{
	unsigned *ids = NULL;
	size_t n = 0;
	char of[INCIDENT_ID_MAX];
	struct evidence *v = malloc(sizeof *v);
	int r = v ? journal_list_evidence(s->journal, incident, &ids, &n, e)
	          : err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n && !r; i++) {
		r = journal_get_evidence(s->journal, ids[i], v, of, e);
		if (!r)
			r = cb(arg, v, of);
	}
	free(ids);
	free(v);
	return r;
}

struct rows {
	struct ctx *c;
	struct out_table t;
};

static int add_row(void *arg, const struct evidence *v, const char *incident)
{
	struct rows *rows = arg;
	char id[16], size[16];
	snprintf(id, sizeof id, "e%u", v->id);
	const char *cells[] = {
	    id,        v->kind, evidence_state_str(v->state), out_bytes(v->bytes, size),
	    v->source, v->place};
	const enum out_style styles[6] = {STYLE_STRONG, STYLE_PLAIN,
	                                  v->state == EVIDENCE_WHOLE ? STYLE_GOOD : STYLE_WARN};
	out_json(&rows->c->out, rows->c->out.json ? evidence_object(v, incident) : NULL);
	return out_table_row(&rows->t, cells, styles);
}

int evidence_list(struct ctx *c, struct session *s, const char *incident, struct err *e)
{
	static const char *const head[] = {"EVIDENCE", "KIND", "STATE", "BYTES", "SOURCE", "PLACE"};
	struct rows rows = {.c = c, .t = {.n_columns = 6, .indent = 2, .right = 1U << 3}};
	out_table_row(&rows.t, head, NULL);
	int r = each(s, incident, add_row, &rows, e);
	if (rows.t.n_rows > 1)
		out_table_print(&c->out, &rows.t);
	out_table_free(&rows.t);
	return r;
}

/* A row of what it is, and one of its hashes and place, which are long. */
static int add_html(void *arg, const struct evidence *v, const char *incident)
{
	struct buf *out = arg;
	const char *const cells[] = {v->kind, v->source, evidence_state_str(v->state)};
	const struct {
		const char *name, *value;
	} lines[] = {{"SHA-256", v->sha256}, {"manifest", v->manifest}, {"place", v->place}};
	char when[TIME_STR_MAX];
	buf_addf(out, "<tr><td>e%u</td><td class=\"when\">%s</td>", v->id,
	         time_str(v->begun, when));
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
		buf_addf(out, "<td>");
		html_escape(cells[i], out);
		buf_addf(out, "</td>");
	}
	buf_addf(out,
	         "<td>%" PRIu64 "</td><td>%" PRIu64 "</td></tr>\n<tr><td></td><td colspan=\"6\">",
	         v->bytes, v->missing);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		if (!lines[i].value[0])
			continue;
		buf_addf(out, "%s <code>", lines[i].name);
		html_escape(lines[i].value, out);
		buf_addf(out, "</code><br>");
	}
	buf_addf(out, "</td></tr>\n");
	return out->error;
}

int evidence_html(struct session *s, const char *incident, struct buf *out, struct err *e)
{
	struct buf rows = BUF_INIT(8u << 20);
	int r = each(s, incident, add_html, &rows, e);
	if (!r && rows.len)
		buf_addf(out,
		         "<h2>Evidence</h2>\n<table><tr><th>Id</th><th>Begun</th><th>Kind</th>"
		         "<th>Source</th><th>State</th><th>Bytes</th><th>Missing</th></tr>\n%s"
		         "</table>\n",
		         buf_str(&rows));
	buf_free(&rows);
	return r;
}

static int add_object(void *arg, const struct evidence *v, const char *incident)
{
	return json_array_append_new(arg, evidence_object(v, incident)) ? -ENOMEM : 0;
}

int evidence_array(struct session *s, const char *incident, json_t **ret, struct err *e)
{
	json_t *all = json_array();
	int r = all ? each(s, incident, add_object, all, e) : -ENOMEM;
	if (r < 0) {
		json_decref(all);
		return err_set(e, r, "the evidence cannot be listed");
	}
	*ret = all;
	return 0;
}
