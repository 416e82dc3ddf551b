/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Cisco ASA (and Firepower Threat Defense, PIX): connections built and torn down, and what an
 * access list denied. Messages 302013 to 302016, 302020, 106023, 106100.
 *
 * Source: Cisco Secure Firewall ASA Series Syslog Messages
 * https://www.cisco.com/c/en/us/td/docs/security/asa/syslog/b_syslog.html, and for which of the two
 * ends of "for A to B" opened the connection
 * https://www.cisco.com/c/en/us/support/docs/security/adaptive-security-appliance-asa-software/116149-qanda-ASA-00.html
 * ("outbound": B did; "inbound": A did). Bytes are one sum of both directions.
 */
#include <netinet/in.h>

#include "wire/fwlog.h"
#include "wire/fwlog_text.h"

static const char *const tags[] = {"%ASA-", "%FTD-", "%PIX-"};

/* "192.0.2.1/443", "192.0.2.1", with "(user)" stuck to it. */
static bool asa_socket(struct cursor word, struct endpoint *ret)
{
	struct cursor addr = word, port, user;
	uint64_t n = 0;

	if (text_until(&word, '(', &user))
		word = user;
	if (!text_split_last(word, '/', &addr, &port))
		addr = word;
	else if (!text_number(port, UINT16_MAX, &n))
		return false;
	if (!text_addr(addr, &ret->addr))
		return false;
	ret->port = (uint16_t)n;
	return true;
}

/* "outside:192.0.2.1/443", "NP Identity Ifc:192.0.2.1/22", "vrf:inside:192.0.2.1". */
static bool asa_endpoint(struct cursor *c, struct endpoint *ret)
{
	struct cursor at = *c, word, vrf;

	if (!text_until(&at, ':', &word) || !text_word(&at, &word))
		return false;
	if (!asa_socket(word, ret) && (!text_until(&word, ':', &vrf) || !asa_socket(word, ret)))
		return false;
	*c = at;
	return true;
}

static const char no_ends[] = "the two ends are not written as interface:address/port (with "
                              "names for addresses? see `no names` on the device)";

/* " to " may come after a mapped address and a user. */
static bool asa_ends(struct cursor *c, struct fwlog_record *r)
{
	return asa_endpoint(c, &r->src) && text_find(c, " to ") && text_lit(c, " to ") &&
	       asa_endpoint(c, &r->dest);
}

static bool asa_duration(struct cursor *c, uint64_t *ret_nsec)
{
	uint64_t h, m, s;

	if (!text_u64(c, 1000000, &h) || !text_lit(c, ":") || !text_u64(c, 59, &m) ||
	    !text_lit(c, ":") || !text_u64(c, 59, &s))
		return false;
	*ret_nsec = ((h * 60 + m) * 60 + s) * UINT64_C(1000000000);
	return true;
}

/* "Built inbound TCP connection 8 for A (…) to B (…)" */
static enum fwlog_verdict built(struct cursor c, uint8_t proto, struct fwlog_record *r,
                                const char **why)
{
	struct cursor direction, word;

	if (!text_word(&c, &direction) || !text_word(&c, &word))
		return fwlog_bad(why, "cut off after `Built`");
	/* "Probe" may stand before the protocol. */
	if (!text_find(&c, "connection ") || !text_lit(&c, "connection ") ||
	    !text_u64(&c, UINT64_MAX, &r->id) || !text_lit(&c, " for "))
		return fwlog_bad(why, "no connection number behind `Built`");
	if (!asa_ends(&c, r))
		return fwlog_bad(why, no_ends);
	r->part = FWLOG_OPENED;
	r->proto = proto;
	if (text_is(direction, "outbound"))
		fwlog_turn(r);
	else if (!text_is(direction, "inbound"))
		return fwlog_bad(why, "neither inbound nor outbound");
	return FWLOG_RECORD;
}

/* Reasons that say that a handshake was not completed. */
static bool never_open(struct cursor reason, uint64_t bytes)
{
	static const char *const reasons[] = {"SYN Timeout", "TCP Reset", "Invalid SYN",
	                                      "TCP Invalid SYN"};
	text_spaces(&reason);
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (!bytes && text_lit(&reason, reasons[i]))
			return true;
	return false;
}

