/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/quic.h"

#include <errno.h>
#include <string.h>

#include "base/table.h"

#define LONG_HEADER 0x80
#define FIXED_BIT   0x40
#define SAMPLE_AT   4 /* behind the start of the packet number */
#define SAMPLE_LEN  16

enum packet_type { INITIAL, ZERO_RTT, HANDSHAKE, RETRY };

static const struct version {
	uint32_t version;
	uint8_t types[4]; /* enum packet_type by the two bits of the first byte */
	uint8_t salt[20];
	const char *key, *iv, *hp;
} versions[] = {
    {QUIC_V1,
     {INITIAL, ZERO_RTT, HANDSHAKE, RETRY},
     {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
      0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a},
     "quic key",
     "quic iv",
     "quic hp"},
    {QUIC_V2,
     {RETRY, INITIAL, ZERO_RTT, HANDSHAKE},
     {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
      0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9},
     "quicv2 key",
     "quicv2 iv",
     "quicv2 hp"},
};

static const struct version *find_version(uint32_t number)
{
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
		if (versions[i].version == number)
			return &versions[i];
	return NULL;
}

/* RFC 9000 16: the two top bits say how many bytes it has. */
static bool varint(struct cursor *c, uint64_t *ret)
{
	const uint8_t *p;

	if (!cursor_left(c) || !cursor_take(c, (size_t)1 << (*c->p >> 6), &p))
		return false;
	uint64_t v = *p & 0x3f;
	for (const uint8_t *next = p + 1; next < c->p; next++)
		v = v << 8 | *next;
	*ret = v;
	return true;
}

/* That many bytes as a varint says; false when they are not there. */
static bool counted(struct cursor *c, const uint8_t **ret, size_t *ret_n)
{
	struct cursor at = *c;
	uint64_t n;

	if (!varint(&at, &n) || n > cursor_left(&at))
		return false;
	*ret_n = (size_t)n;
	cursor_take(&at, (size_t)n, ret);
	*c = at;
	return true;
}

static bool cid(struct cursor *c, struct quic_cid *ret)
{
	const uint8_t *p;
	uint8_t n;

	if (!cursor_u8(c, &n) || n > QUIC_CID_MAX || !cursor_take(c, n, &p))
		return false;
	*ret = (struct quic_cid){.n = n};
	memcpy(ret->bytes, p, n);
	return true;
}

/* Behind the connection IDs; c then stands behind the packet. */
static bool packet_body(struct cursor *c, enum packet_type type, struct quic_packet *out)
{
	const uint8_t *p;
	size_t n;

	if (type == RETRY) /* all the rest of the datagram */
		return cursor_skip(c, cursor_left(c));
	if (type == INITIAL && !counted(c, &p, &n)) /* the token */
		return false;
	if (!counted(c, &p, &n) || n < SAMPLE_AT + SAMPLE_LEN)
		return false;
	out->initial = type == INITIAL;
	out->number_at = (size_t)(p - out->p);
	return true;
}

bool quic_next(struct cursor *datagram, struct quic_packet *ret)
{
	struct cursor c = *datagram;
	struct quic_packet out = {.p = c.p};
	struct quic_cid scid;
	uint8_t first;

	if (!cursor_u8(&c, &first) || !(first & LONG_HEADER) || !(first & FIXED_BIT) ||
	    !cursor_be32(&c, &out.version))
		return false;
	const struct version *v = find_version(out.version);
	if (!v || !cid(&c, &out.dcid) || !cid(&c, &scid) ||
	    !packet_body(&c, v->types[first >> 4 & 3], &out))
		return false;
	out.n = (size_t)(c.p - out.p);
	*datagram = c;
	*ret = out;
	return true;
}

int quic_client_keys(struct crypt *c, uint32_t version, const struct quic_cid *dcid,
                     struct quic_keys *ret)
{
	const struct version *v = find_version(version);
	uint8_t initial[HKDF_LEN], client[HKDF_LEN];
	struct quic_keys keys;
	int r;

