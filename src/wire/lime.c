/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/lime.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cursor.h"

#define MAGIC   0x4c694d45u
#define VERSION 1u

uint64_t phys_range_len(const struct phys_range *r)
{
	uint64_t n = r->last - r->first;
	return n == UINT64_MAX ? n : n + 1;
}

void lime_put(const struct phys_range *r, uint8_t dst[static LIME_HEADER_LEN])
{
	memset(dst, 0, LIME_HEADER_LEN);
	store_le32(dst, MAGIC);
	store_le32(dst + 4, VERSION);
	store_le64(dst + 8, r->first);
	store_le64(dst + 16, r->last);
}

int lime_next(struct lime_walk *w, const uint8_t header[static LIME_HEADER_LEN], struct err *e)
{
	struct phys_range r = {load_le64(header + 8), load_le64(header + 16)};
	if (load_le32(header) != MAGIC)
		return err_set(e, -EBADMSG,
		               "byte %" PRIu64 ": no LiME record begins here (%02x %02x %02x %02x)",
		               w->offset, header[0], header[1], header[2], header[3]);
	if (load_le32(header + 4) != VERSION)
		return err_set(e, -EBADMSG,
		               "byte %" PRIu64 ": LiME version %" PRIu32 " is unknown; 1 is read",
		               w->offset, load_le32(header + 4));
	if (r.last < r.first)
		return err_set(e, -EBADMSG, "byte %" PRIu64 ": the range ends before it begins",
		               w->offset);
	if (w->n && r.first <= w->range.last)
		return err_set(e, -EBADMSG,
		               "byte %" PRIu64 ": the range at 0x%" PRIx64
		               " does not lie behind the one before",
		               w->offset, r.first);
	uint64_t data = w->offset + LIME_HEADER_LEN, len = phys_range_len(&r);
	if (len > (uint64_t)INT64_MAX - LIME_HEADER_LEN || data > (uint64_t)INT64_MAX - len)
		return err_set(e, -EBADMSG,
		               "byte %" PRIu64 ": no file can be as long as this range", w->offset);
	w->range = r;
	w->data = data;
	w->offset = data + len;
	w->n++;
	return 0;
}
