/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a person is on the screen, and what each key does there. One table of keys (screen_keys):
 * the key line and the help page are made from it. Pure: no curses, no clock.
 *
 * The selection is the row, not its place: once it was moved it stays on it when the order changes
 * (Home lets it go again: then it is whatever is on top). A row that is gone stays known
 * (`selected`), so that its detail can be read to the end.
 */
#ifndef STANCH_UI_SCREEN_STATE_H
#define STANCH_UI_SCREEN_STATE_H

#include "ui/screen_table.h"

enum screen_key {
	KEY_OF_CHARS = 0x110000, /* below: a character as it is */
	SKEY_UP,
	SKEY_DOWN,
	SKEY_LEFT,
	SKEY_RIGHT,
	SKEY_PAGE_UP,
	SKEY_PAGE_DOWN,
	SKEY_HOME,
	SKEY_END,
	SKEY_ENTER,
	SKEY_ESCAPE,
	SKEY_BACKSPACE,
	SKEY_TAB,
};

enum screen_mode { MODE_TABLE, MODE_FILTER, MODE_DETAIL, MODE_ORDERS, MODE_HELP, _MODE_MAX };

enum screen_action {
	ACTION_NONE,
	ACTION_PAUSE, /* or go on; `paused` says which */
	ACTION_ORDER, /* carry `order` out */
	ACTION_QUIT
};

#define SCREEN_ORDERS_MAX (FINDING_ORDERS_MAX + 1)

struct place {
	unsigned sort;
	bool reverse;
	size_t cursor, top; /* in the order */
	bool has_selected;  /* selected is a row that was there */
	bool gone;          /* and is not there any more */
	bool moved;         /* by a person: the selection follows its row, else it is the top */
	union any_row selected;
	uint32_t *order; /* owned; n_order indices of rows */
	size_t n_order;
};

struct screen_state {
	enum screen_view view;
	enum screen_mode mode, before_help;
	struct place place[_VIEW_MAX];
	char filter[FILTER_MAX], old_filter[FILTER_MAX];
	bool paused;
	unsigned page;             /* rows of a table that the screen has; set by who draws */
	unsigned scroll, n_scroll; /* of the detail and the help; n_scroll: set by who draws */
	char orders[SCREEN_ORDERS_MAX][FINDING_REASON_MAX];
	size_t n_orders, order_cursor;
	char order[FINDING_REASON_MAX];
	char message[200]; /* shown until the next key; "" none */
};

struct key_row {
	int keys[3];       /* 0: no further one */
	const char *label; /* "↑↓" as the key line has it; NULL: not on it */
	const char *brief; /* on the key line */
	const char *help;  /* on the help page; NULL: not there (a second way) */
	unsigned modes;    /* bits of screen_mode in which it works */
	enum screen_action (*press)(struct screen_state *s, const struct screen_data *d, int key);
};
extern const struct key_row screen_keys[]; /* ended by a row without press */

void screen_state_init(struct screen_state *s);
void screen_state_free(struct screen_state *s);
/* The rows of the present view are put in order again, and the selection is found again: after new
 * data. -ENOMEM: the old order stays. */
int screen_state_order(struct screen_state *s, const struct screen_data *d);
/* Does what a key does; unknown keys do nothing. */
enum screen_action screen_state_key(struct screen_state *s, const struct screen_data *d, int key);
/* The row that is selected; NULL: none. */
const void *screen_state_selected(const struct screen_state *s, const struct screen_data *d);

#endif
