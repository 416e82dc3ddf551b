/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Time. Microseconds everywhere. Wall time is CLOCK_REALTIME since the epoch; boot time is
 * CLOCK_BOOTTIME, which no one can set, and is what deadlines within one boot are kept in.
 */
#ifndef STANCH_BASE_CLOCK_H
#define STANCH_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

typedef uint64_t usec_t;

#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)
#define TIME_STR_MAX  40
#define BOOT_ID_MAX   37

usec_t wall_now(void);
usec_t boot_now(void);
/* This boot's id (/proc/sys/kernel/random/boot_id), cached; "" when it cannot be read. */
const char *boot_id(void);
/* Was this id noted in this boot? Where it or the present one could not be read (""), nobody can
 * say that there was a restart: true. */
bool boot_same(const char *id);

/* "90s", "10m", "2h", "7d", "500ms": a whole number with one unit; 0 and overflow are errors. */
int duration_parse(const char *s, usec_t *ret, struct err *e);
/* Shortest exact form: "90s", "10m", "1500ms". */
const char *duration_str(usec_t d, char dst[static TIME_STR_MAX]);
/* RFC 3339 in UTC with microseconds: 2026-11-24T04:07:00.000000Z. */
const char *time_str(usec_t wall, char dst[static TIME_STR_MAX]);
int time_parse(const char *s, usec_t *ret, struct err *e);

#endif
