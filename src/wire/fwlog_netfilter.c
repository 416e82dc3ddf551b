/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines that the LOG target of iptables, and `log` of nftables, leave in the kernel's log: one
 * packet a line, as the kernel, syslog or the journal prints them.
 *
 * Source: net/netfilter/nf_log_syslog.c of Linux, which writes KEY=VALUE words behind the prefix of
 * the rule, the packet that an ICMP error quotes in brackets; LEN= comes first for IP, and again
 * for UDP. iptables-extensions(8) and https://wiki.nftables.org/ for the prefix. Whether the packet
 * was let through stands only in that prefix, if the person who wrote the rule put it there.
 */
#include <ctype.h>
#include <netinet/in.h>

#include "wire/fwlog.h"
#include "wire/fwlog_text.h"

/* The first value of a key counts: later ones are of the payload. */
struct packet_line {
	struct cursor src, dest, len, proto, sport, dport, type, code;
	uint8_t flags;
	bool fragment; /* not the first: no ports */
};

static const struct {
	const char *key;
	size_t at;
} keys[] = {
    {"SRC", offsetof(struct packet_line, src)},   {"DST", offsetof(struct packet_line, dest)},
    {"LEN", offsetof(struct packet_line, len)},   {"PROTO", offsetof(struct packet_line, proto)},
    {"SPT", offsetof(struct packet_line, sport)}, {"DPT", offsetof(struct packet_line, dport)},
    {"TYPE", offsetof(struct packet_line, type)}, {"CODE", offsetof(struct packet_line, code)},
};

static const struct {
	const char *word;
	uint8_t flag;
} flags[] = {
    {"FIN", FWLOG_FIN}, {"SYN", FWLOG_SYN}, {"RST", FWLOG_RST},
    {"PSH", FWLOG_PSH}, {"ACK", FWLOG_ACK}, {"URG", FWLOG_URG},
};

/* What people write into prefixes, as a whole word. */
static const struct {
	const char *word;
	enum fwlog_action action;
} verdicts[] = {
    {"drop", FWLOG_DENIED},       {"dropped", FWLOG_DENIED}, {"deny", FWLOG_DENIED},
    {"denied", FWLOG_DENIED},     {"reject", FWLOG_DENIED},  {"rejected", FWLOG_DENIED},
    {"block", FWLOG_DENIED},      {"blocked", FWLOG_DENIED}, {"discard", FWLOG_DENIED},
    {"accept", FWLOG_ALLOWED},    {"allow", FWLOG_ALLOWED},  {"accepted", FWLOG_ALLOWED},
    {"allowed", FWLOG_ALLOWED},   {"pass", FWLOG_ALLOWED},   {"permit", FWLOG_ALLOWED},
    {"permitted", FWLOG_ALLOWED},
};

static void take_word(struct cursor word, struct packet_line *ret)
{
	struct cursor key;

	if (text_until(&word, '=', &key)) {
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
			struct cursor *at = (void *)((uint8_t *)ret + keys[i].at);
			if (text_is(key, keys[i].key) && !at->p)
				*at = word;
		}
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (ret->proto.p && text_is(word, flags[i].word))
			ret->flags |= flags[i].flag;
}

static void take_words(struct cursor c, struct packet_line *ret)
{
	struct cursor word;

	while (text_word(&c, &word)) {
		if (*word.p == '[')
			return;
		/* "FRAG:185": in eights of a byte, and no ports follow. */
		ret->fragment |= text_lit(&word, "FRAG:");
		take_word(word, ret);
	}
}

static bool next_alpha(struct cursor *c, struct cursor *ret)
{
	while (c->p < c->end && !isalpha(*c->p))
		c->p++;
	ret->p = c->p;
	while (c->p < c->end && isalpha(*c->p))
		c->p++;
	ret->end = c->p;
	return ret->p < ret->end;
}

static bool same_word(struct cursor w, const char *lower)
{
	if (cursor_left(&w) != strlen(lower))
		return false;
	for (; w.p < w.end; w.p++, lower++)
		if (tolower(*w.p) != *lower)
			return false;
	return true;
}

