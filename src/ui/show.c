/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SHOW_MAX     (1U << 20)
#define SHOW_TARGETS 8

void show_lines(struct out *o, const char *label, const char *text)
{
	char raw[1024], clean[1024];
	while (*text) {
		size_t n = strcspn(text, "\n");
		snprintf(raw, sizeof raw, "%.*s", (int)(n < 1000 ? n : 1000), text);
		out_clean(raw, clean, sizeof clean);
		if (n)
			out_line(o, "%s: %s", label, clean);
		if (n && o->json)
			out_json(o, json_pack("{s:s, s:s}", "event_type", label, "message", clean));
		text += n + (text[n] == '\n');
	}
}

const char *left_text(usec_t wall, usec_t now, char dst[static TIME_STR_MAX])
{
	if (wall <= now) {
		strcpy(dst, "passed");
		return dst;
	}
	uint64_t s = (wall - now + USEC_PER_SEC / 2) / USEC_PER_SEC;
	if (s < 60)
		snprintf(dst, TIME_STR_MAX, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(dst, TIME_STR_MAX, "%" PRIu64 "m %02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(dst, TIME_STR_MAX, "%" PRIu64 "h %02" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		snprintf(dst, TIME_STR_MAX, "%" PRIu64 "d %02" PRIu64 "h", s / 86400,
		         s / 3600 % 24);
	return dst;
}

const char *clock_text(usec_t wall, usec_t now, char dst[static CLOCK_TEXT_MAX])
{
	char left[TIME_STR_MAX], at[TIME_STR_MAX] = "";
	time_t sec = (time_t)(wall / USEC_PER_SEC);
	struct tm tm;
	bool far = wall > now + 86400 * USEC_PER_SEC || wall + 86400 * USEC_PER_SEC < now;
	if (gmtime_r(&sec, &tm))
		strftime(at, sizeof at, far ? "%Y-%m-%d %H:%M" : "%H:%M:%S", &tm);
	snprintf(dst, CLOCK_TEXT_MAX, "%s UTC (%s%s)", at, wall > now ? "in " : "",
	         left_text(wall, now, left));
	return dst;
}

int clocks_text(const struct order *o, usec_t now, struct buf *out)
{
	static const char *const then[_EXPIRY_MAX] = {
	    [EXPIRY_OPEN] = "it is lifted and traffic flows again",
	    [EXPIRY_WIDEN] = "the cut stays, and SSH opens to the break-glass prefixes",
	};
	const struct deadlines *d = &o->deadlines;
	char at[CLOCK_TEXT_MAX];
	if (d->confirm_by_wall)
		buf_addf(out, "not confirmed by %s: %s\n", clock_text(d->confirm_by_wall, now, at),
		         then[d->on_expiry]);
	if (d->until_wall)
		buf_addf(out, "ends at %s, confirmed or not\n", clock_text(d->until_wall, now, at));
	if (!d->confirm_by_wall && !d->until_wall)
		buf_addf(out, "no clock: it holds until stanch undo\n");
	return out->error;
}

int targets_text(const struct order *o, struct buf *out)
{
	for (size_t i = 0; i < o->n_targets; i++) {
		const struct target *t = &o->targets[i];
		char p[PREFIX_STR_MAX];
		bool group = t->kind >= TARGET_UNIT && t->kind <= TARGET_CONTAINER;
		if (i == SHOW_TARGETS)
			return buf_addf(out, " and %zu more", o->n_targets - i);
		buf_addf(out, "%s%s%s%s", i ? ", " : "", group ? target_kind_str(t->kind) : "",
		         group ? " " : "",
		         t->kind == TARGET_PREFIX ? prefix_str(&t->prefix, p) : t->name);
		if (t->domain[0])
			buf_addf(out, " (%s)", t->domain);
	}
	for (size_t i = 0, n = o->n_targets; i < o->n_feeds; i++)
		if (o->feeds[i].role == FEED_BLOCK)
			buf_addf(out, "%sfeed %s (%" PRIu64 ")", n++ ? ", " : "",
			         o->feeds[i].source, o->feeds[i].n);
	return out->error;
}

enum out_style dim_style(enum dim_state s)
{
	static const enum out_style styles[_DIM_STATE_MAX] = {
	    [DIM_CONTAINED] = STYLE_GOOD,
	    [DIM_PARTIAL] = STYLE_WARN,
	    [DIM_IS_UNKNOWN] = STYLE_WARN,
	};
	return (unsigned)s < _DIM_STATE_MAX ? styles[s] : STYLE_PLAIN;
}

static void heading(struct out *o, const char *text)
{
	out_info(o, "\n%s%s%s", out_on(o, STYLE_STRONG), text, out_off(o, STYLE_STRONG));
}

void show_dims(struct ctx *c, const enum dim_state dims[_DIM_MAX], char *const reasons[_DIM_MAX])
{
	struct out_table t = {.n_columns = 3, .indent = 2};
	for (int d = 0; d < _DIM_MAX; d++) {
		if (dims[d] == DIM_NONE)
			continue;
		const char *cells[] = {dimension_str(d), dim_state_str(dims[d]), reasons[d]};
		enum out_style styles[] = {STYLE_PLAIN, dim_style(dims[d]), STYLE_FAINT};
		if (out_table_row(&t, cells, styles) < 0)
			break;
	}
	out_table_print(&c->out, &t);
	out_table_free(&t);
}

static void show_calls(struct ctx *c, struct engine *g, const struct order *o, const struct step *s)
{
	struct buf b = BUF_INIT(SHOW_MAX);
	struct err e = {0};
	if (engine_describe(g, o, s, &b, &e) < 0)
		out_line(&c->out, "       %s", e.text);
	for (const char *p = buf_str(&b); *p;) {
		char raw[1024], clean[1024];
		size_t n = strcspn(p, "\n");
		snprintf(raw, sizeof raw, "%.*s", (int)(n < 1000 ? n : 1000), p);
		out_line(&c->out, "       %s%s%s", out_on(&c->out, STYLE_FAINT),
		         out_clean(raw, clean, sizeof clean), out_off(&c->out, STYLE_FAINT));
		p += n + (p[n] == '\n');
	}
	buf_free(&b);
}

static void show_step(struct ctx *c, struct engine *g, const struct order *o, const struct step *s,
                      size_t number)
{
	char first[32];
	const char *undo = s->inverse ? s->undo_effect : s->no_inverse;
	snprintf(first, sizeof first, "  %zu  ", number);
	out_wrap(&c->out, first, 5, c->out.width, STYLE_PLAIN, s->effect ? s->effect : s->kind);
	out_wrap(&c->out, s->inverse ? "     undo: " : "     no undo: ", 5, c->out.width - 9,
	         s->inverse ? STYLE_FAINT : STYLE_WARN, undo ? undo : "no reason was given");
	if (c->out.verbose && g)
		show_calls(c, g, o, s);
}

static void show_permits(struct ctx *c, const struct order *o)
{
	if (!o->n_permits)
		return;
	heading(&c->out, "Let through (and nothing else)");
	for (size_t i = 0; i < o->n_permits; i++) {
		struct buf b = BUF_INIT(4096);
		permit_describe(&o->permits[i], &b);
		out_info(&c->out, "  %s", buf_str(&b));
		buf_free(&b);
	}
}

static void show_text(struct ctx *c, const char *text)
{
	while (text && *text) {
		char line[1024];
		size_t n = strcspn(text, "\n");
		snprintf(line, sizeof line, "%.*s", (int)(n < 1000 ? n : 1000), text);
		out_wrap(&c->out, "  ", 4, c->out.width, STYLE_PLAIN, line);
		text += n + (text[n] == '\n');
	}
}

static void show_clocks(struct ctx *c, const struct order *o)
{
	struct buf b = BUF_INIT(4096);
	clocks_text(o, wall_now(), &b);
	show_text(c, buf_str(&b));
	buf_free(&b);
}

static json_t *json_deadlines(const struct deadlines *d)
{
	char by[TIME_STR_MAX], until[TIME_STR_MAX];
	const char *confirm = d->confirm_by_wall ? time_str(d->confirm_by_wall, by) : NULL;
	const char *ends = d->until_wall ? time_str(d->until_wall, until) : NULL;
	return json_pack("{s:s?, s:s?, s:s}", "confirm_by", confirm, "until", ends, "on_expiry",
	                 on_expiry_str(d->on_expiry));
}

static json_t *json_targets(const struct order *o)
{
	json_t *a = json_array();
	for (size_t i = 0; i < o->n_targets; i++) {
		const struct target *t = &o->targets[i];
		char p[PREFIX_STR_MAX], clean[TARGET_NAME_MAX];
		const char *name = t->kind == TARGET_PREFIX
		                       ? prefix_str(&t->prefix, p)
		                       : out_clean(t->name, clean, sizeof clean);
		json_array_append_new(a, json_pack("{s:s, s:s, s:s*}", "kind",
		                                   target_kind_str(t->kind), "name", name, "domain",
		                                   t->domain[0] ? t->domain : NULL));
	}
	return a;
}

static json_t *json_permits(const struct order *o)
{
	json_t *a = json_array();
	for (size_t i = 0; i < o->n_permits; i++) {
		const struct permit *p = &o->permits[i];
		char peer[PREFIX_STR_MAX];
		bool any = p->peer.addr.family == ADDR_NONE;
		json_array_append_new(a, json_pack("{s:s, s:s?, s:i, s:i, s:i, s:b, s:s}", "kind",
		                                   permit_kind_str(p->kind), "peer",
		                                   any ? NULL : prefix_str(&p->peer, peer), "proto",
		                                   p->proto, "local_port", p->local_port,
		                                   "peer_port", p->peer_port, "break_glass",
		                                   p->breakglass, "why", p->why));
	}
	return a;
}

static json_t *json_feeds(const struct order *o)
{
	json_t *a = json_array();
	for (size_t i = 0; i < o->n_feeds; i++) {
		const struct feed *f = &o->feeds[i];
		char at[TIME_STR_MAX];
		json_array_append_new(
		    a, json_pack("{s:s, s:s, s:s, s:s, s:I, s:s}", "role", feed_role_str(f->role),
		                 "source", f->source, "format", f->format, "sha256", f->sha256,
		                 "entries", (json_int_t)f->n, "read_at", time_str(f->read_at, at)));
	}
	return a;
}

json_t *json_order(const struct order *o)
{
	char id[16];
	snprintf(id, sizeof id, "o%u", o->id);
	json_t *order =
	    json_pack("{s:s?, s:s, s:o, s:o, s:o, s:b, s:s, s:s}", "order", o->id ? id : NULL,
	              "verb", verb_str(o->verb), "targets", json_targets(o), "permits",
	              json_permits(o), "deadlines", json_deadlines(&o->deadlines), "all_or_nothing",
	              o->all_or_nothing, "reason", o->reason, "state", order_state_str(o->state));
	if (order && o->n_feeds)
		json_object_set_new(order, "feeds", json_feeds(o));
	return order;
}

json_t *json_steps(const struct plan *p)
{
	json_t *a = json_array();
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct step *s = &p->steps[i];
		json_array_append_new(
		    a, json_pack("{s:s, s:s, s:s?, s:s?, s:s?, s:b, s:s, s:s?}", "point", s->point,
		                 "kind", s->kind, "effect", s->effect, "undo", s->undo_effect,
		                 "no_inverse", s->no_inverse, "required", s->required, "state",
		                 step_state_str(s->state), "problem", s->problem));
	}
	return a;
}

