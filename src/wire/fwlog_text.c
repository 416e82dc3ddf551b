/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/fwlog_text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>

#include "base/table.h"

bool text_lit(struct cursor *c, const char *literal)
{
	size_t n = strlen(literal);
	return cursor_left(c) >= n && !memcmp(c->p, literal, n) && cursor_skip(c, n);
}

void text_spaces(struct cursor *c)
{
	while (c->p < c->end && *c->p == ' ')
		c->p++;
}

bool text_u64(struct cursor *c, uint64_t max, uint64_t *ret)
{
	const uint8_t *p = c->p;
	uint64_t v = 0;

	for (; p < c->end && *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v) || v > max)
			return false;
	if (p == c->p)
		return false;
	c->p = p;
	*ret = v;
	return true;
}

bool text_until(struct cursor *c, char stop, struct cursor *ret)
{
	const uint8_t *p = c->p < c->end ? memchr(c->p, stop, cursor_left(c)) : NULL;
	if (!p)
		return false;
	*ret = (struct cursor){c->p, p};
	c->p = p + 1;
	return true;
}

bool text_word(struct cursor *c, struct cursor *ret)
{
	struct cursor at = *c;

	text_spaces(&at);
	if (at.p == at.end)
		return false;
	const uint8_t *space = memchr(at.p, ' ', cursor_left(&at));
	*ret = (struct cursor){at.p, space ? space : at.end};
	c->p = ret->end;
	return true;
}

bool text_find(struct cursor *c, const char *needle)
{
	const uint8_t *p =
	    c->p < c->end ? memmem(c->p, cursor_left(c), needle, strlen(needle)) : NULL;
	if (!p)
		return false;
	c->p = p;
	return true;
}

bool text_is(struct cursor w, const char *literal)
{
	return text_lit(&w, literal) && w.p == w.end;
}

bool text_number(struct cursor w, uint64_t max, uint64_t *ret)
{
	uint64_t v;
	if (!text_u64(&w, max, &v) || w.p != w.end)
		return false;
	*ret = v;
	return true;
}

bool text_addr(struct cursor w, struct addr *ret)
{
	char s[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	size_t n = cursor_left(&w);

	if (!n || n >= sizeof(s) || memchr(w.p, 0, n))
		return false;
	memcpy(s, w.p, n);
	s[n] = 0;
	if (inet_pton(AF_INET, s, bytes) == 1)
		*ret = addr_v4(bytes);
	else if (inet_pton(AF_INET6, s, bytes) == 1)
		*ret = addr_v6(bytes);
	else
		return false;
	return true;
}

bool text_split_last(struct cursor w, char at, struct cursor *ret_before, struct cursor *ret_after)
{
	const uint8_t *p = w.p < w.end ? memrchr(w.p, at, cursor_left(&w)) : NULL;
	if (!p)
		return false;
	*ret_before = (struct cursor){w.p, p};
	*ret_after = (struct cursor){p + 1, w.end};
	return true;
}

bool text_proto(struct cursor w, uint8_t *ret)
{
	static const struct {
		const char *name;
		uint8_t proto;
	} names[] = {
	    {"tcp", IPPROTO_TCP},      {"udp", IPPROTO_UDP},         {"icmp", IPPROTO_ICMP},
	    {"icmp6", IPPROTO_ICMPV6}, {"icmpv6", IPPROTO_ICMPV6},   {"ipv6-icmp", IPPROTO_ICMPV6},
	    {"igmp", IPPROTO_IGMP},    {"gre", IPPROTO_GRE},         {"esp", IPPROTO_ESP},
	    {"ah", IPPROTO_AH},        {"sctp", IPPROTO_SCTP},       {"ospf", 89},
	    {"ipip", IPPROTO_IPIP},    {"udplite", IPPROTO_UDPLITE}, {"pim", IPPROTO_PIM},
	};
	uint64_t v;

	if (text_number(w, 255, &v)) {
		*ret = (uint8_t)v;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (cursor_left(&w) == strlen(names[i].name) &&
		    !strncasecmp((const char *)w.p, names[i].name, cursor_left(&w))) {
			*ret = names[i].proto;
			return true;
		}
	return false;
}
