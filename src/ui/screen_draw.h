/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The whole screen, drawn into memory: interfaces with graphs, losses and blind spots, the view or
 * the page that is open, the key line. Pure; for any size from SCREEN_MIN_* on, below it says so.
 */
#ifndef STANCH_UI_SCREEN_DRAW_H
#define STANCH_UI_SCREEN_DRAW_H

#include "ui/screen_state.h"

#define SCREEN_MIN_WIDTH  60
#define SCREEN_MIN_HEIGHT 12

/* Sets s->page and s->n_scroll by what there is room for, and puts the rows in order where the
 * room has changed. */
void screen_draw(struct canvas *c, struct screen_state *s, const struct screen_data *d);

#endif
