/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef STANCH_ENFORCE_HOST_CUT_H
#define STANCH_ENFORCE_HOST_CUT_H

#include "enforce/host/parts.h"

/* Ends the time in which resets of destroyed sockets may pass: from now on the cut is whole. */
int cut_drain_off(struct host *h, struct err *e);

#endif
