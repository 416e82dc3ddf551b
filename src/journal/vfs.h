/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SQLite's files through the replaceable system-call table.
 *
 * SQLite takes open, read, pwrite, fallocate … from a table of its own, which vfs_install fills;
 * fsync is not in that table, so a thin VFS around "unix" does xSync itself.
 */
#ifndef STANCH_JOURNAL_VFS_H
#define STANCH_JOURNAL_VFS_H

#include "base/err.h"

#define VFS_NAME      "stanch"      /* with locks */
#define VFS_NAME_LOOK "stanch-look" /* without: for reading what cannot be written or locked */

/* Idempotent. */
int vfs_install(struct err *e);

#endif
