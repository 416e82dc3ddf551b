/* SPDX-License-Identifier: GPL-3.0-or-later */
/* status and verify: the journal says what was ordered, the kernel what holds. */
#include <stdlib.h>
#include <string.h>

#include "ui/ctx.h"
#include "ui/evidence.h"
#include "ui/show.h"
#include "ui/verbs.h"
#include "ui/whence.h"

const struct opt verify_opts[] = {
    {"key", 0, OPT_TEXT, "HEX", "EVIDENCE: the key that must have signed"},
    {"head", 0, OPT_TEXT, "HASH", "journal: a hash noted elsewhere must stand in the chain"},
    {NULL},
};

/* The state that the clocks make of the stored one: nobody writes when the kernel acts. */
static enum order_state state_now(const struct order *o, bool *ret_widened)
{
	const struct deadlines *d = &o->deadlines;
	bool same_boot = boot_same(d->boot);
	usec_t boot = boot_now(), wall = wall_now();
	bool waits = o->state == ORDER_UNCONFIRMED, holds = waits || o->state == ORDER_HELD;
	bool ended = d->until_wall && (same_boot ? boot >= d->until_boot : wall >= d->until_wall);
	bool late = waits && d->confirm_by_wall && (!same_boot || boot >= d->confirm_by_boot);
	*ret_widened = late && !ended && same_boot && d->on_expiry == EXPIRY_WIDEN;
	return holds && (ended || late) ? ORDER_EXPIRED : o->state;
}

static bool in_force(enum order_state s)
{
	return s == ORDER_UNCONFIRMED || s == ORDER_HELD || s == ORDER_PARTIAL ||
	       s == ORDER_APPLYING;
}

static enum out_style state_style(enum order_state s)
{
	static const enum out_style styles[_ORDER_STATE_MAX] = {
	    [ORDER_APPLYING] = STYLE_WARN, [ORDER_UNCONFIRMED] = STYLE_WARN,
	    [ORDER_HELD] = STYLE_GOOD,     [ORDER_PARTIAL] = STYLE_WARN,
	    [ORDER_FAILED] = STYLE_BAD,    [ORDER_UNDONE] = STYLE_FAINT,
	    [ORDER_EXPIRED] = STYLE_FAINT,
	};
	return styles[s];
}

struct view {
	struct order o;
	struct plan p;
	char incident[INCIDENT_ID_MAX];
	struct report rep;
	enum order_state state;
	bool widened, read_back;
};

static void view_free(struct view *v)
{
	order_free(&v->o);
	plan_free(&v->p);
	report_free(&v->rep);
}

/* Without the right to look, what the plan meant to reach is unknown, not contained. */
static void not_read_back(struct view *v)
{
	bool gone = !in_force(v->state) && !v->widened;
	for (int d = 0; d < _DIM_MAX; d++)
		if (v->p.dims[d] != DIM_NONE)
			v->rep.dims[d] = gone ? DIM_RELEASED : DIM_IS_UNKNOWN;
}

static int view_load(struct session *s, unsigned id, struct view *v, struct err *e)
{
	int r = journal_get_order(s->journal, id, &v->o, &v->p, v->incident, e);
	if (r < 0)
		return r;
	v->state = state_now(&v->o, &v->widened);
	v->read_back = may_change_network() && engine_verify(s->engine, id, &v->rep, e) == 0;
	if (!v->read_back)
		not_read_back(v);
	return 0;
}

static void clock_cell(const struct view *v, char dst[static CLOCK_TEXT_MAX])
{
	const struct deadlines *d = &v->o.deadlines;
	char left[TIME_STR_MAX];
	dst[0] = 0;
	if (!in_force(v->state))
		return;
	if (d->confirm_by_wall)
		snprintf(dst, CLOCK_TEXT_MAX, "%s to confirm",
		         left_text(d->confirm_by_wall, wall_now(), left));
	if (d->until_wall)
		snprintf(dst + strlen(dst), CLOCK_TEXT_MAX - strlen(dst), "%sends in %s",
		         dst[0] ? ", " : "", left_text(d->until_wall, wall_now(), left));
	if (!dst[0])
		strcpy(dst, "no clock");
}