json_t *json_dims(const enum dim_state dims[_DIM_MAX], char *const reasons[_DIM_MAX])
{
	json_t *all = json_object();
	for (int d = 0; d < _DIM_MAX; d++)
		if (dims[d] != DIM_NONE)
			json_object_set_new(all, dimension_str(d),
			                    json_pack("{s:s, s:s*}", "state",
			                              dim_state_str(dims[d]), "reason",
			                              reasons[d]));
	return all;
}

json_t *json_lines(const char *text)
{
	json_t *a = json_array();
	while (text && *text) {
		size_t n = strcspn(text, "\n");
		char *raw = strndup(text, n);
		if (raw && n)
			json_array_append_new(a, json_string(raw));
		free(raw);
		text += n + (text[n] == '\n');
	}
	return a;
}

static json_t *json_plan(const struct order *o, const struct plan *p)
{
	json_t *notes = json_array();
	for (size_t i = 0; i < p->n_notes; i++)
		json_array_append_new(notes, json_string(p->notes[i]));
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "event_type", "plan", "order", json_order(o),
	                 "steps", json_steps(p), "notes", notes, "dimensions",
	                 json_dims(p->dims, p->dim_reasons));
}

void show_plan(struct ctx *c, struct engine *g, const struct order *o, const struct plan *p)
{
	if (c->out.json) {
		out_json(&c->out, json_plan(o, p));
		return;
	}
	if (c->out.quiet)
		return;
	heading(&c->out, "Steps");
	for (size_t i = 0; i < p->n_steps; i++)
		show_step(c, g, o, &p->steps[i], i + 1);
	show_permits(c, o);
	if (p->n_notes)
		heading(&c->out, "Notes");
	for (size_t i = 0; i < p->n_notes; i++) {
		out_wrap(&c->out, "  ", 4, c->out.width, STYLE_PLAIN, p->notes[i]);
	}
	heading(&c->out, "Will reach");
	show_dims(c, p->dims, p->dim_reasons);
	heading(&c->out, "Clock");
	show_clocks(c, o);
}

