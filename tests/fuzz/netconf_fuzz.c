/* SPDX-License-Identifier: GPL-3.0-or-later */
/* First byte: bit 0 the framing, the rest the size of pieces. However it is cut, the same comes
 * out. */
#include <stdlib.h>
#include <string.h>

#include "wire/netconf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT 1024

static int all(enum netconf_framing f, const uint8_t *p, size_t n, size_t step, struct buf *ret,
               size_t *ret_used)
{
	struct netconf_reader r;
	bool done = false;
	int x = 0;
	size_t at = 0;
	netconf_reader_init(&r, f, LIMIT);
	while (!x && !done && at < n) {
		size_t used, piece = n - at < step ? n - at : step;
		uint8_t *copy = malloc(piece);
		if (!copy)
			abort();
		memcpy(copy, p + at, piece);
		x = netconf_feed(&r, copy, piece, &used, &done, NULL);
		free(copy);
		if (used > piece || (!x && !done && used != piece))
			abort();
		at += used;
	}
	if (!x && done)
		buf_add(ret, r.message.data, r.message.len);
	netconf_reader_free(&r);
	*ret_used = at;
	return x ? x : done;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT(LIMIT), pieces = BUF_INIT(LIMIT);
	size_t a, b;
	if (!size)
		return 0;
	enum netconf_framing f = data[0] & 1 ? NETCONF_CHUNKED : NETCONF_EOM;
	int x = all(f, data + 1, size - 1, size, &whole, &a);
	int y = all(f, data + 1, size - 1, 1 + data[0] / 2, &pieces, &b);
	if (x != y || (x == 1 && (a != b || whole.len != pieces.len ||
	                          (whole.len && memcmp(whole.data, pieces.data, whole.len) != 0))))
		abort();
	buf_free(&whole);
	buf_free(&pieces);
	return 0;
}