static json_t *view_json(const struct view *v, const struct session *s)
{
	json_t *j = json_order(&v->o);
	const char *degraded = journal_degraded(s->journal);
	if (!j)
		return NULL;
	usec_t now = wall_now();
	const struct deadlines *d = &v->o.deadlines;
	json_t *more = json_pack(
	    "{s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:s?}", "event_type", "status", "state",
	    order_state_str(v->state), "incident", v->incident, "widened", v->widened, "read_back",
	    v->read_back, "dimensions", json_dims(v->rep.dims, v->rep.dim_reasons), "steps",
	    json_steps(&v->p), "messages", json_lines(v->rep.text), "journal_degraded", degraded);
	if (d->confirm_by_wall > now && in_force(v->state))
		json_object_set_new(more, "confirm_left_usec",
		                    json_integer((json_int_t)(d->confirm_by_wall - now)));
	if (d->until_wall > now && in_force(v->state))
		json_object_set_new(more, "until_left_usec",
		                    json_integer((json_int_t)(d->until_wall - now)));
	json_object_update(j, more);
	json_decref(more);
	return j;
}

static void view_row(struct out_table *t, const struct view *v)
{
	char id[16], clock[CLOCK_TEXT_MAX];
	struct buf targets = BUF_INIT(4096);
	snprintf(id, sizeof id, "o%u", v->o.id);
	clock_cell(v, clock);
	targets_text(&v->o, &targets);
	const char *cells[] = {id,    verb_str(v->o.verb), order_state_str(v->state),
	                       clock, buf_str(&targets),   v->incident};
	enum out_style s = state_style(v->state);
	enum out_style styles[] = {STYLE_STRONG, STYLE_PLAIN, s, s, STYLE_PLAIN, STYLE_FAINT};
	out_table_row(t, cells, styles);
	buf_free(&targets);
}

static void view_detail(struct ctx *c, const struct view *v)
{
	if (!in_force(v->state) && !v->widened && !c->out.verbose)
		return;
	out_line(&c->out, "\n%so%u%s%s%s", out_on(&c->out, STYLE_STRONG), v->o.id,
	         out_off(&c->out, STYLE_STRONG),
	         v->widened ? "  the deadline has passed: cut, open for break-glass prefixes" : "",
	         v->read_back ? "" : "  (not read back: that needs root)");
	show_dims(c, v->rep.dims, v->rep.dim_reasons);
	show_lines(&c->out, "  note", v->rep.text ? v->rep.text : "");
	if (v->state == ORDER_UNCONFIRMED)
		out_line(&c->out, "  keep it: stanch confirm o%u (from a new SSH session)",
		         v->o.id);
}

static int load_views(struct session *s, const unsigned *ids, size_t n, struct view **ret,
                      struct err *e)
{
	struct view *v = calloc(n ? n : 1, sizeof *v);
	int r = v ? 0 : err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n && r == 0; i++)
		r = view_load(s, ids[i], &v[i], e);
	if (r < 0) {
		for (size_t i = 0; v && i < n; i++)
			view_free(&v[i]);
		free(v);
		return r;
	}
	*ret = v;
	return 0;
}

static enum exit_code show_views(struct ctx *c, const struct session *s, struct view *v, size_t n)
{
	static const char *const head[] = {"ORDER", "VERB", "STATE", "CLOCK", "TARGET", "INCIDENT"};
	struct out_table t = {.n_columns = 6};
	enum exit_code code = EXIT_DONE;
	if (n == 0)
		out_line(&c->out, "This journal has no orders. Start: stanch watch, "
		                  "stanch isolate self");
	else
		out_table_row(&t, head, NULL);
	for (size_t i = 0; i < n; i++) {
		view_row(&t, &v[i]);
		out_json(&c->out, c->out.json ? view_json(&v[i], s) : NULL);
		if (v[i].rep.outcome == ENGINE_DRIFTED)
			code = EXIT_FOUND;
	}
	out_table_print(&c->out, &t);
	out_table_free(&t);
	for (size_t i = 0; i < n; i++) {
		view_detail(c, &v[i]);
		view_free(&v[i]);
	}
	return code;
}

