/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/dns.h"

#include <errno.h>
#include <string.h>

#include "base/cursor.h"

#define NAME_WIRE_MAX 255
#define CHASE_MAX     8 /* CNAMEs that stand in a bad order cost another pass each */
#define CLASS_IN      1
#define CLASS_MASK    0x7fff

/* A name as on the wire without compression, in lower case: labels with their lengths, and 0. */
struct wire_name {
	size_t n;
	uint8_t bytes[NAME_WIRE_MAX];
};

/* The length of the label at *at, 0 at the end; negative: none. A pointer is followed if it goes
 * back behind `low`, which falls each time: that ends. */
static int next_label(struct cursor msg, const uint8_t **at, const uint8_t **low,
                      const uint8_t **ret_end)
{
	for (;;) {
		if (*at >= msg.end)
			return -EBADMSG;
		if (**at < 0x40)
			return **at;
		if (**at < 0xc0 || msg.end - *at < 2)
			return -EBADMSG;
		size_t to = load_be16(*at) & 0x3fff;
		if (!*ret_end)
			*ret_end = *at + 2;
		if (to >= (size_t)(*low - msg.p))
			return -EBADMSG;
		*at = *low = msg.p + to;
	}
}

static void append_lower(struct wire_name *name, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		name->bytes[name->n++] = p[i] >= 'A' && p[i] <= 'Z' ? p[i] | 0x20 : p[i];
}

/* Reads the name at c, which stands in the message msg, and moves c behind it. */
static bool read_name(struct cursor msg, struct cursor *c, struct wire_name *ret)
{
	const uint8_t *at = c->p, *low = c->p, *end = NULL;

	ret->n = 0;
	for (;;) {
		int len = next_label(msg, &at, &low, &end);
		if (len < 0 || msg.end - at < 1 + len || ret->n + (size_t)len + 1 > NAME_WIRE_MAX)
			return false;
		ret->bytes[ret->n++] = (uint8_t)len;
		append_lower(ret, at + 1, (size_t)len);
		at += 1 + len;
		if (len == 0)
			break;
	}
	c->p = end ? end : at;
	return true;
}

static bool same_name(const struct wire_name *a, const struct wire_name *b)
{
	return a->n == b->n && !memcmp(a->bytes, b->bytes, a->n);
}

static char *put_byte(char *to, uint8_t c)
{
	if (c > 0x20 && c < 0x7f && c != '.' && c != '\\') {
		*to++ = (char)c;
		return to;
	}
	*to++ = '\\';
	*to++ = (char)('0' + c / 100);
	*to++ = (char)('0' + c / 10 % 10);
	*to++ = (char)('0' + c % 10);
	return to;
}

/* Where to cut the front off a text that has at most room characters left: at a whole character. */
static const char *fit(const char *text, const char *end, size_t room)
{
	while ((size_t)(end - text) > room)
		text += *text == '\\' ? 4 : 1;
	return text;
}

static void name_text(const struct wire_name *name, char ret[static HOSTNAME_MAX])
{
	char text[4 * NAME_WIRE_MAX], *to = text;

	for (size_t i = 0; name->bytes[i]; i += name->bytes[i] + 1u) {
		if (i)
			*to++ = '.';
		for (size_t k = 1; k <= name->bytes[i]; k++)
			to = put_byte(to, name->bytes[i + k]);
	}
	if (to == text)
		*to++ = '.';
	size_t n = (size_t)(to - text);
	const char *from = text;
	if (n >= HOSTNAME_MAX) {
		from = fit(text, to, HOSTNAME_MAX - 2);
		if (*from == '.')
			from++;
		*ret++ = '.';
		n = (size_t)(to - from);
	}
	memcpy(ret, from, n);
	ret[n] = 0;
}

struct record {
	struct wire_name owner;
	uint16_t type, class;
	struct cursor data;
};

static bool read_record(struct cursor msg, struct cursor *c, struct record *ret)
{
	uint16_t len;

	if (!read_name(msg, c, &ret->owner) || !cursor_be16(c, &ret->type) ||
	    !cursor_be16(c, &ret->class) || !cursor_skip(c, 4) || !cursor_be16(c, &len))
		return false;
	ret->class &= CLASS_MASK;
	ret->data = cursor_of(c->p, len);
	return cursor_skip(c, len);
}

