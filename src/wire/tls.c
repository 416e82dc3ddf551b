/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/tls.h"

#include <string.h>

#include "base/cursor.h"
#include "base/table.h"

#define RECORD_HEADER  5
#define MESSAGE_HEADER 4
#define RECORD_MAX     16384
#define MESSAGE_MIN    38    /* version, random, empty session, one suite, its compression */
#define MESSAGE_MAX    65536 /* more no client sends */
#define EXTENSIONS_MAX 128

enum {
	RECORD_HANDSHAKE = 22,
	CLIENT_HELLO = 1,
	SERVER_HELLO = 2,
	EXT_SERVER_NAME = 0,
	EXT_ALPN = 16,
	EXT_ECH = 0xfe0d,
	NAME_TYPE_HOST = 0,
};

/* Vectors: a length of one or two bytes and that many bytes, as a cursor of their own. */
static bool vector8(struct cursor *c, struct cursor *ret)
{
	const uint8_t *p;
	uint8_t n;

	if (!cursor_u8(c, &n) || !cursor_take(c, n, &p))
		return false;
	*ret = cursor_of(p, n);
	return true;
}

static bool vector16(struct cursor *c, struct cursor *ret)
{
	const uint8_t *p;
	uint16_t n;

	if (!cursor_be16(c, &n) || !cursor_take(c, n, &p))
		return false;
	*ret = cursor_of(p, n);
	return true;
}

static bool server_name(struct cursor body, struct tls_hello *h)
{
	struct cursor list, name;
	unsigned hosts = 0;

	if (!vector16(&body, &list) || cursor_left(&body))
		return false;
	while (cursor_left(&list)) {
		uint8_t type;
		if (!cursor_u8(&list, &type) || !vector16(&list, &name))
			return false;
		if (type != NAME_TYPE_HOST)
			continue;
		/* A second name of a type is forbidden: which one would be meant? */
		if (hosts++)
			return false;
		(void)hostname_of(name.p, cursor_left(&name), h->sni);
	}
	return true;
}

static bool printable(struct cursor c)
{
	for (; c.p < c.end; c.p++)
		if (*c.p <= 0x20 || *c.p >= 0x7f || *c.p == ',')
			return false;
	return true;
}

static bool alpn(struct cursor body, struct tls_hello *h)
{
	struct cursor list, one;
	size_t used = 0;

	if (!vector16(&body, &list) || cursor_left(&body))
		return false;
	while (cursor_left(&list)) {
		if (!vector8(&list, &one) || !cursor_left(&one))
			return false;
		size_t n = cursor_left(&one);
		if (!printable(one) || used + n + 2 > sizeof h->alpn)
			continue;
		if (used)
			h->alpn[used++] = ',';
		memcpy(h->alpn + used, one.p, n);
		used += n;
		h->alpn[used] = 0;
	}
	return true;
}

static bool encrypted_hello(struct cursor body, struct tls_hello *h)
{
	h->ech = true;
	return true;
}

static const struct {
	uint16_t type;
	bool (*read)(struct cursor body, struct tls_hello *h);
} extension_table[] = {
    {EXT_SERVER_NAME, server_name},
    {EXT_ALPN, alpn},
    {EXT_ECH, encrypted_hello},
};

static bool extensions(struct cursor list, struct tls_hello *h)
{
	bool seen[ARRAY_SIZE(extension_table)] = {0};

	for (unsigned n = 0; cursor_left(&list); n++) {
		struct cursor body;
		uint16_t type;
		if (n == EXTENSIONS_MAX || !cursor_be16(&list, &type) || !vector16(&list, &body))
			return false;
		for (size_t i = 0; i < ARRAY_SIZE(extension_table); i++) {
			if (extension_table[i].type != type)
				continue;
			if (seen[i] || !extension_table[i].read(body, h))
				return false;
			seen[i] = true;
		}
	}
	return true;
}

