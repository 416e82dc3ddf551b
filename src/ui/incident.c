/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/table.h"
#include "ui/evidence.h"
#include "ui/report.h"
#include "ui/show.h"
#include "ui/verbs.h"
#include "ui/watch_show.h"

const struct opt incident_opts[] = {
    {"html", 0, OPT_TEXT, "FILE", "report: one page for a browser, written to FILE"},
    {NULL},
};

/* --- list, show --- */

static json_t *incident_json(const struct incident *v)
{
	char opened[TIME_STR_MAX], closed[TIME_STR_MAX];
	return json_pack("{s:s, s:s, s:s, s:s?, s:b, s:i, s:i}", "event_type", "incident", "name",
	                 v->name, "opened", time_str(v->opened, opened), "closed",
	                 v->closed ? time_str(v->closed, closed) : NULL, "in_use", v->in_use,
	                 "orders", (int)v->n_orders, "findings", (int)v->n_findings);
}

static void list_rows(struct ctx *c, const struct incident *v, size_t n)
{
	static const char *const head[] = {"INCIDENT", "STATE", "ORDERS", "FINDINGS", "OPENED"};
	struct out_table t = {.n_columns = 5, .right = 1U << 2 | 1U << 3};
	out_table_row(&t, head, NULL);
	for (size_t i = 0; i < n; i++) {
		char opened[TIME_STR_MAX], orders[16], findings[16];
		snprintf(orders, sizeof orders, "%u", v[i].n_orders);
		snprintf(findings, sizeof findings, "%u", v[i].n_findings);
		time_str(v[i].opened, opened);
		strcpy(opened + 19, "Z"); /* whole seconds are enough for a person */
		const char *state = v[i].in_use ? "in use" : v[i].closed ? "closed" : "open";
		const char *cells[] = {v[i].name, state, orders, findings, opened};
		enum out_style styles[] = {STYLE_STRONG, v[i].in_use ? STYLE_GOOD : STYLE_PLAIN};
		enum out_style all[5] = {styles[0], styles[1]};
		out_table_row(&t, cells, all);
		out_json(&c->out, c->out.json ? incident_json(&v[i]) : NULL);
	}
	if (n)
		out_table_print(&c->out, &t);
	else
		out_line(&c->out, "No incident yet. The first order opens one, or: stanch incident "
		                  "new NAME");
	out_table_free(&t);
}

static int do_list(struct ctx *c, struct session *s, const char *name)
{
	struct err e = {0};
	struct incident *v = NULL;
	size_t n = 0;
	int r = s->journal ? journal_incidents(s->journal, &v, &n, &e) : 0;
	if (r == 0)
		list_rows(c, v, n);
	free(v);
	return r < 0 ? ctx_fail(c, ctx_exit_of(r), &e) : EXIT_DONE;
}

/* The incident that is meant: named, --incident, or in use. */
static int meant(struct ctx *c, struct session *s, const char *name, struct incident *ret,
                 struct err *e)
{
	struct incident *v = NULL;
	size_t n = 0;
	const char *want = name ? name : c->incident;
	if (!s->journal)
		return err_set(e, -ENOENT, "there is no journal at %s yet", c->state_dir);
	int r = journal_incidents(s->journal, &v, &n, e);
	bool found = false;
	for (size_t i = 0; r == 0 && i < n; i++)
		if (want ? !strcmp(v[i].name, want) : v[i].in_use) {
			*ret = v[i];
			found = true;
		}
	free(v);
	if (r < 0 || found)
		return r;
	return want ? err_set(e, -ENOENT,
	                      "there is no incident \"%.60s\"; see stanch incident list", want)
	            : err_set(e, -ENOENT, "no incident is in use; see stanch incident list");
}

static void show_order_row(struct ctx *c, struct session *s, unsigned id, struct out_table *t)
{
	struct order o = {0};
	struct plan p = {0};
	struct buf targets = BUF_INIT(4096);
	char name[16];
	if (journal_get_order(s->journal, id, &o, &p, NULL, NULL) < 0)
		return;
	snprintf(name, sizeof name, "o%u", id);
	targets_text(&o, &targets);
	const char *cells[] = {name, verb_str(o.verb), order_state_str(o.state), buf_str(&targets),
	                       o.reason};
	out_table_row(t, cells, NULL);
	out_json(&c->out, c->out.json ? json_order(&o) : NULL);
	buf_free(&targets);
	order_free(&o);
	plan_free(&p);
}

