/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a process runs, from its program and arguments: a shell that waits for commands, code that
 * stands in an argument, a script. Pure. */
#ifndef STANCH_TRIAGE_PROGRAM_H
#define STANCH_TRIAGE_PROGRAM_H

#include "triage/procs.h"

enum program_way {
	WAY_BARE,   /* no script: commands come by standard input; -i counts, too */
	WAY_INLINE, /* -c, -e, -r: the code is an argument */
	WAY_SCRIPT, /* a file, or a module (python -m) */
};

struct program {
	bool shell, interpreter, netcat;
	bool odd;             /* its file is in an odd place, in memory only, or gone from one */
	bool system;          /* where packages put programs */
	enum program_way way; /* of shells and interpreters */
	bool odd_script;      /* the script's path is in an odd place */
	const char *code;     /* WAY_INLINE: the argument; NULL else */
	const char *script;   /* WAY_SCRIPT: its path; NULL else, and where a title hides it */
};

struct program program_of(const struct proc_row *r);
/* Does the code, or do all arguments, speak of sockets together with programs or hidden text? How
 * many of such signs, and the first two in *ret, joined. */
unsigned program_socket_words(const char *text, char *ret, size_t n);

#endif