/* "Teardown TCP connection 8 for A to B duration 0:00:30 bytes 0 SYN Timeout" */
static enum fwlog_verdict teardown(struct cursor c, uint8_t proto, struct fwlog_record *r,
                                   const char **why)
{
	uint64_t length, bytes;

	if (!text_find(&c, "connection ") || !text_lit(&c, "connection ") ||
	    !text_u64(&c, UINT64_MAX, &r->id) || !text_lit(&c, " for "))
		return fwlog_bad(why, "no connection number behind `Teardown`");
	if (!asa_ends(&c, r))
		return fwlog_bad(why, no_ends);
	if (!text_find(&c, "duration ") || !text_lit(&c, "duration ") ||
	    !asa_duration(&c, &length) || !text_lit(&c, " bytes ") ||
	    !text_u64(&c, INT64_MAX, &bytes))
		return fwlog_bad(why, "no `duration H:MM:SS bytes N` in a teardown");
	r->part = FWLOG_CLOSED;
	r->proto = proto;
	r->start_nsec = r->end_nsec > length ? r->end_nsec - length : 0;
	r->bytes_toserver = bytes / 2;
	r->bytes_toclient = bytes - bytes / 2;
	r->halved = bytes > 0;
	r->unanswered = proto == IPPROTO_TCP ? never_open(c, bytes) : !bytes;
	fwlog_guess(r);
	return FWLOG_RECORD;
}

/* "faddr 192.0.2.1/0", "laddr 192.0.2.2" */
static bool icmp_addr(struct cursor c, const char *key, struct addr *ret)
{
	struct cursor word, part;

	if (!text_find(&c, key) || !text_lit(&c, key) || !text_word(&c, &word))
		return false;
	if (text_until(&word, '(', &part))
		word = part;
	if (text_until(&word, '/', &part))
		word = part;
	return text_addr(word, ret);
}

/* "type 8 code 0" and "(type 8, code 0)" */
static void icmp_type(struct cursor c, struct fwlog_record *r)
{
	uint64_t type, code;

	if (!text_find(&c, "type ") || !text_lit(&c, "type ") || !text_u64(&c, 255, &type))
		return;
	text_lit(&c, ",");
	if (!text_lit(&c, " code ") || !text_u64(&c, 255, &code))
		return;
	r->src.port = (uint16_t)type;
	r->dest.port = (uint16_t)code;
}

/* "Built outbound ICMP connection for faddr F gaddr G laddr L": its teardown says no more. */
static enum fwlog_verdict built_icmp(struct cursor c, uint8_t proto, struct fwlog_record *r,
                                     const char **why)
{
	struct cursor direction;

	if (!text_word(&c, &direction) || !icmp_addr(c, "faddr ", &r->src.addr) ||
	    !icmp_addr(c, "laddr ", &r->dest.addr))
		return fwlog_bad(why, "no faddr and laddr in an ICMP message");
	r->proto = r->src.addr.family == ADDR_V6 ? IPPROTO_ICMPV6 : proto;
	if (text_is(direction, "outbound"))
		fwlog_turn(r);
	icmp_type(c, r);
	fwlog_echo(r);
	return FWLOG_RECORD;
}

/* "Deny tcp src A dst B [(type T, code C)] by access-group …", "Deny protocol 47 src …" */
static enum fwlog_verdict denied(struct cursor c, uint8_t proto, struct fwlog_record *r,
                                 const char **why)
{
	struct cursor word;

	(void)proto;
	if (!text_word(&c, &word) || (text_is(word, "protocol") && !text_word(&c, &word)) ||
	    !text_proto(word, &r->proto))
		return fwlog_bad(why, "unknown protocol behind `Deny`");
	if (!text_lit(&c, " src ") || !asa_endpoint(&c, &r->src) || !text_find(&c, " dst ") ||
	    !text_lit(&c, " dst ") || !asa_endpoint(&c, &r->dest))
		return fwlog_bad(why, no_ends);
	r->action = FWLOG_DENIED;
	if (r->proto == IPPROTO_ICMP || r->proto == IPPROTO_ICMPV6) {
		icmp_type(c, r);
		fwlog_echo(r);
	}
	return FWLOG_RECORD;
}

