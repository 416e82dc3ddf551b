/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ui/stop.h"

#include <poll.h>
#include <stddef.h>

#define SLICE                                                                                      \
	(100 * USEC_PER_MSEC) /* a signal between the check and the sleep costs this at most */

volatile sig_atomic_t stop_asked;

static void on_signal(int sig)
{
	(void)sig;
	stop_asked = 1;
}

void stop_catch(void)
{
	const struct sigaction a = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
}

bool stop_sleep_until(usec_t boot)
{
	usec_t now;

	while (!stop_asked && (now = boot_now()) < boot) {
		usec_t left = boot - now < SLICE ? boot - now : SLICE;
		poll(NULL, 0, (int)(left / USEC_PER_MSEC) + 1);
	}
	return !stop_asked;
}
