/* SPDX-License-Identifier: GPL-3.0-or-later */
/* First byte: bit 0, the capture was cut. The rest is a message. */
#include <stdlib.h>
#include <string.h>

#include "wire/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct dns_message *m)
{
	size_t len = strnlen(m->qname, sizeof m->qname);
	if (len == sizeof m->qname || (m->n_questions && !len) || m->n_addrs > DNS_ADDRS_MAX)
		abort();
	for (size_t i = 0; i < len; i++)
		if (m->qname[i] <= 0x20 || m->qname[i] >= 0x7f ||
		    (m->qname[i] >= 'A' && m->qname[i] <= 'Z'))
			abort();
	for (size_t i = 0; i < m->n_addrs; i++)
		if (!addr_bits(&m->addrs[i]))
			abort();
	if (m->n_addrs && !m->response)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_message m, again;
	if (!size)
		return 0;
	size_t n = size - 1;
	uint8_t *copy = malloc(n ? n : 1);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, n);
	memset(&m, 0, sizeof m);
	if (dns_decode(copy, n, data[0] & 1, &m) == 0)
		check(&m);
	/* What is whole is also read when told that it may be cut. */
	if (dns_decode(copy, n, false, &m) == 0 && dns_decode(copy, n, true, &again) < 0)
		abort();
	if (dns_is_query(copy, n) && (dns_decode(copy, n, false, &m) < 0 || m.response))
		abort();
	free(copy);
	return 0;
}
