/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/screen_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN(mode)     (1u << (mode))
#define IN_TABLE     IN(MODE_TABLE)
#define IN_PAGES     (IN(MODE_DETAIL) | IN(MODE_HELP))
#define IN_LISTS     (IN_TABLE | IN_PAGES | IN(MODE_ORDERS))
#define IN_NOT_TYPED (IN_LISTS)

static struct place *here(struct screen_state *s)
{
	return &s->place[s->view];
}

static const struct view *view_of(const struct screen_state *s)
{
	return &screen_views[s->view];
}

void screen_state_init(struct screen_state *s)
{
	*s = (struct screen_state){.page = 10};
	for (int i = 0; i < _VIEW_MAX; i++)
		s->place[i].sort = screen_views[i].sort;
}

void screen_state_free(struct screen_state *s)
{
	for (int i = 0; i < _VIEW_MAX; i++)
		free(s->place[i].order);
	*s = (struct screen_state){0};
}

/* ---- the selection ---- */

static const void *row_at(const struct screen_state *s, const struct screen_data *d, size_t i)
{
	const struct place *p = &s->place[s->view];

	return i < p->n_order ? view_row(view_of(s), d, p->order[i]) : NULL;
}

static void select_at(struct screen_state *s, const struct screen_data *d, size_t i)
{
	struct place *p = here(s);
	const void *row;

	p->cursor = i < p->n_order ? i : p->n_order ? p->n_order - 1 : 0;
	row = row_at(s, d, p->cursor);
	p->has_selected = row != NULL;
	p->gone = false;
	if (row)
		memcpy(&p->selected, row, view_of(s)->row_size);
}

static void scroll_to_cursor(struct screen_state *s)
{
	struct place *p = here(s);

	if (p->top + s->page > p->n_order)
		p->top = p->n_order > s->page ? p->n_order - s->page : 0;
	if (p->cursor < p->top)
		p->top = p->cursor;
	if (s->page && p->cursor >= p->top + s->page)
		p->top = p->cursor - s->page + 1;
}

static void find_again(struct screen_state *s, const struct screen_data *d)
{
	struct place *p = here(s);

	if ((s->mode == MODE_TABLE || s->mode == MODE_FILTER) && !p->moved) {
		select_at(s, d, 0);
		return;
	}
	for (size_t i = 0; p->has_selected && i < p->n_order; i++)
		if (view_of(s)->same(row_at(s, d, i), &p->selected)) {
			select_at(s, d, i);
			return;
		}
	if (s->mode == MODE_DETAIL || s->mode == MODE_ORDERS)
		p->gone = p->has_selected;
	else
		select_at(s, d, p->cursor);
}

int screen_state_order(struct screen_state *s, const struct screen_data *d)
{
	struct place *p = here(s);
	uint32_t *order = NULL;
	size_t n = 0;
	int r = view_order(view_of(s), d, p->sort, p->reverse, s->filter, &order, &n);

	if (r < 0)
		return r;
	free(p->order);
	p->order = order;
	p->n_order = n;
	find_again(s, d);
	scroll_to_cursor(s);
	return 0;
}

const void *screen_state_selected(const struct screen_state *s, const struct screen_data *d)
{
	const struct place *p = &s->place[s->view];

	return p->has_selected ? &p->selected : NULL;
}

/* ---- moving ---- */

static enum screen_action move_by(struct screen_state *s, const struct screen_data *d, long by)
{
	struct place *p = here(s);
	long page = s->page ? s->page : 1, at, last;

	if (s->mode == MODE_ORDERS) {
		at = (long)s->order_cursor + (by > 0 ? 1 : -1);
		last = (long)s->n_orders - 1;
		s->order_cursor = (size_t)(at < 0 ? 0 : at > last ? last : at);
	} else if (s->mode == MODE_TABLE) {
		at = (long)p->cursor + by;
		p->moved = by > -(long)SCREEN_FLOWS;
		select_at(s, d, (size_t)(at < 0 ? 0 : at));
		scroll_to_cursor(s);
	} else {
		at = (long)s->scroll + by;
		last = (long)s->n_scroll > page ? (long)s->n_scroll - page : 0;
		s->scroll = (unsigned)(at < 0 ? 0 : at > last ? last : at);
	}
	return ACTION_NONE;
}

static enum screen_action press_move(struct screen_state *s, const struct screen_data *d, int key)
{
	long page = s->page > 1 ? s->page - 1 : 1, all = SCREEN_FLOWS;

