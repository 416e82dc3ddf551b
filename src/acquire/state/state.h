/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Volatile state, item by item. An item is read in a process of its own, unit by unit (a process, a
 * file, a namespace): where a unit does not answer in its time (a hung mount, a FUSE server that
 * is silent), that process is killed, the unit is named, and another goes on with the next one.
 * What is read travels to the parent in messages, and only the parent writes.
 */
#ifndef STANCH_ACQUIRE_STATE_STATE_H
#define STANCH_ACQUIRE_STATE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "model/capture_ops.h"

/* In the child. */
struct reading {
	struct capture_sink sink; /* files of the bundle, as hostfile.h writes them */
	int channel;
	uint64_t from; /* the first unit to read; those below were read already */
};

/* Begins a unit; ids only grow within an item. False: it was read already, or must not be read.
 * name: for people. */
bool reading_unit(struct reading *r, uint64_t id, const char *name);
/* A line of ITEM.jsonl; takes the reference over. */
void reading_row(struct reading *r, json_t *row);
/* Bytes as JSON text that tells every one: what is no printable UTF-8, and '\', as \xNN. */
json_t *reading_text(const void *bytes, size_t n);
/* A file of the host into the bundle as files/PATH; what goes wrong becomes a row. */
void reading_file(struct reading *r, const char *path, uint64_t max);

struct item {
	const char *name;
	void (*read)(struct reading *r);
	/* Without a sign of life, and altogether; 0: the usual ones. */
	usec_t unit_limit, item_limit;
};

/* What each file has, in its order. */
void read_clock(struct reading *r);
void read_network(struct reading *r);
void read_processes(struct reading *r);
void read_hidden(struct reading *r);
void read_executables(struct reading *r);
void read_kernel(struct reading *r);
void read_bpf(struct reading *r);
void read_listings(struct reading *r);
void read_files(struct reading *r);
void read_privileged(struct reading *r);
void read_logs(struct reading *r);

/* In the parent: all items into the sink. */
struct state_limits {
	usec_t item, all;
	uint64_t bytes; /* of all */
};
struct state_totals {
	uint64_t rows, files, bytes, hung; /* hung: units given up */
	unsigned cut;                      /* items that are not whole */
};
int state_take(const struct item *v, size_t n, const struct state_limits *limits,
               struct capture_sink *s, struct capture_report *rep, struct state_totals *ret,
               struct err *e);

#endif
