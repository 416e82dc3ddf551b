/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PAN-OS TRAFFIC logs: comma-separated, with or without a syslog header in front.
 *
 * Source: Palo Alto Networks, PAN-OS Admin: Traffic Log Fields
 * https://docs.paloaltonetworks.com/pan-os/11-0/pan-os-admin/monitoring/use-syslog-for-monitoring/syslog-field-descriptions/traffic-log-fields
 * Positions count from 0 at the first FUTURE_USE, which a syslog header runs into. Later releases
 * only append.
 */
#include <netinet/in.h>

#include "wire/fwlog.h"
#include "wire/fwlog_text.h"

enum {
	RECEIVED = 1,
	TYPE = 3,
	SUBTYPE = 4,
	GENERATED = 6,
	SRC = 7,
	DEST = 8,
	APP = 14,
	SESSION = 22,
	SPORT = 24,
	DPORT = 25,
	PROTO = 29,
	ACTION = 30,
	BYTES = 31,
	BYTES_SENT = 32,
	BYTES_RECEIVED = 33,
	START = 35,
	ELAPSED = 36,
	PKTS_SENT = 44,
	PKTS_RECEIVED = 45,
	N_FIELDS = 46, /* that we look at */
	N_NEEDED = ELAPSED + 1,
};

static const char *const types[] = {"TRAFFIC",    "THREAT", "SYSTEM",        "CONFIG",
                                    "HIPMATCH",   "USERID", "GLOBALPROTECT", "CORRELATION",
                                    "DECRYPTION", "GTP",    "SCTP",          "AUTHENTICATION",
                                    "TUNNEL",     "IPTAG",  "AUDIT",         "URL"};

/* One field: up to a comma, or quoted with "" for a quote. False where a quote is not closed. */
static bool field(struct cursor *c, struct cursor *ret)
{
	if (!text_lit(c, "\"")) {
		if (!text_until(c, ',', ret)) {
			*ret = *c;
			c->p = c->end;
		}
		return true;
	}
	const uint8_t *p = c->p;
	for (; p < c->end; p++) {
		if (*p != '"')
			continue;
		if (p + 1 == c->end || p[1] != '"')
			break;
		p++;
	}
	if (p == c->end)
		return false;
	*ret = (struct cursor){c->p, p};
	c->p = p + 1;
	return c->p == c->end || text_lit(c, ",");
}

/* How many fields were there, at most N_FIELDS; 0 where quotes are wrong. */
static size_t split(struct cursor line, struct cursor fields[static N_FIELDS])
{
	size_t n = 0;

	while (n < N_FIELDS && (line.p < line.end || !n))
		if (!field(&line, &fields[n++]))
			return 0;
	return n;
}

static bool is_type(struct cursor w)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (text_is(w, types[i]))
			return true;
	return false;
}

static bool panos_mine(struct cursor line)
{
	struct cursor fields[N_FIELDS];
	return split(line, fields) > SUBTYPE && is_type(fields[TYPE]);
}

static const struct {
	const char *subtype;
	enum fwlog_part part;
} subtypes[] = {
    {"start", FWLOG_OPENED}, {"end", FWLOG_CLOSED}, {"drop", FWLOG_WHOLE}, {"deny", FWLOG_WHOLE}};

/* The numbers of a line, where they go and how large they can be. */
static const struct {
	size_t position, at, size;
	uint64_t max;
} numbers[] = {
#define NUMBER(position, member, max)                                                              \
	{                                                                                          \
		position, offsetof(struct fwlog_record, member),                                   \
		    sizeof(((struct fwlog_record *)0)->member), max                                \
	}
    NUMBER(SESSION, id, UINT64_MAX),
    NUMBER(SPORT, src.port, UINT16_MAX),
    NUMBER(DPORT, dest.port, UINT16_MAX),
    NUMBER(BYTES_SENT, bytes_toserver, INT64_MAX),
    NUMBER(BYTES_RECEIVED, bytes_toclient, INT64_MAX),
    NUMBER(PKTS_SENT, pkts_toserver, INT64_MAX),
    NUMBER(PKTS_RECEIVED, pkts_toclient, INT64_MAX),
#undef NUMBER
};

