/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Junos session logs (SRX): RT_FLOW_SESSION_CREATE, _CLOSE and _DENY, as structured data (RFC 5424,
 * key="value") and as plain text.
 *
 * Source: Juniper, Information Provided in Session Log Entries for SRX Series
 * https://www.juniper.net/documentation/en_US/junos12.2/topics/reference/general/session-log-entry-information-for-srx-series.html,
 * and the System Log Explorer https://apps.juniper.net/syslog-explorer/. Plain lines got further
 * words from release to release, but never between the protocol and what follows it, so those are
 * found from the first word with a parenthesis backwards.
 */
#include <netinet/in.h>

#include "wire/fwlog.h"
#include "wire/fwlog_text.h"

enum event { CREATE, CLOSE, DENY };

static const struct {
	const char *tag, *words; /* words: how the plain form begins */
	enum fwlog_part part;
	enum fwlog_action action;
} events[] = {
    [CREATE] = {"RT_FLOW_SESSION_CREATE", "session created", FWLOG_OPENED, FWLOG_ALLOWED},
    [CLOSE] = {"RT_FLOW_SESSION_CLOSE", "session closed", FWLOG_CLOSED, FWLOG_ALLOWED},
    [DENY] = {"RT_FLOW_SESSION_DENY", "session denied", FWLOG_WHOLE, FWLOG_DENIED},
};

/* What both forms say, before it becomes a record. */
struct session {
	struct addr src, dest;
	uint64_t sport, dport, proto, id, pkts_out, bytes_out, pkts_in, bytes_in, elapsed, type;
	bool has_type;
	unsigned seen; /* bits of enum field: each of needed[event] must be there */
};

enum field {
	SRC = 1 << 0,
	DEST = 1 << 1,
	PROTO = 1 << 2,
	COUNTS = 1 << 3,
	ELAPSED = 1 << 4,
};

static const unsigned needed[] = {
    [CREATE] = SRC | DEST | PROTO,
    [CLOSE] = SRC | DEST | PROTO | COUNTS | ELAPSED,
    [DENY] = SRC | DEST | PROTO,
};

#define AT(member) offsetof(struct session, member)

static const struct {
	const char *key;
	size_t at;
	uint64_t max; /* 0: an address */
	unsigned bit;
} keys[] = {
    {"source-address", AT(src), 0, SRC},
    {"destination-address", AT(dest), 0, DEST},
    {"source-port", AT(sport), UINT16_MAX, 0},
    {"destination-port", AT(dport), UINT16_MAX, 0},
    {"protocol-id", AT(proto), 255, PROTO},
    {"session-id-32", AT(id), UINT64_MAX, 0},
    {"session-id", AT(id), UINT64_MAX, 0},
    {"packets-from-client", AT(pkts_out), INT64_MAX, 0},
    {"bytes-from-client", AT(bytes_out), INT64_MAX, COUNTS},
    {"packets-from-server", AT(pkts_in), INT64_MAX, 0},
    {"bytes-from-server", AT(bytes_in), INT64_MAX, 0},
    {"inbound-packets", AT(pkts_out), INT64_MAX, 0},
    {"inbound-bytes", AT(bytes_out), INT64_MAX, COUNTS},
    {"outbound-packets", AT(pkts_in), INT64_MAX, 0},
    {"outbound-bytes", AT(bytes_in), INT64_MAX, 0},
    {"elapsed-time", AT(elapsed), UINT32_MAX, ELAPSED},
    {"icmp-type", AT(type), 255, 0},
};

static bool known_key(struct cursor key, struct cursor value, struct session *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!text_is(key, keys[i].key))
			continue;
		void *at = (uint8_t *)s + keys[i].at;
		if (keys[i].max ? !text_number(value, keys[i].max, at) : !text_addr(value, at))
			return false;
		s->seen |= keys[i].bit;
		s->has_type |= keys[i].at == AT(type);
	}
	return true;
}

/* A quoted value of RFC 5424: \" does not end it. */
static bool quoted(struct cursor *c, struct cursor *ret)
{
	const uint8_t *p = c->p;

	for (; p < c->end && *p != '"'; p++)
		if (*p == '\\' && p + 1 < c->end)
			p++;
	if (p == c->end)
		return false;
	*ret = (struct cursor){c->p, p};
	c->p = p + 1;
	return true;
}

/* ' key="value" key="value"]' */
static bool structured(struct cursor c, enum event event, struct session *s, const char **why)
{
	struct cursor key, value;

	(void)event;
	for (;;) {
		text_spaces(&c);
		if (c.p == c.end || *c.p == ']')
			return true;
		if (!text_until(&c, '=', &key) || !text_lit(&c, "\"") || !quoted(&c, &value)) {
			*why = "structured data is cut off or not key=\"value\"";
			return false;
		}
		if (!known_key(key, value, s)) {
			*why = "a value of the structured data is no number or address";
			return false;
		}
	}
}

/* "192.0.2.1/51234->198.51.100.7/443" */
static bool tuple(struct cursor word, struct session *s)
{
	struct cursor from, addr, port;

	if (!text_until(&word, '>', &from) || from.p == from.end || from.end[-1] != '-')
		return false;
	from.end--;
	if (!text_split_last(from, '/', &addr, &port) || !text_addr(addr, &s->src) ||
	    !text_number(port, UINT16_MAX, &s->sport))
		return false;
	if (!text_split_last(word, '/', &addr, &port) || !text_addr(addr, &s->dest) ||
	    !text_number(port, UINT16_MAX, &s->dport))
		return false;
	s->seen |= SRC | DEST;
	return true;
}