	switch (key) {
	case SKEY_UP:
	case 'k':
		return move_by(s, d, -1);
	case SKEY_DOWN:
	case 'j':
		return move_by(s, d, 1);
	case SKEY_PAGE_UP:
		return move_by(s, d, -page);
	case SKEY_PAGE_DOWN:
	case ' ':
		return move_by(s, d, page);
	default:
		return move_by(s, d, key == SKEY_HOME || key == 'g' ? -all : all);
	}
}

static enum screen_action press_view(struct screen_state *s, const struct screen_data *d, int key)
{
	s->view = key == SKEY_TAB ? (s->view + 1) % _VIEW_MAX : (enum screen_view)(key - '1');
	s->mode = MODE_TABLE;
	screen_state_order(s, d);
	return ACTION_NONE;
}

/* ---- sorting, filtering ---- */

static enum screen_action press_sort(struct screen_state *s, const struct screen_data *d, int key)
{
	struct place *p = here(s);
	unsigned n = (unsigned)view_of(s)->n_columns,
	         step = key == '<' || key == SKEY_LEFT ? n - 1 : 1;

	/* Arrows and bright marks are no order. */
	do
		p->sort = (p->sort + step) % n;
	while (strlen(view_of(s)->columns[p->sort].title) < 2);
	p->reverse = false;
	screen_state_order(s, d);
	return ACTION_NONE;
}

static enum screen_action press_reverse(struct screen_state *s, const struct screen_data *d,
                                        int key)
{
	here(s)->reverse = !here(s)->reverse;
	screen_state_order(s, d);
	return ACTION_NONE;
}

static enum screen_action press_filter(struct screen_state *s, const struct screen_data *d, int key)
{
	s->mode = MODE_FILTER;
	memcpy(s->old_filter, s->filter, sizeof(s->filter));
	return ACTION_NONE;
}

static enum screen_action filter_done(struct screen_state *s, const struct screen_data *d, int key)
{
	s->mode = MODE_TABLE;
	if (key == SKEY_ESCAPE)
		memcpy(s->filter, s->old_filter, sizeof(s->filter));
	screen_state_order(s, d);
	return ACTION_NONE;
}

static enum screen_action filter_erase(struct screen_state *s, const struct screen_data *d, int key)
{
	size_t len = strlen(s->filter);

	if (len)
		s->filter[len - 1] = 0;
	screen_state_order(s, d);
	return ACTION_NONE;
}

static enum screen_action filter_type(struct screen_state *s, const struct screen_data *d, int key)
{
	size_t len = strlen(s->filter);

	if (key < ' ' || key >= 0x7f || len + 1 >= sizeof(s->filter))
		return ACTION_NONE;
	s->filter[len] = (char)key;
	s->filter[len + 1] = 0;
	screen_state_order(s, d);
	return ACTION_NONE;
}

/* ---- pages ---- */

static enum screen_action press_detail(struct screen_state *s, const struct screen_data *d, int key)
{
	if (!here(s)->has_selected)
		return ACTION_NONE;
	s->mode = MODE_DETAIL;
	s->scroll = 0;
	return ACTION_NONE;
}

static enum screen_action press_back(struct screen_state *s, const struct screen_data *d, int key)
{
	if (s->mode == MODE_HELP)
		s->mode = s->before_help;
	else if (s->mode != MODE_TABLE)
		s->mode = MODE_TABLE;
	else
		s->filter[0] = 0;
	s->scroll = 0;
	screen_state_order(s, d);
	return ACTION_NONE;
}

static enum screen_action press_help(struct screen_state *s, const struct screen_data *d, int key)
{
	if (s->mode == MODE_HELP)
		return press_back(s, d, key);
	s->before_help = s->mode;
	s->mode = MODE_HELP;
	s->scroll = 0;
	return ACTION_NONE;
}

static enum screen_action press_pause(struct screen_state *s, const struct screen_data *d, int key)
{
	if (!d->about.live)
		return ACTION_NONE;
	s->paused = !s->paused;
	return ACTION_PAUSE;
}

static enum screen_action press_quit(struct screen_state *s, const struct screen_data *d, int key)
{
	return ACTION_QUIT;
}

/* ---- orders ---- */

static enum screen_action carry_out(struct screen_state *s)
{
	memcpy(s->order, s->orders[s->order_cursor], sizeof(s->order));
	s->mode = MODE_TABLE;
	return ACTION_ORDER;
}

static void say(struct screen_state *s, const char *text)
{
	snprintf(s->message, sizeof(s->message), "%s", text);
}

static enum screen_action press_orders(struct screen_state *s, const struct screen_data *d, int key)
{
	const struct place *p = here(s);
	const struct finding *f = &p->selected.finding;

