/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/fwlog.h"

#include <netinet/in.h>

#include "wire/fwlog_text.h"

static const struct {
	const char *name;
	const struct fwlog_decoder *decoder;
} formats[_FWLOG_FORMAT_MAX] = {
    [FWLOG_ASA] = {"asa", &fwlog_asa},
    [FWLOG_JUNOS] = {"junos", &fwlog_junos},
    [FWLOG_PANOS] = {"panos", &fwlog_panos},
    [FWLOG_AWS] = {"aws", &fwlog_aws},
    [FWLOG_NETFILTER] = {"netfilter", &fwlog_netfilter},
};

static const char *const format_names[_FWLOG_FORMAT_MAX] = {
    [FWLOG_ASA] = "asa", [FWLOG_JUNOS] = "junos",         [FWLOG_PANOS] = "panos",
    [FWLOG_AWS] = "aws", [FWLOG_NETFILTER] = "netfilter",
};
STRING_TABLE_DEFINE(fwlog_format, enum fwlog_format, format_names)

int fwlog_detect(struct cursor lines)
{
	unsigned votes[_FWLOG_FORMAT_MAX] = {0};
	int best = _FWLOG_FORMAT_INVALID;
	struct cursor line;

	while (text_until(&lines, '\n', &line))
		for (int i = 0; i < _FWLOG_FORMAT_MAX; i++)
			votes[i] += formats[i].decoder->mine(line);
	for (int i = 0; i < _FWLOG_FORMAT_MAX; i++)
		if (votes[i] && (best < 0 || votes[i] > votes[best]))
			best = i;
	return best;
}

enum fwlog_verdict fwlog_line(struct fwlog *f, struct cursor line, struct fwlog_record *ret,
                              const char **why)
{
	struct fwlog_record r = {0};
	enum fwlog_verdict v;

	if (line.p < line.end && line.end[-1] == '\r')
		line.end--;
	if (line.p == line.end)
		return FWLOG_SKIP;
	v = formats[f->format].decoder->line(f, line, &r, why);
	if (v != FWLOG_RECORD)
		return v;
	if (r.src.addr.family != r.dest.addr.family)
		return fwlog_bad(why, "the two addresses are of different families");
	*ret = r;
	return v;
}

enum fwlog_verdict fwlog_bad(const char **why, const char *text)
{
	*why = text;
	return FWLOG_BAD;
}

enum fwlog_verdict fwlog_other(struct fwlog *f, struct cursor line, const char **why)
{
	/* What the clock had to assume for a line that is passed over need not be told. */
	struct fwlog_clock k = f->clock;
	uint64_t nsec;

	return fwlog_header_stamp(line, &k, &nsec)
	           ? FWLOG_SKIP
	           : fwlog_bad(why, "neither a message of this format nor a line with a time");
}

void fwlog_turn(struct fwlog_record *r)
{
	struct fwlog_record old = *r;

	r->src = old.dest;
	r->dest = old.src;
	r->pkts_toserver = old.pkts_toclient;
	r->pkts_toclient = old.pkts_toserver;
	r->bytes_toserver = old.bytes_toclient;
	r->bytes_toclient = old.bytes_toserver;
	r->tcp_toserver = old.tcp_toclient;
	r->tcp_toclient = old.tcp_toserver;
}

/* Ports above 1023 that servers listen on and clients hardly pick: IANA registrations. */
static bool known_port(uint16_t port)
{
	static const uint16_t known[] = {1194, 1433, 1521, 1883,  2049,  2375,  3128,  3306, 3389,
	                                 3478, 5060, 5061, 5222,  5223,  5353,  5432,  5671, 5672,
	                                 5900, 5985, 5986, 6379,  6443,  8000,  8080,  8443, 8883,
	                                 9090, 9100, 9200, 10050, 10051, 11211, 27017, 51820};

	if (port && port < 1024)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (port == known[i])
			return true;
	return false;
}

void fwlog_guess(struct fwlog_record *r)
{
	bool known_src = known_port(r->src.port), known_dest = known_port(r->dest.port);
	uint8_t flags = r->tcp_toserver & FWLOG_SYN_ACK;

	if (r->proto == IPPROTO_TCP && flags & FWLOG_SYN) {
		if (flags & FWLOG_ACK)
			fwlog_turn(r);
		return;
	}
	r->src_guessed = true;
	if (known_src == known_dest ? r->src.port && r->src.port < r->dest.port : known_src)
		fwlog_turn(r);
}

void fwlog_echo(struct fwlog_record *r)
{
	static const struct {
		uint8_t proto, reply, request;
	} echoes[] = {{IPPROTO_ICMP, 0, 8}, {IPPROTO_ICMPV6, 129, 128}};

	for (size_t i = 0; i < ARRAY_SIZE(echoes); i++) {
		if (r->proto != echoes[i].proto || r->src.port != echoes[i].reply)
			continue;
		uint16_t code = r->dest.port;
		fwlog_turn(r);
		r->src.port = echoes[i].request;
		r->dest.port = code;
		return;
	}
}
