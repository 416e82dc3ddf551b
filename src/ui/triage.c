/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `stanch triage`: runs the areas, shows what they find, and stores what matters. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/table.h"
#include "journal/journal.h"
#include "triage/triage.h"
#include "ui/args.h"
#include "ui/ctx.h"
#include "ui/verbs.h"
#include "ui/watch_show.h"

const struct opt triage_opts[] = {
    {"root", 0, OPT_TEXT, "DIR", "look at a host's mounted root, not at this host"},
    {"since", 0, OPT_TIME, "TIME", "what changed before counts for less (by ctime)"},
    {"area", 0, OPT_LIST, "AREA", "only this one; may be given again"},
    {0},
};

#define FOUND_MAX 1024 /* of which a person would read the first few */

struct triaging {
	struct ctx *c;
	struct finding *found; /* FOUND_MAX of the area at hand */
	size_t n_found, lost;
	bool store; /* until the journal refuses */
	unsigned act, look, note;
	bool partial; /* an area could not look at all */
};

static void on_found(void *arg, const struct finding *f)
{
	struct triaging *w = arg;

	if (w->n_found == FOUND_MAX)
		w->lost++;
	else
		w->found[w->n_found++] = *f;
	w->act += f->score >= FINDING_SCORE_ACT;
	w->look += f->score >= FINDING_SCORE_LOOK && f->score < FINDING_SCORE_ACT;
	w->note += f->score < FINDING_SCORE_LOOK;
}

/* One transaction for the findings of an area: numbers are given, one sync. */
static int store(struct triaging *w, struct err *e)
{
	char incident[INCIDENT_ID_MAX];
	struct journal *j = NULL;
	int r = journal_open(w->c->state_dir, JOURNAL_WRITE, &j, e);

	if (r < 0)
		return r;
	if ((r = journal_begin(j, e)) == 0) {
		r = journal_incident(j, w->c->incident, incident, e);
		for (size_t i = 0; i < w->n_found && !r; i++)
			if (w->found[i].score >= FINDING_SCORE_LOOK)
				r = journal_put_finding(j, &w->found[i], e);
		if (r < 0)
			journal_rollback(j);
		else
			r = journal_commit(j, e);
	}
	journal_close(j);
	return r;
}

static int by_score(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;

	return (x->score < y->score) - (x->score > y->score);
}

static json_t *stats_json(const struct triage_stats *s)
{
	char now[TIME_STR_MAX];
	json_t *unseen = json_array(), *o;

	for (size_t i = 0; i < s->n_unseen; i++)
		json_array_append_new(unseen, json_string(s->unseen[i]));
	o = json_pack("{s:s s:s s:s s:I s:i s:f s:b s:b s:o}", "timestamp",
	              time_str(wall_now(), now), "event_type", "stats", "area", s->area, "looked",
	              (json_int_t)s->looked, "found", (int)s->found, "seconds",
	              (double)s->took / (double)USEC_PER_SEC, "limit", s->limit, "skipped",
	              s->skipped, "unseen", unseen);
	if (o && s->failed[0])
		json_object_set_new(o, "failed", json_string(s->failed));
	return o;
}

static void show_stats_line(struct triaging *w, const struct triage_stats *s)
{
	struct out *o = &w->c->out;

	if (o->json) {
		out_json(o, stats_json(s));
		return;
	}
	if (s->skipped)
		out_line(o, "%s: not of a mounted root", s->area);
	else if (s->failed[0])
		out_line(o, "%s: could not look: %s", s->area, s->failed);
	else
		out_info(o, "%s: %" PRIu64 " looked at in %.2f s, %u found", s->area, s->looked,
		         (double)s->took / (double)USEC_PER_SEC, s->found);
	for (size_t i = 0; i < s->n_unseen; i++)
		out_line(o, "    not seen: %s", s->unseen[i]);
	if (s->limit)
		out_line(o, "    not all was looked at: the area's limit was reached");
}

static void on_done(void *arg, const struct triage_stats *s)
{
	struct triaging *w = arg;
	bool matters = false;
	struct err e = {0};

	if (w->n_found)
		qsort(w->found, w->n_found, sizeof(*w->found), by_score);
	for (size_t i = 0; i < w->n_found; i++)
		matters = matters || w->found[i].score >= FINDING_SCORE_LOOK;
	if (w->store && matters && store(w, &e) < 0) {
		w->store = false;
		for (size_t i = 0; i < w->n_found; i++)
			w->found[i].id = 0;
		out_error(&w->c->out, "findings are shown but not stored: %s", e.text);
	}
	for (size_t i = 0; i < w->n_found; i++)
		show_host_finding(&w->c->out, &w->found[i]);
	if (w->lost)
		out_error(&w->c->out, "%s: %zu more findings are not shown: narrow it by --since",
		          s->area, w->lost);
	show_stats_line(w, s);
	w->partial = w->partial || s->failed[0];
	w->n_found = w->lost = 0;
}

static int areas_of(const struct args *a, uint64_t *ret, struct err *e)
{
	const struct arg_value *v;

	for (size_t i = 0; (v = args_nth(a, "area", i)); i++) {
		int row = triage_area_parse(v->text);
		char all[256] = "";
		for (size_t k = 0; triage_areas[k].name; k++)
			snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s",
			         k ? ", " : "", triage_areas[k].name);
		if (row < 0)
			return err_set(e, -EINVAL, "--area %.40s: there are %s", v->text, all);
		*ret |= UINT64_C(1) << row;
	}
	return 0;
}

int verb_triage(struct ctx *c, const struct args *a)
{
	struct triaging w = {.c = c, .store = true};
	struct triage_config config = {
	    .root = args_text(a, "root", NULL),
	    .since = args_time(a, "since", 0),
	    .found = on_found,
	    .done = on_done,
	    .arg = &w,
	};
	struct err e = {0};
	int r = areas_of(a, &config.areas, &e);

	if (r < 0)
		return ctx_fail(c, EXIT_USAGE, &e);
	if (!(w.found = calloc(FOUND_MAX, sizeof(*w.found)))) {
		err_set(&e, -ENOMEM, "out of memory");
		return ctx_fail(c, EXIT_FAILED, &e);
	}
	r = triage_run(&config, &e);
	free(w.found);
	if (r < 0)
		return ctx_fail(c, r == -ENOENT || r == -ENOTDIR ? EXIT_USAGE : ctx_exit_of(r), &e);
	out_line(&c->out, "%u to act on, %u to look at, %u noted", w.act, w.look, w.note);
	if (w.partial)
		return EXIT_PARTIAL;
	return w.act + w.look ? EXIT_FOUND : EXIT_DONE;
}
