/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a reading tells its parent: types of priv/msg.h. */
#ifndef STANCH_ACQUIRE_STATE_RELAY_H
#define STANCH_ACQUIRE_STATE_RELAY_H

#include "acquire/state/state.h"

enum relay {
	RELAY_UNIT = 1, /* u64 id, name: begun */
	RELAY_ROW,      /* JSON */
	RELAY_BEGIN,    /* name of a file of the bundle; what follows is its content */
	RELAY_DATA,
	RELAY_END,
	RELAY_DONE, /* all units were read */
};

/* The child: its sink sends. Does not return. */
void relay_child(const struct item *item, int channel, uint64_t from) __attribute__((noreturn));

#endif