static void take_addr(const struct record *r, struct dns_message *m)
{
	size_t n = cursor_left(&r->data);

	if (r->class != CLASS_IN || m->n_addrs == DNS_ADDRS_MAX)
		return;
	if (r->type == DNS_A && n == 4)
		m->addrs[m->n_addrs++] = addr_v4(r->data.p);
	else if (r->type == DNS_AAAA && n == 16)
		m->addrs[m->n_addrs++] = addr_v6(r->data.p);
}

/* One pass over the answers: takes what `name` owns. An alias replaces name and is followed in the
 * same pass. 1: an alias was met; 0: none; -EBADMSG. */
static int pass_answers(struct cursor msg, struct cursor c, bool cut, struct wire_name *name,
                        struct dns_message *m)
{
	struct record r;
	int met = 0;

	for (unsigned i = 0; i < m->n_answers && i < DNS_RECORDS_MAX; i++) {
		struct cursor data;
		struct wire_name alias;
		if (!read_record(msg, &c, &r))
			return cut ? met : -EBADMSG;
		if (!same_name(&r.owner, name))
			continue;
		if (r.type != DNS_CNAME) {
			take_addr(&r, m);
			continue;
		}
		data = r.data;
		if (!read_name(msg, &data, &alias) || data.p != r.data.end)
			return -EBADMSG;
		*name = alias;
		met = 1;
	}
	return met;
}

static int read_answers(struct cursor msg, struct cursor c, bool cut, struct wire_name *name,
                        struct dns_message *m)
{
	int r = 1;

	for (unsigned i = 0; r == 1 && i < CHASE_MAX && !m->n_addrs; i++)
		r = pass_answers(msg, c, cut, name, m);
	return r < 0 ? r : 0;
}

/* The first question is told, the others are passed over. */
static bool read_questions(struct cursor msg, struct cursor *c, struct wire_name *first,
                           struct dns_message *m)
{
	struct wire_name other;

	if (m->n_questions > DNS_RECORDS_MAX)
		return false;
	for (unsigned i = 0; i < m->n_questions; i++) {
		uint16_t type, class;
		if (!read_name(msg, c, i ? &other : first) || !cursor_be16(c, &type) ||
		    !cursor_be16(c, &class))
			return false;
		if (i)
			continue;
		m->qtype = type;
		m->qclass = class & CLASS_MASK;
		name_text(first, m->qname);
	}
	return true;
}

int dns_decode(const uint8_t *msg, size_t n, bool cut, struct dns_message *ret)
{
	struct cursor all = cursor_of(msg, n), c = all;
	struct wire_name name;
	const uint8_t *h;
	int r = 0;

	if (!cursor_take(&c, DNS_HEADER, &h))
		return -EBADMSG;
	struct dns_message m = {
	    .id = load_be16(h),
	    .response = h[2] & 0x80,
	    .truncated = h[2] & 0x02,
	    .opcode = h[2] >> 3 & 15,
	    .rcode = h[3] & 15,
	    .n_questions = load_be16(h + 4),
	    .n_answers = load_be16(h + 6),
	};
	if (!read_questions(all, &c, &name, &m))
		return -EBADMSG;
	if (m.response && m.n_questions)
		r = read_answers(all, c, cut || m.truncated, &name, &m);
	if (r == 0)
		*ret = m;
	return r;
}

bool dns_is_query(const uint8_t *msg, size_t n)
{
	struct cursor all = cursor_of(msg, n), c = all;
	struct dns_message m;
	struct record r;
	const uint8_t *h;

	/* One question, no answers, at most an EDNS record and a signature. */
	if (!msg || !cursor_take(&c, DNS_HEADER, &h) || load_be16(h + 2) & 0xfa4f ||
	    load_be16(h + 4) != 1 || load_be32(h + 6) || load_be16(h + 10) > 2)
		return false;
	if (dns_decode(msg, n, false, &m) < 0 || m.qclass != CLASS_IN || !m.qtype)
		return false;
	if (!read_name(all, &c, &r.owner) || !cursor_skip(&c, 4))
		return false;
	for (unsigned i = 0; i < load_be16(h + 10); i++)
		if (!read_record(all, &c, &r))
			return false;
	return c.p == c.end;
}