static bool read_numbers(const struct cursor *fields, size_t n, struct fwlog_record *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uint64_t v = 0;
		if (numbers[i].position >= n)
			continue;
		if (!text_number(fields[numbers[i].position], numbers[i].max, &v))
			return false;
		if (numbers[i].size == sizeof(uint16_t))
			*(uint16_t *)((uint8_t *)r + numbers[i].at) = (uint16_t)v;
		else
			*(uint64_t *)((uint8_t *)r + numbers[i].at) = v;
	}
	return true;
}

static bool stamp_of(struct cursor w, struct fwlog_clock *k, uint64_t *ret)
{
	return fwlog_stamp(&w, k, ret);
}

/* Start and length of the session; where they are empty, when the line was written. */
static bool times(const struct cursor *fields, struct fwlog_clock *k, struct fwlog_record *r)
{
	uint64_t length = 0, written;

	if (!stamp_of(fields[GENERATED], k, &written) && !stamp_of(fields[RECEIVED], k, &written))
		return false;
	if (!stamp_of(fields[START], k, &r->start_nsec))
		r->start_nsec = written;
	text_number(fields[ELAPSED], UINT32_MAX, &length);
	r->end_nsec = r->start_nsec + length * UINT64_C(1000000000);
	return true;
}

static enum fwlog_verdict traffic(struct fwlog *f, const struct cursor *fields, size_t n,
                                  struct fwlog_record *r, const char **why)
{
	if (!text_addr(fields[SRC], &r->src.addr) || !text_addr(fields[DEST], &r->dest.addr))
		return fwlog_bad(why, "source or destination (field 8, 9) is no address");
	if (!text_proto(fields[PROTO], &r->proto))
		return fwlog_bad(why, "unknown protocol in field 30");
	if (!read_numbers(fields, n, r))
		return fwlog_bad(why, "a port, a count or the session (fields 23 to 46) is no "
		                      "number");
	if (!times(fields, &f->clock, r))
		return fwlog_bad(why, "no time in field 7 or 2");
	/* drop and deny say it, whatever rule is named as the action. */
	r->action = r->part != FWLOG_WHOLE && text_is(fields[ACTION], "allow") ? FWLOG_ALLOWED
	                                                                       : FWLOG_DENIED;
	/* What the firewall itself cut before an answer came, and handshakes that stayed halves. */
	r->unanswered = text_is(fields[APP], "incomplete") ||
	                (n > PKTS_RECEIVED && r->part != FWLOG_OPENED && !r->pkts_toclient);
	if (r->proto == IPPROTO_ICMP || r->proto == IPPROTO_ICMPV6)
		r->src.port = r->dest.port = 0;
	return FWLOG_RECORD;
}

static enum fwlog_verdict panos_line(struct fwlog *f, struct cursor line, struct fwlog_record *r,
                                     const char **why)
{
	struct cursor fields[N_FIELDS];
	size_t n = split(line, fields);

	if (n <= TYPE)
		return fwlog_other(f, line, why);
	if (!is_type(fields[TYPE]))
		/* An export from the web interface begins with the names of the columns. */
		return text_find(&line, "Source") && text_find(&line, "Session")
		           ? FWLOG_SKIP
		           : fwlog_other(f, line, why);
	if (!text_is(fields[TYPE], "TRAFFIC"))
		return FWLOG_SKIP;
	if (n < N_NEEDED)
		return fwlog_bad(why, "fewer than 37 fields in a TRAFFIC line");
	for (size_t i = 0; i < ARRAY_SIZE(subtypes); i++)
		if (text_is(fields[SUBTYPE], subtypes[i].subtype)) {
			r->part = subtypes[i].part;
			return traffic(f, fields, n, r, why);
		}
	return fwlog_bad(why, "field 5 is none of start, end, drop, deny");
}

const struct fwlog_decoder fwlog_panos = {panos_mine, panos_line};
