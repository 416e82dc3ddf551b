/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The programs of a cut, at tc egress (bpf/cut.bpf.c) and XDP (bpf/cut_in.bpf.c): load one, find it
 * again by its id, read and move its timers. Nothing is pinned: the filter or the device that
 * carries the program keeps it, its maps and with them its timers alive, and leads back to them.
 *
 * Which program is ours: by its name and its tag (a digest of its instructions). One of our name
 * with another tag is another version of stanch's, or a forgery: `kin`.
 */
#ifndef STANCH_KERN_CUTPROG_H
#define STANCH_KERN_CUTPROG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "kern/bpf/cut.h"

#define CUTPROG_NAME    "stanch_cut"
#define CUTPROG_NAME_IN "stanch_cut_in"

enum cutprog_way { CUTPROG_OUT, CUTPROG_IN, _CUTPROG_WAY_MAX }; /* tc egress; XDP */

enum cutprog_kin { CUTPROG_FOREIGN, CUTPROG_KIN, CUTPROG_OURS };

struct cutprog {
	enum cutprog_way way;
	int prog, config, permits, counts; /* file descriptors, -1: none; counts may be -1 */
};

/* Loads a fresh program whose maps hold this. -EPERM, -EOPNOTSUPP: not possible here, with the
 * reason. The caller closes. */
int cutprog_load(enum cutprog_way way, const struct cut_config *c, const struct cut_permit *p,
                 struct cutprog *ret, struct err *e);
/* Writes another list and other timers into the maps of a program that nothing runs yet. */
int cutprog_fill(const struct cutprog *c, const struct cut_config *config,
                 const struct cut_permit *p, struct err *e);
/* Whose is the program with this id, that runs at this place? -ENOENT: there is none. Loads a
 * program once in the life of this process, to learn our own tag. */
int cutprog_whose(enum cutprog_way way, uint32_t prog_id, enum cutprog_kin *ret, struct err *e);
/* Opens the maps of an attached program of ours. -ENOENT: gone; -ESTALE: not ours. */
int cutprog_open(enum cutprog_way way, uint32_t prog_id, struct cutprog *ret, struct err *e);
void cutprog_close(struct cutprog *c); /* takes a half-opened one */
struct cutprog cutprog_none(void);     /* .prog -1: nothing is open */

/* A descriptor of any program, for who takes it away; the caller closes it. -ENOENT: gone. */
int cutprog_fd(uint32_t prog_id, int *ret, struct err *e);
/* "12 (name)" of any program, for people; "12" when it has gone. Returns dst. */
#define CUTPROG_TEXT_MAX 32
const char *cutprog_text(uint32_t prog_id, char dst[static CUTPROG_TEXT_MAX]);
int cutprog_id(const struct cutprog *c, uint32_t *ret, struct err *e);
/* permits may be NULL, else it has room for CUT_PERMITS_MAX. -EBADMSG: not our layout. */
int cutprog_read(const struct cutprog *c, struct cut_config *ret, struct cut_permit *permits,
                 struct err *e);
/* Moves the timers; the permits stay. Reads back that they moved. */
int cutprog_set_timers(const struct cutprog *c, uint64_t armed_until, uint64_t narrow_until,
                       uint64_t drain_until, struct err *e);
/* Packets since it was loaded, indexed by enum cut_counter. */
int cutprog_counts(const struct cutprog *c, uint64_t ret[static CUT_COUNTERS], struct err *e);
/* Runs the program over one frame without sending it. */
int cutprog_try(const struct cutprog *c, const void *frame, size_t n, bool *ret_pass,
                struct err *e);

#endif
