/* SPDX-License-Identifier: GPL-3.0-or-later */
/* `watch --write FILE [--select TARGET]…`: the packets of what was found, and of what was asked
 * for, as a pcapng file with the reasons as comments. */
#ifndef STANCH_UI_WATCH_WRITE_H
#define STANCH_UI_WATCH_WRITE_H

#include "model/finding.h"
#include "observe/role.h"
#include "observe/watch.h"
#include "ui/args.h"
#include "ui/out.h"

struct watch_write;

/* Opens what --write names and reads every --select. iface: names of the n sources, live; they must
 * stay. *ret stays NULL without --write. -EINVAL; else as capture_out_open. */
int watch_write_open(const struct args *a, const char *const *iface, size_t n,
                     struct watch_write **ret, struct err *e);
void watch_write_free(struct watch_write *o); /* takes NULL; the file is not kept */
/* The next that is wanted and has not been asked for; false: there is none now. found only grows at
 * its end. w is asked for owners. */
bool watch_write_next(struct watch_write *o, const struct finding *found, size_t n, struct watch *w,
                      struct pick *ret);
void watch_write_frame(struct watch_write *o, const struct frame *f, size_t why);
/* Ends the file, tells of it, and frees o. */
int watch_write_close(struct watch_write *o, const struct kept_record *kept, struct out *out,
                      struct err *e);

#endif
