/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The report of one incident: a page for people without scripts or outside parts, or text. */
#ifndef STANCH_UI_REPORT_H
#define STANCH_UI_REPORT_H

#include "base/buf.h"
#include "ui/ctx.h"

#define REPORT_MAX (64U << 20)

/* HTML of the incident into out. Everything that came from outside is escaped. */
int report_html(struct session *s, const char *incident, struct buf *out, struct err *e);
/* The same as JSON: {"event_type":"report",…}; *ret is the caller's reference. */
int report_json(struct session *s, const char *incident, json_t **ret, struct err *e);
/* &, <, >, quotes escaped; controls replaced. */
void html_escape(const char *text, struct buf *out);

#endif
