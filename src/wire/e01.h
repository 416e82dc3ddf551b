/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Expert Witness images as EnCase 6 writes them (EWF-E01), piece by piece, as libewf's
 * documentation of the format has them. All numbers little-endian; a section is a descriptor of 76
 * bytes (type, where the next one begins, its own size, Adler-32) and its data.
 *
 *   segment:  file header, [header2 header2 header volume | data], {sectors table table2}…,
 *             [digest hash error2] and done, or next
 *
 * Offsets count from the begin of the segment file.
 */
#ifndef STANCH_WIRE_E01_H
#define STANCH_WIRE_E01_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define E01_SECTOR       512
#define E01_CHUNK        32768
#define E01_FILE_HEADER  13
#define E01_DESCRIPTOR   76
#define E01_SEGMENTS_MAX 14971 /* E01 … E99, EAA … ZZZ */

/* Of what is imaged. */
struct e01_media {
	uint64_t sectors;
	uint8_t guid[16];
};
/* Sectors that could not be read. */
struct e01_error {
	uint32_t first, count;
};

uint32_t e01_adler(const void *bytes, size_t n);
/* "disk.E01", "disk.E99", "disk.EAA", …; number from 1. -EFBIG beyond ZZZ. */
int e01_segment_name(unsigned number, char dst[static 16]);

/* Each adds its bytes to out, which stands at offset `at` of the segment where one is asked for. */
void e01_file_header(struct buf *out, uint16_t number);
/* The three header sections; texts are UTF-8 without control characters, cut at 255 bytes
 * (evidence: 63); in "header", which is ASCII, '?' stands for each other character. when: seconds
 * since 1970.
 */
void e01_headers(struct buf *out, uint64_t at, const char *case_id, const char *evidence,
                 const char *examiner, const char *description, uint64_t when);
/* "volume" of the first segment, "data" of the others. */
void e01_volume(struct buf *out, uint64_t at, const char *type, const struct e01_media *m);
/* The head of a sectors section whose chunks have `size` bytes together. */
void e01_sectors(struct buf *out, uint64_t at, uint64_t size);
/* table and table2 of n chunks whose offsets in the segment are base + offsets[i]; bit 31 of an
 * offset: deflated. */
void e01_tables(struct buf *out, uint64_t at, uint64_t base, const uint32_t *offsets, uint32_t n);
/* md5 16 bytes; sha1 20 bytes; NULL: none. */
void e01_hashes(struct buf *out, uint64_t at, const uint8_t *md5, const uint8_t *sha1);
void e01_errors(struct buf *out, uint64_t at, const struct e01_error *v, uint32_t n);
/* "next" or "done". */
void e01_last(struct buf *out, uint64_t at, bool done);

#endif
