/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plans, orders and reports as people and programs read them. JSON forms are new references, NULL
 * when out of memory. */
#ifndef STANCH_UI_SHOW_H
#define STANCH_UI_SHOW_H

#include "engine/engine.h"
#include "ui/ctx.h"

/* Each line of text with a label before it; with --json one object {"event_type":label,…} a line
 * on standard error's companion, the output. */
void show_lines(struct out *o, const char *label, const char *text);

/* "04:17:00 UTC (in 9m 58s)". now: wall time. */
#define CLOCK_TEXT_MAX 80
const char *clock_text(usec_t wall, usec_t now, char dst[static CLOCK_TEXT_MAX]);
/* The clocks of an order as sentences, one a line: what happens then. */
int clocks_text(const struct order *o, usec_t now, struct buf *out);
/* Time left, for a column: "9m 58s", "2d 3h", "passed". */
const char *left_text(usec_t wall, usec_t now, char dst[static TIME_STR_MAX]);

/* Targets of an order: "self", "203.0.113.5, 198.51.100.20 (evil.example)", "… and 7 more". */
int targets_text(const struct order *o, struct buf *out);

/* The plan: targets, steps with effect and inverse, the allow-list, notes, dimensions, clocks. With
 * -v the exact calls of each step. g may be NULL: no calls. */
void show_plan(struct ctx *c, struct engine *g, const struct order *o, const struct plan *p);
/* After it was done: dimensions, problems, id, head, what to type. */
void show_result(struct ctx *c, const struct order *o, const struct plan *p, const struct report *r,
                 const char *event);
void show_dims(struct ctx *c, const enum dim_state dims[_DIM_MAX], char *const reasons[_DIM_MAX]);
enum out_style dim_style(enum dim_state s);

json_t *json_order(const struct order *o);
json_t *json_steps(const struct plan *p);
json_t *json_dims(const enum dim_state dims[_DIM_MAX], char *const reasons[_DIM_MAX]);
json_t *json_lines(const char *text); /* array of strings */

/* CLI.md's code for an outcome. */
enum exit_code exit_of_outcome(enum engine_outcome o);

#endif
