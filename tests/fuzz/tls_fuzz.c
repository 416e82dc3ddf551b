/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input is the start of a stream; every shorter start of it must agree with it. */
#include <stdlib.h>
#include <string.h>

#include "wire/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct tls_hello *h)
{
	if (!memchr(h->sni, 0, sizeof h->sni) || !memchr(h->alpn, 0, sizeof h->alpn))
		abort();
	for (const char *p = h->sni; *p; p++)
		if (*p <= 0x20 || *p >= 0x7f || (*p >= 'A' && *p <= 'Z'))
			abort();
	for (const char *p = h->alpn; *p; p++)
		if (*p <= 0x20 || *p >= 0x7f)
			abort();
	if (!h->client && (h->ech || h->sni[0] || h->alpn[0]))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_hello h, half;
	uint8_t *copy = malloc(size ? size : 1);
	if (!copy)
		return 0;
	if (size)
		memcpy(copy, data, size);
	enum tls_step whole = tls_hello(copy, size, &h), part = tls_hello(copy, size / 2, &half);
	if (whole == TLS_HAVE)
		check(&h);
	if (part != TLS_MORE && part != whole)
		abort();
	if (tls_client_hello(copy, size, &h) == TLS_HAVE) {
		check(&h);
		if (!h.client)
			abort();
	}
	free(copy);
	return 0;
}
