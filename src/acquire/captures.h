/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The captures there are, for the table in stanch.c. */
#ifndef STANCH_ACQUIRE_CAPTURES_H
#define STANCH_ACQUIRE_CAPTURES_H

#include "model/capture_ops.h"

extern const struct capture_ops capture_disk;
extern const struct capture_ops capture_memory;
extern const struct capture_ops capture_state;

#endif
