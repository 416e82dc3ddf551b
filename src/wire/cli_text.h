/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a terminal would show of the bytes a device sends: lines of printable ASCII. Carriage
 * returns and backspaces move, control sequences (ECMA-48: CSI, OSC and two-byte escapes) do
 * nothing, all other bytes are dropped. That is enough for pagers that wipe themselves out.
 */
#ifndef STANCH_WIRE_CLI_TEXT_H
#define STANCH_WIRE_CLI_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define CLI_LINE_MAX 4096 /* what a line has beyond it is dropped */

struct cli_text {
	char line[CLI_LINE_MAX], rest[CLI_LINE_MAX];
	size_t len, column;
	int escape;       /* inside a control sequence */
	struct buf lines; /* whole ones, each ended by a newline */
};

/* At most max bytes of whole lines. */
void cli_text_init(struct cli_text *t, size_t max);
void cli_text_free(struct cli_text *t);
/* -EMSGSIZE: more lines than max; -ENOMEM. */
int cli_text_feed(struct cli_text *t, const uint8_t *p, size_t n);
/* The line that has no end yet, without blanks at its end; valid until the next call. */
const char *cli_text_rest(struct cli_text *t);

#endif