/* "[WAN_IN-2000-D]" is how VyOS and its kin name rule set, rule and verdict. */
static enum fwlog_action bracketed_verdict(struct cursor head)
{
	static const struct {
		const char *end;
		enum fwlog_action action;
	} ends[] = {{"-A]", FWLOG_ALLOWED}, {"-D]", FWLOG_DENIED}, {"-R]", FWLOG_DENIED}};

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct cursor c = head;
		if (text_find(&c, ends[i].end))
			return ends[i].action;
	}
	return FWLOG_NOT_TOLD;
}

static enum fwlog_action verdict_of(struct cursor head)
{
	enum fwlog_action action = bracketed_verdict(head);
	struct cursor word;

	while (next_alpha(&head, &word))
		for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++)
			if (same_word(word, verdicts[i].word))
				action = verdicts[i].action;
	return action;
}

/* Where the kernel's words begin: "IN=" at the start of a word. */
static bool begin(struct cursor *c)
{
	struct cursor at = *c;

	for (; text_find(&at, "IN="); at.p++)
		if (at.p == c->p || !isalnum(at.p[-1])) {
			*c = at;
			return true;
		}
	return false;
}

static bool netfilter_mine(struct cursor line)
{
	return begin(&line) && text_find(&line, "SRC=") && text_find(&line, "DST=") &&
	       text_find(&line, "PROTO=");
}

static bool ports(const struct packet_line *p, struct fwlog_record *r)
{
	bool icmp = r->proto == IPPROTO_ICMP || r->proto == IPPROTO_ICMPV6;
	struct cursor a = icmp ? p->type : p->sport, b = icmp ? p->code : p->dport;
	uint64_t src = 0, dest = 0, max = icmp ? 255 : UINT16_MAX;
	bool have = icmp || r->proto == IPPROTO_TCP || r->proto == IPPROTO_UDP;

	if (have && !p->fragment && (!text_number(a, max, &src) || !text_number(b, max, &dest)))
		return false;
	r->src.port = (uint16_t)src;
	r->dest.port = (uint16_t)dest;
	return true;
}

static enum fwlog_verdict packet(const struct packet_line *p, struct fwlog_record *r,
                                 const char **why)
{
	if (!text_addr(p->src, &r->src.addr) || !text_addr(p->dest, &r->dest.addr))
		return fwlog_bad(why, "SRC= or DST= is no address");
	if (!text_proto(p->proto, &r->proto))
		return fwlog_bad(why, "PROTO= is unknown, or cut off");
	if (!text_number(p->len, UINT32_MAX, &r->bytes_toserver))
		return fwlog_bad(why, "LEN= is no number");
	if (!ports(p, r))
		return fwlog_bad(why, "SPT= and DPT=, or TYPE= and CODE=, are no numbers");
	r->part = FWLOG_PACKET;
	r->pkts_toserver = 1;
	r->tcp_toserver = r->proto == IPPROTO_TCP ? p->flags : 0;
	if (r->proto == IPPROTO_ICMP || r->proto == IPPROTO_ICMPV6)
		fwlog_echo(r);
	else
		fwlog_guess(r);
	return FWLOG_RECORD;
}

static enum fwlog_verdict netfilter_line(struct fwlog *f, struct cursor line,
                                         struct fwlog_record *r, const char **why)
{
	struct packet_line p = {0};
	struct cursor c = line;
	uint64_t nsec;

	if (!begin(&c))
		return fwlog_other(f, line, why);
	take_words(c, &p);
	/* ARP and frames that are not IP are logged with MAC addresses only. */
	if (!p.src.p && !p.proto.p)
		return FWLOG_SKIP;
	struct cursor head = {line.p, c.p};
	if (!fwlog_header_stamp(head, &f->clock, &nsec))
		return fwlog_bad(why, "no time in front of the packet");
	r->start_nsec = r->end_nsec = nsec;
	r->action = verdict_of(head);
	return packet(&p, r, why);
}

const struct fwlog_decoder fwlog_netfilter = {netfilter_mine, netfilter_line};
