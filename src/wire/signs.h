/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What text does that an intruder's text does: scripts, command lines, configuration, web pages.
 * Looked at by logical line (joined at a backslash); a comment of shell is passed over. These are
 * leads with weights, not proofs: who wants to can write around each of them.
 */
#ifndef STANCH_WIRE_SIGNS_H
#define STANCH_WIRE_SIGNS_H

#include <errno.h>

#include "base/table.h"
#include "wire/lines.h"

enum sign {
	SIGN_REVERSE_SHELL, /* a shell with its input and output on a connection */
	SIGN_BIND_SHELL,    /* a shell behind a listening port */
	SIGN_FETCH_RUN,     /* what is fetched is run */
	SIGN_DECODE_RUN,    /* what is decoded (base64, hex, gzip) is run */
	SIGN_NET_CODE,      /* an interpreter given code that connects and starts programs */
	SIGN_WEB_SHELL,     /* a page that runs what a request says */
	SIGN_SETUID_SHELL,  /* gives a shell or interpreter setuid or capabilities */
	SIGN_ACCOUNT,       /* makes an account, a key, a sudo rule, a password */
	SIGN_PRELOAD,       /* a library into every program */
	SIGN_RUN_TMP,       /* runs a program in a place anyone may write to */
	SIGN_RUN_HIDDEN,    /* runs a program with a hidden name */
	SIGN_STEAL,         /* what is typed or kept secret is written or sent elsewhere */
	SIGN_MINER,         /* a coin miner's words */
	SIGN_NO_HISTORY,    /* the shell's history is turned off */
	SIGN_NO_DEFENCE,    /* turns off logging, firewall, audit */
	SIGN_TUNNEL,        /* a way in from outside by a tunnel */
	_SIGN_MAX,
	_SIGN_INVALID = -EINVAL
};
STRING_TABLE_DECLARE(sign, enum sign); /* "reverse_shell", … */

/* How much it says by itself, 0 … 1: from 0.70 on it is one to act on. */
double sign_weight(enum sign s);
/* "a shell with its input and output on a connection" */
const char *sign_text(enum sign s);
/* The ATT&CK technique of what the text does: "T1059.004". */
const char *sign_technique(enum sign s);

enum signs_of {
	SIGNS_SHELL, /* scripts, rc files, command lines: '#' begins a comment */
	SIGNS_CODE,  /* Python, Perl, PHP … */
	SIGNS_WEB,   /* pages: the web shell signs, too */
};

#define SIGN_LINE_MAX 120
struct signs {
	uint32_t found; /* 1u << enum sign */
	double weight;  /* of the heaviest; 0: none */
	enum sign heaviest;
	uint32_t number;          /* line of the heaviest */
	char line[SIGN_LINE_MAX]; /* its text from a little before the sign on, control bytes '?' */
};

/* Adds what the text shows to *ret, which starts as zeroes. */
void signs_look(enum signs_of kind, const void *bytes, size_t n, struct signs *ret);
/* A path anyone may write beneath: /tmp, /var/tmp, /dev/shm and such. */
bool signs_loose_path(struct cursor path);
/* A component of it is hidden (".x") and none of those that people have there. */
bool signs_hidden_path(struct cursor path);

#endif
