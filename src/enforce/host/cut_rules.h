/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Permits as nftables rules. Pure. */
#ifndef STANCH_ENFORCE_HOST_CUT_RULES_H
#define STANCH_ENFORCE_HOST_CUT_RULES_H

#include "enforce/host/parts.h"

/* Appends to c what lets the permit's packets through in one direction (out: from this host); the
 * table's family decides how layers are told apart. 0 or -ENOMEM, -EINVAL. */
int cut_permit_rules(struct nft_chain *c, uint8_t family, bool out, const struct permit *p);

#endif