/* The orders that were named, or all of the incident, or all. */
static int pick_orders(struct ctx *c, const struct args *a, struct session *s, unsigned **ret,
                       size_t *ret_n, struct err *e)
{
	if (!a->n_pos)
		return journal_list_orders(s->journal, c->incident, false, ret, ret_n, e);
	unsigned *ids = calloc(a->n_pos, sizeof *ids);
	int r = ids ? 0 : err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < a->n_pos && r == 0; i++)
		r = order_id_parse(a->pos[i], &ids[i], e);
	if (r < 0) {
		free(ids);
		return r;
	}
	*ret = ids;
	*ret_n = a->n_pos;
	return 0;
}

/* What stands in the kernel though no order of this journal claims it. */
static int show_strays(struct ctx *c, struct session *s)
{
	struct err e = {0};
	char *text = NULL;
	int r = may_change_network() ? engine_strays(s->engine, false, &text, &e) : 0;
	if (r < 0)
		return ctx_fail(c, ctx_exit_of(r), &e);
	if (!text)
		return EXIT_DONE;
	out_line(&c->out, "\n%sNo order of this journal claims this:%s", out_on(&c->out, STYLE_BAD),
	         out_off(&c->out, STYLE_BAD));
	show_lines(&c->out, "unclaimed", text);
	out_line(&c->out, "  its record was lost, or is another --state's; to take it away: stanch "
	                  "undo --all");
	free(text);
	return EXIT_FOUND;
}

/* An address in place of an order: why is it blocked? */
static int status_of_address(struct ctx *c, const struct addr *a)
{
	struct err e = {0};
	struct session s = {0};
	int r = session_open_read(c, &s, &e);
	int code = r < 0 ? ctx_fail(c, ctx_exit_of(r), &e) : whence(c, &s, a);
	session_close(&s);
	return code;
}

int verb_status(struct ctx *c, const struct args *a)
{
	struct err e = {0};
	struct session s = {0};
	struct view *v = NULL;
	unsigned *ids = NULL;
	size_t n = 0;
	struct addr address;
	if (a->n_pos == 1 && addr_parse(a->pos[0], &address) == 0)
		return status_of_address(c, &address);
	int r = session_open_read(c, &s, &e);
	if (r == 0 && !s.journal && a->n_pos)
		r = err_set(&e, -ENOENT, "there is no journal at %s yet, so no %s", c->state_dir,
		            a->pos[0]);
	if (r == 0 && s.journal)
		r = pick_orders(c, a, &s, &ids, &n, &e);
	if (r == 0)
		r = load_views(&s, ids, n, &v, &e);
	int code = r < 0 ? ctx_fail(c, ctx_exit_of(r), &e) : (int)show_views(c, &s, v, n);
	if (r == 0 && !a->n_pos) {
		int more = show_strays(c, &s);
		code = more > code ? more : code;
	}
	free(v);
	free(ids);
	session_close(&s);
	return code;
}

/* --- verify --- */

