/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which protocol the first bytes of a flow speak, whatever its port. Each row of the table asks for
 * what the protocol must begin with; what several could begin with is unknown. Sources: RFC 8446 5,
 * 9112, 9000, 1035, 4253 4.2, 5321 4.2, 959 5.4, 5905 7.3; MS-RDPBCGR 2.2.1.1 (RFC 905, 1006);
 * MS-SMB2 2.1, 2.2.1.
 */
#ifndef STANCH_WIRE_APP_H
#define STANCH_WIRE_APP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum speech {
	SPEECH_UNKNOWN,
	SPEECH_DNS,
	SPEECH_TLS,
	SPEECH_QUIC,
	SPEECH_HTTP,
	SPEECH_SSH,
	SPEECH_SMTP,
	SPEECH_FTP,
	SPEECH_RDP,
	SPEECH_SMB,
	SPEECH_NTP,
	SPEECH_MAX,
};

/* The first n bytes of payload in one direction of a TCP connection (or the bytes of any early
 * segment of it), or one UDP datagram. Takes no notice of ports. */
enum speech speech_of(bool udp, bool to_server, const uint8_t *p, size_t n);

#endif
