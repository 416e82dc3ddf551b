/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The parent's end of the stream of frames (keeping.h): pieces of any size in, checked frames out.
 */
#ifndef STANCH_OBSERVE_FRAMES_IN_H
#define STANCH_OBSERVE_FRAMES_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "observe/recent.h"

struct frames_in;

/* f is valid in the call; pick is why it is wanted. */
typedef void (*frame_in_fn)(void *arg, const struct frame *f, size_t pick);

int frames_in_new(size_t n_sources, struct frames_in **ret); /* -ENOMEM */
void frames_in_free(struct frames_in *s);                    /* takes NULL */
/* n_picks: how many there may be by now. -EBADMSG: it makes no sense. */
int frames_in_take(struct frames_in *s, const uint8_t *p, size_t n, size_t n_picks, frame_in_fn cb,
                   void *arg);
/* No frame has been begun and not ended. */
bool frames_in_whole(const struct frames_in *s);

#endif