static const char *outcome_text(enum engine_outcome o)
{
	static const char *const texts[_ENGINE_OUTCOME_MAX] = {
	    [ENGINE_DONE] = "done and read back",
	    [ENGINE_PARTIAL] = "in force, but not whole",
	    [ENGINE_REVERTED] = "failed; all of it has been undone",
	    [ENGINE_REVERT_PARTIAL] = "failed; undone, but something stays as told below",
	    [ENGINE_DRIFTED] = "does not hold as ordered",
	};
	return (unsigned)o < _ENGINE_OUTCOME_MAX ? texts[o] : "unknown";
}

static enum out_style outcome_style(enum engine_outcome o)
{
	return o == ENGINE_DONE ? STYLE_GOOD : o == ENGINE_PARTIAL ? STYLE_WARN : STYLE_BAD;
}

static json_t *json_result(const struct order *o, const struct plan *p, const struct report *r,
                           const char *event)
{
	static const char *const names[_ENGINE_OUTCOME_MAX] = {
	    [ENGINE_DONE] = "done",         [ENGINE_PARTIAL] = "partial",
	    [ENGINE_REVERTED] = "reverted", [ENGINE_REVERT_PARTIAL] = "revert_partial",
	    [ENGINE_DRIFTED] = "drifted",
	};
	return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:s, s:I}", "event_type", event, "order",
	                 json_order(o), "outcome", names[r->outcome], "dimensions",
	                 json_dims(r->dims, r->dim_reasons), "steps", json_steps(p), "messages",
	                 json_lines(r->text), "journal_head", r->head, "apply_usec",
	                 (json_int_t)r->apply_usec);
}

