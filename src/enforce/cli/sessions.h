/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The session table of a device that is typed at: shown, cleared, and read by its description. */
#ifndef STANCH_ENFORCE_CLI_SESSIONS_H
#define STANCH_ENFORCE_CLI_SESSIONS_H

#include "enforce/cli/cut.h"
#include "enforce/cli/talk.h"
#include "wire/session_table.h"

/* Does the description say how the table reads? */
bool cli_sessions_readable(const struct device *d);
/* f is called for each session shown. -EBADMSG: what is shown is no table, or its own total is
 * another than the sessions that were read. */
int cli_sessions_parse(const struct device *d, const char *shown, session_fn f, void *arg);
/* key, "sessions.show" or "sessions.clear", for each prefix; what is shown is added to out (may be
 * NULL). *ret_not_asked: prefixes that the description has no way to name. */
int cli_sessions_each(const struct device *d, struct talk *t, const struct cli_cut *c,
                      const char *key, struct buf *out, size_t *ret_not_asked, struct err *e);

#endif
