/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What makes the name of a program odd: places and kinds, for all areas. Pure. */
#ifndef STANCH_TRIAGE_ODD_H
#define STANCH_TRIAGE_ODD_H

#include <stdbool.h>
#include <stddef.h>

enum odd_place {
	ODD_NO,
	ODD_TEMP,   /* /tmp, /var/tmp: builds and unpackers run from there, too */
	ODD_SHM,    /* /dev/shm, /dev, /run/shm: nothing is run from there */
	ODD_HIDDEN, /* a folder or file with a leading dot where there are none */
	ODD_STATE,  /* a hidden folder in what services keep (/var/lib, /opt, /srv, /var/www) */
};
/* Where path is: the oddest. */
enum odd_place odd_place(const char *path);
/* odd_place but for ODD_STATE. */
bool odd_path(const char *path);
/* Beneath /usr, /bin, /sbin, /lib…: where packages put programs, and not odd. /usr/local counts. */
bool odd_system_path(const char *path);
/* The last part of a path; and of what follows it in a process title (": ", " "). */
const char *odd_base(const char *path);

/* By the last part of the path, without a version ("python3.11"): */
bool odd_is_shell(const char *path);
bool odd_is_interpreter(const char *path); /* of scripts; shells are not */
bool odd_is_netcat(const char *path);      /* programs that join a socket to a program */

/* Is the text one of these, ended by NULL? */
bool odd_any(const char *text, const char *const *list);

#endif
