/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The child's side of keeping the packets of what was found: frames come in, those that are wanted
 * go out as a stream of struct frame_record and bytes. What is wanted becomes known late, so frames
 * wait in a ring (recent.h); a capture that can be read twice needs none.
 */
#ifndef STANCH_OBSERVE_KEEPING_H
#define STANCH_OBSERVE_KEEPING_H

#include "observe/picks.h"
#include "observe/recent.h"
#include "observe/record.h"

#define KEEPING_MEMORY (UINT64_C(64) << 20)

struct keeping;

/* ring_bytes 0: each frame is judged when it comes. put: the next n bytes of the stream. */
int keeping_new(size_t ring_bytes, void (*put)(void *arg, const void *p, size_t n), void *arg,
                struct keeping **ret, struct err *e);
void keeping_free(struct keeping *k); /* takes NULL */
/* Says whether there was a place for it. */
bool keeping_pick(struct keeping *k, const struct pick *p);
void keeping_frame(struct keeping *k, const struct frame *f);
/* No more frames: what waits is judged. */
void keeping_end(struct keeping *k);
void keeping_report(const struct keeping *k, struct kept_record *ret);

#endif
