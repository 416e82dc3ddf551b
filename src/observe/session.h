/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A long session to the outside on an odd port: how long it lasted, times what is odd about it (no
 * service that people know uses the port, nobody recognised what it speaks, no name was looked up
 * for the address, more goes out than comes in). Ports of services that live long by design, UDP
 * (calls, games) and a certain name lower it.
 */
#ifndef STANCH_OBSERVE_SESSION_H
#define STANCH_OBSERVE_SESSION_H

#include "observe/context.h"

#define SESSION_LOW   300.0 /* seconds of one connection */
#define SESSION_HIGH  3600.0
#define SESSION_ODD   0.70
#define SESSION_PKTS  20   /* of the channel, both ways; fewer are a connection left open */
#define SESSION_BYTES 1000 /* each way */

bool session_score(const struct score_context *x, const struct channel *c, struct finding *ret);

#endif