	if (!v)
		return -EINVAL;
	if ((r = crypt_hkdf_extract(c, v->salt, sizeof v->salt, dcid->bytes, dcid->n, initial)) <
	        0 ||
	    (r = crypt_hkdf_expand_label(c, initial, "client in", client, sizeof client)) < 0 ||
	    (r = crypt_hkdf_expand_label(c, client, v->key, keys.key, sizeof keys.key)) < 0 ||
	    (r = crypt_hkdf_expand_label(c, client, v->iv, keys.iv, sizeof keys.iv)) < 0 ||
	    (r = crypt_hkdf_expand_label(c, client, v->hp, keys.hp, sizeof keys.hp)) < 0)
		return r;
	*ret = keys;
	return 0;
}

/* Copies the header to head as it was before its protection; returns its length and the packet
 * number. The number is never ahead of what its bytes can say: a first flight starts low. */
static int unmask(struct crypt *c, const struct quic_keys *keys, const struct quic_packet *p,
                  uint8_t *head, size_t *ret_len, uint32_t *ret_number)
{
	uint8_t mask[AES128_LEN];
	int r = crypt_aes128_block(c, keys->hp, p->p + p->number_at + SAMPLE_AT, mask);

	if (r < 0)
		return r;
	head[0] = p->p[0] ^ (mask[0] & 0x0f);
	size_t len = (head[0] & 3u) + 1;
	memcpy(head + 1, p->p + 1, p->number_at + len - 1);
	*ret_number = 0;
	for (size_t i = 0; i < len; i++) {
		head[p->number_at + i] ^= mask[1 + i];
		*ret_number = *ret_number << 8 | head[p->number_at + i];
	}
	*ret_len = p->number_at + len;
	return 0;
}

int quic_open(struct crypt *c, const struct quic_keys *keys, const struct quic_packet *packet,
              uint8_t plain[static QUIC_PACKET_MAX], struct cursor *ret_frames)
{
	uint8_t head[QUIC_PACKET_MAX], nonce[GCM_IV_LEN];
	uint32_t number;
	size_t len;

	if (packet->n > QUIC_PACKET_MAX)
		return -E2BIG;
	int r = unmask(c, keys, packet, head, &len, &number);
	if (r < 0)
		return r;
	memcpy(nonce, keys->iv, sizeof nonce);
	for (size_t i = 0; i < 4; i++)
		nonce[GCM_IV_LEN - 1 - i] ^= (uint8_t)(number >> 8 * i);
	r = crypt_aes128_gcm_open(c, keys->key, nonce, head, len, packet->p + len, packet->n - len,
	                          plain);
	if (r == 0)
		*ret_frames = cursor_of(plain, packet->n - len - GCM_TAG_LEN);
	return r;
}

enum frame_type {
	PADDING = 0,
	PING = 1,
	ACK = 2,
	ACK_ECN = 3,
	CRYPTO = 6,
	CONNECTION_CLOSE = 0x1c,
};

static bool numbers(struct cursor *c, uint64_t n)
{
	uint64_t v;
	for (; n; n--)
		if (!varint(c, &v))
			return false;
	return true;
}

static bool ack(struct cursor *c, bool ecn)
{
	uint64_t ranges;

	/* Largest and delay; how many ranges; the first; gap and length of each. */
	return numbers(c, 2) && varint(c, &ranges) && ranges <= cursor_left(c) && numbers(c, 1) &&
	       numbers(c, 2 * ranges) && (!ecn || numbers(c, 3));
}

static bool connection_close(struct cursor *c)
{
	const uint8_t *p;
	size_t n;
	return numbers(c, 2) && counted(c, &p, &n);
}

static bool crypto(struct cursor *c, struct quic_crypto *ret)
{
	return varint(c, &ret->offset) && counted(c, &ret->p, &ret->n);
}

int quic_next_crypto(struct cursor *frames, struct quic_crypto *ret)
{
	struct cursor c = *frames;
	struct quic_crypto found;

	while (cursor_left(&c)) {
		uint64_t type;
		bool ok = varint(&c, &type);
		switch (ok ? type : UINT64_MAX) {
		case PADDING:
		case PING:
			break;
		case ACK:
		case ACK_ECN:
			ok = ack(&c, type == ACK_ECN);
			break;
		case CONNECTION_CLOSE:
			ok = connection_close(&c);
			break;
		case CRYPTO:
			if (!crypto(&c, &found))
				return -EBADMSG;
			*frames = c;
			*ret = found;
			return 1;
		default:
			ok = false;
		}
		if (!ok)
			return -EBADMSG;
	}
	*frames = c;
	return 0;
}
