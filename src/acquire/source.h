/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The disk that is read: opened for reading only, without following links; what it is, from sysfs
 * and ioctls; and its bytes, with sectors that cannot be read found by halving, read once more past
 * the page cache, filled with zeros and noted.
 */
#ifndef STANCH_ACQUIRE_SOURCE_H
#define STANCH_ACQUIRE_SOURCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "wire/ddmap.h"

struct source {
	const char *path;
	int fd, direct; /* direct: the same with O_DIRECT, -1 where it cannot be had */
	bool block;
	dev_t dev; /* of a block device */
	uint64_t size;
	uint32_t sector;
	unsigned retries;
	struct ddmap map;     /* what was read so far */
	uint8_t *sector_room; /* owned, aligned */
};

int source_open(const char *path, struct source *ret, struct err *e);
void source_close(struct source *s);
/* n bytes at `at`, which is where the map ends; -ENODEV, -ENXIO: the device has gone away. What
 * cannot be read is zero in dst and '-' in the map. */
int source_read(struct source *s, uint64_t at, uint8_t *dst, size_t n, struct err *e);
/* Model, serial, sizes, read-only flag, partitions, what is mounted: what sysfs has of it. */
json_t *source_facts(const struct source *s);
/* Sentences on what is mounted from it, one a line; "" nothing. */
void source_mounts(const struct source *s, struct buf *out);
/* -EBUSY where writing to dest would write to this disk, through partitions, dm, md and loops. */
int source_apart(const struct source *s, int dest, struct err *e);

#endif
