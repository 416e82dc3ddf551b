/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The life of a step: one table, [state][event] → {next, action}. What is not in it is refused. */
#ifndef STANCH_ENGINE_LIFE_H
#define STANCH_ENGINE_LIFE_H

#include <stdbool.h>

#include "model/step.h"

enum event {
	EVENT_RECORDED, /* its INTENT is on disk */
	EVENT_APPLIED,
	EVENT_APPLY_FAILED,
	EVENT_HOLDS, /* read back … */
	EVENT_ABSENT,
	EVENT_DRIFTED,
	EVENT_UNSURE, /* … or not to be read */
	EVENT_UNDO,   /* is to be taken back, and that is on disk */
	EVENT_UNDO_DONE,
	EVENT_UNDO_FAILED,
	_EVENT_MAX,
	_EVENT_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(event, enum event);

enum action {
	ACTION_NONE, /* settled */
	ACTION_APPLY,
	ACTION_VERIFY,
	ACTION_UNDO,
	_ACTION_MAX
};

/* Moves *state and returns the action that is due; -EPROTO leaves it alone. */
int life_move(enum step_state *state, enum event ev);
/* Is something of it, or may something of it be, in force? */
bool life_in_force(enum step_state s);

#endif
