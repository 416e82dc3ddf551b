/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the two BPF layers of a cut share, tc egress (raw.c) and XDP (inbound.c): permits as a
 * program's map has them, its clocks, and programs that the kernel has verified already.
 */
#ifndef STANCH_ENFORCE_HOST_PROGRAMS_H
#define STANCH_ENFORCE_HOST_PROGRAMS_H

#include "enforce/host/host.h"
#include "kern/cutprog.h"

/* The list as the program's map has it; room for CUT_PERMITS_MAX. */
int cut_translate(const struct permit *p, size_t n, struct cut_permit *ret, struct err *e);
bool cut_same(const struct cut_config *c, const struct cut_permit *have,
              const struct cut_permit *want, size_t n);
/* How many bytes stand before the IP header of a frame. -EOPNOTSUPP: frames of this type of link
 * cannot be read. */
int cut_link_header(int ifindex, uint32_t *ret, struct err *e);

/* Sets the three deadlines, from now. */
void cut_config_times(struct cut_config *c, const struct hold_time *t);
/* Moves those of a program that runs. */
int cut_set_timers(const struct cutprog *c, const struct hold_time *t, struct err *e);
/* 0 stays 0 (for good); a deadline that has passed is 1. */
usec_t cut_left(usec_t now, uint64_t until);

/* Programs that devices of one kind share, with one map and one clock. Of one list of permits and
 * one hold_time only, until cut_programs_done. */
struct cut_programs *cut_programs_new(enum cutprog_way way); /* NULL: out of memory */
void cut_programs_done(struct cut_programs *p);              /* the devices keep what they run */
void cut_programs_free(struct cut_programs *p);              /* takes NULL */
/* The program for this kind of device and this list, loaded by the first that asks for it; ps keeps
 * it open. */
int cut_program_for(struct cut_programs *ps, const struct cut_config *config,
                    const struct cut_permit *p, const struct cutprog **ret, struct err *e);
/* Can it be done on this kernel with these rights? What was loaded to find out is kept for the next
 * cut_program_for; keep may be NULL. */
int cut_programs_probe(struct cut_programs *keep, enum cutprog_way way, struct err *e);

#endif
