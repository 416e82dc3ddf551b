/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The point of this host: several drivers in one. An order goes to each driver that takes its verb
 * and its kind of target, in the order of the table, and their plans are joined to one; a step
 * belongs to the driver whose name its kind begins with ("service.mask"). So one order has its
 * steps in the sequence that it needs: what would start it again, then what runs, then who may
 * come in; undone backwards.
 */
#ifndef STANCH_ENFORCE_LOCAL_H
#define STANCH_ENFORCE_LOCAL_H

#include "model/driver_ops.h"

#define LOCAL_DRIVERS_MAX 8

struct local_row {
	const struct driver_ops *driver;
	unsigned verbs; /* 1 << VERB_… */
	unsigned kinds; /* 1 << TARGET_…, of the order's first target (an order has one kind) */
};

/* Ended by a row without a driver. Defined in stanch.c. */
extern const struct local_row local_table[];

extern const struct driver_ops local_driver;

#endif
