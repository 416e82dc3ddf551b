/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Texts that many records share (names, paths of programs), each kept once, in bounded memory. */
#ifndef STANCH_OBSERVE_STRPOOL_H
#define STANCH_OBSERVE_STRPOOL_H

#include <stddef.h>
#include <stdint.h>

struct strpool;

/* bytes: of all texts with their NULs, at most 2^31; max: how many. -ENOMEM, -EINVAL. */
int strpool_new(size_t bytes, size_t max, struct strpool **ret);
void strpool_free(struct strpool *p); /* takes NULL */
/* The handle of a text; 0 for "", and for what does not fit any more (counted). */
uint32_t strpool_put(struct strpool *p, const char *s);
const char *strpool_get(const struct strpool *p, uint32_t handle); /* "" for 0 */
uint64_t strpool_refused(const struct strpool *p);

#endif
