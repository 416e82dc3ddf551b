/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * systemd's unit files and what is written like them (desktop entries, NetworkManager keys):
 * sections, keys, values with continuation lines. Source: systemd.syntax(7), systemd.service(5).
 */
#ifndef STANCH_WIRE_UNIT_H
#define STANCH_WIRE_UNIT_H

#include "base/buf.h"
#include "wire/lines.h"

#define UNIT_VALUE_MAX 65536 /* of one assignment with its continuations; more is cut */

struct unit_reader {
	struct lines lines;
	struct cursor section; /* without brackets; empty before the first */
	struct buf joined;     /* what an assignment of several lines became */
};

struct unit_line {
	uint32_t number; /* of its first line */
	struct cursor section, key;
	/* Trimmed; continuation lines are joined by a blank. Valid until the next call. An empty
	 * value resets a list. */
	struct cursor value;
	bool bad; /* neither section nor assignment: key holds the line */
};

void unit_init(struct unit_reader *r, const void *bytes, size_t n);
void unit_free(struct unit_reader *r);
/* Assignments in turn; comments, blank lines and section heads are passed over. */
bool unit_next(struct unit_reader *r, struct unit_line *ret);

/* An ExecStart= and its like, taken apart: prefixes, program, arguments. */
struct unit_exec {
	bool ignores_failure; /* - */
	bool own_argv0;       /* @ */
	bool no_variables;    /* : */
	bool full_rights;     /* + or !: as root whatever User= says; !! too */
	struct cursor program, rest;
};
/* False: no program in it. Quotes around the program are taken off. */
bool unit_exec(struct cursor value, struct unit_exec *ret);

#endif
