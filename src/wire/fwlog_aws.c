/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * AWS VPC flow logs: the default format, further fields behind it in the order of the
 * documentation, or any order of the fields of versions 2 to 10 when the file begins with the line
 * that names them. Each line is one direction of one time window.
 *
 * Source: Amazon VPC User Guide, Flow log records
 * https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html
 * pkt-srcaddr and pkt-dstaddr are the packet's own addresses where srcaddr and dstaddr are those of
 * an intermediate interface: they are preferred. tcp-flags (since version 3) is an OR of FIN 1,
 * SYN 2, RST 4 and SYN-ACK 18.
 */
#include <netinet/in.h>

#include "wire/fwlog.h"
#include "wire/fwlog_text.h"

enum field {
	OTHER,
	VERSION,
	SRC,
	DEST,
	SPORT,
	DPORT,
	PROTO,
	PACKETS,
	BYTES,
	START,
	END,
	ACTION,
	STATUS,
	FLAGS,
	PKT_SRC,
	PKT_DEST,
	N_FIELDS
};

static const struct {
	const char *name;
	enum field field;
} names[] = {
    {"version", VERSION}, {"account-id", OTHER},    {"interface-id", OTHER},
    {"srcaddr", SRC},     {"dstaddr", DEST},        {"srcport", SPORT},
    {"dstport", DPORT},   {"protocol", PROTO},      {"packets", PACKETS},
    {"bytes", BYTES},     {"start", START},         {"end", END},
    {"action", ACTION},   {"log-status", STATUS},   {"vpc-id", OTHER},
    {"subnet-id", OTHER}, {"instance-id", OTHER},   {"tcp-flags", FLAGS},
    {"type", OTHER},      {"pkt-srcaddr", PKT_SRC}, {"pkt-dstaddr", PKT_DEST},
};
#define N_DEFAULT 14 /* the first names are the default format; all are the documented order */

/* "${name}" is how the format is written where it is configured. */
static struct cursor bare(struct cursor word)
{
	if (text_lit(&word, "${") && word.p < word.end && word.end[-1] == '}')
		word.end--;
	return word;
}

static enum field field_of(struct cursor word)
{
	word = bare(word);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (text_is(word, names[i].name))
			return names[i].field;
	return OTHER;
}

/* A line of names: no word of a record is "srcaddr" or "pkt-srcaddr". */
static bool header(struct cursor line, struct fwlog_aws *ret)
{
	struct fwlog_aws a = {0};
	struct cursor word;
	bool src = false;

	while (a.n < FWLOG_AWS_COLUMNS_MAX && text_word(&line, &word)) {
		a.field[a.n] = (uint8_t)field_of(word);
		src |= a.field[a.n] == SRC || a.field[a.n] == PKT_SRC;
		a.n++;
	}
	if (src)
		*ret = a;
	return src;
}

/* The values of one line by field; how many words there were. */
static size_t values(const struct fwlog_aws *a, struct cursor line,
                     struct cursor ret[static N_FIELDS])
{
	struct cursor word;
	size_t n = 0;

	for (; text_word(&line, &word); n++) {
		enum field at = n < a->n ? (enum field)a->field[n] : OTHER;
		if (!a->n && n < ARRAY_SIZE(names))
			at = names[n].field;
		if (!text_is(word, "-"))
			ret[at] = word;
	}
	return n;
}

/* A stamp that CloudWatch exports put in front. */
static void export_stamp(struct cursor *line)
{
	struct fwlog_clock k = {0};
	struct cursor at = *line;
	uint64_t nsec;

	if (cursor_left(&at) > 20 && at.p[4] == '-' && fwlog_stamp(&at, &k, &nsec))
		*line = at;
}

static bool is_status(struct cursor w)
{
	return text_is(w, "OK") || text_is(w, "NODATA") || text_is(w, "SKIPDATA");
}

