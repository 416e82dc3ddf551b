/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whatever a device prints, each row has two addresses, and a table that was whole stays so. */
#include <stdlib.h>

#include "wire/session_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *arg, const struct session_row *row)
{
	size_t *n = arg;
	if (!addr_bits(&row->source.addr) || !addr_bits(&row->destination.addr))
		abort();
	(*n)++;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = 0, again = 0;
	int r = session_table_junos(data, size, take, &n);
	if (session_table_junos(data, size, take, &again) != r || n != again || n > size / 8)
		abort();
	return 0;
}
