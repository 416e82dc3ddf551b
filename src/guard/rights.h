/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the guard keeps of root's rights; see role_confine. */
#ifndef STANCH_GUARD_RIGHTS_H
#define STANCH_GUARD_RIGHTS_H

#include "base/err.h"

/* Gives up the rest, for good; state_dir stays writable. Before any thread is made. */
int rights_drop(const char *state_dir, struct err *e);

#endif
