/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The request for a time stamp of RFC 3161: version 1, SHA-256, no policy, no nonce, certReq true.
 * Without a nonce it depends on the hash alone, and can be made again to compare. */
#ifndef STANCH_WIRE_TSQ_H
#define STANCH_WIRE_TSQ_H

#include <stdint.h>

#include "seal/sha256.h"

#define TSQ_LEN 59

void tsq_write(const uint8_t hash[static SHA256_LEN], uint8_t ret[static TSQ_LEN]);

#endif
