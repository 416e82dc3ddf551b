/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines of auth.log, as rsyslog and syslog-ng write them ("STAMP HOST PROGRAM[PID]: text", the
 * stamp RFC 3339 or the traditional one), of sshd and sudo. Whoever may call logger(1) can write
 * such a line. Source: sshd's auth.c and session.c, sudoers(5) "LOG FORMAT".
 */
#ifndef STANCH_WIRE_AUTHLOG_H
#define STANCH_WIRE_AUTHLOG_H

#include "base/clock.h"
#include "wire/fwlog_time.h"
#include "wire/lines.h"

enum authlog_kind {
	AUTHLOG_OTHER,
	AUTHLOG_ACCEPTED, /* sshd: user, from; says nothing of a terminal */
	AUTHLOG_TERMINAL, /* sshd at LogLevel VERBOSE: a shell or command on tty for user, from */
	AUTHLOG_SUDO,     /* user ran command as target; tty empty where there was none */
};

/* Spans are of the line; empty where it does not say. */
struct authlog_entry {
	enum authlog_kind kind;
	usec_t time;   /* wall; taken as UTC unless zoned */
	bool zoned;    /* the stamp names its zone */
	uint32_t line; /* number */
	struct cursor user, from, tty, target, command;
};

/* The next line that has a stamp, host and program; false at the end. What a stamp leaves out is
 * taken from k. */
bool authlog_next(struct lines *l, struct fwlog_clock *k, struct authlog_entry *ret);

#endif
