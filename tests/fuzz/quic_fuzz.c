/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input once as a datagram, once as the frames that an Initial packet would hold: what is
 * sealed cannot be searched through the seal. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/quic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct crypt *crypt;

static void frames(struct cursor c)
{
	struct quic_crypto part;
	volatile uint8_t sink = 0;
	int r;
	while ((r = quic_next_crypto(&c, &part)) == 1)
		for (size_t i = 0; i < part.n; i++)
			sink = (uint8_t)(sink + part.p[i]);
	if (r == 0 && cursor_left(&c))
		abort();
}

static void datagram(struct cursor c)
{
	uint8_t plain[QUIC_PACKET_MAX];
	struct quic_packet p;
	struct quic_keys keys;
	struct cursor opened;
	size_t before = cursor_left(&c);
	while (quic_next(&c, &p)) {
		if (cursor_left(&c) + p.n != before || !p.n || p.dcid.n > QUIC_CID_MAX)
			abort();
		before = cursor_left(&c);
		if (!p.initial)
			continue;
		if (quic_client_keys(crypt, p.version, &p.dcid, &keys) < 0)
			abort();
		int r = quic_open(crypt, &keys, &p, plain, &opened);
		if (r == 0)
			frames(opened);
		else if (r != -EBADMSG && r != -E2BIG)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!crypt && crypt_new(&crypt) < 0)
		abort();
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	datagram(cursor_of(copy, size));
	frames(cursor_of(copy, size));
	free(copy);
	return 0;
}