/* "inside/192.0.2.1(51234)", with "(user)" stuck to it; ICMP: type and code instead of ports. */
static bool acl_endpoint(struct cursor *c, struct endpoint *ret)
{
	struct cursor word, part;
	uint64_t n;

	if (!text_word(c, &word) || !text_until(&word, '/', &part) ||
	    !text_until(&word, '(', &part) || !text_u64(&word, UINT16_MAX, &n) ||
	    !text_addr(part, &ret->addr))
		return false;
	ret->port = (uint16_t)n;
	return true;
}

/* "access-list NAME denied tcp [for user U] A -> B hit-cnt 1 …". What it permits is built, too. */
static enum fwlog_verdict acl(struct cursor c, uint8_t proto, struct fwlog_record *r,
                              const char **why)
{
	struct cursor name, word, user;

	(void)proto;
	if (!text_word(&c, &name) || !text_word(&c, &word))
		return fwlog_bad(why, "cut off after `access-list`");
	if (!text_is(word, "denied"))
		return FWLOG_SKIP;
	if (!text_word(&c, &word) || !text_proto(word, &r->proto))
		return fwlog_bad(why, "unknown protocol in an access-list message");
	if (text_lit(&c, " for user") && !text_word(&c, &user))
		return fwlog_bad(why, "cut off after `for user`");
	if (!acl_endpoint(&c, &r->src) || !text_word(&c, &word) || !text_is(word, "->") ||
	    !acl_endpoint(&c, &r->dest))
		return fwlog_bad(why, "the two ends are not written as interface/address(port)");
	r->action = FWLOG_DENIED;
	if (r->proto == IPPROTO_ICMP || r->proto == IPPROTO_ICMPV6)
		fwlog_echo(r);
	return FWLOG_RECORD;
}

static const struct {
	const char *verb;
	enum fwlog_verdict (*read)(struct cursor c, uint8_t proto, struct fwlog_record *r,
	                           const char **why);
	uint32_t id;
	uint8_t proto;
} messages[] = {
    {"Built", built, 302013, IPPROTO_TCP},
    {"Teardown", teardown, 302014, IPPROTO_TCP},
    {"Built", built, 302015, IPPROTO_UDP},
    {"Teardown", teardown, 302016, IPPROTO_UDP},
    {"Built", built_icmp, 302020, IPPROTO_ICMP},
    {"Deny", denied, 106023, 0},
    {"access-list", acl, 106100, 0},
};

static bool asa_tag(struct cursor *c, struct cursor *ret_head)
{
	for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
		struct cursor at = *c;
		if (!text_find(&at, tags[i]))
			continue;
		*ret_head = (struct cursor){c->p, at.p};
		text_lit(&at, tags[i]);
		*c = at;
		return true;
	}
	return false;
}

static bool asa_mine(struct cursor line)
{
	struct cursor head;
	return asa_tag(&line, &head);
}

static enum fwlog_verdict asa_line(struct fwlog *f, struct cursor line, struct fwlog_record *r,
                                   const char **why)
{
	struct cursor c = line, head, word;
	uint64_t severity, id, nsec;

	if (!asa_tag(&c, &head))
		return fwlog_other(f, line, why);
	/* "%ASA-session-6-302013" where the class is logged. */
	if (c.p < c.end && (*c.p < '0' || *c.p > '9'))
		text_until(&c, '-', &word);
	if (!text_u64(&c, 7, &severity) || !text_lit(&c, "-") || !text_u64(&c, 999999, &id) ||
	    !text_lit(&c, ":"))
		return fwlog_bad(why, "no message number behind %ASA-");
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
		if (messages[i].id != id)
			continue;
		if (!text_word(&c, &word) || !text_is(word, messages[i].verb))
			return fwlog_bad(why, "the text does not go with the message number");
		if (!fwlog_header_stamp(head, &f->clock, &nsec))
			return fwlog_bad(why, "no time in front of the message (see `logging "
			                      "timestamp` on the device)");
		r->start_nsec = r->end_nsec = nsec;
		r->action = FWLOG_ALLOWED;
		return messages[i].read(c, messages[i].proto, r, why);
	}
	return FWLOG_SKIP;
}

const struct fwlog_decoder fwlog_asa = {asa_mine, asa_line};
