/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire/app.h"

#include <string.h>

#include "base/cursor.h"
#include "base/table.h"
#include "wire/dns.h"
#include "wire/http.h"
#include "wire/quic.h"
#include "wire/tls.h"

#define GREETING_MAX 512 /* RFC 5321 4.5.3.1.5 */

static bool starts(const uint8_t *p, size_t n, const char *s)
{
	return n >= strlen(s) && !memcmp(p, s, strlen(s));
}

/* Whether the first line has the word, of capitals, in either case. */
static bool has_word(const uint8_t *p, size_t n, const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i + len <= n && i < GREETING_MAX && p[i] != '\n'; i++) {
		size_t k = 0;
		while (k < len && (p[i + k] & 0xdf) == (uint8_t)word[k])
			k++;
		if (k == len)
			return true;
	}
	return false;
}

static bool tls(const uint8_t *p, size_t n)
{
	struct tls_hello h;
	return tls_hello(p, n, &h) == TLS_HAVE;
}

static bool http_asks(const uint8_t *p, size_t n)
{
	struct http_request r;
	return http_request(p, n, true, &r) == HTTP_HAVE;
}

static bool http_answers(const uint8_t *p, size_t n)
{
	return n >= 13 && starts(p, n, "HTTP/1.") && p[8] == ' ' && p[9] >= '1' && p[9] <= '5' &&
	       (p[12] == ' ' || p[12] == '\r');
}

static bool ssh(const uint8_t *p, size_t n)
{
	return starts(p, n, "SSH-2.0-") || starts(p, n, "SSH-1.");
}

/* Both greet with 220: what the line says decides, and contradiction leaves it open. */
static bool greets(const uint8_t *p, size_t n, const char *word, const char *other)
{
	return (starts(p, n, "220 ") || starts(p, n, "220-")) && has_word(p, n, word) &&
	       !has_word(p, n, other);
}

static bool smtp_greets(const uint8_t *p, size_t n)
{
	return greets(p, n, "SMTP", "FTP");
}

static bool ftp_greets(const uint8_t *p, size_t n)
{
	return greets(p, n, "FTP", "SMTP") || starts(p, n, "331 ");
}

static bool smtp_asks(const uint8_t *p, size_t n)
{
	return n >= 7 && p[n - 1] == '\n' &&
	       (starts(p, n, "EHLO ") || starts(p, n, "HELO ") || starts(p, n, "LHLO "));
}

/* TPKT and X.224 of a connection request or confirm: what RDP puts into their user data. */
static bool rdp(const uint8_t *p, size_t n, uint8_t code, uint8_t kinds)
{
	if (n < 11 || p[0] != 3 || p[1] || load_be16(p + 2) != n || p[4] != n - 5 || p[5] != code)
		return false;
	if (code == 0xe0 && starts(p + 11, n - 11, "Cookie: msts"))
		return true;
	/* Negotiation: type, flags, length 8, protocols. */
	return n == 19 && p[11] < 8 && kinds & 1u << p[11] && p[13] == 8 && !p[14];
}

static bool rdp_asks(const uint8_t *p, size_t n)
{
	return rdp(p, n, 0xe0, 1u << 1);
}

static bool rdp_answers(const uint8_t *p, size_t n)
{
	return rdp(p, n, 0xd0, 1u << 2 | 1u << 3);
}

static bool smb(const uint8_t *p, size_t n)
{
	return n >= 36 && !p[0] && (load_be32(p) & 0xffffff) >= 32 && p[4] >= 0xfc &&
	       starts(p + 5, n - 5, "SMB");
}

/* A time of this era or none: 1 January 1996 to February 2036, and 64 years on. */
static bool ntp_time(const uint8_t *p)
{
	uint32_t s = load_be32(p);
	return s >= 0xb4c00000u || s < 0x78000000u;
}

/* Versions 3 and 4; delays below 16 s; a keyed digest may follow. */
static bool ntp(const uint8_t *p, size_t n, uint8_t mode)
{
	if ((n != 48 && n != 68 && n != 72) || (p[0] & 7) != mode || (p[0] >> 3 & 7) < 3 ||
	    (p[0] >> 3 & 7) > 4)
		return false;
	return p[1] <= 16 && (p[2] <= 17 || p[2] >= 0xfa) && load_be16(p + 4) < 16 &&
	       load_be16(p + 8) < 16 && ntp_time(p + 16);
}

static bool ntp_asks(const uint8_t *p, size_t n)
{
	/* Precision: below a second, or the value that says nothing. A transmit time is there. */
	return ntp(p, n, 3) && (p[3] >= 0xe0 || !p[3] || p[3] == 0x20) &&
	       (load_be32(p + 40) || load_be32(p + 44));
}

static bool ntp_answers(const uint8_t *p, size_t n)
{
	/* Sent within two seconds of its arrival. */
	return ntp(p, n, 4) && p[3] >= 0xe0 && load_be32(p + 32) &&
	       load_be32(p + 40) - load_be32(p + 32) <= 2;
}

static bool quic(const uint8_t *p, size_t n)
{
	struct cursor c = cursor_of(p, n);
	struct quic_packet packet;
	return quic_next(&c, &packet);
}

enum { TCP_UP = 1, TCP_DOWN = 2, UDP_UP = 4, UDP_DOWN = 8 };

static const struct {
	enum speech speech;
	uint8_t where;
	bool (*is)(const uint8_t *p, size_t n);
} rows[] = {
    {SPEECH_TLS, TCP_UP | TCP_DOWN, tls},   {SPEECH_HTTP, TCP_UP, http_asks},
    {SPEECH_HTTP, TCP_DOWN, http_answers},  {SPEECH_SSH, TCP_UP | TCP_DOWN, ssh},
    {SPEECH_SMTP, TCP_DOWN, smtp_greets},   {SPEECH_SMTP, TCP_UP, smtp_asks},
    {SPEECH_FTP, TCP_DOWN, ftp_greets},     {SPEECH_RDP, TCP_UP, rdp_asks},
    {SPEECH_RDP, TCP_DOWN, rdp_answers},    {SPEECH_SMB, TCP_UP | TCP_DOWN, smb},
    {SPEECH_QUIC, UDP_UP | UDP_DOWN, quic}, {SPEECH_DNS, UDP_UP, dns_is_query},
    {SPEECH_NTP, UDP_UP, ntp_asks},         {SPEECH_NTP, UDP_DOWN, ntp_answers},
};

enum speech speech_of(bool udp, bool to_server, const uint8_t *p, size_t n)
{
	uint8_t here = udp ? to_server ? UDP_UP : UDP_DOWN : to_server ? TCP_UP : TCP_DOWN;

	for (size_t i = 0; n && i < ARRAY_SIZE(rows); i++)
		if (rows[i].where & here && rows[i].is(p, n))
			return rows[i].speech;
	return SPEECH_UNKNOWN;
}
