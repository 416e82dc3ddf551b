/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the decoders of blocklists share. Not for other rooms. */
#ifndef STANCH_WIRE_BLOCKLIST_TEXT_H
#define STANCH_WIRE_BLOCKLIST_TEXT_H

#include "base/cursor.h"
#include "wire/blocklist.h"

struct blocklist_work {
	const struct blocklist_sink *sink;
	struct blocklist_stats *stats;
	uint64_t now; /* wall seconds */
	uint32_t line;
};

/* Each decoder; see blocklist.h. */
int blocklist_list(struct blocklist_work *w, struct cursor text, struct err *e); /* netset, too */
int blocklist_csv(struct blocklist_work *w, struct cursor text, struct err *e);
int blocklist_nft(struct blocklist_work *w, struct cursor text, struct err *e);
int blocklist_stix(struct blocklist_work *w, struct cursor text, struct err *e);
int blocklist_misp(struct blocklist_work *w, struct cursor text, struct err *e);
int blocklist_warninglist(struct blocklist_work *w, struct cursor text, struct err *e);
/* "MALFORMED" first words of a CSV header are known. */
bool blocklist_is_csv_header(struct cursor line);

/* The next line without its end; false at the end of the text. */
bool blocklist_line(struct cursor *text, struct cursor *ret);
/* Without blanks (space, tab, CR) around it. */
struct cursor blocklist_trim(struct cursor c);
/* Printable ASCII; everything else becomes '?'. */
void blocklist_copy(struct cursor c, char *dst, size_t n);
/* Counts what cannot be read and keeps the first. */
void blocklist_bad(struct blocklist_work *w, struct cursor what, const char *why);

/* One entry, or the prefixes of a range, as one row. What kind of thing `what` is decides: ADDR,
 * ADDR/LEN, A-B, ADDR:PORT ("[V6]:PORT"), a domain name. False and counted as bad: none of these.
 */
bool blocklist_put(struct blocklist_work *w, struct cursor what, uint32_t until, const char *note);
bool blocklist_range(struct blocklist_work *w, const struct addr *first, const struct addr *last,
                     uint32_t until, const char *note);
bool blocklist_prefix(struct cursor what, struct prefix *ret, const char **ret_why);
/* RFC 3339, "2026-11-24 04:07:00" (UTC) or seconds since the epoch. */
bool blocklist_time(struct cursor what, uint32_t *ret);

#endif
