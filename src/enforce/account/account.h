/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The driver `account`: an account of this host, under every name of its uid, lets nobody in.
 *
 *   account.fields   in shadow (and passwd where a password stands there) each name is locked and
 *                    expired: a lock alone leaves keys, cron and at working
 *   account.aside    keys, crontabs, at jobs, linger, user units are renamed into a folder of
 *                    root's in the same mount, whatever their flags
 *
 * Then the driver `process` freezes, captures and ends what runs of it: that cannot be taken back,
 * and so is last.
 */
#ifndef STANCH_ENFORCE_ACCOUNT_H
#define STANCH_ENFORCE_ACCOUNT_H

#include "model/driver_ops.h"

extern const struct driver_ops account_driver;

#endif
