/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "observe/context.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "observe/judge.h"

bool context_outside(const struct score_context *x, const struct addr *a)
{
	return channels_nearness(x->channels, a) == 0 && !addr_is_multicast(a);
}

bool context_is_resolver(const struct score_context *x, const struct addr *a)
{
	for (size_t i = 0; i < x->n_resolvers; i++)
		if (addr_equal(&x->resolvers[i], a))
			return true;
	return false;
}

uint64_t resolved_hash(const struct addr *a, const char *domain)
{
	uint64_t h = hash_addr(a, 3);

	for (; domain && *domain; domain++)
		h = (h ^ (unsigned char)*domain) * UINT64_C(0x100000001b3);
	return hash_mix(h, domain != NULL);
}

void resolved_add(uint64_t *bits, uint64_t hash)
{
	for (int i = 0; i < 2; i++, hash >>= 32)
		bits[hash % RESOLVED_BITS / 64] |= UINT64_C(1) << hash % 64;
}

bool resolved_has(const uint64_t *bits, uint64_t hash)
{
	bool all = true;

	for (int i = 0; i < 2; i++, hash >>= 32)
		all &= bits[hash % RESOLVED_BITS / 64] >> hash % 64 & 1;
	return all;
}

bool context_resolved(const struct score_context *x, const struct addr *a)
{
	return resolved_has(x->resolved, resolved_hash(a, NULL));
}

bool context_name_true(const struct score_context *x, const struct addr *a, const char *name)
{
	return resolved_has(x->resolved, resolved_hash(a, domain_registered(name)));
}

uint64_t context_popularity_key(const struct channel *c)
{
	return hash_mix(hash_addr(&c->other, 7), (uint64_t)c->port << 8 | c->proto) | 1;
}

unsigned context_hosts_of(const struct score_context *x, const struct channel *c)
{
	uint64_t key = context_popularity_key(c);

	for (size_t i = key & x->popular_mask; x->popular && x->popular[i].key;
	     i = (i + 1) & x->popular_mask)
		if (x->popular[i].key == key)
			return x->popular[i].hosts;
	return 1;
}

static bool is_number(const char *name)
{
	return strspn(name, "0123456789.:[]") == strlen(name);
}

const char *context_name(const struct score_context *x, const struct channel *c)
{
	const char *name = strpool_get(x->names, c->name);

	if (is_number(name) || (x->dns_seen && !context_name_true(x, &c->other, name)))
		return "";
	return name;
}

double context_novelty(const struct score_context *x, const struct channel *c, struct finding *f)
{
	const char *name = context_name(x, c), *exe = strpool_get(x->names, c->exe);
	char where[ADDR_STR_MAX], since[TIME_STR_MAX];
	struct usual u;
	double factor;

	if (!x->baseline)
		return 1;
	if (!baseline_usual(x->baseline, exe,
	                    name[0] ? domain_registered(name) : addr_str(&c->other, where),
	                    x->last_nsec / 1000, &u)) {
		finding_reason(f, "new: this program was never seen to talk to it before");
		return 1;
	}
	factor = 1 - 0.5 * score_ramp(u.days, 0, 7);
	finding_reason(f, "known since %.10s, on %u days; 7 days and more count 50 %%",
	               time_str(u.first, since), u.days);
	return factor;
}

void finding_of_channel(const struct score_context *x, const struct channel *c,
                        enum finding_kind kind, struct finding *ret)
{
	bool icmp = c->proto == IPPROTO_ICMP || c->proto == IPPROTO_ICMPV6;
	bool we_opened = c->flags & CHANNEL_WE_OPENED;
	char other[ADDR_STR_MAX];

	memset(ret, 0, sizeof(*ret));
	ret->kind = kind;
	ret->src.addr = c->ours;
	ret->dest.addr = c->other;
	ret->src.port = we_opened || icmp ? 0 : c->port;
	ret->dest.port = we_opened && !icmp ? c->port : 0;
	ret->proto = c->proto;
	ret->bytes_out = c->bytes_out;
	ret->bytes_in = c->bytes_in;
	ret->first = c->first_nsec / 1000;
	ret->last = c->last_nsec / 1000;
	snprintf(ret->domain, sizeof(ret->domain), "%s", context_name(x, c));
	snprintf(ret->selector, sizeof(ret->selector), "%s", addr_str(&c->other, other));
	finding_order(ret, "block %s", other);
}

/* ---- names ---- */

static bool is_second_level(const char *label, size_t n)
{
	static const char *const usual[] = {"co",  "com", "org", "net", "gov", "edu", "ac",
	                                    "or",  "ne",  "go",  "mil", "gob", "nom", "ltd",
	                                    "plc", "sch", "nhs", "gv",  "asn", "id",  "info"};

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (strlen(usual[i]) == n && !memcmp(usual[i], label, n))
			return true;
	return false;
}

/* The label before `end` begins here. */
static const char *label_before(const char *name, const char *end)
{
	while (end > name && end[-1] != '.')
		end--;
	return end;
}

const char *domain_registered(const char *name)
{
	const char *end = name + strlen(name), *last = label_before(name, end), *second, *third;

	if (last == name)
		return name;
	second = label_before(name, last - 1);
	if (second == name || end - last != 2 ||
	    !is_second_level(second, (size_t)(last - 1 - second)))
		return second;
	third = label_before(name, second - 1);
	return third;
}
