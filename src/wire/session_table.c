/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/session_table.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <strings.h>

#include "base/table.h"
#include "wire/lines.h"

uint8_t session_proto(const char *text)
{
	static const struct {
		const char *name;
		uint8_t proto;
	} known[] = {
	    {"tcp", IPPROTO_TCP},      {"udp", IPPROTO_UDP},       {"icmp", IPPROTO_ICMP},
	    {"icmp6", IPPROTO_ICMPV6}, {"icmpv6", IPPROTO_ICMPV6}, {"gre", IPPROTO_GRE},
	    {"esp", IPPROTO_ESP},      {"ah", IPPROTO_AH},         {"sctp", IPPROTO_SCTP},
	};
	uint64_t number;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcasecmp(text, known[i].name))
			return known[i].proto;
	return span_number(cursor_of(text, strlen(text)), UINT8_MAX, &number) ? (uint8_t)number : 0;
}

/* "192.0.2.10/40000" */
static bool junos_end(struct cursor c, struct endpoint *ret)
{
	struct cursor addr;
	char text[ADDR_STR_MAX];
	uint64_t port;
	if (!span_until(&c, '/', &addr) || cursor_left(&addr) >= sizeof text ||
	    !span_number(c, UINT16_MAX, &port))
		return false;
	span_copy(addr, text, sizeof text);
	ret->port = (uint16_t)port;
	return addr_parse(text, &ret->addr) == 0;
}

/* "192.0.2.10/40000 --> 203.0.113.5/443;tcp, …" behind "In: " */
static bool junos_in(struct cursor c, struct session_row *ret)
{
	struct cursor source, arrow, destination, proto;
	char name[16];
	if (!span_word(&c, &source) || !span_word(&c, &arrow) || !span_is(arrow, "-->") ||
	    !span_until(&c, ';', &destination) || !span_until(&c, ',', &proto))
		return false;
	proto = span_trim(proto);
	ret->proto = session_proto(span_copy(proto, name, sizeof name));
	return junos_end(source, &ret->source) &&
	       junos_end(span_trim(destination), &ret->destination);
}

static bool number_behind(struct cursor line, const char *what, uint64_t *ret)
{
	return span_starts(line, what) && cursor_skip(&line, strlen(what)) &&
	       span_number(span_trim(line), UINT32_MAX, ret);
}

int session_table_junos(const void *text, size_t n, session_fn f, void *arg)
{
	struct lines lines = lines_of(text, n);
	struct cursor line;
	uint64_t total = 0, some, read = 0;
	bool told = false, invalid = false;
	int r = 0;
	while (r == 0 && lines_next(&lines, &line)) {
		struct session_row row = {0};
		line = span_trim(line);
		if (span_starts(line, "Session ID:")) {
			invalid = span_has(line, "Invalid");
		} else if (number_behind(line, "Total sessions:", &some)) {
			told = true;
			total += some;
		} else if (span_starts(line, "In:") && cursor_skip(&line, 3) &&
		           junos_in(line, &row)) {
			read++;
			r = invalid ? 0 : f(arg, &row);
		}
	}
	return r ? r : told && total == read ? 0 : -EBADMSG;
}
