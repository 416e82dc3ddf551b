/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Capture files as a source: pcap and pcapng, told apart by their first bytes, from a file, a pipe
 * or standard input ("-").
 *
 * Invariants
 *  1. Memory is fixed at attach, whatever a file claims.
 *  2. Bytes are read in large blocks and handed on where they lie; no call a packet.
 *  3. A file that ends in the middle of a record or contradicts itself makes pump fail once, with
 *     the byte offset in the text; every frame before it has been handed on. Later calls return 0.
 *     -ENODATA: cut off; -EBADMSG: no capture file, or broken; else the errno of read.
 */
#ifndef STANCH_OBSERVE_FILE_H
#define STANCH_OBSERVE_FILE_H

#include "model/source_ops.h"

/* Tier "file". pump waits up to timeout_ms only where the descriptor is no regular file. Error
 * texts do not name the file: the caller knows it. System calls: read, poll. */
extern const struct source_ops file_source;

#endif
