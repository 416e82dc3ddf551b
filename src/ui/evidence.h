/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Evidence as people and programs read it, and `verify` of it. */
#ifndef STANCH_UI_EVIDENCE_H
#define STANCH_UI_EVIDENCE_H

#include "model/evidence.h"
#include "ui/ctx.h"

/* A new reference; NULL when out of memory. */
json_t *evidence_object(const struct evidence *v, const char *incident);
/* One evidence in full, or as JSON. */
void evidence_show(struct ctx *c, const struct evidence *v, const char *incident);
/* All of an incident as a table, or an object a line; nothing where there is none. */
int evidence_list(struct ctx *c, struct session *s, const char *incident, struct err *e);
/* For the report: a section of HTML, escaped; an array. */
int evidence_html(struct session *s, const char *incident, struct buf *out, struct err *e);
int evidence_array(struct session *s, const char *incident, json_t **ret, struct err *e);

/* Is this argument of `verify` an evidence or the path of a bundle? */
bool evidence_meant(const char *argument);
/* key: the fingerprint that must have signed; NULL: any, which is told. Returns the exit code. */
int evidence_verify(struct ctx *c, const char *argument, const char *key);

#endif
