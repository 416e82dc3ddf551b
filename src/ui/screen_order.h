/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a finding to its order: `stanch ORDER` itself, on the terminal that the screen has left for
 * that time: its plan, its question, its result. A process of its own, so that watching goes on
 * meanwhile.
 */
#ifndef STANCH_UI_SCREEN_ORDER_H
#define STANCH_UI_SCREEN_ORDER_H

#include <sys/types.h>

#include "ui/ctx.h"

enum order_step { ORDER_NONE, ORDER_RUNS, ORDER_READ, ORDER_DONE };

struct screen_order {
	enum order_step step; /* ORDER_READ: its end waits to be read by a person */
	pid_t pid;
	int tty; /* the person's; not owned */
	char words[FINDING_REASON_MAX];
	int code; /* its exit code; -1: it did not start or was killed */
};

/* words: what stands behind "stanch ", blanks between. The terminal is in its usual state. */
int screen_order_start(struct screen_order *o, const struct ctx *c, const char *words, int tty,
                       struct err *e);
/* Goes on without waiting; ORDER_DONE: the terminal is free again. */
enum order_step screen_order_step(struct screen_order *o);
/* Waits for the order's process, if there is one. */
void screen_order_finish(struct screen_order *o);
/* "block 192.0.2.1: done and verified" */
void screen_order_result(const struct screen_order *o, char *dst, size_t n);

#endif
