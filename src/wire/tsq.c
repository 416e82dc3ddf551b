/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/tsq.h"

#include <string.h>

void tsq_write(const uint8_t hash[static SHA256_LEN], uint8_t ret[static TSQ_LEN])
{
	/* SEQUENCE { INTEGER 1, SEQUENCE { SEQUENCE { OID 2.16.840.1.101.3.4.2.1, NULL },
	 * OCTET STRING (32) … */
	static const uint8_t head[] = {0x30, 0x39, 2, 1,    1,    0x30, 0x31, 0x30,
	                               0x0d, 6,    9, 0x60, 0x86, 0x48, 1,    0x65,
	                               3,    4,    2, 1,    5,    0,    4,    SHA256_LEN};
	static const uint8_t tail[] = {1, 1, 0xff}; /* BOOLEAN TRUE */
	memcpy(ret, head, sizeof head);
	memcpy(ret + sizeof head, hash, SHA256_LEN);
	memcpy(ret + sizeof head + SHA256_LEN, tail, sizeof tail);
	_Static_assert(sizeof head + SHA256_LEN + sizeof tail == TSQ_LEN,
	               "the length stands in head");
}
