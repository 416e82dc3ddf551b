/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which packets are wanted: those between one address or prefix and another (or anyone), either
 * way. Pure; bounded by PICKS_MAX.
 */
#ifndef STANCH_OBSERVE_PICKS_H
#define STANCH_OBSERVE_PICKS_H

#include "base/addr.h"
#include "base/err.h"
#include "wire/packet.h"

#define PICKS_MAX     384
#define PICK_TEXT_MAX 512

struct pick {
	struct prefix a, b; /* b.addr without a family: whoever it is */
	uint16_t a_port,
	    b_port;          /* 0: any. Later fragments, which have none, go by their addresses */
	uint8_t proto;       /* 0: any */
	uint64_t first_nsec; /* since when its packets are wanted; 0: all that are left */
	char
	    text[PICK_TEXT_MAX]; /* printable ASCII: why it is wanted; goes with its first packet */
};

struct picks;

int picks_new(struct picks **ret); /* -ENOMEM */
void picks_free(struct picks *s);  /* takes NULL */
/* -ENOSPC: PICKS_MAX are there. */
int picks_add(struct picks *s, const struct pick *p);
size_t picks_count(const struct picks *s);
/* The number of the pick that wants it, in the order they were added; -1: none does. Of several one
 * that has had no packet yet comes first, so that each has its first. */
int picks_match(struct picks *s, const struct packet *p);

#endif