static bool aws_mine(struct cursor line)
{
	struct cursor v[N_FIELDS] = {0};
	struct fwlog_aws a = {0};
	struct addr addr;
	uint64_t version;

	if (header(line, &a))
		return true;
	export_stamp(&line);
	return values(&a, line, v) >= N_DEFAULT && is_status(v[STATUS]) &&
	       text_number(v[VERSION], 99, &version) &&
	       (!text_is(v[STATUS], "OK") || text_addr(v[SRC], &addr));
}

static bool opt_number(struct cursor w, uint64_t max, uint64_t *ret)
{
	return !w.p || text_number(w, max, ret);
}

static bool addresses(const struct cursor *v, struct fwlog_record *r)
{
	return text_addr(v[PKT_SRC].p ? v[PKT_SRC] : v[SRC], &r->src.addr) &&
	       text_addr(v[PKT_DEST].p ? v[PKT_DEST] : v[DEST], &r->dest.addr);
}

static bool counts(const struct cursor *v, struct fwlog_record *r)
{
	uint64_t sport = 0, dport = 0, flags = 0;

	if (!opt_number(v[SPORT], UINT16_MAX, &sport) ||
	    !opt_number(v[DPORT], UINT16_MAX, &dport) || !opt_number(v[FLAGS], UINT8_MAX, &flags) ||
	    !opt_number(v[PACKETS], INT64_MAX, &r->pkts_toserver) ||
	    !opt_number(v[BYTES], INT64_MAX, &r->bytes_toserver))
		return false;
	r->src.port = (uint16_t)sport;
	r->dest.port = (uint16_t)dport;
	r->tcp_toserver = r->proto == IPPROTO_TCP ? (uint8_t)flags : 0;
	return true;
}

static bool times(const struct cursor *v, struct fwlog_record *r)
{
	const uint64_t max = UINT64_C(1) << 33;
	uint64_t start, end;

	if (!v[START].p && !v[END].p)
		return false;
	if (!text_number(v[START].p ? v[START] : v[END], max, &start) ||
	    !text_number(v[END].p ? v[END] : v[START], max, &end))
		return false;
	r->start_nsec = start * UINT64_C(1000000000);
	r->end_nsec = (end < start ? start : end) * UINT64_C(1000000000);
	return true;
}

static enum fwlog_verdict window(const struct cursor *v, struct fwlog_record *r, const char **why)
{
	if (!addresses(v, r))
		return fwlog_bad(why, "srcaddr or dstaddr is no address");
	if (!v[PROTO].p || !text_proto(v[PROTO], &r->proto))
		return fwlog_bad(why, "protocol is no number");
	if (!counts(v, r))
		return fwlog_bad(why, "a port, packets, bytes or tcp-flags is no number");
	if (!times(v, r))
		return fwlog_bad(why, "start and end are no seconds since the epoch");
	r->part = FWLOG_WINDOW;
	r->action = text_is(v[ACTION], "ACCEPT")   ? FWLOG_ALLOWED
	            : text_is(v[ACTION], "REJECT") ? FWLOG_DENIED
	                                           : FWLOG_NOT_TOLD;
	fwlog_guess(r);
	return FWLOG_RECORD;
}

static enum fwlog_verdict aws_line(struct fwlog *f, struct cursor line, struct fwlog_record *r,
                                   const char **why)
{
	struct cursor v[N_FIELDS] = {0};
	size_t n;

	if (header(line, &f->aws))
		return FWLOG_SKIP;
	export_stamp(&line);
	n = values(&f->aws, line, v);
	if (f->aws.n ? n != f->aws.n : n < N_DEFAULT)
		return fwlog_bad(why, "the number of fields is not that of the header line, or of "
		                      "the default format");
	if (text_is(v[STATUS], "NODATA"))
		return FWLOG_SKIP;
	if (text_is(v[STATUS], "SKIPDATA"))
		return FWLOG_LOST;
	if (v[STATUS].p && !text_is(v[STATUS], "OK"))
		return fwlog_bad(why, "log-status is none of OK, NODATA, SKIPDATA");
	return window(v, r, why);
}

const struct fwlog_decoder fwlog_aws = {aws_mine, aws_line};