/* "12(1500)" */
static bool pair(struct cursor word, uint64_t *ret_a, uint64_t *ret_b)
{
	return text_u64(&word, INT64_MAX, ret_a) && text_lit(&word, "(") &&
	       text_u64(&word, INT64_MAX, ret_b) && text_is(word, ")");
}

#define BACK 5 /* protocol policy zone zone session-id, then the word with the parenthesis */

/* The plain form behind the tuple; last[] are the words before c, the newest first. */
static bool counts(struct cursor c, const struct cursor last[BACK], struct session *s)
{
	struct cursor word;

	if (!text_number(last[4], 255, &s->proto) || !text_number(last[0], UINT64_MAX, &s->id))
		return false;
	s->seen |= PROTO;
	if (!text_word(&c, &word) || !pair(word, &s->pkts_out, &s->bytes_out))
		return true;
	if (!text_word(&c, &word) || !pair(word, &s->pkts_in, &s->bytes_in))
		return true;
	s->seen |= COUNTS;
	if (text_word(&c, &word) && text_number(word, UINT32_MAX, &s->elapsed))
		s->seen |= ELAPSED;
	return true;
}

static bool plain_rest(struct cursor c, enum event event, struct session *s)
{
	struct cursor last[BACK] = {0}, word, before = c;

	while (text_word(&c, &word)) {
		if (memchr(word.p, '(', cursor_left(&word))) {
			if (event != DENY)
				return counts(before, last, s);
			s->has_type = true;
			s->seen |= PROTO;
			return pair(word, &s->proto, &s->type) && s->proto <= 255;
		}
		memmove(last + 1, last, (BACK - 1) * sizeof(*last));
		last[0] = word;
		before = c;
	}
	/* Old releases end a creation with the session's number. */
	return event == CREATE && counts(c, last, s);
}

/* " session closed TCP FIN: TUPLE service TUPLE …" */
static bool plain(struct cursor c, enum event event, struct session *s, const char **why)
{
	struct cursor word;

	if (!text_find(&c, events[event].words)) {
		*why = "neither structured data nor `session …` behind the message's name";
		return false;
	}
	while (text_word(&c, &word))
		if (tuple(word, s)) {
			*why = "the words behind the addresses are not those of any release";
			return plain_rest(c, event, s);
		}
	*why = "no address/port->address/port";
	return false;
}

static void record_of(const struct session *s, enum event event, struct fwlog_record *r)
{
	uint64_t length = s->elapsed * UINT64_C(1000000000);

	r->part = events[event].part;
	r->action = events[event].action;
	r->id = s->id;
	r->proto = (uint8_t)s->proto;
	r->src = (struct endpoint){s->src, (uint16_t)s->sport};
	r->dest = (struct endpoint){s->dest, (uint16_t)s->dport};
	if (r->proto == IPPROTO_ICMP || r->proto == IPPROTO_ICMPV6) {
		/* As ports an echo's sequence and id are written. */
		r->src.port = s->has_type ? (uint16_t)s->type : 0;
		r->dest.port = 0;
	}
	if (event != CLOSE)
		return;
	r->start_nsec = r->end_nsec > length ? r->end_nsec - length : 0;
	r->pkts_toserver = s->pkts_out;
	r->pkts_toclient = s->pkts_in;
	r->bytes_toserver = s->bytes_out;
	r->bytes_toclient = s->bytes_in;
	r->unanswered = !s->bytes_in && !s->pkts_in;
}

static bool junos_mine(struct cursor line)
{
	return text_find(&line, "RT_FLOW");
}

static enum fwlog_verdict session_line(struct fwlog *f, struct cursor head, struct cursor c,
                                       enum event event, struct fwlog_record *r, const char **why)
{
	struct session s = {0};
	struct cursor data = c;
	uint64_t nsec;
	bool ok;

	if (text_lit(&data, " [") && text_until(&data, ' ', &(struct cursor){0}))
		ok = structured(data, event, &s, why);
	else
		ok = plain(c, event, &s, why);
	if (!ok)
		return FWLOG_BAD;
	if ((s.seen & needed[event]) != needed[event])
		return fwlog_bad(why, "an address, the protocol or the counts are not there");
	if (!fwlog_header_stamp(head, &f->clock, &nsec))
		return fwlog_bad(why, "no time in front of the message");
	r->start_nsec = r->end_nsec = nsec;
	record_of(&s, event, r);
	return FWLOG_RECORD;
}

static enum fwlog_verdict junos_line(struct fwlog *f, struct cursor line, struct fwlog_record *r,
                                     const char **why)
{
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		struct cursor c = line;
		if (!text_find(&c, events[i].tag))
			continue;
		struct cursor head = {line.p, c.p};
		text_lit(&c, events[i].tag);
		text_lit(&c, "_LS"); /* of a logical system: the same fields */
		return session_line(f, head, c, (enum event)i, r, why);
	}
	return fwlog_other(f, line, why);
}

const struct fwlog_decoder fwlog_junos = {junos_mine, junos_line};