/* In the order of their numbers, as contain takes them. */
static int show_findings(struct ctx *c, struct session *s, const char *incident, struct err *e)
{
	struct out_table t = {.n_columns = 5, .indent = 2};
	unsigned *ids = NULL;
	size_t n = 0;
	int r = journal_list_findings(s->journal, incident, &ids, &n, e);
	for (size_t i = 0; i < n && !r; i++) {
		char id[16], score[16], src[ADDR_STR_MAX], dest[ADDR_STR_MAX],
		    ends[2 * ADDR_STR_MAX + FINDING_DOMAIN_MAX];
		struct finding f;
		if ((r = journal_get_finding(s->journal, ids[i], &f, e)) < 0)
			break;
		f.id = ids[i];
		if (c->out.json) {
			show_any_finding(&c->out, &f);
			continue;
		}
		snprintf(id, sizeof id, "f%u", ids[i]);
		snprintf(score, sizeof score, "%.2f", f.score);
		snprintf(ends, sizeof ends, "%s to %s", addr_str(&f.src.addr, src),
		         f.domain[0] ? f.domain : addr_str(&f.dest.addr, dest));
		const char *cells[] = {id, finding_advice(&f), score,
		                       finding_of_host(&f) ? f.rule : finding_kind_str(f.kind),
		                       finding_of_host(&f) ? f.subject : ends};
		out_table_row(&t, cells, NULL);
	}
	out_table_print(&c->out, &t);
	out_table_free(&t);
	free(ids);
	return r;
}

static int do_show(struct ctx *c, struct session *s, const char *name)
{
	struct err e = {0};
	struct incident v;
	struct out_table t = {.n_columns = 5, .indent = 2};
	unsigned *ids = NULL;
	size_t n = 0;
	int r = meant(c, s, name, &v, &e);
	if (r == 0)
		r = journal_list_orders(s->journal, v.name, false, &ids, &n, &e);
	if (r < 0)
		return ctx_fail(c, ctx_exit_of(r), &e);
	list_rows(c, &v, 1);
	for (size_t i = 0; i < n; i++)
		show_order_row(c, s, ids[i], &t);
	out_table_print(&c->out, &t);
	out_table_free(&t);
	free(ids);
	r = show_findings(c, s, v.name, &e);
	if (r == 0)
		r = evidence_list(c, s, v.name, &e);
	return r < 0 ? ctx_fail(c, ctx_exit_of(r), &e) : EXIT_DONE;
}

/* --- report --- */

