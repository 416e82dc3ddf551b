/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A pcapng file that is whole or absent: written beside its place, synced, then given its name,
 * which must be free. An error of the disk is kept and told at the end: observing goes on.
 */
#ifndef STANCH_OBSERVE_CAPTURE_OUT_H
#define STANCH_OBSERVE_CAPTURE_OUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "observe/recent.h"

struct capture_out;

/* source: names of n interfaces, or NULL: not known. They must stay. -EEXIST: there is such a file;
 * else the errno of the file system. */
int capture_out_open(const char *path, const char *const *source, size_t n,
                     struct capture_out **ret, struct err *e);
/* comment: UTF-8 for this packet; NULL: none. */
void capture_out_frame(struct capture_out *o, const struct frame *f, const char *comment);
uint64_t capture_out_packets(const struct capture_out *o);
uint64_t capture_out_bytes(const struct capture_out *o); /* of the file, so far */
/* Ends it and frees o; on failure there is no file. */
int capture_out_close(struct capture_out *o, struct err *e);
void capture_out_drop(struct capture_out *o); /* takes NULL; there is no file */

#endif
