/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/screen_draw.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/table.h"
#include "ui/out.h"

#define LINE          1024
#define PREVIEW_LINES 5  /* room below a table from which on it shows the selected row in full */
#define IFACE_MAX     10 /* columns of an interface's name */

/* A line that grows to the right. */
struct pen {
	struct canvas *c;
	unsigned y, x;
};

static void say(struct pen *p, enum ink ink, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void say(struct pen *p, enum ink ink, const char *fmt, ...)
{
	char text[LINE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->x = canvas_text(p->c, p->y, p->x, ink, text);
}

/* ---- the title: views, filter, clock ---- */

static void view_count(const struct screen_data *d, enum screen_view v, char *dst, size_t n)
{
	size_t rows, act = 0;

	screen_views[v].rows(d, &rows);
	for (size_t i = 0; v == VIEW_FINDINGS && i < rows; i++)
		act += d->findings[i].score >= FINDING_SCORE_ACT;
	snprintf(dst, n, act ? "%zu, %zu to act on" : "%zu", rows, act);
}

static enum ink tab_ink(const struct screen_data *d, enum screen_view v, bool active)
{
	enum ink worst = active ? INK_STRONG : INK_PLAIN;

	for (size_t i = 0; v == VIEW_FINDINGS && i < d->n_findings; i++) {
		enum ink k = finding_ink(&d->findings[i]);
		if (k == INK_BAD || (k == INK_WARN && worst != INK_BAD))
			worst = k;
	}
	return worst;
}

static void draw_title(struct canvas *c, const struct screen_state *s, const struct screen_data *d)
{
	struct pen p = {c, 0, 1};
	char count[48], now[TIME_STR_MAX];

	for (int v = 0; v < _VIEW_MAX; v++) {
		bool active = v == (int)s->view;
		view_count(d, v, count, sizeof(count));
		say(&p, tab_ink(d, v, active), active ? "[%d %s (%s)]" : " %d %s (%s) ", v + 1,
		    screen_views[v].name, count);
	}
	time_str(d->now, now);
	now[19] = 'Z';
	now[20] = 0;
	const char *clock = now + 11;
	unsigned wide = (unsigned)strlen(clock) + (s->paused ? 8 : 0);
	if (p.x + wide + 1 < c->width) {
		p.x = c->width - wide - 1;
		if (s->paused)
			say(&p, INK_WARN, "PAUSED  ");
		say(&p, INK_PLAIN, "%s", clock);
	} else if (s->paused) {
		p.x = c->width - 7;
		say(&p, INK_WARN, " PAUSED");
	}
}

/* ---- interfaces ---- */

/* Seconds for one character of a graph, so that a minute fits. */
static unsigned graph_step(unsigned columns)
{
	static const unsigned steps[] = {1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
		if (SCREEN_SECONDS / steps[i] <= columns)
			return steps[i];
	return SCREEN_SECONDS;
}

static uint64_t peak_of(const uint64_t v[static SCREEN_SECONDS])
{
	uint64_t max = 0;

	for (size_t i = 0; i < SCREEN_SECONDS; i++)
		if (v[i] != UINT64_MAX && v[i] > max)
			max = v[i];
	return max;
}

/* The greatest of each step. A step begins at the same second wherever it has moved to, so that
 * the bars keep their height as they go left. */
static void graph(const uint64_t v[static SCREEN_SECONDS], unsigned seconds, unsigned step,
                  uint64_t max, bool utf8, char *dst)
{
	uint64_t top[SCREEN_SECONDS];
	unsigned n = SCREEN_SECONDS / step, filled = seconds % step ? seconds % step : step;

	for (unsigned i = 0; i < n; i++) {
		unsigned end = SCREEN_SECONDS - (i ? filled + (i - 1) * step : 0);
		unsigned size = i ? step : filled, begin = end > size ? end - size : 0;
		top[n - 1 - i] = UINT64_MAX;
		for (unsigned k = begin; k < end; k++)
			if (v[k] != UINT64_MAX &&
			    (top[n - 1 - i] == UINT64_MAX || v[k] > top[n - 1 - i]))
				top[n - 1 - i] = v[k];
	}
	bars(top, n, max, utf8, dst);
}

static void draw_iface(struct canvas *c, unsigned y, const struct iface_row *r)
{
	/* name, then twice: "out", number, graph; then the peak where there is room */
	const unsigned fixed = 1 + IFACE_MAX + 2 * (1 + 4 + AMOUNT_COLUMNS + 1);
	const bool with_peak = c->width >= 100;
	unsigned room =
	    c->width > fixed + 1 ? (c->width - fixed - 1 - (with_peak ? 14 : 0)) / 2 : 0;
	unsigned step = graph_step(room);
	uint64_t po = peak_of(r->out), pi = peak_of(r->in), max = po > pi ? po : pi;
	char g[3 * SCREEN_SECONDS + 1], n[16];
	struct pen p = {c, y, 1};
	const struct canvas_field name = {
	    .y = y, .x = 1, .width = IFACE_MAX, .ink = INK_STRONG, .cut = CUT_MIDDLE};

	canvas_put(c, &name, r->name);
	p.x += IFACE_MAX;
	say(&p, INK_PLAIN, " out %s ", amount(r->out[SCREEN_SECONDS - 1], n));
	graph(r->out, r->seconds, step, max, c->utf8, g);
	say(&p, INK_OUT, "%s", g);
	say(&p, INK_PLAIN, "  in %s ", amount(r->in[SCREEN_SECONDS - 1], n));
	graph(r->in, r->seconds, step, max, c->utf8, g);
	say(&p, INK_IN, "%s", g);
	if (with_peak)
		say(&p, INK_FAINT, "  peak %s", amount(max, n));
}

static void add_series(uint64_t sum[static SCREEN_SECONDS], const uint64_t v[static SCREEN_SECONDS])
{
	for (size_t i = 0; i < SCREEN_SECONDS; i++)
		if (v[i] != UINT64_MAX)
			sum[i] = (sum[i] == UINT64_MAX ? 0 : sum[i]) + v[i];
}

/* What has no line of its own is summed on the last one. */
static unsigned draw_ifaces(struct canvas *c, unsigned y, const struct screen_data *d)
{
	unsigned room = c->height / 8 ? c->height / 8 : 1, n = (unsigned)d->n_ifaces;
	unsigned alone = n > room ? room - 1 : n;
	struct iface_row rest = {.name = ""};

	for (unsigned i = 0; i < alone; i++)
		draw_iface(c, y + i, &d->ifaces[i]);
	if (alone == n)
		return y + n;
	memset(rest.out, 0xff, sizeof(rest.out));
	memset(rest.in, 0xff, sizeof(rest.in));
	for (unsigned i = alone; i < n; i++) {
		add_series(rest.out, d->ifaces[i].out);
		add_series(rest.in, d->ifaces[i].in);
		rest.seconds = d->ifaces[i].seconds;
	}
	snprintf(rest.name, sizeof(rest.name), alone ? "%u more" : "all %u", n - alone);
	draw_iface(c, y + alone, &rest);
	return y + alone + 1;
}

static unsigned draw_source(struct canvas *c, unsigned y, const struct screen_data *d)
{
	const struct source_stats *s = &d->stats;
	struct pen p = {c, y, 1};
	char bytes[16], packets[16], from[TIME_STR_MAX], lasts[16];
	uint64_t seconds = s->last_nsec > s->first_nsec
	                       ? (s->last_nsec - s->first_nsec) / UINT64_C(1000000000)
	                       : 0;
	unsigned last =
	    1 + (unsigned)snprintf(NULL, 0, "  %s packets", amount_short(s->packets, packets));
	const struct canvas_field name = {.y = y,
	                                  .x = 1,
	                                  .width = canvas_columns(c->utf8, d->about.what),
	                                  .ink = INK_STRONG,
	                                  .cut = CUT_START};
	struct canvas_field fitted = name;

	if (name.width + last > c->width / 2)
		fitted.width = c->width / 2 > last ? c->width / 2 - last : 1;
	canvas_put(c, &fitted, d->about.what);
	p.x += fitted.width;
	say(&p, INK_PLAIN, "  %s packets, %sB", packets, amount_short(s->bytes, bytes));
	if (s->first_nsec) {
		time_str(s->first_nsec / 1000, from);
		from[10] = ' ';
		from[19] = 'Z';
		from[20] = 0;
		say(&p, INK_PLAIN, "  from %s on, %s", from, span_short(seconds, lasts));
	}
	return y + 1;
}

/* ---- losses, the tier, its blind spots ---- */

static unsigned draw_status(struct canvas *c, unsigned y, const struct screen_data *d)
{
	const struct source_stats *s = &d->stats;
	uint64_t iface_drops = 0;
	for (size_t i = 0; i < d->n_ifaces; i++)
		iface_drops += d->ifaces[i].dropped;
	const struct {
		uint64_t n;
		const char *what, *unit;
	} lost[] = {
	    {s->dropped, "dropped", ""},
	    {s->evicted, "evicted", ""},
	    {d->about.live ? d->unowned > s->unowned ? d->unowned : s->unowned : 0, "unowned", "B"},
	    {iface_drops, "dropped by the interface", ""},
	    {s->malformed, "malformed", ""},
	    {s->truncated, "cut short", ""},
	    {d->losses.flows + d->losses.apps + d->losses.names + d->left_out +
	         d->losses.scores.channels.evicted,
	     "not kept", ""},
	};
	struct pen p = {c, y, 1};
	char n[16];

	for (size_t i = 0; i < ARRAY_SIZE(lost); i++)
		if (lost[i].n) {
			if (p.x > 1)
				say(&p, INK_PLAIN, "  ");
			say(&p, i == 2 ? INK_WARN : INK_BAD, "%s %s%s", lost[i].what,
			    amount_short(lost[i].n, n), lost[i].unit);
		}
	if (p.x == 1)
		say(&p, INK_GOOD, "nothing lost");
	say(&p, INK_FAINT, " %s ", canvas_glyphs(c->utf8)->bar);
	say(&p, INK_PLAIN, "%s", s->tier[0] ? s->tier : "starting");
	if (d->about.blind && d->about.blind[0])
		say(&p, INK_FAINT, ", blind: %s", d->about.blind);
	return y + 1;
}

/* ---- a table ---- */

static void draw_heading(struct canvas *c, unsigned y, const struct screen_state *s,
                         const unsigned widths[static COLUMNS_MAX])
{
	const struct view *v = &screen_views[s->view];
	const struct place *p = &s->place[s->view];
	const struct glyphs *g = canvas_glyphs(c->utf8);
	unsigned x = 1;
	char title[32];

	for (size_t i = 0; i < v->n_columns; i++) {
		const struct column *k = &v->columns[i];
		bool up = (k->number == NULL) != p->reverse;
		struct canvas_field f = {
		    .y = y, .x = x, .width = widths[i], .ink = INK_HEAD, .align = k->align};
		if (!widths[i])
			continue;
		snprintf(title, sizeof(title), "%s%s", k->title,
		         i != p->sort ? ""
		         : up         ? g->rise
		                      : g->fall);
		canvas_put(c, &f, title);
		x += widths[i] + 1;
	}
	canvas_row_ink(c, y, INK_HEAD);
}

static void draw_row(struct canvas *c, unsigned y, const struct screen_state *s,
                     const struct screen_data *d, const void *row,
                     const unsigned widths[static COLUMNS_MAX])
{
	const struct view *v = &screen_views[s->view];
	unsigned x = 1;

	for (size_t i = 0; i < v->n_columns; i++) {
		const struct column *k = &v->columns[i];
		char text[CELL_MAX] = "";
		const struct canvas_field f = {.y = y,
		                               .x = x,
		                               .width = widths[i],
		                               .ink = k->ink ? k->ink(row) : INK_PLAIN,
		                               .align = k->align,
		                               .cut = k->cut};
		if (!widths[i])
			continue;
		k->text(d, row, text, sizeof(text));
		canvas_put(c, &f, text);
		x += widths[i] + 1;
	}
}

static void draw_preview(struct canvas *c, unsigned y, unsigned end, const struct screen_state *s,
                         const struct screen_data *d);

static void draw_table(struct canvas *c, unsigned y, unsigned end, struct screen_state *s,
                       const struct screen_data *d)
{
	const struct view *v = &screen_views[s->view];
	const struct place *p = &s->place[s->view];
	unsigned widths[COLUMNS_MAX], page = end > y + 1 ? end - y - 1 : 0;

	/* the first column is the cursor's, the last stays free */
	view_widths(v, c->width > 2 ? c->width - 2 : 0, widths);
	draw_heading(c, y++, s, widths);
	if (page != s->page) {
		s->page = page;
		screen_state_order(s, d);
	}
	for (size_t i = p->top; i < p->n_order && y < end; i++, y++) {
		const void *row = view_row(v, d, p->order[i]);
		if (!row)
			continue;
		draw_row(c, y, s, d, row, widths);
		if (i == p->cursor) {
			canvas_text(c, y, 0, INK_PLAIN, canvas_glyphs(c->utf8)->cursor);
			canvas_row_ink(c, y, INK_SELECTED);
		}
	}
	if (!p->n_order)
		canvas_text(c, y + 1, 2, INK_FAINT,
		            s->filter[0] ? "Nothing matches the filter; Esc clears it."
		                         : v->empty(d));
	else if (y + PREVIEW_LINES < end)
		draw_preview(c, y + 1, end, s, d);
}

/* ---- pages that scroll ---- */

struct page {
	struct canvas *c;
	unsigned y, end;   /* rows that may be drawn on */
	unsigned skip, at; /* lines that are scrolled away; lines so far */
	unsigned label, x; /* the label's width; the text's column */
};

static void page_line(struct page *p, enum ink ink, const char *label, const char *text)
{
	unsigned width = p->c->width > p->x + 1 ? p->c->width - p->x - 1 : 1;
	char clean[LINE];
	const char *s = out_clean(text, clean, sizeof(clean));

	do {
		size_t n = canvas_fitting(p->c->utf8, s, width);
		unsigned y = p->y + p->at - p->skip;
		if (p->at >= p->skip && y < p->end) {
			char part[LINE];
			snprintf(part, sizeof(part), "%.*s", (int)n, s);
			canvas_text(p->c, y, 1, INK_FAINT, label);
			canvas_text(p->c, y, p->x, ink, part);
		}
		label = "";
		p->at++;
		s += n;
		s += strspn(s, " ");
	} while (*s);
}

static void draw_detail(struct page *p, const struct screen_state *s, const struct screen_data *d)
{
	const void *row = screen_state_selected(s, d);
	static const struct detail none;
	struct detail t = none;

	p->x = 14;
	if (!row)
		return;
	screen_views[s->view].detail(d, row, &t);
	if (s->place[s->view].gone)
		page_line(p, INK_WARN, "",
		          "It has ended or is not listed any more; this is the last of it.");
	for (size_t i = 0; i < t.n; i++)
		page_line(p, t.v[i].ink, t.v[i].label, t.v[i].text);
}

static void draw_preview(struct canvas *c, unsigned y, unsigned end, const struct screen_state *s,
                         const struct screen_data *d)
{
	struct page p = {.c = c, .y = y + 1, .end = end};
	const struct canvas_field more = {.y = end - 1, .width = c->width, .ink = INK_FAINT};

	canvas_row_ink(c, y, INK_HEAD);
	draw_detail(&p, s, d);
	if (p.at > end - p.y)
		canvas_put(c, &more, " … more: Enter");
}

static void draw_help(struct page *p, const struct screen_data *d)
{
	char legend[LINE];

	p->x = 14;
	for (const struct key_row *r = screen_keys; r->press; r++) {
		const char *colon = r->help ? strstr(r->help, ": ") : NULL;
		char label[48];
		if (!r->help)
			continue;
		snprintf(label, sizeof(label), "%.*s", colon ? (int)(colon - r->help) : 0, r->help);
		if (canvas_columns(p->c->utf8, label) > 12 || !colon)
			page_line(p, INK_PLAIN, r->label ? r->label : "", r->help);
		else
			page_line(p, INK_PLAIN, label, colon + 2);
	}
	page_line(p, INK_PLAIN, "", "");
	snprintf(legend, sizeof(legend), "bytes and bytes a second; k, M, G are powers of 1000; %s",
	         d->about.live ? "rates over the last second"
	                       : "a capture's rates are means over the flow");
	page_line(p, INK_PLAIN, "numbers", legend);
	page_line(p, INK_PLAIN, "→ ←", "we opened it; it came in. OUT and SENT are from our side");
	page_line(p, INK_PLAIN, "graphs",
	          "the last 60 seconds; out and in of one interface have one scale");
	page_line(p, INK_PLAIN, "ACT, look", "findings of 0.70 and more, of 0.40 and more");
	page_line(p, INK_PLAIN, "…", "something was cut; Enter shows all of it");
	snprintf(legend, sizeof(legend), "%s%s%s", d->stats.tier,
	         d->about.blind[0] ? "; blind: " : "", d->about.blind);
	page_line(p, INK_PLAIN, "looking by", legend);
}

static void draw_orders(struct page *p, const struct screen_state *s)
{
	char text[FINDING_REASON_MAX + 16];

	p->x = 3;
	page_line(p, INK_STRONG, "", "Which order? Its plan is shown next, and you are asked.");
	page_line(p, INK_PLAIN, "", "");
	for (size_t i = 0; i < s->n_orders; i++) {
		unsigned y = p->y + p->at;
		snprintf(text, sizeof(text), "stanch %s", s->orders[i]);
		page_line(p, INK_PLAIN, "", text);
		if (i == s->order_cursor && y < p->end) {
			canvas_text(p->c, y, 1, INK_PLAIN, canvas_glyphs(p->c->utf8)->cursor);
			canvas_row_ink(p->c, y, INK_SELECTED);
		}
	}
}

static void draw_page(struct canvas *c, unsigned y, unsigned end, struct screen_state *s,
                      const struct screen_data *d)
{
	static const char *const titles[_MODE_MAX] = {
	    [MODE_DETAIL] = " in full", [MODE_ORDERS] = " orders", [MODE_HELP] = " help"};
	struct page p = {.c = c, .y = y + 1, .end = end, .skip = s->scroll};
	char more[64];

	canvas_text(c, y, 0, INK_HEAD, titles[s->mode]);
	canvas_row_ink(c, y, INK_HEAD);
	s->page = end > y + 1 ? end - y - 1 : 0;
	if (s->mode == MODE_DETAIL)
		draw_detail(&p, s, d);
	else if (s->mode == MODE_ORDERS)
		draw_orders(&p, s);
	else
		draw_help(&p, d);
	s->n_scroll = p.at;
	if (p.at <= s->page)
		return;
	snprintf(more, sizeof(more), "lines %u to %u of %u", s->scroll + 1,
	         s->scroll + s->page < p.at ? s->scroll + s->page : p.at, p.at);
	const struct canvas_field f = {
	    .y = y, .x = 20, .width = c->width - 21, .ink = INK_HEAD, .align = ALIGN_RIGHT};
	canvas_put(c, &f, more);
}

/* ---- the last line ---- */

/* Columns that a key takes in the last line; 0: it means nothing here. o is a key of findings, p of
 * live traffic. */
static unsigned key_width(const struct key_row *r, const struct screen_state *s,
                          const struct screen_data *d)
{
	if (!r->label || !(r->modes & 1u << s->mode) ||
	    (r->keys[0] == 'o' && s->view != VIEW_FINDINGS) ||
	    (r->keys[0] == 'p' && !d->about.live))
		return 0;
	return (unsigned)(strlen(r->label) + strlen(r->brief) + 3);
}

/* How to go on and how to get out are there in every width. */
static bool is_way_out(const struct key_row *r)
{
	return r->keys[0] == '?' || r->keys[0] == 'q';
}

static void draw_keys(struct canvas *c, unsigned y, const struct screen_state *s,
                      const struct screen_data *d)
{
	struct pen p = {c, y, 1};
	unsigned kept = 0;

	if (s->message[0]) {
		say(&p, INK_STRONG, "%s", s->message);
		return;
	}
	if (s->mode == MODE_FILTER)
		say(&p, INK_STRONG, "filter: %s_   ", s->filter);
	else if (s->filter[0] && s->mode == MODE_TABLE)
		say(&p, INK_WARN, "filter: %s (Esc clears)   ", s->filter);
	for (const struct key_row *r = screen_keys; r->press; r++)
		kept += is_way_out(r) ? key_width(r, s, d) : 0;
	for (const struct key_row *r = screen_keys; r->press; r++) {
		unsigned wide = key_width(r, s, d);
		if (!wide || p.x + wide + (is_way_out(r) ? 0 : kept) > c->width)
			continue;
		say(&p, INK_STRONG, "%s", r->label);
		say(&p, INK_PLAIN, " %s  ", r->brief);
	}
}

void screen_draw(struct canvas *c, struct screen_state *s, const struct screen_data *d)
{
	unsigned y = 1;

	canvas_clear(c);
	if (c->width < SCREEN_MIN_WIDTH || c->height < SCREEN_MIN_HEIGHT) {
		canvas_text(c, 0, 0, INK_PLAIN, "too small: 60x12 at least; q quits");
		return;
	}
	draw_title(c, s, d);
	y = d->about.live ? draw_ifaces(c, y, d) : draw_source(c, y, d);
	y = draw_status(c, y, d);
	if (s->mode == MODE_TABLE || s->mode == MODE_FILTER)
		draw_table(c, y, c->height - 1, s, d);
	else
		draw_page(c, y, c->height - 1, s, d);
	draw_keys(c, c->height - 1, s, d);
}
