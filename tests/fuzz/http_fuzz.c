/* SPDX-License-Identifier: GPL-3.0-or-later */
/* First byte: bit 0, no more will come. The rest is the start of a stream. */
#include <stdlib.h>
#include <string.h>

#include "wire/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request r, part;
	if (!size)
		return 0;
	size_t n = size - 1;
	uint8_t *copy = malloc(n ? n : 1);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, n);
	enum http_step whole = http_request(copy, n, data[0] & 1, &r);
	if (whole == HTTP_HAVE) {
		if (!memchr(r.method, 0, sizeof r.method) || !memchr(r.host, 0, sizeof r.host) ||
		    !r.method[0] || (r.port && !r.host[0]))
			abort();
		for (const char *p = r.host; *p; p++)
			if (*p <= 0x20 || *p >= 0x7f || (*p >= 'A' && *p <= 'Z'))
				abort();
	} else if (whole == HTTP_MORE && data[0] & 1) {
		abort();
	}
	/* A start never says no to what becomes a request of a method that everyone knows. */
	if (whole == HTTP_HAVE && !strcmp(r.method, "GET") &&
	    http_request(copy, n / 2, false, &part) == HTTP_NOT)
		abort();
	free(copy);
	return 0;
}
