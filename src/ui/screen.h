/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The screen of `stanch watch` on a terminal (ncurses). It never blocks: who runs the source calls
 * screen_second once a second and screen_idle at least every 50 ms.
 *
 * The terminal is given back by screen_close, while an order is planned, and, as far as that is
 * possible, when the process aborts. No other state is global.
 */
#ifndef STANCH_UI_SCREEN_H
#define STANCH_UI_SCREEN_H

#include "ui/ctx.h"
#include "ui/screen_data.h"

struct watch_screen;

/* Standard output is a terminal on which a screen can be drawn, and there is one to type on. */
bool screen_possible(const struct ctx *c);
/* about (and what it points to) must stay until close. -ENOTTY: no screen on this terminal, use
 * plain output; *e says why. */
int screen_open(struct ctx *c, const struct screen_about *about, struct watch_screen **ret,
                struct err *e);
void screen_close(struct watch_screen *s); /* takes NULL; the terminal is as it was before */

/* A flow that has ended: fits struct watch_config, `s` its arg. w may be NULL. */
void screen_final(struct watch_screen *s, const struct watch *w, const struct seen_flow *f);
/* The findings between two calls of screen_second are those that are shown. */
void screen_finding(struct watch_screen *s, const struct finding *f);
/* What is known now is shown, unless it stands still. */
void screen_second(struct watch_screen *s, struct watch *w, const struct source_stats *stats);
/* Takes keys; draws what they changed. `q` sets stop_asked. */
void screen_idle(struct watch_screen *s);
/* The source has come to its end: shows what there is until a person quits. */
void screen_stay(struct watch_screen *s);

#endif
