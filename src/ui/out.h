/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Output: text for people, or one JSON object a line with --json. Colour only on a terminal and
 * without NO_COLOR. Untrusted text (names, comm) has its control bytes replaced before it is shown.
 */
#ifndef STANCH_UI_OUT_H
#define STANCH_UI_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct out {
	FILE *to;
	bool json, colour, quiet;
	int width; /* columns of the terminal, 0 when it is none */
};

/* A line for a person; nothing with --json. */
void out_line(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One object a line with --json, else nothing; takes the reference over. */
void out_json(struct out *o, json_t *object);
/* "stanch: …" on standard error; with --json also {"event_type":"error","message":…} on it. */
void out_error(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* dst gets src with control and non-UTF-8 bytes replaced by '?'; returns dst. */
const char *out_clean(const char *src, char *dst, size_t n);
/* "12.3 MB", "4.5 kB/s" without the unit's s; decimal units, at most 8 columns. */
const char *out_bytes(uint64_t n, char dst[static 16]);

#endif
