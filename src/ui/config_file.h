/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads stanch.conf with libconfuse into a struct config. */
#ifndef STANCH_UI_CONFIG_FILE_H
#define STANCH_UI_CONFIG_FILE_H

#include "model/config.h"

/* *c gets the defaults, then what the file says. Errors carry file and line, unknown keys are
 * errors. The environment is empty while the file is read, since libconfuse expands ${NAME}.
 * -ENOENT: no such file; -EINVAL; -EPERM: anyone may write to it. */
int config_load(const char *path, struct config *ret, struct err *e);

#endif
