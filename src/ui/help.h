/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Help for people, all from the verb table: the page of `stanch` alone, the list of verbs, one
 * verb's page. */
#ifndef STANCH_UI_HELP_H
#define STANCH_UI_HELP_H

#include "ui/out.h"
#include "ui/verb.h"

void help_now(struct out *o);                                /* what to do now */
void help_list(struct out *o, const struct verb_row *table); /* stanch --help */
void help_verb(struct out *o, const struct verb_row *row);   /* stanch VERB --help */

#endif
