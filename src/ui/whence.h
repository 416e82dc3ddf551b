/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `status ADDRESS`: is it blocked, and because of whom? */
#ifndef STANCH_UI_WHENCE_H
#define STANCH_UI_WHENCE_H

#include "ui/ctx.h"

/* Tells which orders name the address: targets, and entries of feeds with their line, note and end;
 * and what the kernel's tries say. Returns the exit code. */
int whence(struct ctx *c, struct session *s, const struct addr *a);

#endif
