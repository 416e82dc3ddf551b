/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files that matter, and which package has them: first all are collected, then the package database
 * is read once. Where /bin is a link to /usr/bin either name may be meant, so both are one here.
 */
#ifndef STANCH_TRIAGE_OWNERS_H
#define STANCH_TRIAGE_OWNERS_H

#include "triage/triage.h"
#include "wire/lines.h"

#define OWNED_MAX 65536 /* files; more are counted in lost */

struct owned_file {
	char *path;       /* from "/" */
	struct stat st;   /* lstat */
	int place;        /* the caller's */
	char package[48]; /* ""; none has it */
	bool has_sum;     /* md5 is what the package brought */
	bool conffile;
	bool unsettled; /* diverted, or its package is half installed: sums say nothing */
	uint8_t md5[16];
};

struct owned {
	struct owned_file *v;
	size_t n, cap, lost;
	uint32_t slots[2 * OWNED_MAX]; /* index + 1, by a hash of the path */
};

/* -ENOMEM; the same path is kept once, with the place that came first. */
int owned_add(struct owned *o, const char *path, const struct stat *st, int place);
/* Asks the database. False: there is none that can be read, and nothing is known of any file. */
bool owned_ask(struct owned *o, struct triage *t);
void owned_free(struct owned *o);

#endif
