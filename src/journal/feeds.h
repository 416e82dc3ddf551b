/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The entries of feeds, as files beside the journal: DIR/feeds/SHA256. The chain holds their hash,
 * so that entries which were changed later are found out by who reads them.
 */
#ifndef STANCH_JOURNAL_FEEDS_H
#define STANCH_JOURNAL_FEEDS_H

#include "journal/store.h"

/* Puts the entries of o's feeds on disk, synced, where they are not yet; on the way into a journal
 * under /run, there. What no order in force names any more goes. */
int feeds_store(struct journal *j, const struct order *o, struct err *e);
/* Opens what is there; a feed whose entries are gone keeps fd -1. */
void feeds_open(const struct journal *j, struct order *o);

#endif
