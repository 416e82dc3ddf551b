/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines cover all bytes in order, fields lie inside their line, and a field that is replaced by
 * itself leaves the bytes as they are. The first byte says which file. */
#include <stdlib.h>

#include "wire/passwd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	struct passwd_reader r = passwd_reader_of(data[0] % _PASSWD_FILE_MAX, data + 1, size - 1);
	size_t next = 0;
	for (struct passwd_line l; passwd_next(&r, &l); next = l.end + 1) {
		uint64_t v;
		if (l.start != next || l.end < l.start || l.end > size - 1 || (l.usable && l.n < 2))
			abort();
		for (size_t c = 0; c <= PASSWD_FIELDS_MAX; c++) {
			size_t at, len;
			passwd_number(&l, c, &v);
			passwd_member(&l, c, l.field[0]);
			if (passwd_where(&r, &l, c, &at, &len) &&
			    (at < l.start || at + len > l.end))
				abort();
		}
		if (l.n > 1)
			passwd_secret_of(l.field[PASSWD_SECRET]);
	}
	if (next != size - 1 && next != size)
		abort();
	return 0;
}
