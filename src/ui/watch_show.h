/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How `watch` shows flows, talkers, findings and losses: EVE-like JSON lines, tables for people. */
#ifndef STANCH_UI_WATCH_SHOW_H
#define STANCH_UI_WATCH_SHOW_H

#include "model/finding.h"
#include "model/flow.h"
#include "observe/geo.h"
#include "observe/watch.h"
#include "ui/out.h"

/* "TCP", "UDP", "ICMP", "IPv6-ICMP", "SCTP", …, else the number. */
const char *proto_name(uint8_t proto, char dst[static 8]);

/* "DE, AS64500 Example Networks"; dst may be as small as fits what is wanted of it. False: nothing
 * is known. */
bool place_text(const struct geo *g, const struct addr *a, char *dst, size_t n);
/* One flow as a JSON line, buffered. geo may be NULL. */
void show_flow_json(FILE *to, const struct seen_flow *w, const struct geo *geo);
/* final: the numbers will not change any more. */
void show_finding(struct out *o, const struct finding *f, bool final);
/* The same for one of a host (finding_of_host). */
void show_host_finding(struct out *o, const struct finding *f);
/* Whichever it is; its numbers are the last. */
void show_any_finding(struct out *o, const struct finding *f);
/* Something that a person should know about how the source was read. */
void show_note(struct out *o, const char *text);
/* l: what was seen, but not kept; blind: what this tier does not see, NULL where nobody looked for
 * owners. */
void show_stats(struct out *o, const struct source_stats *s, const struct pairs *all,
                const struct watch_losses *l, const char *blind);
/* The three tables of the n greatest; with_owner: a column for it. */
void show_tops(struct out *o, const struct pairs *p, size_t n, bool with_owner);

#endif
