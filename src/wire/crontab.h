/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables of cron, of the system's form (with a user) and a user's own. Source: crontab(5) of
 * Debian's cron, which is Vixie's; cronie's leading '-' is taken, too. */
#ifndef STANCH_WIRE_CRONTAB_H
#define STANCH_WIRE_CRONTAB_H

#include "wire/lines.h"

enum crontab_kind {
	CRONTAB_ENTRY,
	CRONTAB_ENV, /* NAME = value */
	CRONTAB_BAD, /* cron would refuse the whole table for it */
};

struct crontab_line {
	enum crontab_kind kind;
	uint32_t number;
	struct cursor when;        /* "@reboot", or the five fields as they stand */
	struct cursor user;        /* system form; else empty */
	struct cursor command;     /* the rest of the line; CRONTAB_BAD: all of it */
	struct cursor name, value; /* CRONTAB_ENV; quotes are taken off */
};

struct crontab_reader {
	struct lines lines;
	bool system;
};

struct crontab_reader crontab_reader_of(bool system, const void *bytes, size_t n);
/* Comments and blank lines are passed over. */
bool crontab_next(struct crontab_reader *r, struct crontab_line *ret);

#endif