/* Beside its place, synced, then renamed: a report is whole or absent. */
static int write_file(const char *path, const struct buf *b, struct err *e)
{
	char temp[4096];
	if (snprintf(temp, sizeof temp, "%s.XXXXXX", path) >= (int)sizeof temp)
		return err_set(e, -ENAMETOOLONG, "--html: the path is too long");
	int fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return err_set(e, -errno, "%s cannot be written: %s", path, strerror(errno));
	size_t done = 0;
	int r = 0;
	while (r == 0 && done < b->len) {
		ssize_t n = write(fd, b->data + done, b->len - done);
		if (n < 0 && errno != EINTR)
			r = -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	close(fd);
	if (r == 0 && rename(temp, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(temp);
		return err_set(e, r, "%s cannot be written: %s", path, strerror(-r));
	}
	return 0;
}

static int report_to_file(struct ctx *c, struct session *s, const char *incident, const char *path,
                          struct err *e)
{
	struct buf b = BUF_INIT(REPORT_MAX);
	int r = report_html(s, incident, &b, e);
	if (r == 0)
		r = write_file(path, &b, e);
	buf_free(&b);
	if (r < 0)
		return r;
	out_line(&c->out, "report of %s written to %s", incident, path);
	out_json(&c->out, json_pack("{s:s, s:s, s:s}", "event_type", "report_written", "incident",
	                            incident, "file", path));
	return 0;
}

static int print_entry(void *arg, const struct journal_entry *e)
{
	struct ctx *c = arg;
	char when[TIME_STR_MAX], kind[64], subject[64];
	time_str(e->wall, when);
	out_line(&c->out, "  %s  %-14s %-8s %.16s", when, out_clean(e->kind, kind, sizeof kind),
	         out_clean(e->subject, subject, sizeof subject), e->hash);
	return 0;
}

static int do_report(struct ctx *c, struct session *s, const char *name, const char *html)
{
	struct err e = {0};
	struct incident v;
	json_t *j = NULL;
	int r = meant(c, s, name, &v, &e);
	if (r == 0 && html)
		r = report_to_file(c, s, v.name, html, &e);
	else if (r == 0 && c->out.json)
		r = report_json(s, v.name, &j, &e);
	out_json(&c->out, j);
	if (r < 0)
		return ctx_fail(c, ctx_exit_of(r), &e);
	if (html || c->out.json)
		return EXIT_DONE;
	r = do_show(c, s, v.name);
	out_line(&c->out, "\nTimeline (hashes shortened; the whole in --html FILE or --json)");
	journal_walk(s->journal, 0, print_entry, c, NULL);
	return r;
}

/* --- what changes --- */

static int change(struct ctx *c, struct session *s, const char *name, const char *done,
                  int (*f)(struct journal *, const char *, struct err *))
{
	struct err e = {0};
	int r = f(s->journal, name, &e);
	if (r < 0)
		return ctx_fail(c, ctx_exit_of(r), &e);
	out_line(&c->out, "incident %s is %s", name, done);
	out_json(&c->out,
	         json_pack("{s:s, s:s, s:s}", "event_type", "incident", "name", name, "now", done));
	return EXIT_DONE;
}

static const struct sub {
	const char *name;
	size_t min, max; /* arguments behind it */
	const char *now;
	int (*change)(struct journal *, const char *, struct err *); /* NULL: only reads */
} subs[] = {
    {"new", 1, 1, "opened and in use", journal_incident_new},
    {"use", 1, 1, "in use", journal_incident_use},
    {"close", 1, 1, "closed", journal_incident_close},
    {"list", 0, 0, NULL, NULL},
    {"show", 0, 1, NULL, NULL},
    {"report", 0, 1, NULL, NULL},
};

static const struct sub *sub_find(struct ctx *c, const struct args *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(subs); i++) {
		if (strcmp(subs[i].name, a->pos[0]) != 0)
			continue;
		if (a->n_pos - 1 >= subs[i].min && a->n_pos - 1 <= subs[i].max)
			return &subs[i];
		out_error(&c->out, "incident %s takes %s; usage: stanch incident %s", subs[i].name,
		          subs[i].min   ? "one name"
		          : subs[i].max ? "at most one name"
		                        : "nothing more",
		          a->verb->synopsis);
		return NULL;
	}
	out_error(&c->out, "there is no incident \"%.40s\"; usage: stanch incident %s", a->pos[0],
	          a->verb->synopsis);
	return NULL;
}

int verb_incident(struct ctx *c, const struct args *a)
{
	struct err e = {0};
	struct session s = {0};
	const struct sub *sub = sub_find(c, a);
	const char *name = a->n_pos > 1 ? a->pos[1] : NULL, *html = args_text(a, "html", NULL);
	if (!sub)
		return EXIT_USAGE;
	if (html && strcmp(sub->name, "report") != 0) {
		out_error(&c->out, "--html goes with: stanch incident report --html FILE");
		return EXIT_USAGE;
	}
	/* Changes of the book only: nothing at the points is looked at. */
	int r = sub->change ? journal_open(c->state_dir, JOURNAL_WRITE, &s.journal, &e)
	                    : session_open_read(c, &s, &e);
	int code;
	if (r < 0)
		code = ctx_fail(c, ctx_exit_of(r), &e);
	else if (sub->change)
		code = change(c, &s, name, sub->now, sub->change);
	else if (!strcmp(sub->name, "list"))
		code = do_list(c, &s, NULL);
	else if (!strcmp(sub->name, "show"))
		code = do_show(c, &s, name);
	else
		code = do_report(c, &s, name, html);
	session_close(&s);
	return code;
}
