/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Any bytes as a map; what parses has no gap, and is written and read back to the same. */
#include <stdlib.h>
#include <string.h>

#include "wire/ddmap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ddmap m, back;
	struct buf text = BUF_INIT(1u << 24);
	struct err e;
	if (ddmap_parse((const char *)data, size, &m, &e) < 0)
		return 0;
	uint64_t at = 0;
	for (size_t i = 0; i < m.n; i++) {
		if (m.v[i].at != at || !m.v[i].size || (i && m.v[i].state == m.v[i - 1].state))
			abort();
		at += m.v[i].size;
	}
	if (ddmap_write(&m, &text) < 0 ||
	    ddmap_parse((const char *)text.data, text.len, &back, &e) < 0 || back.n != m.n)
		abort();
	for (size_t i = 0; i < m.n; i++)
		if (back.v[i].at != m.v[i].at || back.v[i].size != m.v[i].size ||
		    back.v[i].state != m.v[i].state)
			abort();
	ddmap_free(&m);
	ddmap_free(&back);
	buf_free(&text);
	return 0;
}
