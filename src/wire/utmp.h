/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Records of utmp, wtmp, btmp (384 bytes) and lastlog (292 bytes) as glibc lays them out on x86-64
 * and arm64, little-endian. Whoever can write such a file can write anything into it: the text
 * comes out bounded, terminated, and with control bytes replaced by '?'. Source: utmp(5), glibc
 * bits/utmp.h, lastlog(8).
 */
#ifndef STANCH_WIRE_UTMP_H
#define STANCH_WIRE_UTMP_H

#include "base/addr.h"
#include "base/clock.h"
#include "base/cursor.h"
#include "base/table.h"

#define UTMP_RECORD    384
#define LASTLOG_RECORD 292
#define UTMP_LINE_MAX  33
#define UTMP_USER_MAX  33
#define UTMP_HOST_MAX  257

enum utmp_type {
	UTMP_EMPTY,
	UTMP_RUN_LVL,
	UTMP_BOOT,
	UTMP_NEW_TIME, /* after the clock was set */
	UTMP_OLD_TIME,
	UTMP_INIT,
	UTMP_LOGIN,
	UTMP_USER,
	UTMP_DEAD,
	UTMP_ACCOUNTING,
	_UTMP_TYPE_MAX,
	_UTMP_TYPE_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(utmp_type, enum utmp_type);

struct utmp_record {
	int type; /* enum utmp_type, or whatever stands there */
	int pid;
	char line[UTMP_LINE_MAX], user[UTMP_USER_MAX], host[UTMP_HOST_MAX];
	usec_t time;      /* wall; seconds are 32 bits without a sign, good until 2106 */
	struct addr addr; /* ADDR_NONE: none */
	bool zero;        /* every byte of it is 0 */
};

/* The next record; false when fewer bytes than one are left. */
bool utmp_next(struct cursor *c, struct utmp_record *ret);

struct lastlog_record {
	usec_t time; /* 0: never */
	char line[UTMP_LINE_MAX], host[UTMP_HOST_MAX];
};
/* Of one uid; false where the file ends before it. The file is sparse: read just that place. */
bool lastlog_next(struct cursor *c, struct lastlog_record *ret);

#endif
