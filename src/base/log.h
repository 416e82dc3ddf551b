/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Debug lines for developers, on standard error, only with -v. Library layers log nothing else;
 * what a person must know is returned as a value. */
#ifndef STANCH_BASE_LOG_H
#define STANCH_BASE_LOG_H

#include <stdbool.h>

extern bool log_debug_on;
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
