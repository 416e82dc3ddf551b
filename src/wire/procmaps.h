/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * /proc/PID/maps: "START-END PERMS OFFSET MAJOR:MINOR INODE   PATH" a line, in hexadecimal but for
 * the inode. The path is what a process chose; the kernel escapes its newlines. Source: proc(5).
 */
#ifndef STANCH_WIRE_PROCMAPS_H
#define STANCH_WIRE_PROCMAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"

struct procmap {
	uint64_t start, end; /* end: behind the last byte */
	bool read, write, exec, shared;
	uint64_t offset, inode;
	const char *path; /* not terminated; "", "[heap]", "/usr/bin/x", "/memfd:x (deleted)" */
	size_t path_len;
};

/* 1: the next line is in *ret; 0: the end; -EBADMSG: a line that is none, *c stays before it. */
int procmap_next(struct cursor *c, struct procmap *ret);
/* Memory that no file stands behind. */
bool procmap_anonymous(const struct procmap *m);

#endif
