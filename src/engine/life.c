/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine/life.h"

#include <errno.h>
#include <stdint.h>

static const char *const event_names[_EVENT_MAX] = {
    [EVENT_RECORDED] = "recorded",
    [EVENT_APPLIED] = "applied",
    [EVENT_APPLY_FAILED] = "apply failed",
    [EVENT_HOLDS] = "holds",
    [EVENT_ABSENT] = "absent",
    [EVENT_DRIFTED] = "drifted",
    [EVENT_UNSURE] = "unsure",
    [EVENT_UNDO] = "undo",
    [EVENT_UNDO_DONE] = "undo done",
    [EVENT_UNDO_FAILED] = "undo failed",
};
STRING_TABLE_DEFINE(event, enum event, event_names)

struct transition {
	uint8_t valid, next, action;
};

#define TO(state, action)                                                                          \
	{                                                                                          \
		1, STEP_##state, ACTION_##action                                                   \
	}

/* An apply that failed is looked at, too: "on failure nothing is left" is the driver's word, and a
 * process can be killed between its failure and its cleaning up. */
static const struct transition table[_STEP_STATE_MAX][_EVENT_MAX] =
    {
        [STEP_PLANNED] =
            {
                [EVENT_RECORDED] = TO(INTENT, APPLY),
                [EVENT_APPLY_FAILED] = TO(FAILED, NONE), /* prepare failed */
            },
        [STEP_INTENT] =
            {
                [EVENT_RECORDED] = TO(INTENT, APPLY), /* again, after a death */
                [EVENT_APPLIED] = TO(APPLIED, VERIFY),
                [EVENT_APPLY_FAILED] = TO(FAILED, VERIFY),
                [EVENT_HOLDS] = TO(VERIFIED, NONE),
                [EVENT_ABSENT] = TO(UNDONE, NONE), /* it was never begun */
                [EVENT_UNDO] = TO(UNDOING, UNDO),
            },
        [STEP_APPLIED] =
            {
                [EVENT_RECORDED] = TO(INTENT, APPLY),
                [EVENT_HOLDS] = TO(VERIFIED, NONE),
                [EVENT_ABSENT] = TO(FAILED, NONE),
                [EVENT_DRIFTED] = TO(APPLIED, NONE),
                [EVENT_UNSURE] = TO(UNKNOWN, NONE),
                [EVENT_UNDO] = TO(UNDOING, UNDO),
            },
        [STEP_VERIFIED] =
            {
                [EVENT_RECORDED] = TO(INTENT, APPLY),
                [EVENT_HOLDS] = TO(VERIFIED, NONE),
                [EVENT_UNDO] = TO(UNDOING, UNDO),
            },
        [STEP_UNDOING] =
            {
                [EVENT_UNDO] = TO(UNDOING, UNDO),
                [EVENT_UNDO_DONE] = TO(UNDONE, NONE),
                [EVENT_UNDO_FAILED] = TO(UNDOING, NONE), /* the next command tries again */
            },
        [STEP_UNDONE] = {{0}},
        [STEP_FAILED] =
            {
                [EVENT_RECORDED] = TO(INTENT, APPLY),
                [EVENT_HOLDS] = TO(UNDOING, UNDO),
                [EVENT_DRIFTED] = TO(UNDOING, UNDO),
                [EVENT_ABSENT] = TO(FAILED, NONE),
                [EVENT_UNSURE] = TO(UNKNOWN, NONE),
            },
        [STEP_UNKNOWN] =
            {
                [EVENT_RECORDED] = TO(INTENT, APPLY),
                [EVENT_HOLDS] = TO(VERIFIED, NONE),
                [EVENT_UNDO] = TO(UNDOING, UNDO),
            },
};

int life_move(enum step_state *state, enum event ev)
{
	const struct transition *t = &table[*state][ev];
	if (!t->valid)
		return -EPROTO;
	*state = (enum step_state)t->next;
	return t->action;
}

bool life_in_force(enum step_state s)
{
	return s == STEP_INTENT || s == STEP_APPLIED || s == STEP_VERIFIED || s == STEP_UNKNOWN ||
	       s == STEP_UNDOING;
}
