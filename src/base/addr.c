/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned addr_bits(const struct addr *a)
{
	return a->family == ADDR_V4 ? 32 : a->family == ADDR_V6 ? 128 : 0;
}

struct addr addr_v4(const void *four_bytes)
{
	struct addr a = {.family = ADDR_V4};
	memcpy(a.bytes, four_bytes, 4);
	return a;
}

struct addr addr_v6(const void *sixteen_bytes)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const uint8_t *p = sixteen_bytes;
	if (!memcmp(p, mapped, sizeof mapped))
		return addr_v4(p + 12);

	struct addr a = {.family = ADDR_V6};
	memcpy(a.bytes, p, 16);
	return a;
}

int addr_from_sockaddr(const struct sockaddr *sa, struct addr *ret, uint16_t *ret_port)
{
	uint16_t port;
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof in);
		*ret = addr_v4(&in.sin_addr);
		port = ntohs(in.sin_port);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, sa, sizeof in6);
		*ret = addr_v6(&in6.sin6_addr);
		port = ntohs(in6.sin6_port);
	} else {
		return -EAFNOSUPPORT;
	}
	if (ret_port)
		*ret_port = port;
	return 0;
}

socklen_t addr_to_sockaddr(const struct addr *a, uint16_t port, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof *ret);
	if (a->family == ADDR_V4) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
		memcpy(&in.sin_addr, a->bytes, 4);
		memcpy(ret, &in, sizeof in);
		return sizeof in;
	}
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	memcpy(&in6.sin6_addr, a->bytes, 16);
	memcpy(ret, &in6, sizeof in6);
	return sizeof in6;
}

int addr_parse(const char *s, struct addr *ret)
{
	uint8_t b[16];
	if (inet_pton(AF_INET, s, b) == 1)
		*ret = addr_v4(b);
	else if (inet_pton(AF_INET6, s, b) == 1)
		*ret = addr_v6(b);
	else
		return -EINVAL;
	return 0;
}

/* Decimal digits only, no sign, no blank, at most max. */
static int number(const char *s, unsigned max, unsigned *ret)
{
	unsigned v = 0;
	if (!*s || strlen(s) > 5)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		v = v * 10 + (unsigned)(*s - '0');
	}
	if (v > max)
		return -EINVAL;
	*ret = v;
	return 0;
}

int prefix_parse(const char *s, struct prefix *ret, struct err *e)
{
	char text[PREFIX_STR_MAX];
	if (strlen(s) >= sizeof text)
		return err_set(e, -EINVAL, "\"%.60s\" is too long for an address or a prefix", s);
	strcpy(text, s);

	char *slash = strchr(text, '/');
	if (slash)
		*slash++ = 0;
	struct addr a;
	if (addr_parse(text, &a) < 0)
		return err_set(e, -EINVAL, "\"%s\" is neither an address nor a prefix", s);
	/* ::ffff:a.b.c.d/N has been turned into v4; its length would mean something else. */
	if (slash && a.family == ADDR_V4 && strchr(text, ':'))
		return err_set(e, -EINVAL, "\"%s\": write a v4-mapped prefix in its v4 form", s);
	unsigned len = addr_bits(&a);
	if (slash && number(slash, addr_bits(&a), &len) < 0)
		return err_set(e, -EINVAL, "\"%s\": the length is not a number from 0 to %u", s,
		               addr_bits(&a));

	struct prefix p = prefix_of(&a, len);
	if (!addr_equal(&p.addr, &a)) {
		char meant[PREFIX_STR_MAX];
		return err_set(e, -EINVAL, "\"%s\" has host bits set; did you mean %s?", s,
		               prefix_str(&p, meant));
	}
	*ret = p;
	return 0;
}

int endpoint_parse(const char *s, struct endpoint *ret, struct err *e)
{
	struct endpoint ep = {0};
	char text[ENDPOINT_STR_MAX];
	unsigned port = 0;
	if (strlen(s) >= sizeof text)
		return err_set(e, -EINVAL, "\"%.60s\" is too long for ADDR[:PORT]", s);
	strcpy(text, s);

	if (addr_parse(text, &ep.addr) == 0) {
		*ret = ep;
		return 0;
	}
	char *host = text, *colon = strrchr(text, ':');
	if (colon) {
		*colon = 0;
		size_t n = strlen(text);
		if (text[0] == '[' && n > 1 && text[n - 1] == ']') {
			text[n - 1] = 0;
			host++;
		} else if (strchr(text, ':')) {
			colon = NULL;
		}
	}
	if (!colon || addr_parse(host, &ep.addr) < 0 || number(colon + 1, 65535, &port) < 0 ||
	    port == 0)
		return err_set(e, -EINVAL, "\"%s\" is not ADDR, ADDR:PORT or [V6]:PORT", s);
	ep.port = (uint16_t)port;
	*ret = ep;
	return 0;
}

