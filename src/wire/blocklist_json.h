/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the decoders of JSON blocklists share. Not for other rooms. */
#ifndef STANCH_WIRE_BLOCKLIST_JSON_H
#define STANCH_WIRE_BLOCKLIST_JSON_H

#include <jansson.h>

#include "wire/blocklist_text.h"

/* *ret is the caller's reference. -EBADMSG with the place. */
int blocklist_json(struct cursor text, json_t **ret, struct err *e);
/* The bytes of a member that is a string; empty for everything else. */
struct cursor blocklist_member(const json_t *object, const char *name);
/* "ID words", both cut to what a note holds. */
void blocklist_note(struct cursor id, struct cursor words, char dst[static BLOCKLIST_NOTE_MAX]);

#endif
