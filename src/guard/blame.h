/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who changed it: what the kernel told (kern/change.h), narrowed to what can have caused one kind
 * of drift. Who that is in full is the scout's to find out. */
#ifndef STANCH_GUARD_BLAME_H
#define STANCH_GUARD_BLAME_H

#include "kern/change.h"

/* kind: of the step that drifted ("host.cut"). False: nobody was told of. Pure. */
bool blame_pick(const struct changes *c, const char *kind, struct culprit *ret);
/* Was it only that a device came, and nobody touched what is ours? */
bool blame_is_arrival(const struct changes *c);

#endif
