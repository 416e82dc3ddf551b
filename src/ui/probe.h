/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Asking whether another host answers, with every way of not answering told apart. Each probe is
 * bounded by PROBE_MSEC. */
#ifndef STANCH_UI_PROBE_H
#define STANCH_UI_PROBE_H

#include "base/addr.h"
#include "base/clock.h"
#include "base/table.h"

#define PROBE_MSEC     2000
#define PROBE_AFTER    250 /* how long a connection is watched for a reset after it was made */
#define PROBE_TEXT_MAX 160
#define SSH_PORT       22

enum reach {
	REACH_OK,
	REACH_REFUSED,     /* a RST in answer to our SYN */
	REACH_FILTERED,    /* silence, or ICMP says that somebody forbids it */
	REACH_UNREACHABLE, /* ICMP network or host unreachable, or nobody answers on the link */
	REACH_RESET,       /* connected, then reset */
	REACH_NO_SSH,      /* connected on port 22, but no SSH server speaks */
	REACH_NO_ROUTE,    /* this host has no route to it */
	REACH_LOCAL,       /* failed on this host, before anything was sent */
	_REACH_MAX,
	_REACH_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(reach, enum reach);

struct probe {
	enum reach outcome;
	usec_t latency;              /* until the answer, whichever; 0: none came */
	char detail[PROBE_TEXT_MAX]; /* "no answer within 2 s", "ICMP … from 192.0.2.1", …; "" */
	char banner[PROBE_TEXT_MAX]; /* cleaned first line of an SSH server; "" */
};

/* What an ICMP error or a socket error means. */
struct icmp_error {
	bool seen;
	uint8_t family, type, code; /* enum addr_family */
	struct addr from;
};

/* from: source address, family ADDR_NONE for the kernel's choice. */
void probe_icmp(const struct addr *to, const struct addr *from, struct probe *ret);
void probe_tcp(const struct addr *to, uint16_t port, const struct addr *from, struct probe *ret);
/* Pure: code is an errno (positive), icmp what the error queue said. */
void probe_classify(int code, const struct icmp_error *icmp, struct probe *ret);

#endif
