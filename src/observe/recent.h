/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The frames that came last, whole and in order, in memory that is fixed at birth: what is found
 * out late can still be asked for. Each frame is handed to `leaves` once: when it has to make room,
 * or at recent_flush. System calls in recent_new and recent_free only.
 */
#ifndef STANCH_OBSERVE_RECENT_H
#define STANCH_OBSERVE_RECENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct frame {
	uint64_t nsec;
	uint32_t cap_len, wire_len;
	uint16_t linktype; /* LINKTYPE_ of the pcap registry */
	uint16_t source;   /* the place of its source among those that are read */
	const uint8_t *data;
};

typedef void (*frame_fn)(void *arg, const struct frame *f);

struct recent;

int recent_new(size_t bytes, frame_fn leaves, void *arg, struct recent **ret, struct err *e);
void recent_free(struct recent *r); /* takes NULL; hands nothing out */
/* Copies it. One that is larger than all of the memory leaves at once. */
void recent_put(struct recent *r, const struct frame *f);
void recent_flush(struct recent *r);
/* When the last frame came that had to make room; 0: none had to. */
uint64_t recent_left_nsec(const struct recent *r);

#endif
