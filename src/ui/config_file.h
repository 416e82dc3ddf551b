/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads stanch.conf with libconfuse into a struct config. */
#ifndef STANCH_UI_CONFIG_FILE_H
#define STANCH_UI_CONFIG_FILE_H

#include "model/config.h"
#include "model/driver_ops.h"

/* *c gets the defaults, then what the file says. Errors carry file and line, unknown keys are
 * errors. The environment is empty while the file is read, since libconfuse expands ${NAME}.
 * drivers: those that points may name, with the settings they take; ended by NULL.
 * -ENOENT: no such file; -EINVAL; -EPERM: anyone may write to it. */
int config_load(const char *path, const struct driver_ops *const *drivers, struct config *ret,
                struct err *e);

#endif
