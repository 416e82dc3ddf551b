/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of the logins area share. */
#ifndef STANCH_TRIAGE_LOGINS_H
#define STANCH_TRIAGE_LOGINS_H

#include "triage/triage.h"

#define LOG_MAX (32u << 20) /* bytes read of each log */

/* Reads a log; a link in its place is told, as is what could not be read. */
bool logins_load(struct triage *t, const char *path, struct buf *b);
/* Hands out a finding, and one that says: n of what in the file at path. */
void logins_tell(struct triage *t, struct finding *f, const char *subject, const char *selector);
void logins_tell_file(struct triage *t, const char *rule, const char *path, const char *what,
                      size_t n);
/* Holds auth.log.1 and auth.log against wtmp's bytes, which may be none. */
void logins_auth(struct triage *t, const struct buf *wtmp);

#endif
