/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Most packets are wanted by none: a table of bits, by a hash of the address, says so without a
 * walk. Picks with a whole prefix make it say nothing.
 */
#include "observe/picks.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#define BITS (1u << 16)

struct picks {
	size_t n;
	bool wide; /* one of them begins with a prefix: everything has to be looked at */
	uint64_t bits[BITS / 64];
	bool met[PICKS_MAX]; /* has had a packet */
	struct pick v[PICKS_MAX];
};

/* One end of a packet. */
struct end {
	struct addr addr;
	uint16_t port;
};

int picks_new(struct picks **ret)
{
	struct picks *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	*ret = s;
	return 0;
}

void picks_free(struct picks *s)
{
	free(s);
}

static unsigned bit_of(const struct addr *a)
{
	uint64_t v[2];

	memcpy(v, a->bytes, sizeof(v));
	return (unsigned)(((v[0] ^ v[1] * 31) * UINT64_C(0x9e3779b97f4a7c15)) >> 48);
}

int picks_add(struct picks *s, const struct pick *p)
{
	unsigned bit = bit_of(&p->a.addr);

	if (s->n == PICKS_MAX)
		return -ENOSPC;
	s->v[s->n++] = *p;
	if (p->a.len == addr_bits(&p->a.addr))
		s->bits[bit / 64] |= UINT64_C(1) << bit % 64;
	else
		s->wide = true;
	return 0;
}

size_t picks_count(const struct picks *s)
{
	return s->n;
}

static bool may_be(const struct picks *s, const struct addr *a)
{
	unsigned bit = bit_of(a);
	return s->bits[bit / 64] >> bit % 64 & 1;
}

static bool fits(const struct pick *k, const struct end *a, const struct end *b, bool ports)
{
	return prefix_has(&k->a, &a->addr) && (!k->b.addr.family || prefix_has(&k->b, &b->addr)) &&
	       (!ports ||
	        ((!k->a_port || k->a_port == a->port) && (!k->b_port || k->b_port == b->port)));
}

static struct end end_of(const struct packet *p, const uint8_t *addr, uint16_t port)
{
	struct end e = {.addr.family = p->family == 4 ? ADDR_V4 : ADDR_V6, .port = port};

	memcpy(e.addr.bytes, addr, p->family == 4 ? 4 : 16);
	return e;
}

int picks_match(struct picks *s, const struct packet *p)
{
	struct end src = end_of(p, p->src, p->sport), dst = end_of(p, p->dst, p->dport);
	bool later = p->fragment && !p->first, ports = !later;
	int found = -1;

	if (!s->wide && !may_be(s, &src.addr) && !may_be(s, &dst.addr))
		return -1;
	for (size_t i = 0; i < s->n; i++) {
		const struct pick *k = &s->v[i];
		if ((k->proto && k->proto != p->proto && !later) ||
		    (!fits(k, &src, &dst, ports) && !fits(k, &dst, &src, ports)))
			continue;
		if (!s->met[i]) {
			s->met[i] = true;
			return (int)i;
		}
		if (found < 0)
			found = (int)i;
	}
	return found;
}