static int verify_journal(struct ctx *c, const struct args *a)
{
	struct err e = {0};
	struct journal_check k = {0};
	const char *head = args_text(a, "head", NULL);
	int r = journal_verify(c->state_dir, head, &k, &e);
	if (r < 0)
		return ctx_fail(c, ctx_exit_of(r), &e);
	bool good = k.intact && (!head || k.head_known);
	out_json(&c->out,
	         json_pack("{s:s, s:I, s:b, s:b?, s:I, s:s}", "event_type", "verify_journal",
	                   "entries", (json_int_t)k.entries, "intact", k.intact, "head_known",
	                   k.head_known, "bad_seq", (json_int_t)k.bad_seq, "problem", k.problem));
	if (good)
		out_line(&c->out, "journal: %sgood%s, %llu entries%s", out_on(&c->out, STYLE_GOOD),
		         out_off(&c->out, STYLE_GOOD), (unsigned long long)k.entries,
		         head ? ", and the hash you noted stands in it" : "");
	else
		out_line(&c->out, "journal: %sdoes not match its hashes%s: %s",
		         out_on(&c->out, STYLE_BAD), out_off(&c->out, STYLE_BAD), k.problem);
	if (good && !head)
		out_info(&c->out,
		         "  root on this host can sign a chain anew: give --head HASH with "
		         "a hash that you noted elsewhere");
	return good ? EXIT_DONE : EXIT_MISMATCH;
}

static int verify_order(struct ctx *c, struct session *s, unsigned id)
{
	struct err e = {0};
	struct view v = {0};
	int r = view_load(s, id, &v, &e);
	if (r < 0)
		return ctx_fail(c, ctx_exit_of(r), &e);
	int code = EXIT_DONE;
	if (!v.read_back) {
		code = EXIT_REFUSED;
		out_error(&c->out, "o%u cannot be read back: %s", id,
		          e.text[0] ? e.text : "that needs root (CAP_NET_ADMIN)");
	} else {
		code = (int)exit_of_outcome(v.rep.outcome);
		out_line(&c->out, "o%u %s: %s%s%s", id, verb_str(v.o.verb),
		         out_on(&c->out, code ? STYLE_BAD : STYLE_GOOD),
		         code ? "does not hold as ordered" : "reads back as it should",
		         out_off(&c->out, code ? STYLE_BAD : STYLE_GOOD));
		show_dims(c, v.rep.dims, v.rep.dim_reasons);
		if (!c->out.json && v.rep.text)
			show_lines(&c->out, "  found", v.rep.text);
		if (code)
			out_line(&c->out,
			         "  to set it right: stanch reassert; to let go: stanch "
			         "undo o%u",
			         id);
	}
	json_t *j = c->out.json ? view_json(&v, s) : NULL;
	if (j)
		json_object_set_new(j, "event_type", json_string("verify"));
	out_json(&c->out, j);
	view_free(&v);
	return code;
}

static int verify_evidences(struct ctx *c, const struct args *a)
{
	int worst = EXIT_DONE;
	for (size_t i = 0; i < a->n_pos; i++) {
		if (!evidence_meant(a->pos[i])) {
			out_error(&c->out, "verify takes orders or evidence, not both at once: %s",
			          a->pos[i]);
			return EXIT_USAGE;
		}
		int code = evidence_verify(c, a->pos[i], args_text(a, "key", NULL));
		worst = code > worst ? code : worst;
	}
	return worst;
}

int verb_verify(struct ctx *c, const struct args *a)
{
	struct err e = {0};
	struct session s = {0};
	unsigned *ids = NULL;
	size_t n = 0;
	if (!strcmp(a->pos[0], "journal"))
		return a->n_pos == 1
		           ? verify_journal(c, a)
		           : (out_error(&c->out, "verify journal takes only --head"), EXIT_USAGE);
	if (args_has(a, "head")) {
		out_error(&c->out, "--head goes with: stanch verify journal --head HASH");
		return EXIT_USAGE;
	}
	if (evidence_meant(a->pos[0]))
		return verify_evidences(c, a);
	int worst = EXIT_DONE;
	int r = pick_orders(c, a, &s, &ids, &n, &e);
	if (r == 0)
		r = session_open(c, JOURNAL_READ, &s, &e);
	if (r < 0)
		worst = ctx_fail(c, ctx_exit_of(r), &e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		int code = verify_order(c, &s, ids[i]);
		worst = code > worst ? code : worst;
	}
	free(ids);
	session_close(&s);
	return worst;
}