	if (s->view != VIEW_FINDINGS || !p->has_selected) {
		say(s, "o works on a finding: 3 shows them");
		return ACTION_NONE;
	}
	s->n_orders = s->order_cursor = 0;
	for (size_t i = 0; i < f->n_orders; i++)
		snprintf(s->orders[s->n_orders++], sizeof(s->orders[0]), "%s", f->orders[i]);
	if (d->about.contain && f->id && f->n_orders > 1)
		snprintf(s->orders[s->n_orders++], sizeof(s->orders[0]), "contain f%u", f->id);
	if (!s->n_orders) {
		say(s, "this finding proposes no order");
		return ACTION_NONE;
	}
	if (s->n_orders == 1)
		return carry_out(s);
	s->mode = MODE_ORDERS;
	return ACTION_NONE;
}

static enum screen_action press_choose(struct screen_state *s, const struct screen_data *d, int key)
{
	return carry_out(s);
}

/* ---- the table ---- */

const struct key_row screen_keys[] = {
    {{SKEY_UP, 'k'}, NULL, NULL, "Up, k: one row up", IN_LISTS, press_move},
    {{SKEY_DOWN, 'j'}, NULL, NULL, "Down, j: one row down", IN_LISTS, press_move},
    {{SKEY_PAGE_UP}, NULL, NULL, "PgUp: a page up", IN_LISTS, press_move},
    {{SKEY_PAGE_DOWN, ' '}, NULL, NULL, "PgDn, space: a page down", IN_LISTS, press_move},
    {{SKEY_HOME, 'g'}, NULL, NULL, "Home, g: the first row", IN_LISTS, press_move},
    {{SKEY_END, 'G'}, NULL, NULL, "End, G: the last row", IN_LISTS, press_move},
    {{'1', '2', '3'}, "1-3", "view", "1 flows, 2 processes, 3 findings", IN_NOT_TYPED, press_view},
    {{SKEY_TAB}, NULL, NULL, "Tab: the next view", IN_NOT_TYPED, press_view},
    {{SKEY_ENTER}, "Enter", "detail", "Enter: the row in full", IN_TABLE, press_detail},
    {{SKEY_ENTER}, "Enter", "plan", NULL, IN(MODE_ORDERS), press_choose},
    {{SKEY_ENTER, 'q'}, NULL, NULL, NULL, IN_PAGES, press_back},
    {{'o'},
     "o",
     "orders",
     "o, on a finding: the plan of an order it proposes; nothing is done before it is confirmed",
     IN_TABLE | IN(MODE_DETAIL),
     press_orders},
    {{'s', '>', SKEY_RIGHT}, "s", "sort", "s, >: sort by the next column", IN_TABLE, press_sort},
    {{'<', SKEY_LEFT}, NULL, NULL, "<: sort by the column before", IN_TABLE, press_sort},
    {{'r'}, "r", "reverse", "r: turn the order around", IN_TABLE, press_reverse},
    {{'/'},
     "/",
     "filter",
     "/: only rows with this text in an address, port, name, process, user or unit",
     IN_TABLE,
     press_filter},
    {{'p'},
     "p",
     "pause",
     "p: the screen stands still, counting goes on",
     IN_TABLE | IN(MODE_DETAIL),
     press_pause},
    {{'?', 'h'}, "?", "help", "?, h: this page", IN_NOT_TYPED, press_help},
    {{SKEY_ESCAPE},
     "Esc",
     "back",
     "Esc: back; in a table: no filter any more",
     IN_PAGES | IN(MODE_ORDERS),
     press_back},
    {{SKEY_ESCAPE}, NULL, NULL, NULL, IN_TABLE, press_back},
    {{'q'}, "q", "quit", "q: leave; the sums are printed", IN_TABLE | IN(MODE_ORDERS), press_quit},
    {{SKEY_ENTER}, "Enter", "keep it", NULL, IN(MODE_FILTER), filter_done},
    {{SKEY_ESCAPE}, "Esc", "as before", NULL, IN(MODE_FILTER), filter_done},
    {{SKEY_BACKSPACE}, NULL, NULL, NULL, IN(MODE_FILTER), filter_erase},
    {{0}, NULL, NULL, NULL, 0, NULL},
};

static bool is_key(const struct key_row *r, int key)
{
	for (size_t i = 0; i < sizeof(r->keys) / sizeof(r->keys[0]); i++)
		if (r->keys[i] && r->keys[i] == key)
			return true;
	return false;
}

enum screen_action screen_state_key(struct screen_state *s, const struct screen_data *d, int key)
{
	s->message[0] = 0;
	for (const struct key_row *r = screen_keys; r->press; r++)
		if (r->modes & IN(s->mode) && is_key(r, key))
			return r->press(s, d, key);
	return s->mode == MODE_FILTER ? filter_type(s, d, key) : ACTION_NONE;
}