void show_result(struct ctx *c, const struct order *o, const struct plan *p, const struct report *r,
                 const char *event)
{
	if (c->out.json) {
		out_json(&c->out, json_result(o, p, r, event));
		return;
	}
	enum out_style s = outcome_style(r->outcome);
	out_line(&c->out, "\no%u %s: %s%s%s", o->id, event, out_on(&c->out, s),
	         outcome_text(r->outcome), out_off(&c->out, s));
	show_dims(c, r->dims, r->dim_reasons);
	show_text(c, r->text);
	bool holds =
	    o->state == ORDER_UNCONFIRMED || o->state == ORDER_HELD || o->state == ORDER_PARTIAL;
	if (holds)
		show_clocks(c, o);
	out_info(&c->out, "  journal head %s (note it somewhere else)", r->head);
	if (o->state == ORDER_UNCONFIRMED)
		out_line(&c->out,
		         "\nOpen a second SSH session; if it works, type there:  %sstanch "
		         "confirm o%u%s%s",
		         out_on(&c->out, STYLE_STRONG), o->id, c->typed,
		         out_off(&c->out, STYLE_STRONG));
	if (holds)
		out_info(&c->out, "%sTo take it back:  stanch undo o%u%s",
		         o->state == ORDER_UNCONFIRMED ? "" : "\n", o->id, c->typed);
}

enum exit_code exit_of_outcome(enum engine_outcome o)
{
	static const enum exit_code codes[_ENGINE_OUTCOME_MAX] = {
	    [ENGINE_DONE] = EXIT_DONE,       [ENGINE_PARTIAL] = EXIT_PARTIAL,
	    [ENGINE_REVERTED] = EXIT_FAILED, [ENGINE_REVERT_PARTIAL] = EXIT_PARTIAL,
	    [ENGINE_DRIFTED] = EXIT_FOUND,
	};
	return (unsigned)o < _ENGINE_OUTCOME_MAX ? codes[o] : EXIT_FAILED;
}
