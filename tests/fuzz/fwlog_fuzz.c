/* SPDX-License-Identifier: GPL-3.0-or-later */
/* First byte: the format, or to find it out. The rest are lines. */
#include <stdlib.h>
#include <string.h>

#include "wire/fwlog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct fwlog_record *r)
{
	if (r->src.addr.family != r->dest.addr.family || !r->src.addr.family)
		abort();
	if (r->end_nsec < r->start_nsec || r->part > FWLOG_WINDOW || r->action > FWLOG_DENIED)
		abort();
	if (r->part == FWLOG_OPENED && (r->bytes_toclient || r->bytes_toserver) && !r->id)
		abort();
}

/* Each line lies alone on the heap: what is read beside it is seen. */
static void one(struct fwlog *f, const uint8_t *p, size_t n)
{
	struct fwlog_record r = {0};
	const char *why = NULL;
	uint8_t *copy = malloc(n ? n : 1);
	if (!copy)
		return;
	if (n)
		memcpy(copy, p, n);
	enum fwlog_verdict v = fwlog_line(f, cursor_of(copy, n), &r, &why);
	free(copy);
	if (v == FWLOG_RECORD)
		check(&r);
	if (v == FWLOG_BAD && (!why || !*why))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fwlog f = {.clock.ref_nsec = UINT64_C(1769904000000000000)};
	const uint8_t *p = data + 1, *end = data + size;
	if (!size)
		return 0;
	int format = data[0] % (_FWLOG_FORMAT_MAX + 1);
	if (format == _FWLOG_FORMAT_MAX)
		format = fwlog_detect(cursor_of(p, size - 1));
	if (format < 0)
		return 0;
	f.format = (enum fwlog_format)format;
	while (p < end) {
		const uint8_t *newline = memchr(p, '\n', (size_t)(end - p));
		const uint8_t *stop = newline ? newline : end;
		one(&f, p, (size_t)(stop - p));
		p = newline ? newline + 1 : end;
	}
	return 0;
}
