/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ctrl-C in a command that runs until it is told to stop: it ends its work and says what it has. */
#ifndef STANCH_UI_STOP_H
#define STANCH_UI_STOP_H

#include <signal.h>
#include <stdbool.h>

#include "base/clock.h"

/* Set by SIGINT and SIGTERM from stop_catch on. A second signal ends the process as usual. */
extern volatile sig_atomic_t stop_asked;
void stop_catch(void);
/* Sleeps until this boot time; false when it was asked to stop. */
bool stop_sleep_until(usec_t boot);

#endif
