/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Devices that are typed at over SSH and keep access lists: one interpreter, a description of each
 * kind of device as data (devices/NAME.dev, or a file of one's own). A description says how to talk
 * (prompts, pager, errors), where lists are bound, how a list is read, how an entry is written,
 * put in front, and taken out.
 */
#ifndef STANCH_ENFORCE_CLI_H
#define STANCH_ENFORCE_CLI_H

#include "model/driver_ops.h"

extern const struct driver_ops cli_driver;

#endif