const char *addr_str(const struct addr *a, char dst[static ADDR_STR_MAX])
{
	int af = a->family == ADDR_V4 ? AF_INET : AF_INET6;
	if (a->family == ADDR_NONE || !inet_ntop(af, a->bytes, dst, ADDR_STR_MAX))
		strcpy(dst, "-");
	return dst;
}

const char *prefix_str(const struct prefix *p, char dst[static PREFIX_STR_MAX])
{
	char a[ADDR_STR_MAX];
	addr_str(&p->addr, a);
	if (p->len == addr_bits(&p->addr))
		strcpy(dst, a);
	else
		snprintf(dst, PREFIX_STR_MAX, "%s/%u", a, p->len);
	return dst;
}

const char *endpoint_str(const struct endpoint *e, char dst[static ENDPOINT_STR_MAX])
{
	char a[ADDR_STR_MAX];
	addr_str(&e->addr, a);
	if (!e->port)
		strcpy(dst, a);
	else
		snprintf(dst, ENDPOINT_STR_MAX, e->addr.family == ADDR_V6 ? "[%s]:%u" : "%s:%u", a,
		         e->port);
	return dst;
}

int addr_cmp(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

struct prefix prefix_of(const struct addr *a, unsigned len)
{
	struct prefix p = {.addr = *a, .len = (uint8_t)len};
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = len > i * 8 ? len - i * 8 : 0;
		if (keep < 8)
			p.addr.bytes[i] &= (uint8_t)(0xff00u >> keep);
	}
	return p;
}

bool prefix_has(const struct prefix *p, const struct addr *a)
{
	if (p->addr.family != a->family || a->family == ADDR_NONE)
		return false;
	unsigned whole = p->len / 8, rest = p->len % 8;
	if (memcmp(p->addr.bytes, a->bytes, whole))
		return false;
	return !rest || !((p->addr.bytes[whole] ^ a->bytes[whole]) & (uint8_t)(0xff00u >> rest));
}

bool prefix_covers(const struct prefix *outer, const struct prefix *inner)
{
	return outer->len <= inner->len && prefix_has(outer, &inner->addr);
}

struct addr prefix_last(const struct prefix *p)
{
	struct addr a = p->addr;
	unsigned bits = addr_bits(&a);
	for (unsigned i = 0; i < bits / 8; i++) {
		unsigned keep = p->len > i * 8 ? p->len - i * 8u : 0;
		if (keep < 8)
			a.bytes[i] |= (uint8_t)(0xffu >> keep);
	}
	return a;
}

/* Is a in any of these? Each flow of a capture is asked several times. */
static bool in_any(const struct addr *a, const struct prefix *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_has(&list[i], a))
			return true;
	return false;
}

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define V4(n, ...)                                                                                 \
	{                                                                                          \
		.addr = {.family = ADDR_V4, .bytes = {__VA_ARGS__}}, .len = n                      \
	}
#define V6(n, ...)                                                                                 \
	{                                                                                          \
		.addr = {.family = ADDR_V6, .bytes = {__VA_ARGS__}}, .len = n                      \
	}

bool addr_is_loopback(const struct addr *a)
{
	static const struct prefix list[] = {V4(8, 127), V6(128, [15] = 1)};
	return in_any(a, list, LENGTH(list));
}

bool addr_is_multicast(const struct addr *a)
{
	static const struct prefix list[] = {V4(4, 224), V4(32, 255, 255, 255, 255), V6(8, 0xff)};
	return in_any(a, list, LENGTH(list));
}

bool addr_is_linklocal(const struct addr *a)
{
	static const struct prefix list[] = {V4(16, 169, 254), V6(10, 0xfe, 0x80)};
	return in_any(a, list, LENGTH(list));
}

bool addr_is_inside(const struct addr *a)
{
	static const struct prefix list[] = {V4(8, 10), V4(12, 172, 16), V4(16, 192, 168),
	                                     V4(10, 100, 64), V6(7, 0xfc)};
	return in_any(a, list, LENGTH(list)) || addr_is_linklocal(a) || addr_is_loopback(a);
}