/* The body of a ClientHello, all of it. */
static bool client_hello(struct cursor c, struct tls_hello *h)
{
	struct cursor session, suites, compression, list;
	uint16_t version;

	if (!cursor_be16(&c, &version) || version >> 8 != 3 || !cursor_skip(&c, 32) ||
	    !vector8(&c, &session) || cursor_left(&session) > 32 || !vector16(&c, &suites) ||
	    cursor_left(&suites) < 2 || cursor_left(&suites) % 2 || !vector8(&c, &compression) ||
	    !cursor_left(&compression))
		return false;
	if (!cursor_left(&c))
		return true;
	return vector16(&c, &list) && !cursor_left(&c) && extensions(list, h);
}

/* The handshake message at p: its type and length, when these and its version are there. */
static enum tls_step message_head(const uint8_t *p, size_t n, uint8_t *type, size_t *len)
{
	if (n && p[0] != CLIENT_HELLO && p[0] != SERVER_HELLO)
		return TLS_NOT;
	if (n < MESSAGE_HEADER + 2)
		return TLS_MORE;
	*type = p[0];
	*len = load_be32(p) & 0xffffff;
	return *len < MESSAGE_MIN || *len > MESSAGE_MAX || p[MESSAGE_HEADER] != 3 ? TLS_NOT
	                                                                          : TLS_HAVE;
}

static enum tls_step read_message(const uint8_t *p, size_t n, struct tls_hello *ret)
{
	struct tls_hello h = {0};
	uint8_t type;
	size_t len;
	enum tls_step step = message_head(p, n, &type, &len);

	if (step != TLS_HAVE)
		return step;
	if (type == SERVER_HELLO) {
		*ret = h;
		return TLS_HAVE;
	}
	h.client = true;
	if (len <= TLS_HELLO_MAX - MESSAGE_HEADER) {
		if (n < MESSAGE_HEADER + len)
			return TLS_MORE;
		if (!client_hello(cursor_of(p + MESSAGE_HEADER, len), &h))
			return TLS_NOT;
	}
	*ret = h;
	return TLS_HAVE;
}

enum tls_step tls_client_hello(const uint8_t *message, size_t n, struct tls_hello *ret)
{
	if (n && message[0] != CLIENT_HELLO)
		return TLS_NOT;
	return read_message(message, n, ret);
}

/* Passes the header of a handshake record; *body is as much of the record as is there. */
static enum tls_step record(struct cursor *c, struct cursor *body)
{
	static const uint8_t head[] = {RECORD_HANDSHAKE, 3};
	const uint8_t *p = c->p;
	size_t n = cursor_left(c);

	if (memcmp(p, head, n < sizeof head ? n : sizeof head) != 0 || (n > 2 && p[2] > 4))
		return TLS_NOT;
	if (!cursor_skip(c, RECORD_HEADER))
		return TLS_MORE;
	size_t len = load_be16(p + 3);
	if (!len || len > RECORD_MAX)
		return TLS_NOT;
	if (len > cursor_left(c))
		len = cursor_left(c);
	*body = cursor_of(c->p, len);
	cursor_skip(c, len);
	return TLS_HAVE;
}

struct gathered {
	size_t n;
	uint8_t bytes[TLS_HELLO_MAX];
};

static void gather(struct gathered *g, struct cursor body)
{
	size_t n = cursor_left(&body), room = sizeof g->bytes - g->n;

	if (n > room)
		n = room;
	memcpy(g->bytes + g->n, body.p, n);
	g->n += n;
}

/* A message that does not end in its first record, body: the following lie at c. */
static enum tls_step spread(struct cursor c, struct cursor body, struct tls_hello *ret)
{
	enum tls_step step = TLS_MORE;
	struct gathered g;

	g.n = 0;
	gather(&g, body);
	while (step == TLS_MORE && cursor_left(&c)) {
		step = record(&c, &body);
		if (step != TLS_HAVE)
			return step;
		gather(&g, body);
		step = read_message(g.bytes, g.n, ret);
	}
	return step;
}

enum tls_step tls_hello(const uint8_t *stream, size_t n, struct tls_hello *ret)
{
	struct cursor c = cursor_of(stream, n), body = {0};
	enum tls_step step = stream && n ? record(&c, &body) : TLS_MORE;

	if (step == TLS_HAVE)
		step = read_message(body.p, cursor_left(&body), ret);
	/* Mostly one record has it all. */
	return step == TLS_MORE && cursor_left(&c) >= RECORD_HEADER ? spread(c, body, ret) : step;
}
