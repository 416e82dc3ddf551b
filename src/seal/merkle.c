/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seal/merkle.h"

#include <string.h>

void merkle_begin(struct merkle *m)
{
	m->n_parts = 0;
	m->n = 0;
	m->error = 0;
}

static int join(const uint8_t *left, const uint8_t *right, uint8_t ret[static SHA256_LEN])
{
	uint8_t b[1 + 2 * SHA256_LEN] = {1};
	memcpy(b + 1, left, SHA256_LEN);
	memcpy(b + 1 + SHA256_LEN, right, SHA256_LEN);
	return sha256_of(b, sizeof b, ret);
}

void merkle_add(struct merkle *m, const void *leaf, size_t n)
{
	static const uint8_t zero;
	struct sha256 h;
	if (m->error)
		return;
	sha256_begin(&h);
	sha256_add(&h, &zero, 1);
	sha256_add(&h, leaf, n);
	m->error = sha256_end(&h, m->part[m->n_parts++]);
	/* As many carries as the count of leaves before this one has ones at its end. */
	for (uint64_t was = m->n++; !m->error && was & 1; was >>= 1, m->n_parts--)
		m->error =
		    join(m->part[m->n_parts - 2], m->part[m->n_parts - 1], m->part[m->n_parts - 2]);
}

int merkle_root(const struct merkle *m, uint8_t ret[static SHA256_LEN])
{
	uint8_t root[SHA256_LEN];
	if (m->error)
		return m->error;
	if (!m->n_parts)
		return sha256_of("", 0, ret);
	memcpy(root, m->part[m->n_parts - 1], SHA256_LEN);
	int r = 0;
	for (size_t i = m->n_parts - 1; i > 0 && !r; i--)
		r = join(m->part[i - 1], root, root);
	if (!r)
		memcpy(ret, root, SHA256_LEN);
	return r;
}
